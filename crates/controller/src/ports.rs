//! The ports: what the controller needs from outside, as traits with typed errors. Every adapter stands behind one of
//! them, and so does every double in a test.

use async_trait::async_trait;
use evenkeel_core::observe::{Cause, ReplicaId, ReplicaState, Signals};
use evenkeel_core::spec::Signal;
use evenkeel_core::units::Time;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Tells the time. Anchored once to the wall clock and monotone after, so a jump of the wall clock moves nothing.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Time;
}

/// Reads signals. One source may cover several tiers and several signals; the loop gives it a quarter of a tick.
#[async_trait]
pub trait Source: Send {
    /// Its name, for logs and metrics.
    fn name(&self) -> &str;

    /// The signals it answers for in `tier`; all of them count as missing when a read fails or is late.
    fn covers(&self, tier: &str) -> &[Signal];

    /// Reads now. Only the replicas in `living` may count: series of others are left out.
    ///
    /// # Errors
    /// Says why nothing could be read; what could be read in part comes back as readings that are missing in part.
    async fn read(&mut self, now: Time, living: &[LivingReplica]) -> Result<Vec<Finding>, SourceError>;
}

/// A replica that exists now, for sources that ask replicas themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivingReplica {
    /// Its tier.
    pub tier: String,
    /// Its name.
    pub id: ReplicaId,
    /// Base address, for example `http://127.0.0.1:41000`.
    pub url: String,
    /// Whether it serves.
    pub ready: bool,
}

/// What a source found out about one tier; every signal it does not know stays 'not configured'.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The tier.
    pub tier: String,
    /// The signals.
    pub signals: Signals,
    /// Requests inside each replica, where this source knows.
    pub replica_load: Vec<(ReplicaId, u32)>,
}

/// Why a source could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct SourceError {
    /// The cause that the readings will carry.
    pub cause: Cause,
    /// The same for a person.
    pub detail: String,
}

/// Starts and ends replicas of any number of tiers.
#[async_trait]
pub trait Backend: Send + Sync {
    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Every replica of `tier` that exists, also those that an earlier controller started.
    ///
    /// # Errors
    /// When the truth cannot be known now; then nothing is removed.
    async fn list(&self, tier: &str) -> Result<Vec<BackendReplica>, BackendError>;

    /// Replicas of tiers that the fleet does not have (any more), with their tiers. They run on and are nobody's until
    /// the tier is back or the fleet is stopped.
    fn strays(&self) -> Vec<(String, ReplicaId)>;

    /// Whether the backend may do anything of itself, such as ending a replica that never answers. The loop tells it at each
    /// tick; until the first it may not. Orders need no permission beside their epoch.
    fn permit(&self, acts: bool);

    /// Carries out `order`. Repeating an order has no further effect: an intent that was launched is not launched
    /// again, a replica that was ended is not an error.
    ///
    /// # Errors
    /// Typed, because the next decision depends on which; `Unknown` means that it may have happened.
    async fn apply(&self, order: &Order) -> Result<(), BackendError>;
}

/// What a backend can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Ends the replica that it is told to.
    pub chooses_victims: bool,
    /// Can have no replica at all.
    pub reaches_zero: bool,
    /// Leaves the draining to us.
    pub drains: bool,
}

/// A replica as its backend knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendReplica {
    /// Its name; for backends that launch by intent, the intent.
    pub id: ReplicaId,
    /// `Draining` here means that it was told to end and has not ended yet.
    pub state: ReplicaState,
    /// In this state since.
    pub since: Time,
    /// Base address, once known.
    pub url: Option<String>,
    /// What went wrong, for people, when it failed or is being restarted.
    pub note: Option<String>,
}

/// What a backend shall do for one tier. Immutable; carries the epoch of the controller that decided it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The tier.
    pub tier: String,
    /// The controller's fencing epoch: an older one is refused.
    pub epoch: u64,
    /// Ready and starting replicas there shall be, for backends that only count.
    pub desired: u32,
    /// Replicas to launch, by the intents that were journalled before.
    pub launch: Vec<ReplicaId>,
    /// Replicas to end now; the gateway has drained them or their deadline has passed.
    pub end: Vec<ReplicaId>,
    /// How long an ended replica may take before it is killed.
    #[serde(skip)]
    pub grace: Duration,
}

/// Why a backend did not carry out an order or could not list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// Asked too often; try later.
    #[error("the backend throttles: {0}")]
    Throttled(String),
    /// There is no capacity to be had.
    #[error("no capacity: {0}")]
    NoCapacity(String),
    /// The tier, replica or program does not exist.
    #[error("not found: {0}")]
    NotFound(String),
    /// Not allowed.
    #[error("denied: {0}")]
    Denied(String),
    /// The order carries an older epoch than one already obeyed.
    #[error("fenced: a controller with epoch {current} has taken over")]
    Fenced {
        /// The epoch now in force.
        current: u64,
    },
    /// Another change is under way.
    #[error("busy: {0}")]
    Busy(String),
    /// Somebody else changes the same thing.
    #[error("another writer: {0}")]
    OtherWriter(String),
    /// It may have happened: observe before repeating.
    #[error("outcome unknown: {0}")]
    Unknown(String),
}
