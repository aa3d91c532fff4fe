//! The demo cleans up: after SIGINT, and on its next start after a kill -9 of itself.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

#[test]
fn a_demo_that_is_killed_is_cleaned_up_by_the_next_and_an_interrupted_one_by_itself() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join(".local/state/evenkeel");
    let state = root.join(".demo");
    // A user's own fleet may have the demo's name.
    let of_a_user = root.join("demo/journal.sqlite");
    fs::create_dir_all(of_a_user.parent().unwrap()).unwrap();
    fs::write(&of_a_user, "a user's").unwrap();
    let mut first = start(home.path());
    wait_for("replicas", || carrying(&state).len() >= 3);
    let left = parts(&state);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(left.len() >= 2, "run and gateway outlive a kill -9: {left:?}");

    let mut second = start(home.path());
    wait_for("the parts of the first to end", || left.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()));
    wait_for("fresh replicas", || carrying(&state).len() >= 3);
    kill_process(Pid::from_raw(second.id().cast_signed()).unwrap(), Signal::INT).unwrap();
    second.wait().unwrap();
    assert!(carrying(&state).is_empty(), "no replica outlives the demo");
    assert!(parts(&state).is_empty(), "no part outlives the demo");
    assert_eq!(fs::read_to_string(of_a_user).unwrap(), "a user's");

    let mut explain = command(home.path());
    let explained = explain.args(["explain", "gold"]).output().unwrap();
    assert!(explained.status.success(), "the demo is what was used last: {explained:?}");
}

fn start(home: &Path) -> Child {
    command(home).arg("demo").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.env("HOME", home).env_remove("XDG_STATE_HOME").env_remove("EVENKEEL_STATE_DIR").stdin(Stdio::null());
    command
}

fn wait_for(what: &str, reached: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(90);
    while !reached() {
        assert!(Instant::now() < deadline, "waited for {what}");
        sleep(Duration::from_millis(200));
    }
}

fn processes() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|it| it.file_name().to_str()?.parse().ok()).collect()
}

/// Replicas of the fleet that lives in `state`.
fn carrying(state: &Path) -> Vec<i32> {
    let mark = format!("EVENKEEL_STATE_DIR={}", state.display());
    let carries = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    processes().into_iter().filter(carries).collect()
}

/// Controller, gateway and load test of the demo that lives in `state`.
fn parts(state: &Path) -> Vec<i32> {
    let file = state.join("fleet.yaml").display().to_string();
    let is_part = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<String> = line.split(|byte| *byte == 0).map(|it| String::from_utf8_lossy(it).into()).collect();
        words.contains(&file) && !words.contains(&"replica".to_owned())
    };
    processes().into_iter().filter(is_part).collect()
}
