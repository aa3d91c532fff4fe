//! What the gateway says, as far as actuation needs it.

use evenkeel_core::observe::ReplicaId;
use evenkeel_wire::routes::RouteVersion;
use std::collections::BTreeMap;

/// Its last report.
#[derive(Clone, Debug, Default)]
pub struct GatewayView {
    /// The route table it obeys; `None` when it cannot be asked.
    pub applied: Option<RouteVersion>,
    /// Whether a gateway that was there before still ends answers, in whichever replica.
    pub earlier_answers: bool,
    /// Requests inside each replica.
    pub in_flight: BTreeMap<ReplicaId, u32>,
    /// Replicas that fail their requests.
    pub failing: BTreeMap<ReplicaId, Failures>,
    /// Requests that each replica has answered to their end, counted from some moment on.
    pub served: BTreeMap<ReplicaId, u64>,
}

impl GatewayView {
    /// Whether nothing is inside the replica by any gateway (or this one knows it no more), as far as it was told.
    pub(crate) fn has_nothing_in(&self, id: &ReplicaId) -> bool {
        !self.earlier_answers && self.in_flight.get(id).is_none_or(|&count| count == 0)
    }
}

/// What a replica failed that the gateway took out for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Requests in a row.
    pub in_a_row: u32,
    /// Of these, requests that it was given after it was taken out, to see whether it serves again.
    pub probes: u32,
}
