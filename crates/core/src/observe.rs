//! What is: typed, aged readings. Zero is a value; missing is not zero.

use crate::spec::Signal;
use crate::units::{Span, Time};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A value with its age, or the reason why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// Recent enough to decide by.
    Fresh {
        /// The value.
        value: T,
        /// When it held.
        at: Time,
    },
    /// The true value is this or more: a part could not be counted. It may add replicas and never remove one.
    AtLeast {
        /// What was counted.
        value: T,
        /// When it held.
        at: Time,
    },
    /// Too old to decide by, kept to be shown.
    Stale {
        /// The value.
        value: T,
        /// When it held.
        at: Time,
    },
    /// There is no value.
    Missing {
        /// Why.
        cause: Cause,
    },
}

impl<T> Reading<T> {
    /// The value, if it may be decided by.
    pub const fn fresh(&self) -> Option<&T> {
        match self {
            Self::Fresh { value, .. } => Some(value),
            Self::AtLeast { .. } | Self::Stale { .. } | Self::Missing { .. } => None,
        }
    }

    /// The value, or what of it is known.
    pub const fn at_least(&self) -> Option<&T> {
        match self {
            Self::Fresh { value, .. } | Self::AtLeast { value, .. } => Some(value),
            Self::Stale { .. } | Self::Missing { .. } => None,
        }
    }

    /// Why the value may not be decided by; `None` when it may.
    pub const fn blind(&self) -> Option<Cause> {
        match self {
            Self::Fresh { .. } => None,
            Self::AtLeast { .. } => Some(Cause::LowerBound),
            Self::Stale { .. } => Some(Cause::Stale),
            Self::Missing { cause } => Some(*cause),
        }
    }

    /// The same reading with a value turned stale when it is older than `limit` at `now`, and refused when it is
    /// dated later than `now`.
    #[must_use]
    pub fn aged(self, now: Time, limit: Span) -> Self {
        match self {
            Self::Fresh { at, .. } | Self::AtLeast { at, .. } if at > now => {
                Self::Missing { cause: Cause::FutureDated }
            }
            Self::Fresh { value, at } | Self::AtLeast { value, at } if now.since(at) > limit => {
                Self::Stale { value, at }
            }
            other => other,
        }
    }

    /// The better of two readings: fresh before a lower bound before stale before missing, and a missing one that tells why before one
    /// that nobody was asked for.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if other.rank() > self.rank() { other } else { self }
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Missing { cause: Cause::NotConfigured } => 0,
            Self::Missing { .. } => 1,
            Self::Stale { .. } => 2,
            Self::AtLeast { .. } => 3,
            Self::Fresh { .. } => 4,
        }
    }
}

impl<T> Default for Reading<T> {
    fn default() -> Self {
        Self::Missing { cause: Cause::NotConfigured }
    }
}

impl Reading<Mean> {
    /// The same reading, refused when its sum is NaN, infinite or negative.
    #[must_use]
    fn finite(self) -> Self {
        match self {
            Self::Fresh { value, .. } | Self::AtLeast { value, .. } | Self::Stale { value, .. }
                if !(value.sum.is_finite() && value.sum >= 0.0) =>
            {
                Self::Missing { cause: Cause::NotANumber }
            }
            other => other,
        }
    }
}

/// Why a value is missing or may not be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// No source is set up for it.
    NotConfigured,
    /// The source did not answer.
    Unreachable,
    /// The source took longer than its share of the tick.
    TimedOut,
    /// The source refused.
    Refused,
    /// The answer could not be read.
    Malformed,
    /// NaN, infinity or a negative number.
    NotANumber,
    /// A rate needs two readings; there is one.
    FirstReading,
    /// A counter restarted between the two readings.
    CounterReset,
    /// Some replicas did not report.
    Partial,
    /// A part could not be counted, because a gateway before the present one still ends answers.
    LowerBound,
    /// There is no ready replica to measure.
    NoReplica,
    /// No request ended, so there is no latency.
    NoRequest,
    /// Another signal shows that it cannot be so.
    Contradicted,
    /// Dated later than now.
    FutureDated,
    /// Too old.
    Stale,
}

