//! One controller per fleet: a file lock held for as long as the controller lives, and an epoch that only grows, so that
//! a controller which lost the lock without noticing is refused.
//!
//! In the state directory: `controller.lock` (held by the controller; tells who holds it), `epoch` (the highest epoch
//! issued or obeyed) and `epoch.lock` (held while an order is carried out, so that a takeover waits for it and then
//! sees everything that it started).

use super::process_table::{self, to_pid};
use super::state_files::{self, create_private, write_atomically};
use evenkeel_controller::ports::BackendError;
use evenkeel_core::units::Time;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

const LOCK: &str = "controller.lock";

/// The right to act on a fleet, held until it is dropped or the process ends.
#[derive(Debug)]
pub struct FleetLock {
    state_dir: PathBuf,
    epoch: u64,
    // Held for its lock; the kernel frees it with the last descriptor, also after a kill -9.
    _file: File,
}

/// Why the lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error(transparent)]
    Held(#[from] HeldBy),
    /// The state directory cannot be used.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Who acts on the fleet now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("another controller acts on this fleet (process {})", pid.map_or_else(|| "unknown".to_owned(), |pid| pid.to_string()))]
pub struct HeldBy {
    /// Its process number; `None` when it has not written it yet.
    pub pid: Option<u32>,
    /// Since when.
    pub since: Option<Time>,
    /// When its process started, in clock ticks since boot: the number alone may belong to another by now.
    pub started: Option<u64>,
}

impl HeldBy {
    const UNKNOWN: Self = Self { pid: None, since: None, started: None };

    /// Who acts on the fleet that lives in `state_dir`; `None` where nobody does, or where it cannot be told. It writes
    /// nothing there; a controller that asks for the lock in this very moment finds it held and has to ask again.
    pub fn of(state_dir: &Path) -> Option<Self> {
        let mut file = File::open(state_dir.join(LOCK)).ok()?;
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then(|| read_holder(&mut file))
    }

    fn this_process(since: Time) -> Self {
        let pid = std::process::id();
        let started = process_table::read(pid.cast_signed()).map(|process| process.start_ticks);
        Self { pid: Some(pid), since: Some(since), started }
    }

    /// Asks the holder to end, by SIGTERM. False when it has ended already or has not written who it is yet.
    ///
    /// # Errors
    /// When it may not be signalled.
    pub fn ask_to_end(&self) -> io::Result<bool> {
        let (Some(pid), Some(started)) = (self.pid.map(u32::cast_signed), self.started) else { return Ok(false) };
        let process = match pidfd_open(to_pid(pid)?, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Ok(false),
            process => process?,
        };
        // Looked at after the pidfd was opened: the same start means that the pidfd holds the same process.
        if process_table::read(pid).is_none_or(|now| now.start_ticks != started) {
            return Ok(false);
        }
        match pidfd_send_signal(process, Signal::TERM) {
            Err(rustix::io::Errno::SRCH) => Ok(false),
            sent => sent.map(|()| true).map_err(io::Error::from),
        }
    }
}

impl FleetLock {
    /// Takes the lock of the fleet that lives in `state_dir` (made if it does not exist) and raises its epoch. Waits for
    /// an order of the previous holder that is being carried out this very moment.
    ///
    /// Where there is none, the epoch is the seconds of `now` since 1970: journal and gateway, which may have known a fleet
    /// that lived here before, refuse who comes with less than they have seen, and no fleet is taken over once a second.
    ///
    /// # Errors
    /// `Held` when another process has the lock; `Io` when the directory cannot be used.
    pub fn acquire(state_dir: &Path, now: Time) -> Result<Self, LockError> {
        let io_error = |source| LockError::Io { path: state_dir.join(LOCK), source };
        state_files::create_dir(state_dir).map_err(io_error)?;
        let state_dir = state_dir.canonicalize().map_err(io_error)?;
        let mut file = create_private(&state_dir.join(LOCK)).map_err(io_error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(read_holder(&mut file).into()),
            Err(TryLockError::Error(source)) => return Err(io_error(source)),
        }
        write_holder(&mut file, HeldBy::this_process(now)).map_err(io_error)?;
        let epoch = Fence::new(&state_dir)
            .raise(now)
            .map_err(|source| LockError::Io { path: state_dir.join("epoch"), source })?;
        Ok(Self { state_dir, epoch, _file: file })
    }

    /// The epoch that this controller's orders carry.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The fleet's state directory, absolute.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }
}

fn read_holder(file: &mut File) -> HeldBy {
    let mut text = String::new();
    let read = file.read_to_string(&mut text).ok().and_then(|_| serde_json::from_str(&text).ok());
    // The holder may be about to write it.
    read.unwrap_or(HeldBy::UNKNOWN)
}

fn write_holder(file: &mut File, holder: HeldBy) -> io::Result<()> {
    file.rewind()?;
    write_over(file, &serde_json::to_vec(&holder)?)
}

/// In place, from where `file` stands: a full disk has no room for a new file, but for what is there.
fn write_over(file: &mut File, content: &[u8]) -> io::Result<()> {
    file.write_all(content)?;
    file.set_len(content.len() as u64)
}

/// The durable epoch.
#[derive(Debug)]
pub(crate) struct Fence {
    epoch_file: PathBuf,
    lock_file: PathBuf,
}

/// While it lives no other order is carried out on this fleet, by any process.
#[derive(Debug)]
pub(crate) struct Passage {
    _lock: File,
}

impl Fence {
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self { epoch_file: state_dir.join("epoch"), lock_file: state_dir.join("epoch.lock") }
    }

    /// The highest epoch issued or obeyed; zero before the first.
    pub(crate) fn current(&self) -> io::Result<u64> {
        self.written().map(Option::unwrap_or_default)
    }

    fn written(&self) -> io::Result<Option<u64>> {
        match std::fs::read_to_string(&self.epoch_file) {
            Ok(text) => text
                .trim()
                .parse()
                .map(Some)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it does not hold a number")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lets an order of `epoch` through, unless a newer one was seen, and remembers a newer one durably before it has
    /// any effect. Blocks while another order passes. An order that is not let through was surely not carried out.
    pub(crate) fn pass(&self, epoch: u64) -> Result<Passage, BackendError> {
        let not_known = |error: io::Error| {
            let advice = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::InvalidData => {
                    "; restart the controller, which writes it anew"
                }
                _ => "",
            };
            let file = self.epoch_file.display();
            BackendError::Denied(format!("{file}, without which nothing may act, cannot be used: {error}{advice}"))
        };
        let lock = self.lock().map_err(not_known)?;
        let current = self.current().map_err(not_known)?;
        if epoch < current {
            return Err(BackendError::Fenced { current });
        }
        if epoch > current {
            self.write(epoch).map_err(not_known)?;
        }
        Ok(Passage { _lock: lock })
    }

    fn raise(&self, now: Time) -> io::Result<u64> {
        let _lock = self.lock()?;
        let next = match self.written() {
            Ok(Some(epoch)) => epoch.saturating_add(1),
            Err(error) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
            Ok(None) | Err(_) => u64::try_from(now.as_micros() / 1_000_000).unwrap_or(1),
        };
        self.write(next)?;
        Ok(next)
    }

    fn lock(&self) -> io::Result<File> {
        let file = create_private(&self.lock_file)?;
        file.lock()?;
        Ok(file)
    }

    fn write(&self, epoch: u64) -> io::Result<()> {
        let text = format!("{epoch}\n");
        match write_atomically(&self.epoch_file, text.as_bytes(), true) {
            Err(full) if matches!(full.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                self.write_in_place(text.as_bytes()).map_err(|_| full)
            }
            written => written,
        }
    }

    /// A crash in mid write leaves a damaged number, and the next holder writes one above all in its place.
    fn write_in_place(&self, text: &[u8]) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(&self.epoch_file)?;
        write_over(&mut file, text)?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    const NOW: Time = Time::from_micros(1_700_000_000_000_000);

    /// The lock, once it is free. A process that another test starts in this moment has our open files until it runs its
    /// own program, and with them a lock that was just dropped.
    #[expect(clippy::disallowed_methods, reason = "there is no runtime to block")]
    fn acquired(dir: &tempfile::TempDir) -> FleetLock {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        loop {
            match FleetLock::acquire(dir.path(), NOW) {
                Err(LockError::Held(_)) if std::time::Instant::now() < deadline => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                lock => return lock.unwrap(),
            }
        }
    }

    #[test]
    fn a_second_controller_is_told_who_holds_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let lock = acquired(&dir);
        let Err(LockError::Held(holder)) = FleetLock::acquire(dir.path(), NOW) else { panic!("got the lock twice") };
        assert_eq!((holder.pid, holder.since), (Some(std::process::id()), Some(NOW)));
        assert_eq!(HeldBy::of(dir.path()), Some(holder), "without trying to take it");
        assert_eq!(HeldBy::of(&dir.path().join("elsewhere")), None);
        assert!(!dir.path().join("elsewhere").exists());
        drop(lock);
        acquired(&dir);
    }

    #[test]
    fn without_its_directory_no_order_passes_and_none_counts_as_perhaps_carried_out() {
        let dir = tempfile::tempdir().unwrap();
        let lock = acquired(&dir);
        let fence = Fence::new(lock.state_dir());
        assert!(fence.pass(lock.epoch()).is_ok());
        dir.close().unwrap();
        let Err(BackendError::Denied(why)) = fence.pass(lock.epoch()) else { panic!("an order passed") };
        assert!(why.contains("epoch") && why.contains("restart the controller"), "{why}");
    }

    #[test]
    fn a_process_that_got_an_ended_holders_number_is_not_asked_to_end() {
        let mut other = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let started = process_table::read(other.id().cast_signed()).unwrap().start_ticks;
        let holder = HeldBy { pid: Some(other.id()), since: Some(NOW), started: Some(started) };
        assert!(!HeldBy { started: Some(started + 1), ..holder }.ask_to_end().unwrap());
        assert!(!HeldBy { started: None, ..holder }.ask_to_end().unwrap());
        assert!(other.try_wait().unwrap().is_none(), "it runs on");
        assert!(holder.ask_to_end().unwrap());
        other.wait().unwrap();
        assert!(!holder.ask_to_end().unwrap(), "it has ended");
    }

    #[test]
    fn every_holder_gets_a_higher_epoch_and_the_earlier_one_is_fenced() {
        let dir = tempfile::tempdir().unwrap();
        let first = acquired(&dir).epoch();
        let second = acquired(&dir).epoch();
        assert!(second > first);
        let fence = Fence::new(dir.path());
        assert_eq!(fence.pass(first).unwrap_err(), BackendError::Fenced { current: second });
        drop(fence.pass(second).unwrap());
        // An order from a controller that counts elsewhere is remembered, also by the next lock holder.
        drop(fence.pass(second + 10).unwrap());
        assert_eq!(acquired(&dir).epoch(), second + 11);
    }

    #[test]
    fn a_damaged_epoch_lets_nothing_pass_until_the_next_holder_writes_one_above_all_before() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("epoch"), "x").unwrap();
        assert!(matches!(Fence::new(dir.path()).pass(7), Err(BackendError::Denied(_))));
        assert_eq!(acquired(&dir).epoch(), 1_700_000_000);
        assert_eq!(acquired(&dir).epoch(), 1_700_000_001);
    }

    #[test]
    fn an_epoch_that_was_lost_is_above_all_that_it_can_have_been() {
        let dir = tempfile::tempdir().unwrap();
        let first = acquired(&dir).epoch();
        assert_eq!((first, acquired(&dir).epoch()), (1_700_000_000, 1_700_000_001));
        std::fs::remove_file(dir.path().join("epoch")).unwrap();
        let minute_later = NOW + evenkeel_core::units::Span::from_secs(60);
        assert_eq!(Fence::new(dir.path()).raise(minute_later).unwrap(), 1_700_000_060);
    }
}
