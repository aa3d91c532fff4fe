//! What the controller says about the fleet while a load test runs.

use crate::control::Control;
use evenkeel_load::probe::ProbeError;
use evenkeel_load::summary::FleetPoint;
use evenkeel_load::{FleetProbe, TierSample};
use serde_json::Value;

/// Samples `/v1/state`.
pub(crate) struct ControllerProbe(pub(crate) Control);

#[async_trait::async_trait]
impl FleetProbe for ControllerProbe {
    async fn sample(&self) -> Result<Vec<TierSample>, ProbeError> {
        let state = self.0.get("/v1/state").await.map_err(|failure| ProbeError(failure.to_string()))?;
        Ok(state["tiers"].as_array().into_iter().flatten().map(sample).collect())
    }
}

/// One tier's sample; what the controller does not know stays unknown.
fn sample(tier: &Value) -> TierSample {
    let count = |pointer: &str| tier.pointer(pointer).and_then(Value::as_u64);
    let known = tier["replicas_known"] == Value::Bool(true);
    let replicas = |pointer: &str| count(pointer).filter(|_| known).and_then(|it| u32::try_from(it).ok());
    let gpu = &tier["signals"]["gpu_utilization"]["fresh"]["value"];
    let point = FleetPoint {
        ready: replicas("/decision/supply/ready"),
        starting: replicas("/decision/supply/starting"),
        draining: replicas("/decision/supply/draining"),
        desired: count("/decision/desired").and_then(|it| u32::try_from(it).ok()),
        demand_replicas: tier["demand_replicas"].as_f64(),
        // What replicas cost follows from how many there are.
        cost_usd_per_hour: tier["cost_usd_per_hour"].as_f64().filter(|_| known),
        queue_depth: count("/signals/queue_depth/fresh/value"),
        gpu_utilization: gpu["sum"]
            .as_f64()
            .zip(gpu["count"].as_f64())
            .filter(|(_, n)| *n > 0.0)
            .map(|(sum, n)| sum / n),
        ..FleetPoint::default()
    };
    TierSample { tier: tier["tier"].as_str().unwrap_or_default().to_owned(), point }
}
