//! Places at which a test can make the program crash, fail or hang: [`Point`]. They exist with debug assertions only; in a
//! release build [`hit`] is nothing.
//!
//! The schedule comes from the environment: `EVENKEEL_FAILPOINTS="journal_commit:3=crash,state_rename:1=error"` ends the
//! process, as kill -9 would, at the third commit of the journal, and lets the first renaming of a state file fail.

use std::fmt;
use std::io;

mod schedule;

/// Where something can happen. Each stands at the one place of the program that its words tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// The journal is about to begin a transaction.
    JournalBegin,
    /// All of a journal's transaction is written and not committed.
    JournalCommit,
    /// A journal's transaction is committed and nobody knows yet.
    JournalCommitted,
    /// A state file is about to be written beside the old one.
    StateWrite,
    /// A state file is written and does not replace the old one yet.
    StateRename,
    /// A state file has replaced the old one and nobody knows yet.
    StateRenamed,
    /// The backend is about to tell its replicas.
    BackendList,
    /// The backend is about to carry out an order.
    BackendApply,
    /// A launch's log marks its intent as used, and its process is not started yet.
    BackendSpawn,
    /// A replica's process is started, and there is no record of it yet.
    BackendSpawned,
    /// An end is written down, and its replica has no signal yet.
    BackendEnd,
    /// The backend has carried out an order and nobody knows yet.
    BackendApplied,
    /// The gateway is about to keep a route table.
    RoutesKeep,
    /// A request is about to go to a replica.
    HandOver,
    /// A replica has begun to answer, and the client has nothing yet.
    HandedOver,
    /// All of a batch of the asynchronous queue is written and not committed.
    QueueCommit,
    /// A batch of the asynchronous queue is committed and nobody knows yet.
    QueueCommitted,
}

impl Point {
    /// Every point, in the order of a request's and an order's way.
    pub const ALL: [Self; 17] = [
        Self::JournalBegin,
        Self::JournalCommit,
        Self::JournalCommitted,
        Self::StateWrite,
        Self::StateRename,
        Self::StateRenamed,
        Self::BackendList,
        Self::BackendApply,
        Self::BackendSpawn,
        Self::BackendSpawned,
        Self::BackendEnd,
        Self::BackendApplied,
        Self::RoutesKeep,
        Self::HandOver,
        Self::HandedOver,
        Self::QueueCommit,
        Self::QueueCommitted,
    ];

    /// Its name in a schedule.
    pub const fn name(self) -> &'static str {
        match self {
            Self::JournalBegin => "journal_begin",
            Self::JournalCommit => "journal_commit",
            Self::JournalCommitted => "journal_committed",
            Self::StateWrite => "state_write",
            Self::StateRename => "state_rename",
            Self::StateRenamed => "state_renamed",
            Self::BackendList => "backend_list",
            Self::BackendApply => "backend_apply",
            Self::BackendSpawn => "backend_spawn",
            Self::BackendSpawned => "backend_spawned",
            Self::BackendEnd => "backend_end",
            Self::BackendApplied => "backend_applied",
            Self::RoutesKeep => "routes_keep",
            Self::HandOver => "hand_over",
            Self::HandedOver => "handed_over",
            Self::QueueCommit => "queue_commit",
            Self::QueueCommitted => "queue_committed",
        }
    }
}

/// What a schedule let happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injected(pub Point);

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a failure was injected at {}", self.0.name())
    }
}

impl std::error::Error for Injected {}

impl From<Injected> for io::Error {
    fn from(injected: Injected) -> Self {
        Self::other(injected)
    }
}

/// Lets happen what the schedule has for this visit of `point`: nothing, as a rule. A delay blocks the thread.
///
/// # Errors
/// When the schedule says so.
#[inline]
pub fn hit(point: Point) -> Result<(), Injected> {
    if cfg!(debug_assertions) { schedule::visit(point) } else { Ok(()) }
}