/// Requests that arrived, whether or not they were served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Offered {
    /// Requests.
    pub requests: u64,
    /// Their prompt tokens, estimated where the tokenizer is not ours.
    pub prompt_tokens: u64,
    /// Counted over this long.
    pub over: Span,
}

/// Requests that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// Ended well.
    pub succeeded: u64,
    /// Ended badly.
    pub failed: u64,
    /// Prompt tokens of those that ended well.
    pub prompt_tokens: u64,
    /// Output tokens of those that ended well.
    pub output_tokens: u64,
    /// Counted over this long.
    pub over: Span,
}

/// A latency as counted: never a ready-made average.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Requests, or gaps for `itl`.
    pub count: u64,
    /// Of these, above the objective's bound.
    pub above: u64,
    /// The objective's quantile lies between these two histogram edges.
    pub quantile_low: Span,
    /// The upper edge; the largest value where the quantile is in the last, open bucket.
    pub quantile_high: Span,
}

/// A mean as its two parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// Values added up, in the signal's unit.
    pub sum: f64,
    /// How many values.
    pub count: u64,
}

/// A share as its two parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Portion {
    /// The part.
    pub part: u64,
    /// The whole.
    pub whole: u64,
}

/// Everything that can be known of a tier besides its replicas. The default is 'nobody was asked'.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Signals {
    /// Offered arrivals since the last reading.
    pub offered: Reading<Offered>,
    /// Requests waiting before a replica.
    pub queue_depth: Reading<u64>,
    /// Age of the oldest of them; zero when none waits.
    pub oldest_queued: Reading<Span>,
    /// Requests inside replicas.
    pub in_flight: Reading<u64>,
    /// Requests that ended since the last reading.
    pub finished: Reading<Finished>,
    /// Latency against each objective, in the tier's order, since the last reading.
    pub latency: Vec<Reading<Latency>>,
    /// Time per output token in ms over requests that ended since the last reading.
    pub pace: Reading<Mean>,
    /// GPU utilization 0 to 1: sum over replicas and how many reported.
    pub gpu_utilization: Reading<Mean>,
    /// KV-cache utilization 0 to 1: sum over replicas and how many reported.
    pub kv_utilization: Reading<Mean>,
    /// Requests waiting inside the engines.
    pub engine_waiting: Reading<u64>,
    /// Prompt tokens not found in the prefix cache, of those looked up, since the last reading.
    pub prefix_cache_miss: Reading<Portion>,
    /// Failed requests of those that ended, since the last reading.
    pub error_share: Reading<Portion>,
    /// Players online in this tier.
    pub players: Reading<u64>,
}

