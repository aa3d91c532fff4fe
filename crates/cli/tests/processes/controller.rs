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
fn a_controller_that_is_told_to_end_leaves_the_replicas_serving_and_stop_ends_them() {
    let mut world = World::new("");
    world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    assert_eq!(world.replicas().len(), 1);
    let output = world.evenkeel(&["stop", world.fleet.to_str().unwrap(), "--grace", "5"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(world.replicas().is_empty());
}

#[test]
fn a_second_controller_observes_says_so_and_takes_over_when_the_first_is_gone() {
    let mut world = World::new("");
    let first = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let second = world.start("run");
    let log = world.log("run", second);
    for _ in 0..100 {
        if fs::read_to_string(&log).unwrap().contains("only observes") {
            break;
        }
        sleep(Duration::from_millis(100));
    }
    assert!(fs::read_to_string(&log).unwrap().contains("only observes"));
    assert_eq!(world.status().unwrap()["epoch"], 1);

    world.kill(first);
    let gold = world.wait_for("the second to take over", |gold| ready(gold) == 1);
    assert_eq!(world.status().unwrap()["epoch"], 2);
    assert_eq!(gold["decision"]["desired"], 1);
    assert_eq!(world.replicas().len(), 1, "adopted, not started again");
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
    // The CLI reads the file too, so the bad one stands only for as long as the controller needs to see it.
    fs::write(&world.fleet, good.replace("maximum: 6", "maximum: none")).unwrap();
    sleep(Duration::from_secs(3));
    fs::write(&world.fleet, good.replace("maximum: 6", "maximum: 2")).unwrap();
    let gold = world.wait_for("the new maximum", |gold| gold["maximum"] == 2);
    assert_eq!(ready(&gold), 3);
    sleep(Duration::from_secs(2));
    assert_eq!(world.replicas().len(), 3, "the change alone ends nothing");
}
