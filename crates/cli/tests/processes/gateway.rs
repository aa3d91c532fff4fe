//! Gateways that meet another.

use crate::world::{World, ready, said};
use std::net::TcpListener;

#[test]
fn a_second_gateway_says_which_process_is_there_already_and_starts_when_that_has_ended() {
    let mut world = World::new("");
    world.start("run");
    let first = world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.wait_for_sight();
    let there = format!("process {}", world.pid(first));
    let second = world.start("gateway");
    world.wait_for_log("gateway", second, "runs already");
    world.wait_for_log("gateway", second, &there);
    let third = world.start("gateway");
    world.wait_for_log("gateway", third, "runs already");
    world.terminate(third);
    assert_eq!(world.exit_code(third), Some(0), "one that waits ends when it is told to");
    world.kill(first);
    world.wait_for_log("gateway", second, "listens on");
    world.wait_for_sight();
}

#[test]
fn a_gateway_with_a_state_of_its_own_says_who_has_its_address() {
    let mut world = World::new("");
    let first = world.start("gateway");
    world.wait_for_log("gateway", first, "listens on");
    let elsewhere = world.directory().join("elsewhere");
    let arguments = ["gateway", world.fleet.to_str().unwrap(), "--state", elsewhere.to_str().unwrap()];
    let output = world.evenkeel(&arguments);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains(&format!("(process {})", world.pid(first))), "{}", said(&output));
}

#[test]
fn a_controller_whose_address_is_taken_says_by_whom() {
    let world = World::new("");
    let taken = TcpListener::bind(world.controller()).unwrap();
    let output = world.evenkeel(&["run", world.fleet.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains(&format!("(process {})", std::process::id())), "{}", said(&output));
    drop(taken);
}
