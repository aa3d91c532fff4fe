//! What a queue tells its caller to do, and what the caller tells it.

use core::fmt;
use serde::Serialize;

/// A request of one tier, numbered by its queue in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RequestId(pub(super) u64);

impl RequestId {
    /// The number: 0 for the first request offered.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Action<R> {
    /// Send a request to a replica.
    Dispatch {
        /// The request.
        request: RequestId,
        /// Where to.
        replica: R,
        /// 1 for the first dispatch, then one more for each, the free ones included.
        attempt: u32,
    },
    /// Tell the client that its request will not be served. The queue has forgotten it.
    Reject {
        /// The request.
        request: RequestId,
        /// Why.
        reason: Rejection,
    },
    /// A draining replica has no request left.
    Drained {
        /// The replica.
        replica: R,
    },
}

/// Why a request will not be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// As many wait as may.
    QueueFull,
    /// No replica could be reached for as long as a request is held.
    HeldTooLong,
    /// Errors and time-outs used up its tries.
    TriesSpent,
    /// The tier's retries are used up for now.
    RetryBudgetSpent,
    /// It failed after its first byte, when the client had part of an answer.
    BrokeOff,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueFull => "the tier's queue is full: try again later",
            Self::HeldTooLong => "no replica became ready in time: try again later",
            Self::TriesSpent => "every try failed",
            Self::RetryBudgetSpent => "the try failed, and the tier is failing too often to try again",
            Self::BrokeOff => "the replica broke off in the middle of its answer",
        })
    }
}

/// How a dispatched request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The replica answered with an error of its own.
    Error,
    /// No answer in time.
    TimedOut,
    /// The connection ended after the request was sent.
    Broke,
    /// No connection could be made: the replica has seen nothing of the request.
    Unreached,
}

/// Totals since a queue began. `offered` is the sum of `completed`, `cancelled`, `rejected`, `expired` and `failed`, of
/// those that wait and of those in flight.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct QueueCounters {
    /// Requests that arrived.
    pub offered: u64,
    /// Dispatches, repeated ones included.
    pub dispatched: u64,
    /// Failures answered by another try at the cost of the budget.
    pub retried: u64,
    /// Failures answered by another try free of charge.
    pub returned: u64,
    /// Requests answered wholly.
    pub completed: u64,
    /// Requests whose client left.
    pub cancelled: u64,
    /// Requests that found the queue full.
    pub rejected: u64,
    /// Requests held too long.
    pub expired: u64,
    /// Requests that failed for good.
    pub failed: u64,
}
