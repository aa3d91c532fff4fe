//! Drills that measure: too long for every test run, `make drill` plays them against a release build. Each prints lines in
//! the form of `make bench`: name, figure, unit, goal, and whether it is reached.

mod controller_dead;
mod half_of_gold;
mod silent;
mod spawning;
mod ten_thousand;

use crate::world::{World, ready};
use serde_json::Value;
use std::thread::sleep;
use std::time::{Duration, Instant};

const DEMO: &str = include_str!("../../../../../examples/demo.yaml");
/// For what takes minutes.
const LONG: Duration = Duration::from_secs(300);

/// Resident memory of a controller with the demo's fleet, MiB.
pub(crate) const MOST_RESIDENT: f64 = 40.0;

/// Prints a figure that should not be above `bound`.
pub(crate) fn at_most(name: &str, figure: f64, unit: &str, bound: f64) {
    let verdict = if figure <= bound { "ok" } else { "short" };
    println!("{name}\t{figure:.3}\t{unit}\t<={bound:.3}\t{verdict}");
}

/// The demo's fleet under as many players as it takes for a while, once every tier has settled: the number of the
/// controller and of the load test.
fn under_load(world: &mut World, players: u32, seconds: u64) -> (usize, usize) {
    let controller = world.start("run");
    world.start("gateway");
    world.wait_for_state("every tier to have a replica", |state| {
        state["tiers"].as_array().unwrap().iter().all(|tier| ready(tier) >= 1)
    });
    world.wait_for_sight();
    let shape = format!("{players}:{seconds}s");
    let load = world.start_load(&["--shape", &shape, "--window", "3", "--drain", "120"]);
    settled(world, Duration::from_secs(20));
    (controller, load)
}

/// Waits until gold's count has stayed for so long.
fn settled(world: &World, long: Duration) {
    let deadline = Instant::now() + LONG;
    let (mut count, mut since) = (0, Instant::now());
    while count < 2 || since.elapsed() < long {
        assert!(Instant::now() < deadline, "gold does not settle");
        let now = gold(world);
        let now = ready(&now).min(now["decision"]["desired"].as_u64().unwrap());
        if now != count {
            (count, since) = (now, Instant::now());
        }
        sleep(Duration::from_millis(500));
    }
}

fn gold(world: &World) -> Value {
    world.wait_for("a look", |_| true)
}

/// Requests that failed, without those whose client had part of an answer already.
fn failed_before_a_byte(summary: &Value) -> u64 {
    let tiers = summary["tiers"].as_array().unwrap().iter();
    let failures = tiers.flat_map(|tier| tier["failures"].as_array().unwrap());
    let broken_off = |failure: &&Value| failure["kind"] == "truncated" || failure["kind"] == "error_event";
    failures.filter(|it| !broken_off(it)).map(|failure| failure["requests"].as_u64().unwrap()).sum()
}

/// Waits for a load test to end: what it found.
fn end_of(world: &mut World, load: usize) -> Value {
    let deadline = Instant::now() + LONG + LONG;
    while !world.has_ended(load) {
        assert!(Instant::now() < deadline, "the load does not end");
        sleep(Duration::from_millis(500));
    }
    world.summary(load)
}

#[test]
fn failures_are_counted_but_for_those_whose_client_had_part_of_an_answer() {
    let of = |kind, requests| serde_json::json!({"kind": kind, "requests": requests});
    let gold = serde_json::json!({"failures": [of("status_502", 3), of("truncated", 4), of("error_event", 5)]});
    let silver = serde_json::json!({"failures": [of("timeout", 2)]});
    assert_eq!(failed_before_a_byte(&serde_json::json!({"tiers": [gold, silver]})), 5);
}
