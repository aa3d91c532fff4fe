//! `stop`: what ends, and that it stays ended.

use crate::world::{World, ready, said};
use std::thread::sleep;
use std::time::Duration;

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
