//! Up to 10,000 players on this machine, whose cores carry load, gateway, replicas and controller.

use super::{at_most, end_of};
use crate::world::{World, ready};

/// The load is late by less than a tenth of what is judged: gold's bound for a token, 300 ms.
const LATE: f64 = 30.0;
/// What the shape comes to at 3.4 requests a player and minute, and how much of it has to be sent: chance decides the rest.
const REQUESTS: f64 = 3.4 / 60.0 * (100.0 * 20.0 + 500.0 * 20.0 + 1_000.0 * 20.0 + 5_000.0 * 30.0 + 10_000.0 * 40.0);
const SENT: f64 = 0.95;
/// Of all requests, those answered within the objective. What comes while replicas still start is held, not refused.
const GOODPUT: f64 = 0.95;
/// Made for a small machine: short answers, and replicas that carry many.
const FLEET: &str = "
fleet: crowd
tick: 1s
controller: {listen: 127.0.0.1:7070, mode: act, freshness: 5s}
gateway: {listen: 127.0.0.1:8080, hold: {requests: 10000, time: 60s}}
tiers:
  gold:
    model: tiny
    replicas: {minimum: 1, maximum: 12}
    price: $1/hour
    slo: {attainment: 99%, objectives: [{tpot: {p95: 300ms}}]}
    requests: {prompt_tokens: {mean: 60, sigma: 0.3}, output_tokens: {mean: 20, sigma: 0.2}, per_player: 3.4/min}
    profile: {source: estimate, iteration: 60ms, per_sequence: 500us, per_prefill_token: 5us, max_batched_tokens: 2048, max_sequences: 128, kv_tokens: 200000, max_model_tokens: 4096}
    start_up: 3s
    policies: [{capacity: {window: 3s, hold: 15s}}]
    backend: {local: {command: [evenkeel, replica, --fleet, \"{file}\", --tier, gold, --port, \"{port}\"], start_deadline: 20s, drain_deadline: 20s, grace: 5s}}
";

#[test]
#[ignore = "three minutes: make drill"]
fn ten_thousand_players_are_served_and_the_load_is_not_the_limit() {
    let mut world = World::of(FLEET);
    world.start("run");
    world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.wait_for_sight();
    let shape = "100:20s,500:20s,1000:20s,5000:30s,10000:40s";
    let load = world.start_load(&["--shape", shape, "--drain", "60"]);
    let summary = end_of(&mut world, load);
    let gold = &summary["tiers"][0];
    let (offered, failed) = (gold["offered_requests"].as_u64().unwrap(), gold["failed_requests"].as_u64().unwrap());
    println!("{offered} requests of 100 to 10,000 players");
    assert_eq!(summary["ended"], "completed");
    assert!(offered as f64 >= SENT * REQUESTS, "of about {REQUESTS:.0} only {offered} requests were sent");
    let outside = 1.0 - gold["goodput_share"].as_f64().unwrap();
    at_most("10,000 players: outside the objective", 100.0 * outside, "%", 100.0 * (1.0 - GOODPUT));
    at_most("10,000 players: failed", failed as f64, "requests", 0.0);
    at_most("10,000 players: the load's own lag, p99", summary["lag"]["p99_ms"].as_f64().unwrap(), "ms", LATE);
}
