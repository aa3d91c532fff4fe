//! Readers of events that read nothing.

use crate::world::{World, ready};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

#[test]
fn event_sinks_that_nobody_reads_hold_up_neither_the_api_nor_the_loop() {
    let mut world = World::new("");
    let [file, stdout] = ["file", "stdout"].map(|name| world.directory().join(name));
    let full = [full_pipe(&file), full_pipe(&stdout)];
    world.edit("mode: act", &format!("mode: act, events: {{stdout: true, file: {}}}", file.display()));
    let stalled = File::options().write(true).open(&stdout).unwrap();
    // Both sinks block at the first event. The runtime has two threads.
    let controller = world.start_with("run", "", stalled.into());
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.at_least(2, 600);
    world.wait_for("it to act", |gold| ready(gold) == 2);
    world.terminate(controller);
    assert_eq!(world.exit_code(controller), Some(0));
    drop(full);
}

/// A named pipe into which nothing fits any more, and which stays open at both ends.
fn full_pipe(path: &Path) -> File {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let without_waiting = OFlags::NONBLOCK.bits().cast_signed();
    let mut pipe = fs::OpenOptions::new().read(true).write(true).custom_flags(without_waiting).open(path).unwrap();
    // By the byte, or less than a page would stay free.
    while pipe.write(b"x").is_ok() {}
    pipe
}
