//! More than a tier was made for: a crowd at a sleeping tier, prompts that fill the engines' memory, and a gateway that
//! dies with requests in it.

use crate::client::{Traffic, asking, exchange, herd};
use crate::cut::BRONZE;
use crate::world::{PATIENCE, World, address_of, launches, ready};
use serde_json::Value;
use std::thread::sleep;
use std::time::{Duration, Instant};

#[test]
fn five_hundred_requests_at_once_wake_a_tier_at_zero_and_are_all_answered() {
    let mut world = World::new("");
    world.edit("minimum: 1", "minimum: 0");
    world.edit("}\ntiers:", ", hold: {requests: 1000, time: 120s}}\ntiers:");
    world.start("run");
    world.start("gateway");
    world.wait_for_sight();
    assert!(world.replicas().is_empty(), "it sleeps");
    herd(world.gateway(), 500, &asking("gold", 1, 4)).assert_all_well();
    let launched = launches(&world, "gold");
    assert!((1..=6).contains(&launched), "{launched} launches, with a maximum of 6");
    world.wait_for("it to sleep again", |gold| ready(gold) == 0);
    assert_eq!(launches(&world, "gold"), launched, "nothing was launched for what was gone");
}

#[test]
fn long_prompts_that_exhaust_the_engines_memory_make_the_tier_grow_and_no_request_fails() {
    let mut world = World::new("");
    // Four prompts of 250 tokens find room in it, and lose it as their answers grow.
    world.edit("kv_tokens: 20000, max_model_tokens: 4096", "kv_tokens: 1200, max_model_tokens: 1100");
    world.start("run");
    world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.wait_for_sight();
    let first = address_of(world.replicas()[0]);
    let traffic = Traffic::begin(world.gateway(), 12, &asking("gold", 250, 60));
    world.wait_for("the tier to grow", |gold| ready(gold) >= 2);
    let (_, metrics) = exchange(&first, "GET", "/metrics", "").unwrap();
    let preempted = metrics.lines().find(|line| line.starts_with("vllm:num_preemptions_total")).unwrap();
    assert!(!preempted.ends_with(" 0") && !preempted.ends_with(" 0.0"), "{preempted}");

    let (status, answer) = exchange(world.gateway(), "POST", "/v1/completions", &asking("gold", 1_200, 20)).unwrap();
    assert_eq!(status, 400, "longer than the model takes, which is the client's fault: {answer}");
    traffic.end().assert_all_well();
    let (_, report) = exchange(world.gateway(), "GET", "/gateway/report", "").unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let gold = &report["tiers"][0];
    assert_eq!((&gold["client_errors"], &gold["failed"]), (&1.into(), &0.into()), "{gold}");
}

#[test]
fn a_gateway_that_dies_under_load_costs_the_requests_in_it_alone_and_the_gap_removes_nothing() {
    let mut world = World::new("");
    world.edit("\ncriteria:", BRONZE);
    world.start("run");
    let gateway = world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.wait_for_sight();
    let traffic = Traffic::begin(world.gateway(), 12, &asking("gold", 60, 20));
    world.wait_for("the tier to grow", |gold| ready(gold) >= 2 && gold["decision"]["supply"]["starting"] == 0);
    let accepted: Vec<String> = (0..10).map(|_| accepted(world.gateway())).collect();
    let before = world.replicas();
    world.kill(gateway);
    world.wait_for("the gap to be seen", |gold| gold["signals"]["offered"]["fresh"].is_null());
    // Longer than window and hold together.
    sleep(Duration::from_secs(6));
    let blind = world.wait_for("a look at it", |_| true);
    assert_eq!(blind["decision"]["reason"], "held_blind");
    world.start("gateway");
    world.wait_for_sight();
    let now = world.replicas();
    assert!(before.iter().all(|pid| now.contains(pid)), "{before:?}, {now:?}");
    let deadline = Instant::now() + PATIENCE;
    for id in &accepted {
        while !is_answered(world.gateway(), id) {
            assert!(Instant::now() < deadline, "{id} is not answered");
            sleep(Duration::from_millis(100));
        }
    }
    let told = traffic.end();
    assert!(told.well() > 0 && told.broken > 0 && told.statuses.len() == 1, "{told:?}");
    world.assert_replays();
}

/// A request that the asynchronous tier took: its id.
fn accepted(gateway: &str) -> String {
    let (status, answer) = exchange(gateway, "POST", "/v1/completions", &asking("bronze", 60, 20)).unwrap();
    assert_eq!(status, 202, "{answer}");
    serde_json::from_str::<Value>(&answer).unwrap()["id"].as_str().unwrap().to_owned()
}

fn is_answered(gateway: &str, id: &str) -> bool {
    exchange(gateway, "GET", &format!("/v1/async/{id}"), "").is_ok_and(|(_, body)| body.contains("\"succeeded\""))
}
