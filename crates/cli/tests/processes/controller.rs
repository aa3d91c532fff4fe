//! Controllers that die, come back, or meet another.

use crate::world::{World, ready};
use std::fs;
use std::thread::sleep;
use std::time::Duration;

#[test]
fn a_controller_killed_in_the_middle_of_a_scale_out_leaves_no_orphan_no_double_and_removes_nothing() {
    let mut world = World::new("");
    let controller = world.start("run");
    world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.at_least(4, 600);
    world.wait_for("the scale-out to begin", |gold| gold["decision"]["desired"] == 4);
    world.kill(controller);
    let left = world.replicas();

    world.start("run");
    world.wait_for("four again", |gold| ready(gold) == 4 && gold["decision"]["supply"]["starting"] == 0);
    let now = world.replicas();
    assert_eq!(now.len(), 4, "no orphan and no double: {now:?}");
    assert!(left.iter().all(|pid| now.contains(pid)), "what ran before the kill runs on: {left:?}, {now:?}");
    world.assert_replays();
}

#[test]
fn a_bad_fleet_file_keeps_the_old_one_and_a_smaller_maximum_alone_ends_nothing() {
    let mut world = World::new("");
    world.start("run");
    world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.at_least(3, 600);
    world.wait_for("three", |gold| ready(gold) == 3);
    let good = fs::read_to_string(&world.fleet).unwrap();
    fs::write(&world.fleet, good.replace("maximum: 6", "maximum: none")).unwrap();
    sleep(Duration::from_secs(3));
    fs::write(&world.fleet, good.replace("maximum: 6", "maximum: 2")).unwrap();
    let gold = world.wait_for("the new maximum", |gold| gold["maximum"] == 2);
    assert_eq!(ready(&gold), 3);
    sleep(Duration::from_secs(2));
    assert_eq!(world.replicas().len(), 3, "the change alone ends nothing");
}
