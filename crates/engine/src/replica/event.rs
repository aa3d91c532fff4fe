//! What a replica tells: events in the order they happened, and cumulative counters.

use core::fmt;
use evenkeel_core::units::{Span, Time};
use serde::Serialize;

/// A request inside one replica, numbered by it in order of submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct RequestId(pub(super) u64);

impl RequestId {
    /// The number: 0 for the first request submitted.
    pub const fn number(self) -> u64 {
        self.0
    }
}

/// Something that happened in [`Replica::advance`](super::Replica::advance).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A prompt is computed and its first token is out.
    FirstToken {
        /// The request.
        id: RequestId,
        /// When.
        at: Time,
    },
    /// A request has all its tokens and has left.
    Finished(Finished),
    /// Iterations that ended, for histograms of gaps between tokens and of tokens per iteration.
    Iterations(IterationRun),
    /// A preempted request went on: this gap between two of its tokens lies in no [`IterationRun`].
    Resumed {
        /// The request.
        id: RequestId,
        /// Time between its last token before the preemption and its next.
        gap: Span,
    },
}

/// A request's moments, from which every latency follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The request.
    pub id: RequestId,
    /// When it was submitted.
    pub arrived: Time,
    /// When it could first have been scheduled: `arrived` plus the profile's overhead.
    pub queued: Time,
    /// When the first iteration with a part of its prompt began.
    pub scheduled: Time,
    /// When its first token was out.
    pub first_token: Time,
    /// When its last token was out.
    pub finished: Time,
    /// Length of its prompt.
    pub prompt_tokens: u32,
    /// Tokens it generated.
    pub output_tokens: u32,
    /// How often it lost its place in the KV cache.
    pub preemptions: u32,
}

impl Finished {
    /// Time to first token, from arrival.
    pub fn ttft(&self) -> Span {
        self.first_token.since(self.arrived)
    }

    /// From arrival to the last token.
    pub fn end_to_end(&self) -> Span {
        self.finished.since(self.arrived)
    }

    /// Time in the waiting line before its prompt was first touched.
    pub fn queue_time(&self) -> Span {
        self.scheduled.since(self.queued)
    }

    /// Mean time per output token after the first, seconds; `None` where there is no second token.
    pub fn tpot_seconds(&self) -> Option<f64> {
        let gaps = self.output_tokens.checked_sub(1).filter(|gaps| *gaps > 0)?;
        Some(self.finished.since(self.first_token).as_secs_f64() / f64::from(gaps))
    }
}

/// Consecutive iterations of one composition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IterationRun {
    /// How many iterations.
    pub iterations: u64,
    /// Sequences decoding in each.
    pub sequences: u64,
    /// Prompt tokens computed in each; above zero only where `iterations` is 1.
    pub prefill_tokens: u64,
    /// Gaps between tokens that these iterations were: `iterations * sequences`, less the tokens of requests cancelled
    /// meanwhile.
    pub gaps: u64,
    /// Length of the first iteration.
    pub first: Span,
    /// Length of the last; those between are spaced evenly.
    pub last: Span,
}

/// Totals since the replica began; they only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Prompt tokens of requests whose first token is out, cached ones included.
    pub prompt_tokens: u64,
    /// Tokens generated.
    pub generation_tokens: u64,
    /// Requests that lost their place in the KV cache and were recomputed.
    pub preemptions: u64,
    /// Prompt tokens looked up in the prefix cache; a recomputation is not counted again.
    pub prefix_queried_tokens: u64,
    /// Prompt tokens found there.
    pub prefix_hit_tokens: u64,
    /// Requests that finished.
    pub finished: u64,
    /// Requests cancelled before they finished.
    pub cancelled: u64,
    /// Iterations run.
    pub iterations: u64,
}

/// Why a request was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A prompt or an output of no tokens.
    Empty,
    /// Prompt and output together are longer than the model takes.
    AboveModelLength {
        /// Prompt and output together.
        tokens: u64,
        /// The profile's `max_model_tokens`.
        limit: u64,
    },
    /// Prompt and output together would not fit the KV cache even alone.
    AboveKvCache {
        /// Prompt and output together.
        tokens: u64,
        /// The profile's `kv_tokens`.
        limit: u64,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a request needs at least one prompt token and one output token"),
            Self::AboveModelLength { tokens, limit } => write!(
                f,
                "prompt and output are {tokens} tokens, the model takes {limit}: shorten the prompt or lower max_tokens"
            ),
            Self::AboveKvCache { tokens, limit } => write!(
                f,
                "prompt and output are {tokens} tokens, the KV cache holds {limit}: shorten the prompt or lower \
                 max_tokens"
            ),
        }
    }
}

impl core::error::Error for Refused {}

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where it is.
    pub phase: Phase,
    /// Tokens generated so far.
    pub tokens: u32,
    /// When its next token is out, where the iteration that yields it has begun.
    pub next_token: Option<Time>,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// In the waiting line, for the first time or after a preemption.
    Waiting,
    /// Its prompt is being computed.
    Prefilling,
    /// A token with every iteration.
    Decoding,
}
