//! The processes that a demo started, written down so that the next demo ends them if this one is killed.

use crate::failure::Failure;
use rustix::process::{Pid, Signal, kill_process_group};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Child;

/// Parts that were told to end get this long.
const PATIENCE: Duration = Duration::from_secs(15);

/// The parts, in the order of their start.
pub(super) struct Family {
    record: PathBuf,
    children: Vec<Child>,
    known: Vec<Member>,
}

/// A process, surely: a pid alone may be used again by another.
#[derive(Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Member {
    pid: i32,
    started: u64,
}

impl Family {
    pub(super) fn new(state: &Path) -> Self {
        Self { record: state.join("demo.json"), children: Vec::new(), known: Vec::new() }
    }

    /// Takes in a part that runs until it is ended.
    pub(super) fn add(&mut self, child: Child) -> Result<(), Failure> {
        self.note(&child)?;
        self.children.push(child);
        Ok(())
    }

    /// Writes a part down.
    pub(super) fn note(&mut self, child: &Child) -> Result<(), Failure> {
        let pid = child.id().map(u32::cast_signed);
        self.known.extend(pid.and_then(|pid| started(pid).map(|started| Member { pid, started })));
        let text = serde_json::to_string(&self.known).map_err(Failure::internal)?;
        std::fs::write(&self.record, text).map_err(Failure::refused)
    }

    /// Ends every part, the latest first.
    pub(super) async fn end(&mut self) {
        end_all(&self.known).await;
        for child in &mut self.children {
            let _ = child.wait().await;
        }
    }

    /// Ends the parts of an earlier demo that was killed.
    pub(super) async fn end_left_behind(&self) {
        let text = std::fs::read_to_string(&self.record).unwrap_or_default();
        end_all(&serde_json::from_str::<Vec<Member>>(&text).unwrap_or_default()).await;
    }
}

/// SIGTERM to each part's group, the latest first, SIGKILL to those that take too long.
async fn end_all(members: &[Member]) {
    for signal in [Signal::TERM, Signal::KILL] {
        members.iter().rev().filter(|it| it.lives()).for_each(|it| it.signal(signal));
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while members.iter().any(Member::lives) && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Member {
    fn lives(&self) -> bool {
        started(self.pid) == Some(self.started)
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.pid) {
            // It may have ended since it was looked at.
            let _ = kill_process_group(pid, signal);
        }
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