impl Signals {
    /// Field by field the better of the two.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let objectives = self.latency.len().max(other.latency.len());
        let (mut ours, mut theirs) = (self.latency.into_iter(), other.latency.into_iter());
        Self {
            offered: self.offered.or(other.offered),
            queue_depth: self.queue_depth.or(other.queue_depth),
            oldest_queued: self.oldest_queued.or(other.oldest_queued),
            in_flight: self.in_flight.or(other.in_flight),
            finished: self.finished.or(other.finished),
            latency: (0..objectives)
                .map(|_| ours.next().unwrap_or_default().or(theirs.next().unwrap_or_default()))
                .collect(),
            pace: self.pace.or(other.pace),
            gpu_utilization: self.gpu_utilization.or(other.gpu_utilization),
            kv_utilization: self.kv_utilization.or(other.kv_utilization),
            engine_waiting: self.engine_waiting.or(other.engine_waiting),
            prefix_cache_miss: self.prefix_cache_miss.or(other.prefix_cache_miss),
            error_share: self.error_share.or(other.error_share),
            players: self.players.or(other.players),
        }
    }

    /// The door: every reading aged at `now` (older than `limit` is stale, later than `now` is refused), and sums that
    /// are no numbers refused.
    #[must_use]
    pub fn aged(self, now: Time, limit: Span) -> Self {
        Self {
            offered: self.offered.aged(now, limit),
            queue_depth: self.queue_depth.aged(now, limit),
            oldest_queued: self.oldest_queued.aged(now, limit),
            in_flight: self.in_flight.aged(now, limit),
            finished: self.finished.aged(now, limit),
            latency: self.latency.into_iter().map(|reading| reading.aged(now, limit)).collect(),
            pace: self.pace.aged(now, limit).finite(),
            gpu_utilization: self.gpu_utilization.aged(now, limit).finite(),
            kv_utilization: self.kv_utilization.aged(now, limit).finite(),
            engine_waiting: self.engine_waiting.aged(now, limit),
            prefix_cache_miss: self.prefix_cache_miss.aged(now, limit),
            error_share: self.error_share.aged(now, limit),
            players: self.players.aged(now, limit),
        }
    }

    /// `covered` signals all missing for one cause: what a source that failed leaves behind.
    pub fn missing(covered: &[Signal], objectives: usize, cause: Cause) -> Self {
        fn gap<T>(covered: &[Signal], signal: Signal, cause: Cause) -> Reading<T> {
            if covered.contains(&signal) { Reading::Missing { cause } } else { Reading::default() }
        }
        Self {
            offered: gap(covered, Signal::Offered, cause),
            queue_depth: gap(covered, Signal::QueueDepth, cause),
            oldest_queued: gap(covered, Signal::OldestQueued, cause),
            in_flight: gap(covered, Signal::InFlight, cause),
            finished: gap(covered, Signal::Finished, cause),
            latency: (0..objectives).map(|_| gap(covered, Signal::Latency, cause)).collect(),
            pace: gap(covered, Signal::Pace, cause),
            gpu_utilization: gap(covered, Signal::GpuUtilization, cause),
            kv_utilization: gap(covered, Signal::KvUtilization, cause),
            engine_waiting: gap(covered, Signal::EngineWaiting, cause),
            prefix_cache_miss: gap(covered, Signal::PrefixCacheMiss, cause),
            error_share: gap(covered, Signal::ErrorShare, cause),
            players: gap(covered, Signal::Players, cause),
        }
    }
}

/// Names a replica for as long as it lives; the backend gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplicaId(pub String);

impl core::fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a replica stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaState {
    /// Ordered, not yet serving.
    Starting,
    /// Serving.
    Ready,
    /// Takes no new work, ends when its work is done.
    Draining,
    /// Ended without being told, or never became ready.
    Failed,
}

/// One replica as observed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// Its name.
    pub id: ReplicaId,
    /// Where it stands.
    pub state: ReplicaState,
    /// In this state since.
    pub since: Time,
    /// Requests inside it, where known.
    pub in_flight: Option<u32>,
}

/// The tier's replicas counted by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supply {
    /// Serving.
    pub ready: u32,
    /// Ordered, not yet serving.
    pub starting: u32,
    /// Finishing their work.
    pub draining: u32,
    /// Ended without being told.
    pub failed: u32,
}

impl Supply {
    /// Counts `replicas`.
    pub fn of(replicas: &[Replica]) -> Self {
        let mut supply = Self::default();
        for replica in replicas {
            match replica.state {
                ReplicaState::Starting => supply.starting += 1,
                ReplicaState::Ready => supply.ready += 1,
                ReplicaState::Draining => supply.draining += 1,
                ReplicaState::Failed => supply.failed += 1,
            }
        }
        supply
    }

    /// What a desired count is compared with: ready and starting.
    pub const fn current(&self) -> u32 {
        self.ready + self.starting
    }
}

/// One tier at one tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The signals.
    pub signals: Signals,
    /// The replicas, or why the backend could not list them: then nothing is removed.
    pub replicas: Reading<Vec<Replica>>,
}
