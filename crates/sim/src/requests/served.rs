//! What became of the requests of a run.

use super::latencies::Latencies;
use serde::Serialize;

/// Requests that arrived while the run was scored, and how long they took.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Served {
    /// Requests that arrived.
    pub offered_requests: u64,
    /// Answered wholly.
    pub answered_requests: u64,
    /// Told that they will not be served.
    pub failed_requests: u64,
    /// Their player left before.
    pub cancelled_requests: u64,
    /// Share of one-minute windows, weighted by offered requests, in which every objective held and nothing failed; `None`
    /// without requests.
    pub objective_attainment: Option<f64>,
    /// Time to the first token, from the gateway's door.
    pub ttft_p50_seconds: Option<f64>,
    /// The same.
    pub ttft_p95_seconds: Option<f64>,
    /// The same.
    pub ttft_p99_seconds: Option<f64>,
    /// A request's mean time per output token.
    pub tpot_p95_seconds: Option<f64>,
    /// Gaps between tokens.
    pub itl_p95_seconds: Option<f64>,
    /// Requests that waited before a replica, at most.
    pub most_queued: u64,
}

impl Served {
    pub(super) fn of(latencies: &Latencies, counts: Self) -> Self {
        Self {
            objective_attainment: latencies.windows.attainment().map(|attainment| attainment.share),
            ttft_p50_seconds: latencies.ttft.quantile_seconds(0.5),
            ttft_p95_seconds: latencies.ttft.quantile_seconds(0.95),
            ttft_p99_seconds: latencies.ttft.quantile_seconds(0.99),
            tpot_p95_seconds: latencies.tpot.quantile_seconds(0.95),
            itl_p95_seconds: latencies.itl.quantile_seconds(0.95),
            ..counts
        }
    }
}
