//! Replicas that are slower than declared.

use crate::world::{World, ready};
use serde_json::Value;

#[test]
fn replicas_that_are_a_quarter_slower_than_declared_are_found_out_and_no_request_fails() {
    let mut world = World::new(", --truth, x1.25");
    world.start("run");
    world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.wait_for_sight();
    let players = world.directory().join("players.csv");
    std::fs::write(&players, "unix_s,value\n0,4\n10,12\n40,12\n").unwrap();
    let arguments = ["load", world.fleet.to_str().unwrap(), "--players", players.to_str().unwrap(), "-o", "json"];
    let output = world.evenkeel(&arguments);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gold = &summary["tiers"][0];
    assert!(gold["offered_requests"].as_u64().unwrap() > 200, "{gold}");
    assert_eq!(gold["failed_requests"], 0, "{gold}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let journal = world.evenkeel(&["explain", world.fleet.to_str().unwrap(), "gold", "-o", "json"]);
    let rows: Value = serde_json::from_slice(&journal.stdout).unwrap();
    let slowdowns = rows
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|row| row["decision"]["recommendations"][0]["why"]["demand"]["slowdown"].as_f64());
    let most = slowdowns.fold(0.0, f64::max);
    assert!(most > 1.1, "measured {most} x the declared time per token");
}
