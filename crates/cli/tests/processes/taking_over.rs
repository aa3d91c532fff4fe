//! A second controller: what it does while it stands by, and with what it takes over.

use crate::world::{World, ready, said, signal};
use rustix::process::Signal;
use std::fs;
use std::thread;
use std::time::Duration;

#[test]
fn a_second_controller_observes_says_so_and_takes_over_when_the_first_is_gone() {
    let mut world = World::new("");
    let first = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let second = world.start("run");
    world.wait_for_log("run", second, "only observes");
    let epoch = epoch_of(&world);

    world.kill(first);
    let gold = world.wait_for("the second to take over", |gold| ready(gold) == 1);
    assert_eq!(epoch_of(&world), epoch + 1);
    assert_eq!(gold["decision"]["desired"], 1);
    assert_eq!(world.replicas().len(), 1, "adopted, not started again");
    world.assert_replays();
}

#[test]
fn where_the_state_directory_was_removed_no_other_takes_the_fleet_and_no_stop_ends_it_under_its_controller() {
    let mut world = World::new("");
    let first = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let fleet = world.fleet.to_str().unwrap().to_owned();
    fs::remove_dir_all(world.state()).unwrap();

    let output = world.evenkeel(&["run", &fleet]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains(&format!("(process {})", world.pid(first))), "{}", said(&output));
    let output = world.evenkeel(&["stop", &fleet, "--grace", "1"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("Nothing was ended"), "{}", said(&output));
    assert!(!world.state().exists(), "nothing was begun there");

    // Another attempt may have left something.
    fs::create_dir_all(world.state()).unwrap();
    fs::write(world.state().join("epoch"), "1\n").unwrap();
    fs::write(world.state().join("journal.sqlite"), "").unwrap();
    let output = world.evenkeel(&["stop", &fleet, "--grace", "1"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("Nothing was ended"), "{}", said(&output));
    let served = world.replicas();
    assert_eq!(served.len(), 1);

    world.kill(first);
    fs::remove_dir_all(world.state()).unwrap();
    world.start("run");
    world.wait_for("the replica that was adopted", |gold| ready(gold) == 1);
    assert_eq!(world.replicas(), served);
}

#[test]
fn a_controller_that_stands_by_takes_no_fleet_whose_controller_still_listens() {
    let mut world = World::new("");
    let first = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let second = world.start("run");
    world.wait_for_log("run", second, "only observes");
    fs::remove_dir_all(world.state()).unwrap();
    // It looks every second.
    thread::sleep(Duration::from_secs(3));
    assert!(!world.state().exists() && !world.has_ended(second), "it stands by");
    world.wait_for_state("the first to hold the fleet still", |state| state["holds_fleet"] == true);

    world.kill(first);
    world.wait_for_log("run", second, "listens on");
    world.wait_for("the second to take over", |gold| ready(gold) == 1);
    assert_eq!(world.replicas().len(), 1, "adopted, not started again");
}

#[test]
fn a_controller_that_takes_over_reads_the_fleet_file_as_it_is_then() {
    let mut world = World::new("");
    let first = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let epoch = epoch_of(&world);
    let second = world.start("run");
    world.wait_for_log("run", second, "only observes");
    world.edit("maximum: 6", "maximum: 4");
    world.wait_for("the new maximum", |gold| gold["maximum"] == 4);
    world.kill(first);
    let gold = world.wait_for("the second to take over", |gold| ready(gold) == 1);
    assert_eq!(epoch_of(&world), epoch + 1);
    assert_eq!(gold["maximum"], 4);
}

#[test]
fn a_controller_that_takes_over_with_a_broken_fleet_file_goes_on_with_the_one_it_accepted_last() {
    let mut world = World::new("");
    let first = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let epoch = epoch_of(&world);
    let second = world.start("run");
    world.wait_for_log("run", second, "only observes");
    world.edit("maximum: 6", "maximum: 4");
    world.wait_for_log("run", second, "dev.evenkeel.fleet.reloaded");
    world.edit("maximum: 4", "maximum: none");
    world.kill(first);
    world.wait_for_log("run", second, "the one that was accepted last");
    let gold = world.wait_for("the second to take over", |gold| ready(gold) == 1);
    assert_eq!(epoch_of(&world), epoch + 1);
    assert_eq!(gold["maximum"], 4);
    world.wait_for_log("run", second, "dev.evenkeel.alarm.reload_refused");
}

#[test]
fn a_controller_that_is_told_to_end_while_it_still_adopts_ends_cleanly() {
    let mut world = World::new("");
    let first = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.kill(first);
    // A replica that does not answer holds up the adoption for two seconds.
    let replica = world.replicas()[0];
    signal(replica, Signal::STOP);
    let second = world.start("run");
    world.wait_for_log("run", second, "listens on");
    world.terminate(second);
    assert_eq!(world.exit_code(second), Some(0), "no signal ended it");
    signal(replica, Signal::CONT);
    assert_eq!(world.replicas(), [replica]);
}

#[test]
fn a_controller_that_stands_by_sends_no_events() {
    let mut world = World::new("");
    let events = world.directory().join("events.jsonl");
    world.edit("mode: act", &format!("mode: act, events: {{file: {}}}", events.display()));
    world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let second = world.start("run");
    world.wait_for_log("run", second, "this one only observes");
    world.edit("maximum: 6", "maximum: 5");
    world.wait_for_log("run", second, "dev.evenkeel.fleet.reloaded");
    let (sent, source) = (|| fs::read_to_string(&events).unwrap(), format!("/evenkeel/small/{}\"", epoch_of(&world)));
    world.wait_for("the first to send it", |_| sent().contains("dev.evenkeel.fleet.reloaded"));
    assert!(sent().lines().all(|line| line.contains(&source)), "{}", sent());
}

#[test]
fn an_edit_of_the_fleet_file_while_the_controller_still_adopts_is_not_lost() {
    let mut world = World::new("");
    let first = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.kill(first);
    // A replica that does not answer holds up the adoption for two seconds: long after the file was read.
    let replica = world.replicas()[0];
    signal(replica, Signal::STOP);
    let second = world.start("run");
    world.wait_for_log("run", second, "listens on");
    world.edit("maximum: 6", "maximum: 4");
    signal(replica, Signal::CONT);
    world.wait_for("the new maximum", |gold| gold["maximum"] == 4);
}

fn epoch_of(world: &World) -> u64 {
    world.status().unwrap()["epoch"].as_u64().unwrap()
}
