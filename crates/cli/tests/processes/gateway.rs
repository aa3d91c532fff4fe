//! Gateways that meet another.

use crate::client::{asking, complete, exchange};
use crate::world::{World, ready, said};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

/// An answer of so many takes some twelve seconds: longer than everything else here, and than a replica's `grace` of five.
const TOKENS: usize = 500;

/// A gateway that waits has read the fleet file again after this.
const FOLLOWED: Duration = Duration::from_millis(2_500);

#[test]
fn a_restart_in_order_cuts_no_answer_and_no_replica_ends_under_those_of_the_gateway_before() {
    let mut world = World::new("");
    world.start("run");
    let first = world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.exactly(2);
    world.wait_for("two", |gold| ready(gold) == 2);
    world.wait_for_sight();
    let next = world.start("gateway");
    world.wait_for_log("gateway", next, "runs already");
    let (gateway, inside) =
        (world.gateway().to_owned(), |gold: &serde_json::Value| gold["signals"]["in_flight"].clone());
    let ask = |_| {
        thread::spawn({
            let gateway = gateway.clone();
            move || complete(&gateway, TOKENS)
        })
    };
    let answers: Vec<_> = (0..4).map(ask).collect();
    world.wait_for("all of them inside", |gold| inside(gold)["fresh"]["value"] == 4);

    world.terminate(first);
    world.wait_for_log("gateway", next, "listens on");
    world.exactly(1);
    world.wait_for("one to drain", |gold| gold["decision"]["supply"]["draining"] == 1);
    world.wait_for("the next gateway to be read", |gold| inside(gold)["at_least"]["value"] == 0);
    assert_eq!(exchange(&gateway, "POST", "/v1/completions", &asking("gold", 3, 2)).unwrap().0, 200);
    for answer in answers {
        let answer = answer.join().unwrap();
        assert!(answer.contains("data: [DONE]"), "{answer}");
    }
    world.wait_for("the one that drains to be gone", |gold| {
        ready(gold) == 1 && gold["decision"]["supply"]["draining"] == 0
    });
    assert_eq!(world.exit_code(first), Some(0));
}

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
fn a_gateway_that_waits_follows_the_fleet_file_and_serves_where_that_says_last() {
    let mut world = World::new("");
    let first = world.start("gateway");
    world.wait_for_log("gateway", first, "listens on");
    let next = world.start("gateway");
    world.wait_for_log("gateway", next, "runs already");
    let old = world.gateway().to_owned();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    world.edit(&format!("listen: {old}"), &format!("listen: {free}"));
    // What cannot be used changes nothing.
    let sound = std::fs::read_to_string(&world.fleet).unwrap();
    thread::sleep(FOLLOWED);
    std::fs::write(&world.fleet, "tiers: {").unwrap();
    thread::sleep(FOLLOWED);
    world.kill(first);
    world.wait_for_log("gateway", next, &format!("listens on http://{free}"));

    // An address that cannot be had is no reason not to serve: the one before stays.
    let third = world.start("gateway");
    assert_eq!(world.exit_code(third), Some(2), "a file with mistakes is refused at the start");
    std::fs::write(&world.fleet, sound).unwrap();
    let third = world.start("gateway");
    world.wait_for_log("gateway", third, "runs already");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    world.edit(&format!("listen: {free}"), &format!("listen: {}", taken.local_addr().unwrap()));
    thread::sleep(FOLLOWED);
    world.kill(next);
    world.wait_for_log("gateway", third, &format!("listens on http://{free}"));
    world.wait_for_log("gateway", third, "gateway.listen");
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
