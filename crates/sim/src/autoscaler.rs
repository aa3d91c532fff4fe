//! What sets a count of replicas, and what it may look at: the same in both models.

use evenkeel_core::observe::{Replica, Signals};
use evenkeel_core::units::{Span, Time};

/// Sets a count of replicas from what was.
pub trait Autoscaler {
    /// The count of ready and starting replicas from this slot on.
    fn decide(&mut self, seen: &Seen<'_>) -> u32;

    /// Why the last count was what it was, in a word; `None` for one that does not tell.
    fn reason(&self) -> Option<&'static str> {
        None
    }
}

/// What an autoscaler may look at: nothing of the present slot but its replicas.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The slot's beginning.
    pub now: Time,
    /// Length of a slot.
    pub slot: Span,
    /// Demand of the slots before, in replicas, oldest first.
    pub demand: &'a [f64],
    /// Ready replicas in the same slots.
    pub served_by: &'a [u32],
    /// Ready replicas now.
    pub ready: u32,
    /// Replicas that are starting now.
    pub starting: u32,
    /// What gateway and engines report, where the model has them.
    pub measured: Option<&'a Measured>,
    /// The engines' own figures in each slot before, in the same case.
    pub engines: Option<&'a [EngineLoad]>,
}

/// What gateway and engines report at a slot's beginning.
#[derive(Clone, Debug)]
pub struct Measured {
    /// As the controller reads them: counts since the slot before, and levels.
    pub signals: Signals,
    /// The replicas as a backend lists them.
    pub replicas: Vec<Replica>,
}

impl Seen<'_> {
    /// Ready and starting.
    pub const fn current(&self) -> u32 {
        self.ready + self.starting
    }

    /// Slots in `span`, at least one.
    pub fn slots(&self, span: Span) -> usize {
        (span.as_micros() / self.slot.as_micros()).max(1) as usize
    }

    /// Mean demand over the last `span`, or over what there is of it; zero before the first slot.
    pub fn mean_demand(&self, span: Span) -> f64 {
        let window = &self.demand[self.demand.len().saturating_sub(self.slots(span))..];
        if window.is_empty() { 0.0 } else { window.iter().sum::<f64>() / window.len() as f64 }
    }

    /// Whether a loop that runs each `period` from the start on runs in this slot.
    pub fn is_due(&self, period: Span) -> bool {
        self.demand.len().is_multiple_of(self.slots(period))
    }
}

/// A ready replica's figures, the mean of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EngineLoad {
    /// Requests in the running batch.
    pub running: f64,
    /// Requests that wait inside the engine.
    pub waiting: f64,
    /// Used share of the KV cache, 0 to 1.
    pub kv_share: f64,
    /// Between two tokens of a request: an iteration with the prefill that falls to it.
    pub itl_seconds: f64,
    /// Requests offered to it.
    pub requests_per_second: f64,
}

impl EngineLoad {
    /// Each figure the larger of both, as a scrape takes the peaks of a minute.
    pub(crate) fn peak(self, other: Self) -> Self {
        Self {
            running: self.running.max(other.running),
            waiting: self.waiting.max(other.waiting),
            kv_share: self.kv_share.max(other.kv_share),
            itl_seconds: self.itl_seconds.max(other.itl_seconds),
            requests_per_second: self.requests_per_second.max(other.requests_per_second),
        }
    }
}
