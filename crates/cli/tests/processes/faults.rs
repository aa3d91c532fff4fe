//! Replicas that are killed, sources that go dark.

use crate::world::{World, ready};
use std::thread::sleep;
use std::time::Duration;

#[test]
fn a_killed_replica_is_replaced() {
    let mut world = World::new("");
    world.start("run");
    world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.at_least(2, 600);
    world.wait_for("two", |gold| ready(gold) == 2);
    let before = world.replicas();
    let victim = rustix::process::Pid::from_raw(before[0]).unwrap();
    rustix::process::kill_process(victim, rustix::process::Signal::KILL).unwrap();
    world.wait_for("the loss to be seen", |gold| ready(gold) < 2);
    world.wait_for("two again", |gold| ready(gold) == 2);
    let after = world.replicas();
    assert_eq!(after.len(), 2);
    assert!(!after.contains(&before[0]) && after.contains(&before[1]));
}

#[test]
fn a_blackout_of_every_source_removes_nothing_and_a_confirmed_zero_does() {
    let mut world = World::new("");
    world.start("run");
    let gateway = world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.wait_for_sight();
    world.at_least(3, 30);
    world.wait_for("three", |gold| ready(gold) == 3);
    world.kill(gateway);
    world.wait_for("the blackout", |gold| gold["signals"]["offered"]["fresh"].is_null());
    world.wait_for("the override to be over", |gold| gold["operator"].is_null());
    // Longer than window and hold together: now only the blackout keeps them.
    sleep(Duration::from_secs(8));
    let gold = world.wait_for("a look at it", |_| true);
    assert_eq!(gold["decision"]["reason"], "held_blind");
    assert_eq!(world.replicas().len(), 3);

    world.start("gateway");
    world.wait_for("the confirmed zero to bring it back to one", |gold| ready(gold) == 1);
    world.assert_replays();
}

#[test]
fn no_secret_is_in_a_log_or_the_journal_and_state_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let mut world = World::new("");
    world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.at_least(2, 600);
    let token = std::fs::read_to_string(world.state().join("token")).unwrap();
    let mut looked_at = 0;
    for name in ["token", "journal.sqlite", "journal.sqlite-wal", "epoch", "controller.lock"] {
        let path = world.state().join(name);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
        let bytes = std::fs::read(&path).unwrap();
        let holds = bytes.windows(token.trim().len()).any(|it| it == token.trim().as_bytes());
        assert_eq!(holds, name == "token", "{name}");
        looked_at += 1;
    }
    assert_eq!(looked_at, 5);
    assert!(!std::fs::read_to_string(world.log("run", 0)).unwrap().contains(token.trim()));
}
