//! From a signal to the process that answers it: a request at a tier that sleeps, and the start of its replica.

use super::at_most;
use crate::client::{asking, exchange};
use crate::world::{PATIENCE, World};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

const TIERS: usize = 10;
const CYCLES: usize = 20;
/// 99 of 100 scale-outs at a tick of a second, seconds.
const P99: f64 = 1.5;
/// Kernel clock ticks a second, as every Linux tells them to programs (man 7 time: USER_HZ).
const USER_HZ: f64 = 100.0;
const TIER: &str = "
  NAME:
    model: NAME
    replicas: {minimum: 0, maximum: 1}
    price: $1/hour
    slo: {attainment: 95%, objectives: [{tpot: {p95: 60ms}}]}
    requests: {prompt_tokens: {mean: 60, sigma: 0.3}, output_tokens: {mean: 20, sigma: 0.2}, per_player: 1/min}
    profile: {source: estimate, iteration: 20ms, per_sequence: 1ms, per_prefill_token: 100us, max_batched_tokens: 256, max_sequences: 4, kv_tokens: 20000, max_model_tokens: 4096}
    start_up: 500ms
    policies: [{backlog_per_replica: {target: 1}}]
    behavior: {scale_out: {cooldown: 0s}, scale_in: {cooldown: 1s}}
    backend: {local: {command: [evenkeel, replica, --fleet, \"{file}\", --tier, NAME, --port, \"{port}\"], start_deadline: 20s, drain_deadline: 20s, grace: 5s}}";

#[test]
#[ignore = "four minutes: make drill"]
fn a_process_is_spawned_within_one_and_a_half_seconds_of_its_signal() {
    let tiers: String = (0..TIERS).map(|tier| TIER.replace("NAME", &name(tier))).collect();
    let mut world = World::of(&format!(
        "fleet: sleepers\ntick: 1s\ncontroller: {{listen: 127.0.0.1:7070, mode: act}}\n\
         gateway: {{listen: 127.0.0.1:8080}}\ntiers:{tiers}\n"
    ));
    world.start("run");
    world.start("gateway");
    world.wait_for_sight();
    let (state, gateway) = (world.state(), world.gateway().to_owned());
    let mut waits = thread::scope(|scope| {
        let cycles = |tier| {
            let (state, gateway) = (&state, &gateway);
            scope.spawn(move || (0..CYCLES).map(|cycle| wake(state, gateway, tier, cycle)).collect::<Vec<f64>>())
        };
        let threads: Vec<_> = (0..TIERS).map(cycles).collect();
        threads.into_iter().flat_map(|it| it.join().unwrap()).collect::<Vec<f64>>()
    });
    waits.sort_by(f64::total_cmp);
    print_histogram(&waits);
    let quantile = |share: f64| waits[((waits.len() as f64 * share).ceil() as usize).clamp(1, waits.len()) - 1];
    println!(
        "signal to spawned process: p50 {:.2} s, p90 {:.2} s, most {:.2} s",
        quantile(0.5),
        quantile(0.9),
        quantile(1.0)
    );
    at_most("signal to spawned process, p99 of 200", quantile(0.99), "s", P99);
    assert_eq!(waits.len(), TIERS * CYCLES);
}

fn name(tier: usize) -> String {
    format!("tier{tier}")
}

/// Sends one request at a moment that has nothing to do with the ticks, and waits until the tier sleeps again.
fn wake(state: &Path, gateway: &str, tier: usize, cycle: usize) -> f64 {
    let name = name(tier);
    // Multiples of the golden ratio fill a tick evenly.
    let phase = ((tier * CYCLES + cycle) as f64 * 0.618_033_988_75).fract();
    sleep(Duration::from_secs_f64(phase));
    let known = records(state, &name);
    let signal = uptime();
    let answer = thread::spawn({
        let (gateway, body) = (gateway.to_owned(), asking(&name, 1, 2));
        move || exchange(&gateway, "POST", "/v1/completions", &body).unwrap().0
    });
    let mut spawned = None;
    until(&format!("a replica of {name}"), || {
        spawned = records(state, &name).difference(&known).next().and_then(|record| started(state, record));
        spawned.is_some()
    });
    assert_eq!(answer.join().unwrap(), 200);
    until(&format!("{name} to sleep"), || records(state, &name).is_empty());
    spawned.unwrap() - signal
}

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "waited for {what}");
        sleep(Duration::from_millis(20));
    }
}

/// The records of living replicas.
fn records(state: &Path, tier: &str) -> BTreeSet<String> {
    let names = fs::read_dir(state.join("replicas")).into_iter().flatten().flatten();
    let names = names.map(|entry| entry.file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(&format!("{tier}-")) && name.ends_with(".json")).collect()
}

/// When the process of a record was started, seconds since boot.
fn started(state: &Path, record: &str) -> Option<f64> {
    let text = fs::read_to_string(state.join("replicas").join(record)).ok()?;
    let record: Value = serde_json::from_str(&text).ok()?;
    Some(record["process"]["start_ticks"].as_f64()? / USER_HZ)
}

/// Seconds since boot, by the clock that processes' starts are told in (man 5 proc).
fn uptime() -> f64 {
    fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap()
}

fn print_histogram(waits: &[f64]) {
    const WIDTH: f64 = 0.1;
    let last = (waits.last().unwrap() / WIDTH) as usize;
    println!("signal to spawned process, {} scale-outs at a tick of 1 s:", waits.len());
    for bucket in 0..=last {
        let (from, to) = (bucket as f64 * WIDTH, (bucket + 1) as f64 * WIDTH);
        let count = waits.iter().filter(|wait| (**wait / WIDTH) as usize == bucket).count();
        println!("  {from:4.1} to {to:4.1} s {count:4} {}", "#".repeat(count));
    }
}
