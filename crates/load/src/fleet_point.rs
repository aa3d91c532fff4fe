//! One tier at one moment of a run, as its timeline holds it.

use serde::{Deserialize, Serialize};

/// One sample. What was not known is `null`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FleetPoint {
    /// Since the start of the run.
    pub at_seconds: f64,
    /// Replicas that served.
    pub ready: Option<u32>,
    /// Replicas ordered, not yet serving.
    pub starting: Option<u32>,
    /// Replicas finishing their work.
    pub draining: Option<u32>,
    /// Replicas wanted.
    pub desired: Option<u32>,
    /// Demand in replicas, where a policy tells it.
    pub demand_replicas: Option<f64>,
    /// What all its replicas cost.
    pub cost_usd_per_hour: Option<f64>,
    /// Requests waiting.
    pub queue_depth: Option<u64>,
    /// Mean GPU utilization, 0 to 1.
    pub gpu_utilization: Option<f64>,
}
