//! What Linux tells about processes in `/proc`: who lives, in which group, since when, and with which environment.

use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;

/// One process at the moment it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    /// Its number, reused by the kernel after it is gone.
    pub(crate) pid: i32,
    /// Its group, named after the group's first process.
    pub(crate) group: i32,
    /// When it started, in clock ticks since boot; with `pid` it names the process within one boot.
    pub(crate) start_ticks: u64,
    /// False for one that has ended and only waits to be reaped.
    pub(crate) alive: bool,
}

/// Names a process beyond the reuse of its number and beyond a reboot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    /// The kernel's id of this boot.
    pub(crate) boot_id: String,
    /// Process number.
    pub(crate) pid: i32,
    /// Start time in clock ticks since boot.
    pub(crate) start_ticks: u64,
}

impl Identity {
    /// The identity of the process that has `pid` now.
    pub(crate) fn of(pid: i32) -> io::Result<Self> {
        let process = read(pid).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        Ok(Self { boot_id: boot_id()?, pid, start_ticks: process.start_ticks })
    }

    /// Whether `process` is the one that this identity names; the caller has compared the boot.
    pub(crate) fn names(&self, process: &Process) -> bool {
        process.pid == self.pid && process.start_ticks == self.start_ticks
    }
}

/// The kernel's id of this boot.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Every process of this machine that can be seen.
pub(crate) fn read_all() -> io::Result<Vec<Process>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(read).collect())
}

/// The process with number `pid`, if there is one.
pub(crate) fn read(pid: i32) -> Option<Process> {
    parse_stat(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads a line of `/proc/PID/stat` (man 5 proc). The name in field 2 may hold blanks and parentheses, so fields are
/// counted from its last `)`.
fn parse_stat(pid: i32, stat: &[u8]) -> Option<Process> {
    const GROUP: usize = 5 - 3;
    const START: usize = 22 - 3;
    let after_name = stat.iter().rposition(|&byte| byte == b')')? + 1;
    let fields: Vec<&str> = std::str::from_utf8(&stat[after_name..]).ok()?.split_ascii_whitespace().collect();
    Some(Process {
        pid,
        group: fields.get(GROUP)?.parse().ok()?,
        start_ticks: fields.get(START)?.parse().ok()?,
        alive: !matches!(*fields.first()?, "Z" | "X"),
    })
}

/// The environment a process was started with.
pub(crate) struct Environment(Vec<u8>);

impl Environment {
    /// Reads it; empty where this is not allowed.
    pub(crate) fn of(pid: i32) -> Self {
        Self(fs::read(format!("/proc/{pid}/environ")).unwrap_or_default())
    }

    /// The value of `name`, if it is text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.split(|&byte| byte == 0).find_map(|entry| {
            let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
            std::str::from_utf8(value).ok()
        })
    }

    /// Whether it can be trusted to be whole. Programs that set their title (vLLM's and SGLang's workers do) write over
    /// this memory, and then it says nothing about who started them.
    pub(crate) fn is_intact(&self) -> bool {
        self.0.split(|&byte| byte == 0).next().is_some_and(|first| first.iter().skip(1).any(|&byte| byte == b'='))
    }
}

/// A process's short name, for messages.
pub(crate) fn name(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).map_or_else(|_| "?".to_owned(), |name| name.trim().to_owned())
}

/// `pid` as the kernel's calls take it.
pub(crate) fn to_pid(pid: i32) -> io::Result<Pid> {
    Pid::from_raw(pid).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let stat = b"77 (a ) R (b) S 1 70 60 0 -1 4194304 99 0 0 0 0 0 0 0 20 0 1 0 93736 3133440 381";
        assert_eq!(parse_stat(77, stat), Some(Process { pid: 77, group: 70, start_ticks: 93736, alive: true }));
        let zombie = b"77 (x) Z 1 70 60 0 -1 4194304 99 0 0 0 0 0 0 0 20 0 1 0 93736 0 0";
        assert!(!parse_stat(77, zombie).unwrap().alive);
        assert_eq!(parse_stat(77, b"77 (x) S 1"), None);
    }

    #[test]
    fn a_reused_process_number_is_another_identity() {
        let mine = Identity::of(std::process::id().cast_signed()).unwrap();
        let now = read(mine.pid).unwrap();
        assert!(mine.names(&now));
        assert!(!mine.names(&Process { start_ticks: now.start_ticks + 1, ..now }));
    }

    #[test]
    fn an_environment_written_over_by_a_title_is_not_taken_for_a_strangers() {
        assert!(Environment(b"A=1\0B=2\0".to_vec()).is_intact());
        assert_eq!(Environment(b"A=1\0AB=2\0".to_vec()).get("AB"), Some("2"));
        assert_eq!(Environment(b"AB=1\0".to_vec()).get("A"), None);
        assert!(!Environment(b"\0\0\0B=2\0".to_vec()).is_intact());
        assert!(!Environment(Vec::new()).is_intact());
    }
}
