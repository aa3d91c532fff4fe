//! A journal, an epoch or a queue that was damaged or lost keeps no fleet from being served.

use crate::client::exchange;
use crate::cut::BRONZE;
use crate::world::{World, ready, said, until};
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
    let first = world.status().unwrap()["epoch"].as_u64().unwrap();
    let [epoch, lock] = ["epoch", "controller.lock"].map(|name| world.state().join(name));
    for count in 2..=4 {
        world.kill(controller);
        match count {
            2 => fs::write(&epoch, "not a number").unwrap(),
            3 => [&epoch, &lock].into_iter().for_each(|path| fs::remove_file(path).unwrap()),
            _ => fs::remove_dir_all(world.state()).unwrap(),
        }
        controller = world.start("run");
        world.wait_for_state("the gateway to follow the new controller", |state| {
            state["epoch"].as_u64() > Some(first) && state["gateway_applied"]["epoch"] == state["epoch"]
        });
        world.at_least(count, 600);
        world.wait_for("it to act", |gold| ready(gold) == u64::from(count));
    }
    world.assert_replays();
}

#[test]
fn a_damaged_queue_of_asynchronous_requests_is_set_aside_and_a_new_one_begun() {
    let mut world = World::new("");
    world.edit("\ncriteria:", BRONZE);
    let directory = world.state().join("gateway");
    let queue = directory.join("gateway-requests.sqlite");
    let ask = |world: &World| {
        let body = r#"{"model": "bronze", "prompt": "a b c", "max_tokens": 4}"#;
        exchange(world.gateway(), "POST", "/v1/completions", body).map(|(status, _)| status).ok()
    };
    let first = world.start("gateway");
    until("a request to be accepted", || ask(&world) == Some(202));
    world.kill(first);
    for side in ["-wal", "-shm"] {
        let _ = fs::remove_file(directory.join(format!("gateway-requests.sqlite{side}")));
    }
    fs::write(&queue, "no database at all, ".repeat(1_000)).unwrap();
    let second = world.start("gateway");
    until("a request to be accepted again", || ask(&world) == Some(202));
    world.wait_for_log("gateway", second, "is set aside");
    let aside = |name: &str| name.starts_with("gateway-requests.sqlite.damaged-");
    assert!(fs::read_dir(&directory).unwrap().any(|it| aside(it.unwrap().file_name().to_str().unwrap())));
}
