//! A tier's counts and histograms. They only grow; readers take differences.

use super::histogram::LiveHistogram;
use evenkeel_core::spec::{LatencyMetric, Slo};
use evenkeel_core::units::Span;
use evenkeel_wire::report::{Histogram, TierReport};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

/// A count that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    /// Adds one.
    pub(crate) fn increment(&self) {
        self.add(1);
    }

    /// Adds `more`.
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The count so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything counted of one tier.
#[derive(Debug)]
pub(crate) struct Tally {
    /// Requests that arrived, whatever became of them.
    pub(crate) offered: Count,
    /// Their prompt tokens.
    pub(crate) offered_prompt_tokens: Count,
    /// Requests that ended well.
    pub(crate) succeeded: Count,
    /// Prompt tokens of those.
    pub(crate) prompt_tokens: Count,
    /// Output tokens of those, as far as they are known.
    pub(crate) output_tokens: Count,
    /// Requests that a replica refused for the client's fault: neither a success nor ours.
    pub(crate) client_errors: Count,
    /// Requests that ended badly.
    pub(crate) failed: Count,
    /// Requests whose client left.
    pub(crate) cancelled: Count,
    latency: RwLock<[LiveHistogram; LatencyMetric::ALL.len()]>,
}

impl Tally {
    /// All zero, with the bounds of `slo` among the histograms' edges.
    pub(crate) fn new(slo: &Slo) -> Self {
        Self {
            offered: Count::default(),
            offered_prompt_tokens: Count::default(),
            succeeded: Count::default(),
            prompt_tokens: Count::default(),
            output_tokens: Count::default(),
            client_errors: Count::default(),
            failed: Count::default(),
            cancelled: Count::default(),
            latency: RwLock::new(LatencyMetric::ALL.map(|metric| LiveHistogram::new(metric, slo))),
        }
    }

    /// Has the bounds of `slo` among the edges from now on.
    pub(crate) fn set_bounds(&self, slo: &Slo) {
        let mut latency = self.latency.write().unwrap_or_else(PoisonError::into_inner);
        latency.iter_mut().for_each(|histogram| histogram.set_bounds(slo));
    }

    /// Counts one latency.
    pub(crate) fn record(&self, metric: LatencyMetric, value: Span) {
        self.record_many(metric, value, 1);
    }

    /// Counts `times` equal latencies.
    pub(crate) fn record_many(&self, metric: LatencyMetric, value: Span, times: u64) {
        let position = LatencyMetric::ALL.iter().position(|&known| known == metric);
        let latency = self.latency.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(histogram) = position.and_then(|position| latency.get(position)) {
            histogram.record_many(value, times);
        }
    }

    /// The histograms so far.
    pub(crate) fn latency(&self) -> Vec<Histogram> {
        self.latency.read().unwrap_or_else(PoisonError::into_inner).iter().map(LiveHistogram::snapshot).collect()
    }

    /// Writes the counts into `report`.
    pub(crate) fn fill(&self, report: &mut TierReport) {
        report.offered = self.offered.get();
        report.offered_prompt_tokens = self.offered_prompt_tokens.get();
        report.succeeded = self.succeeded.get();
        report.prompt_tokens = self.prompt_tokens.get();
        report.output_tokens = self.output_tokens.get();
        report.failed = self.failed.get();
        report.client_errors = self.client_errors.get();
        report.cancelled = self.cancelled.get();
        report.latency = self.latency();
    }
}
