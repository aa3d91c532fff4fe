//! What became of the requests of a run, and how long they took.

use super::latencies::{Distributions, Latencies};
use evenkeel_core::spec::LatencyMetric;
use serde::Serialize;

/// Latencies of the requests that arrived while the run was scored. The fluid model has none of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Served {
    /// Share of one-minute windows, weighted by offered requests, in which every objective held and nothing failed.
    pub objective_attainment: Option<f64>,
    /// Time to the first token, from the gateway's door.
    pub ttft_p50_seconds: Option<f64>,
    /// The same.
    pub ttft_p95_seconds: Option<f64>,
    /// The same.
    pub ttft_p99_seconds: Option<f64>,
    /// A request's mean time per output token.
    pub tpot_p50_seconds: Option<f64>,
    /// The same.
    pub tpot_p95_seconds: Option<f64>,
    /// Gaps between tokens.
    pub itl_p50_seconds: Option<f64>,
    /// The same.
    pub itl_p95_seconds: Option<f64>,
    /// What became of them.
    pub requests: Option<RequestCounts>,
    /// Every latency, for whoever asks for another quantile.
    #[serde(skip)]
    pub distributions: Option<Distributions>,
    /// In each slot the mean share of time that a ready replica was busy, those before scoring included.
    #[serde(skip)]
    pub busy: Vec<f64>,
}

/// Requests counted by their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Arrived.
    pub offered: u64,
    /// Answered wholly.
    pub answered: u64,
    /// Told that they will not be served.
    pub failed: u64,
    /// Their player left before.
    pub cancelled: u64,
    /// Waited before a replica at once, at most.
    pub most_queued: u64,
}

impl RequestCounts {
    /// Told that they will not be served, or left by their player.
    pub const fn unserved(&self) -> u64 {
        self.failed + self.cancelled
    }
}

impl Served {
    pub(super) fn of(latencies: Latencies, requests: RequestCounts, busy: Vec<f64>) -> Self {
        let of = |metric, quantile| latencies.distributions.quantile_seconds(metric, quantile);
        Self {
            objective_attainment: latencies.windows.attainment().map(|attainment| attainment.share),
            ttft_p50_seconds: of(LatencyMetric::Ttft, 0.5),
            ttft_p95_seconds: of(LatencyMetric::Ttft, 0.95),
            ttft_p99_seconds: of(LatencyMetric::Ttft, 0.99),
            tpot_p50_seconds: of(LatencyMetric::Tpot, 0.5),
            tpot_p95_seconds: of(LatencyMetric::Tpot, 0.95),
            itl_p50_seconds: of(LatencyMetric::Itl, 0.5),
            itl_p95_seconds: of(LatencyMetric::Itl, 0.95),
            requests: Some(requests),
            distributions: Some(latencies.distributions),
            busy,
        }
    }
}
