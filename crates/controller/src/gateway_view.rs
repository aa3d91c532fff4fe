//! What the gateway says, as far as actuation needs it.

use evenkeel_core::observe::ReplicaId;
use evenkeel_wire::routes::RouteVersion;
use std::collections::BTreeMap;

/// Its last report.
#[derive(Clone, Debug, Default)]
pub struct GatewayView {
    /// The route table it obeys; `None` when it cannot be asked.
    pub applied: Option<RouteVersion>,
    /// Requests inside each replica.
    pub in_flight: BTreeMap<ReplicaId, u32>,
    /// Replicas that fail their requests, and how many they failed in a row.
    pub failing: BTreeMap<ReplicaId, u32>,
    /// Requests that each replica has answered to their end, counted from some moment on.
    pub served: BTreeMap<ReplicaId, u64>,
}
