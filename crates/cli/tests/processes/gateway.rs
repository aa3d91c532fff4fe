//! Gateways that meet another.

use crate::world::{World, ready, said};
use std::net::TcpListener;

#[test]
fn a_second_gateway_says_which_process_is_there_already() {
    let mut world = World::new("");
    world.start("run");
    let first = world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.wait_for_sight();
    let there = format!("(process {})", world.pid(first));
    let fleet = world.fleet.to_str().unwrap();
    let elsewhere = world.directory().join("elsewhere");
    for arguments in [vec!["gateway", fleet], vec!["gateway", fleet, "--state", elsewhere.to_str().unwrap()]] {
        let output = world.evenkeel(&arguments);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}");
        assert!(said(&output).contains(&there), "{arguments:?}: {}", said(&output));
    }
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
