//! A disk that is full: a small file system in memory, in a mount namespace of its own.

use crate::skipped;
use crate::world::{World, ready, said};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

#[test]
fn on_a_full_disk_growing_goes_on_and_shrinking_waits_and_what_was_not_journalled_is_adopted() {
    let Some(mut world) = on_a_small_disk() else { return };
    let controller = world.start("run");
    world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.wait_for_sight();

    let disk = Disk::of(&world);
    disk.fill();
    world.wait_for_log("run", controller, "dev.evenkeel.alarm.journal_unwritable");
    world.exactly(3);
    world.wait_for("growth all the same", |gold| ready(gold) == 3);
    world.exactly(2);
    world.wait_for("two to be decided", |gold| gold["decision"]["desired"] == 2);
    sleep(Duration::from_secs(3));
    assert_eq!(world.replicas().len(), 3, "shrinking waits");
    assert_eq!(world.status().unwrap()["journal"]["writable"], false);

    disk.free();
    world.wait_for_log("run", controller, "dev.evenkeel.journal.writable");
    world.wait_for("it to shrink now", |gold| ready(gold) == 2 && gold["decision"]["supply"]["draining"] == 0);

    disk.fill();
    world.wait_for_state("the alarm again", |state| state["journal"]["writable"] == false);
    world.exactly(4);
    world.wait_for("growth without a journal", |gold| ready(gold) == 4);
    world.kill(controller);
    let before = world.replicas();
    disk.free();
    world.start("run");
    let gold = world.wait_for("the next controller", |gold| gold["replicas"].as_array().unwrap().len() == 4);
    assert_eq!((ready(&gold), world.replicas().len()), (4, 4), "every one is adopted, none is started again");
    assert!(before.iter().all(|pid| world.replicas().contains(pid)));
    assert_gaps(&world);
}

#[test]
fn a_full_disk_keeps_no_controller_from_starting_and_no_fleet_from_being_stopped() {
    let Some(mut world) = on_a_small_disk() else { return };
    let killed = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    Disk::of(&world).fill();
    world.kill(killed);
    let first = world.start("run");
    world.wait_for("the replica adopted", |gold| ready(gold) == 1);
    world.wait_for_log("run", first, "dev.evenkeel.alarm.journal_unwritable");
    let second = world.start("run");
    world.wait_for_log("run", second, "only observes");
    let output = world.evenkeel(&["stop", world.fleet.to_str().unwrap(), "--grace", "1"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!((world.exit_code(first), world.exit_code(second)), (Some(0), Some(0)));
    assert!(world.replicas().is_empty());
}

/// A fleet whose state has 16 MiB; `None` where this process may not mount.
fn on_a_small_disk() -> Option<World> {
    let mut world = World::new("");
    let kept = world.keep_state_on_a_disk_of(16);
    let tell = |why: &String| skipped::tell(&format!("a test of a full disk, for this process may not mount ({why})"));
    kept.inspect_err(tell).ok().map(|()| world)
}

/// The journal replays to the same decisions, and tells that ticks are missing.
fn assert_gaps(world: &World) {
    let output = world.evenkeel(&["replay", world.fleet.to_str().unwrap(), "-o", "json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["different"], Value::Array(vec![]), "{found}");
    assert!(found["gaps"].as_u64() >= Some(1), "{found}");
}

struct Disk {
    filler: PathBuf,
}

impl Disk {
    fn of(world: &World) -> Self {
        Self { filler: world.state_as_seen_from_here().join("filler") }
    }

    fn fill(&self) {
        let mut file = File::create(&self.filler).unwrap();
        for size in [1 << 16, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
    }

    fn free(&self) {
        fs::remove_file(&self.filler).unwrap();
    }
}
