//! Half of gold is killed under load.

use super::{DEMO, MOST_RESIDENT, at_most, end_of, failed_before_a_byte, gold, under_load};
use crate::long_run::process;
use crate::world::{World, ready, signal};
use rustix::process::Signal;
use serde_json::Value;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Of the demo's file.
const START_UP: f64 = 9.0;
const TICK: f64 = 1.0;

#[test]
#[ignore = "two minutes: make drill"]
fn killing_half_of_gold_under_load_fails_no_request_without_a_first_byte() {
    let mut world = World::of(DEMO);
    let (controller, load) = under_load(&mut world, 200, 150);
    let before = gold(&world);
    let count = ready(&before);
    let calm = waiting(&before).expect("the gateway tells who waits");
    let pids = gold_replicas(&world);
    let killed = Instant::now();
    pids.iter().take(pids.len() / 2).for_each(|pid| signal(*pid, Signal::KILL));
    let mut story = Story::default();
    while story.backlog_gone.is_none() && killed.elapsed() < Duration::from_secs(120) {
        story.take(&gold(&world), killed.elapsed().as_secs_f64(), count, calm);
        sleep(Duration::from_millis(100));
    }
    let resident = process(world.pid(controller))[0] as f64 / f64::from(1 << 20);
    let summary = end_of(&mut world, load);
    let failed = failed_before_a_byte(&summary);
    println!("{} of gold's {count} replicas were killed", pids.len() / 2);
    let capacity_back = story.capacity_back.expect("capacity comes back");
    let bound = START_UP + 3.0 * TICK;
    at_most("half of gold: failed without a first byte", failed as f64, "requests", 0.0);
    at_most("half of gold: capacity back after", capacity_back, "s", bound);
    let clearing = story.clearing_seconds();
    println!(
        "backlog: {} requests at most, {} when capacity was back; capacity above arrivals clears those in {clearing:.1} s",
        story.longest, story.backlog
    );
    let slo_back = story.backlog_gone.expect("the backlog goes");
    at_most("half of gold: SLO back after", slo_back, "s", bound + clearing);
    at_most("controller resident with the demo fleet", resident, "MiB", MOST_RESIDENT);
    assert_eq!(failed, 0, "{}", summary["tiers"]);
}

/// What happened after the kill, by the controller's own readings.
#[derive(Default)]
struct Story {
    capacity_back: Option<f64>,
    /// Requests that waited, at most.
    longest: u64,
    /// Requests that waited when capacity was back.
    backlog: u64,
    arrivals: f64,
    capacity: f64,
    /// Nothing waits beyond what did before, and every latency is inside its bound.
    backlog_gone: Option<f64>,
    lost: bool,
}

impl Story {
    fn take(&mut self, gold: &Value, at: f64, count: u64, calm: u64) {
        self.lost |= ready(gold) < count;
        self.longest = self.longest.max(waiting(gold).unwrap_or(0));
        if self.capacity_back.is_none() && self.lost && ready(gold) >= count {
            self.capacity_back = Some(at);
            self.backlog = waiting(gold).expect("the gateway tells who waits");
            self.arrivals = gold["requests_per_second"].as_f64().expect("players are asking");
            let demand = gold["demand_replicas"].as_f64().expect("the policy has a demand");
            // What one replica carries inside the SLO by the policy's own figure.
            self.capacity = ready(gold) as f64 * self.arrivals / demand;
        }
        let calm_again = waiting(gold).is_some_and(|waiting| waiting <= calm);
        if self.capacity_back.is_some() && self.backlog_gone.is_none() && calm_again && within_bounds(gold) {
            self.backlog_gone = Some(at);
        }
    }

    fn clearing_seconds(&self) -> f64 {
        let (capacity, arrivals) = (self.capacity, self.arrivals);
        assert!(capacity > arrivals, "{capacity} requests/s are carried of {arrivals}: no backlog would ever clear");
        self.backlog as f64 / (capacity - arrivals)
    }
}

fn waiting(gold: &Value) -> Option<u64> {
    gold["signals"]["queue_depth"]["fresh"]["value"].as_u64()
}

/// No more requests were above each objective's bound than its quantile allows, as far as it is known.
fn within_bounds(gold: &Value) -> bool {
    let objectives = gold["objectives"].as_array().unwrap().iter();
    let readings = gold["signals"]["latency"].as_array().unwrap();
    objectives.zip(readings).all(|(objective, reading)| {
        let value = &reading["fresh"]["value"];
        let (Some(count), Some(above)) = (value["count"].as_f64(), value["above"].as_f64()) else { return false };
        above <= count * (1.0 - objective["quantile"].as_f64().unwrap()) + 1e-9
    })
}

fn gold_replicas(world: &World) -> Vec<i32> {
    let is_gold = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|word| word == b"gold")
    };
    world.replicas().into_iter().filter(is_gold).collect()
}
