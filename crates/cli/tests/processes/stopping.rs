//! `stop`: what ends, and that it stays ended.

use crate::client::complete;
use crate::world::{PATIENCE, World, ready, said, signal};
use rustix::process::Signal;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

#[test]
fn a_controller_that_is_told_to_end_leaves_the_replicas_serving_and_stop_ends_them() {
    let mut world = World::new("");
    let controller = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.terminate(controller);
    assert_eq!(world.exit_code(controller), Some(0));
    assert_eq!(world.replicas().len(), 1);
    let output = world.evenkeel(&["stop", world.fleet.to_str().unwrap(), "--grace", "5"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(world.replicas().is_empty());
}

#[test]
fn stop_ends_the_controllers_that_stand_by_too_and_the_next_run_starts_the_fleet_again() {
    let mut world = World::new("");
    let first = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let others = [world.start("run"), world.start("run")];
    for other in others {
        world.wait_for_log("run", other, "only observes");
    }
    let output = world.evenkeel(&["stop", world.fleet.to_str().unwrap(), "--grace", "5"]);
    assert!(output.status.success(), "{}", said(&output));
    for controller in [first, others[0], others[1]] {
        assert_eq!(world.exit_code(controller), Some(0));
    }
    for other in others {
        world.wait_for_log("run", other, "the fleet was stopped by `evenkeel stop`");
    }
    sleep(Duration::from_secs(1));
    assert!(world.replicas().is_empty(), "nothing was started again");

    // Told to run again, it does, also for one that stands by.
    let fourth = world.start("run");
    world.wait_for("a replica again", |gold| ready(gold) == 1);
    let fifth = world.start("run");
    world.wait_for_log("run", fifth, "only observes");
    world.kill(fourth);
    world.wait_for_log("run", fifth, "listens on");
    world.wait_for("the replica adopted", |gold| ready(gold) == 1);
}

#[test]
fn stopping_a_directory_in_which_no_fleet_ran_says_so() {
    let world = World::new("");
    let nowhere = world.directory().join("nowhere");
    let arguments = ["stop", world.fleet.to_str().unwrap(), "--state", nowhere.to_str().unwrap()];
    let output = world.evenkeel(&arguments);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("no controller of small ever ran in"), "{}", said(&output));
    assert!(!nowhere.exists(), "and nothing is left there");
}

#[test]
fn stop_lets_a_request_in_flight_end_and_turns_new_ones_away() {
    const TOKENS: usize = 400;
    let mut world = World::new("");
    world.edit("}\ntiers:", ", hold: {time: 1s}}\ntiers:");
    world.start("run");
    world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.wait_for_sight();
    let gateway = world.gateway().to_owned();
    // 400 tokens at 21 ms each: more than eight seconds.
    let answer = thread::spawn({
        let gateway = gateway.clone();
        move || complete(&gateway, TOKENS)
    });
    world.wait_for("the request to be in flight", |gold| gold["signals"]["in_flight"]["fresh"]["value"] == 1);
    thread::scope(|scope| {
        let stopping = scope.spawn(|| world.evenkeel(&["stop", world.fleet.to_str().unwrap(), "--grace", "60"]));
        world.wait_for_state("draining", |state| state["stopping"] == "draining");
        assert!(!world.state().join("stopped").exists(), "it serves on if the stop comes to nothing");
        let refused = complete(&gateway, 1);
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        let stopped = stopping.join().unwrap();
        assert!(stopped.status.success() && said(&stopped).contains("drained after"), "{}", said(&stopped));
    });
    let answer = answer.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(answer.matches("\"text\"").count(), TOKENS, "{answer}");
    assert!(answer.contains("[DONE]"), "the whole answer came");
    assert!(world.replicas().is_empty());
}

#[test]
fn stop_without_a_gateway_says_so_and_ends_the_replicas() {
    let mut world = World::new("");
    world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let stopped = world.evenkeel(&["stop", world.fleet.to_str().unwrap(), "--grace", "30"]);
    assert!(stopped.status.success() && said(&stopped).contains("no gateway can be asked"), "{}", said(&stopped));
    assert!(world.replicas().is_empty());
}

#[test]
fn a_stop_that_is_interrupted_leaves_the_fleet_to_who_stands_by() {
    let mut world = World::new("");
    let first = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let second = world.start("run");
    world.wait_for_log("run", second, "only observes");
    // One that does not answer and does not end yet.
    let holder = world.pid(first).cast_signed();
    signal(holder, Signal::STOP);
    let stop = world.start("stop");
    let mark = world.state().join("stopped");
    let deadline = Instant::now() + PATIENCE;
    while !mark.exists() {
        assert!(Instant::now() < deadline, "waited for the mark");
        sleep(Duration::from_millis(20));
    }
    world.terminate(stop);
    assert_eq!(world.exit_code(stop), Some(3));
    assert!(!mark.exists());

    signal(holder, Signal::CONT);
    assert_eq!(world.exit_code(first), Some(0), "it was asked to end");
    world.wait_for_log("run", second, "listens on");
    world.wait_for("the replica adopted", |gold| ready(gold) == 1);
}
