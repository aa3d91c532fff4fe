//! A journal or an epoch that was damaged or lost keeps no fleet from being served.

use crate::world::{World, ready, said};
use std::fs;

#[test]
fn a_damaged_journal_is_set_aside_and_the_fleet_is_observed_until_an_operator_says_act() {
    let mut world = World::new("");
    let first = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.at_least(2, 600);
    world.wait_for("two", |gold| ready(gold) == 2);
    world.kill(first);
    let before = world.replicas();
    // All of it may still be in the WAL.
    for name in ["journal.sqlite", "journal.sqlite-wal"] {
        fs::write(world.state().join(name), "not a journal ".repeat(1_000)).unwrap();
    }
    let second = world.start("run");
    world.wait_for_log("run", second, "set aside");
    world.wait_for("both adopted", |gold| ready(gold) == 2);
    let aside = |name: &str| name.starts_with("journal.sqlite.damaged-");
    let names = fs::read_dir(world.state()).unwrap().flatten().map(|it| it.file_name().into_string().unwrap());
    assert!(names.filter(|name| aside(name)).count() >= 1);
    world.wait_for_mode("observe");
    world.wait_for_log("run", second, "evenkeel mode");

    // It outlives a restart: only an operator can tell what was ordered before.
    world.kill(second);
    world.start("run");
    world.wait_for("both adopted again", |gold| ready(gold) == 2);
    world.wait_for_mode("observe");
    let output = world.evenkeel(&["mode", world.fleet.to_str().unwrap(), "act"]);
    assert!(output.status.success(), "{}", said(&output));
    world.at_least(3, 600);
    world.wait_for("it to act", |gold| ready(gold) == 3);
    assert!(before.iter().all(|pid| world.replicas().contains(pid)));
    world.assert_replays();
}

#[test]
fn an_epoch_that_was_damaged_or_lost_is_raised_above_what_journal_and_gateway_have_seen() {
    let mut world = World::new("");
    world.start("gateway");
    let mut controller = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    assert_eq!(world.status().unwrap()["epoch"], 1);
    let [epoch, lock] = ["epoch", "controller.lock"].map(|name| world.state().join(name));
    for (count, lost) in [(2, false), (3, true)] {
        world.kill(controller);
        if lost {
            [&epoch, &lock].into_iter().for_each(|path| fs::remove_file(path).unwrap());
        } else {
            fs::write(&epoch, "not a number").unwrap();
        }
        controller = world.start("run");
        world.wait_for_state("the gateway to follow the new controller", |state| {
            state["epoch"].as_u64() > Some(1_600_000_000) && state["gateway_applied"]["epoch"] == state["epoch"]
        });
        world.at_least(count, 600);
        world.wait_for("it to act", |gold| ready(gold) == u64::from(count));
    }
    world.assert_replays();
}
