//! Ending a fleet without a controller, and the mark that keeps controllers which stand by from starting it again.

use super::adopt::{Found, find, forget};
use super::fence::{Fence, FleetLock};
use super::state_files::{Record, create_private, write_atomically};
use evenkeel_core::observe::ReplicaId;
use futures::future::join_all;
use std::io;
use std::path::Path;
use std::time::Duration;

/// In the state directory while the fleet is to stay stopped.
const MARK: &str = "stopped";

/// Says durably that the fleet is to stay stopped: a controller that stood by does not take over any more.
///
/// # Errors
/// When the mark cannot be written.
pub fn mark_stopped(state_dir: &Path) -> io::Result<()> {
    let mark = state_dir.join(MARK);
    let whole = write_atomically(&mark, b"ended by `evenkeel stop`; the next `evenkeel run` removes this\n", true);
    // What counts is that it is there, and an empty one fits on a full disk.
    whole.or_else(|_| create_private(&mark).map(drop))
}

/// Takes the word back: the fleet was not stopped after all.
///
/// # Errors
/// When the mark cannot be removed.
pub fn unmark_stopped(state_dir: &Path) -> io::Result<()> {
    match std::fs::remove_file(state_dir.join(MARK)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether the fleet is to stay stopped.
///
/// # Errors
/// When the state directory cannot be looked into.
pub fn is_stopped(state_dir: &Path) -> io::Result<bool> {
    state_dir.join(MARK).try_exists()
}

/// The fleet is to run again; only who holds it says so.
///
/// # Errors
/// When the mark cannot be removed.
pub fn clear_stopped(lock: &FleetLock) -> io::Result<()> {
    unmark_stopped(lock.state_dir())
}

/// A replica that was ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stopped {
    /// Its tier.
    pub tier: String,
    /// Its name.
    pub id: ReplicaId,
}

/// Ends every replica of `fleet`: SIGTERM to its group, SIGKILL after `grace`. The lock proves that no controller runs,
/// which would start them again. Work in flight is not waited for beyond the grace.
///
/// # Errors
/// When the processes of this machine cannot be read.
pub async fn stop_fleet(lock: &FleetLock, fleet: &str, grace: Duration) -> io::Result<Vec<Stopped>> {
    let mut stopped = Vec::new();
    // Again, for what was being forked while the first look was taken.
    loop {
        let search = find(fleet, lock.state_dir())?;
        forget(&search.outdated, &Fence::new(lock.state_dir()), lock.epoch(), lock.state_dir());
        let found = search.found;
        if found.is_empty() {
            stopped.sort();
            stopped.dedup();
            return Ok(stopped);
        }
        for ended in join_all(found.iter().map(|replica| end(lock, replica, grace))).await {
            stopped.push(ended?);
        }
    }
}

async fn end(lock: &FleetLock, replica: &Found, grace: Duration) -> io::Result<Stopped> {
    let place = &replica.place;
    replica.group()?.end(grace).await;
    Record::remove(lock.state_dir(), &place.tier, &place.id);
    Ok(Stopped { tier: place.tier.clone(), id: place.id.clone() })
}
