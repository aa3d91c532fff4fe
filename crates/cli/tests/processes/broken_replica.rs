//! Replicas that are broken and do not die of it.

use crate::client::{Traffic, asking, exchange};
use crate::world::{World, address_of, launches, ready, signal, until};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Another tier, whose replicas are sound.
const SILVER: &str = "
  silver:
    model: small
    replicas: {minimum: 1, maximum: 1}
    price: $1/hour
    slo: {attainment: 95%, objectives: [{tpot: {p95: 60ms}}]}
    requests: {prompt_tokens: {mean: 60, sigma: 0.3}, output_tokens: {mean: 20, sigma: 0.2}, per_player: 1/min}
    profile: {source: estimate, iteration: 20ms, per_sequence: 1ms, per_prefill_token: 100us, max_batched_tokens: 256, max_sequences: 4, kv_tokens: 20000, max_model_tokens: 4096}
    start_up: 1s
    policies: [{capacity: {window: 2s, hold: 3s}}]
    backend: {local: {command: [evenkeel, replica, --fleet, \"{file}\", --tier, silver, --port, \"{port}\"], start_deadline: 20s, drain_deadline: 20s, grace: 5s}}
criteria:";

#[test]
fn a_ready_replica_that_fails_fast_is_spared_told_and_replaced_and_no_request_fails() {
    let mut world = World::new(", --fault, none");
    world.edit("start_deadline: 20s", "start_deadline: 5s");
    let (controller, before) = serving(&mut world, 3);
    let traffic = Traffic::begin(world.gateway(), 4, &asking("gold", 1, 4));
    break_on_purpose(before[0], "fail-fast");
    world.wait_for_log("run", controller, "dev.evenkeel.alarm.replica_failing");
    until("the broken one to be gone", || !world.replicas().contains(&before[0]));
    world.wait_for("another in its place", |gold| ready(gold) == 3);
    traffic.end().assert_all_well();
    let now = world.replicas();
    assert!(now.len() == 3 && before[1..].iter().all(|pid| now.contains(pid)), "{before:?}, {now:?}");
    world.assert_replays();
}

#[test]
fn a_ready_replica_that_stops_answering_is_replaced_and_gives_its_requests_back() {
    let mut world = World::new("");
    world.edit("start_deadline: 20s", "start_deadline: 4s");
    world.edit("grace: 5s", "grace: 1s");
    let (controller, before) = serving(&mut world, 2);
    let traffic = Traffic::begin(world.gateway(), 4, &asking("gold", 1, 4));
    // It accepts connections and says not a byte.
    signal(before[0], Signal::STOP);
    world.wait_for("it to be noticed", |gold| ready(gold) < 2);
    world.wait_for_log("run", controller, "dev.evenkeel.replica.failed");
    until("it to be gone", || !world.replicas().contains(&before[0]));
    world.wait_for("another in its place", |gold| ready(gold) == 2);
    traffic.end().assert_all_well();
}

#[test]
fn launches_that_never_become_ready_are_spaced_out_and_told_and_no_other_tier_feels_it() {
    let mut world = World::new(", --fault, never-ready");
    world.edit("start_deadline: 20s", "start_deadline: 2s");
    world.edit("\ncriteria:", SILVER);
    let controller = world.start("run");
    world.start("gateway");
    world.wait_for_state("silver to serve", |state| {
        state["tiers"][1]["decision"]["supply"]["ready"] == 1 && !state["gateway_applied"].is_null()
    });
    let traffic = Traffic::begin(world.gateway(), 2, &asking("silver", 1, 4));
    let began = Instant::now();
    for words in ["dev.evenkeel.replica.failed", "not ready within 2s", "launches again in"] {
        world.wait_for_log("run", controller, words);
    }
    until("the third launch", || launches(&world, "gold") >= 3);
    // It fails after 2 s each time, and waits 1 s after the first failure and 2 s after the second.
    assert!(began.elapsed() >= Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(launches(&world, "silver"), 1);
    let explained = world.evenkeel(&["explain", world.fleet.to_str().unwrap(), "gold"]);
    let explained = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(explained.contains("1 failed") && explained.contains("were not carried out"), "{explained}");
    traffic.end().assert_all_well();

    world.edit(", --fault, never-ready", "");
    world.wait_for("gold to serve after all", |gold| ready(gold) == 1);
}

/// So many ready replicas that the gateway serves from: the controller's number, and their processes.
fn serving(world: &mut World, count: u32) -> (usize, Vec<i32>) {
    let controller = world.start("run");
    world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.exactly(count);
    world.wait_for("all of them", |gold| ready(gold) == u64::from(count));
    world.wait_for_sight();
    (controller, world.replicas())
}

/// Breaks a replica that was started with `--fault`.
fn break_on_purpose(pid: i32, fault: &str) {
    let (status, _) = exchange(&address_of(pid), "PUT", &format!("/fault/{fault}"), "").unwrap();
    assert_eq!(status, 204);
}
