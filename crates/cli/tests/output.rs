//! What becomes of results when their reader goes away or the disk under a redirection is full.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

fn evenkeel(arguments: &[&str], stdout: impl Into<Stdio>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(arguments).stdout(stdout).stderr(Stdio::piped()).output().unwrap()
}

/// The exit code and the complaints of a command whose reader is gone.
fn unread(arguments: &[&str]) -> (Option<i32>, String) {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = evenkeel(arguments, writer);
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_reader_that_has_enough_is_no_failure() {
    assert_eq!(unread(&["completions", "bash"]), (Some(0), String::new()));
}

#[test]
fn a_verdict_is_told_by_the_exit_code_also_where_nobody_reads_its_reasons() {
    // Nobody listens at port 1, so every request fails.
    let load =
        ["load", "--target", "http://127.0.0.1:1", "--model", "tiny", "--shape", "10:1s", "--per-player", "60/min"];
    let (code, told) = unread(&[&load[..], &["--threshold", "failed<=0"]].concat());
    assert!(code == Some(1) && !told.contains("panicked"), "{code:?}: {told}");

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fleet.yaml");
    std::fs::write(&file, "fleet: game\n").unwrap();
    for form in ["table", "json"] {
        let (code, told) = unread(&["check", file.to_str().unwrap(), "-o", form]);
        assert!(code == Some(2) && !told.contains("panicked"), "{form}: {code:?}: {told}");
    }
}

#[test]
fn a_full_disk_is_said_in_words() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = evenkeel(&["completions", "bash"], full);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("evenkeel: standard output: "));
}
