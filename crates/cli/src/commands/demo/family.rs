//! The processes that a demo starts. Each carries the demo's mark in its environment from its first instruction, so that
//! the next demo finds them all if this one is killed, whenever that was: a list in a file would miss the latest.

use rustix::process::{Pid, Signal, kill_process_group};
use std::path::Path;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// The environment variable that is the mark; its value is the demo's state directory.
const MARK: &str = "EVENKEEL_DEMO";
/// Parts that were told to end get this long.
const PATIENCE: Duration = Duration::from_secs(15);

/// The parts of one demo.
pub(super) struct Family {
    mark: String,
    children: Vec<Child>,
}

/// A process, surely: a pid alone may be used again by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    started: u64,
    pid: i32,
}

impl Family {
    pub(super) fn of(state: &Path) -> Self {
        Self { mark: state.display().to_string(), children: Vec::new() }
    }

    /// Makes what `command` starts one of the family, in a process group of its own.
    pub(super) fn mark(&self, command: &mut Command) {
        command.env(MARK, &self.mark).process_group(0);
    }

    /// Takes in a part that runs until it is ended.
    pub(super) fn add(&mut self, child: Child) {
        self.children.push(child);
    }

    /// Ends every part, also those of an earlier demo that was killed.
    pub(super) async fn end(&mut self) {
        for signal in [Signal::TERM, Signal::KILL] {
            self.signal_all(signal);
            let deadline = Instant::now() + PATIENCE;
            while !self.members().is_empty() && Instant::now() < deadline {
                sleep(Duration::from_millis(50)).await;
                // What was just being started has not got the signal.
                if signal == Signal::KILL {
                    self.signal_all(signal);
                }
            }
        }
        for child in &mut self.children {
            let _ = child.wait().await;
        }
    }

    /// The latest first: the load test before what it asks.
    fn signal_all(&self, signal: Signal) {
        for member in self.members().into_iter().rev() {
            // It may have ended since it was looked at.
            let same = started(member.pid) == Some(member.started);
            let _ = Pid::from_raw(member.pid).filter(|_| same).map(|pid| kill_process_group(pid, signal));
        }
    }

    /// Every living process with the mark, the oldest first.
    fn members(&self) -> Vec<Member> {
        let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let marked = pids.filter(|pid| self.carried_by(*pid));
        let mut members: Vec<Member> = marked.filter_map(|pid| Some(Member { started: started(pid)?, pid })).collect();
        members.sort();
        members
    }

    fn carried_by(&self, pid: i32) -> bool {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let mark = format!("{MARK}={}", self.mark);
        environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    }
}

/// When the process `pid` started, in clock ticks since boot (field 22 of `/proc/PID/stat`); `None` for none, or one
/// that has ended and is not reaped.
fn started(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, also spaces and parentheses.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    (fields.first() != Some(&"Z")).then(|| fields.get(19)?.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeping(family: &Family) -> Child {
        let mut command = Command::new("sleep");
        command.arg("60");
        family.mark(&mut command);
        command.spawn().unwrap()
    }

    #[tokio::test]
    async fn a_demo_ends_what_an_earlier_one_left_behind_without_any_note_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let (killed, elsewhere) = (Family::of(folder.path()), Family::of(&folder.path().join("other")));
        let mut orphans = [sleeping(&killed), sleeping(&killed)];
        let mut stranger = sleeping(&elsewhere);
        drop(killed);

        Family::of(folder.path()).end().await;
        for orphan in &mut orphans {
            assert!(orphan.try_wait().unwrap().is_some());
        }
        assert!(stranger.try_wait().unwrap().is_none());
        stranger.kill().await.unwrap();
    }

    #[tokio::test]
    async fn no_part_is_left_when_a_demo_ends() {
        let folder = tempfile::tempdir().unwrap();
        let mut family = Family::of(folder.path());
        family.add(sleeping(&family));
        family.end().await;
        assert_eq!(family.members(), []);
    }
}
