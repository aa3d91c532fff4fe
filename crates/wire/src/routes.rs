//! The route table: where each tier's requests may go. Made by the controller, obeyed by the gateway, the same for local
//! processes, ECS and Kubernetes.
//!
//! `GET /v1/routes` gives the table; with `Accept: text/event-stream` each newer table follows as an SSE event `routes`.

use evenkeel_core::observe::ReplicaId;
use serde::{Deserialize, Serialize};

/// Orders route tables: a later controller's first table is newer than an earlier controller's last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RouteVersion {
    /// The controller's fencing epoch.
    pub epoch: u64,
    /// Counts up within the epoch.
    pub number: u64,
}

/// A whole snapshot: what is not in it does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTable {
    /// The fleet's name.
    pub fleet: String,
    /// Which table this is.
    pub version: RouteVersion,
    /// One entry for each tier of the fleet, also for those at zero.
    pub tiers: Vec<TierRoutes>,
}

/// One tier's replicas.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TierRoutes {
    /// The tier.
    pub tier: String,
    /// Its replicas that serve or drain.
    pub replicas: Vec<Route>,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// Its name.
    pub id: ReplicaId,
    /// Base address, for example `http://127.0.0.1:41000`.
    pub url: String,
    /// The model name that the engine answers to.
    pub served_model: String,
    /// Requests it is given at once at most: its largest batch plus a small slack.
    pub max_outstanding: u32,
    /// Whether it takes new work.
    pub state: RouteState,
}

/// Whether a replica takes new work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RouteState {
    /// Takes new work.
    Serving,
    /// Finishes what it has.
    Draining,
}
