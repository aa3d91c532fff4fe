//! The controller is dead for minutes under load.

use super::{DEMO, at_most, end_of, gold, under_load};
use crate::world::{World, ready};
use serde_json::Value;
use std::thread::sleep;
use std::time::Duration;

/// How long it is dead.
const DEAD: u64 = 300;
/// Longer than every window and hold of the demo's file, so that what the restart did would show.
const AFTERWARDS: u64 = 40;
/// Gold's share of windows inside its bounds, as the demo's criteria ask.
const ATTAINMENT: f64 = 0.95;

#[test]
#[ignore = "seven minutes: make drill"]
fn a_controller_that_is_dead_for_five_minutes_is_not_missed_and_its_return_removes_nothing() {
    let mut world = World::of(DEMO);
    let (controller, load) = under_load(&mut world, 150, 60 + DEAD + AFTERWARDS);
    let before = (ready(&gold(&world)), world.replicas());
    world.kill(controller);
    sleep(Duration::from_secs(DEAD));
    let alive = world.replicas();
    assert!(before.1.iter().all(|pid| alive.contains(pid)), "replicas outlive it");
    world.start("run");
    world.wait_for("every one adopted", |gold| ready(gold) >= before.0);
    // Shorter than window and hold of the demo's gold: what goes now goes by the restart.
    sleep(Duration::from_secs(15));
    let now = world.replicas();
    let gone = before.1.iter().filter(|pid| !now.contains(pid)).count();
    let summary = end_of(&mut world, load);
    let failed: u64 = tiers(&summary).map(|tier| tier["failed_requests"].as_u64().unwrap()).sum();
    let missed = tiers(&summary).find(|tier| tier["tier"] == "gold").unwrap()["objective_attainment"].as_f64();
    at_most("controller dead 5 min: failed", failed as f64, "requests", 0.0);
    at_most("controller dead 5 min: gold outside its SLO", 1.0 - missed.unwrap_or(0.0), "share", 1.0 - ATTAINMENT);
    at_most("controller dead 5 min: removed by the return", gone as f64, "replicas", 0.0);
    assert_eq!((failed, gone), (0, 0));
}

fn tiers(summary: &Value) -> impl Iterator<Item = &Value> {
    summary["tiers"].as_array().unwrap().iter()
}
