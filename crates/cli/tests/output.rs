//! What becomes of results when their reader goes away or the disk under a redirection is full.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

fn completions(stdout: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(["completions", "bash"]).stdout(stdout).stderr(Stdio::piped()).output().unwrap()
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = completions(writer.into());
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn a_full_disk_is_said_in_words() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = completions(full.into());
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("evenkeel: standard output: "));
}
