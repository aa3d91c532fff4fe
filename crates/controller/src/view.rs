//! What the API and the page show: one immutable snapshot a tick.

use crate::attainment::Attained;
use crate::explain;
use crate::journal::JournalHealth;
use crate::operator::Mode;
use crate::step::Stopping;
use evenkeel_core::decision::{Decision, Override, Recommendation, Why};
use evenkeel_core::observe::{Reading, Replica, ReplicaId, Signals};
use evenkeel_core::spec::{Objective, TierSpec};
use evenkeel_core::units::Time;
use evenkeel_wire::routes::RouteVersion;
use serde::Serialize;

/// The fleet at one tick.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FleetView {
    /// The fleet's name.
    pub fleet: String,
    /// The tick's moment.
    pub at_us: Time,
    /// The controller's epoch.
    pub epoch: u64,
    /// Whether this controller holds the fleet; a second one only observes.
    pub holds_fleet: bool,
    /// The mode in force.
    pub mode: Mode,
    /// The mode that the fleet file says; an operator's order wins over it.
    pub mode_in_file: Mode,
    /// Why the fleet file as it stands is not in force; `None` where it is.
    pub reload_refused: Option<String>,
    /// No action before this moment.
    pub paused_until_us: Option<Time>,
    /// The journal.
    pub journal: JournalHealth,
    /// The sources.
    pub sources: Vec<SourceView>,
    /// The route table in force.
    pub routes: RouteVersion,
    /// The route table that the gateway obeys; `None` when it cannot be asked.
    pub gateway_applied: Option<RouteVersion>,
    /// What all replicas cost, draining ones too.
    pub cost_usd_per_hour: f64,
    /// How far a stop is; `None` while the fleet is not being stopped.
    pub stopping: Option<Stopping>,
    /// Replicas of tiers that the fleet file does not have any more; they run on and are not in any figure.
    pub strays: Vec<Stray>,
    /// The tiers, in the fleet's order.
    pub tiers: Vec<TierView>,
}

/// A replica whose tier the fleet file does not have any more.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Stray {
    /// The tier that it was started for.
    pub tier: String,
    /// Its name.
    pub replica: ReplicaId,
}

/// How a source's last read went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SourceView {
    /// Its name.
    pub name: String,
    /// `None` when it went well.
    pub problem: Option<String>,
    /// How long it took.
    pub took_us: u64,
}

/// One tier at one tick.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TierView {
    /// The tier.
    pub tier: String,
    /// Its decision.
    pub decision: Decision,
    /// The decision in one sentence.
    pub explanation: String,
    /// Each recommendation in words, in the same order.
    pub recommendations: Vec<String>,
    /// Each clamp in words, in the same order.
    pub clamps: Vec<String>,
    /// Its signals.
    pub signals: Signals,
    /// Its replicas; empty while `replicas_known` is false.
    pub replicas: Vec<Replica>,
    /// Whether the backend could list them.
    pub replicas_known: bool,
    /// Replicas at least.
    pub minimum: u32,
    /// Replicas at most.
    pub maximum: u32,
    /// Its objectives.
    pub objectives: Vec<Objective>,
    /// Objective attainment since the controller's start.
    pub objective_attainment: Attained,
    /// The same as a share, `None` before the first window ends.
    pub objective_attainment_share: Option<f64>,
    /// Demand in replicas, where the capacity policy tells.
    pub demand_replicas: Option<f64>,
    /// Offered requests a second at this tick; `None` when not known.
    pub requests_per_second: Option<f64>,
    /// What its replicas cost, draining ones too.
    pub cost_usd_per_hour: f64,
    /// The operator's override in force.
    pub operator: Option<Override>,
    /// Why the last order was refused, or that a launch has had no answer for long.
    pub refused: Option<String>,
}

impl TierView {
    /// The view of one tier's decision.
    pub fn new(spec: &TierSpec, decision: Decision, signals: Signals, replicas: &Reading<Vec<Replica>>) -> Self {
        let supply = decision.supply;
        let billed = supply.ready + supply.starting + supply.draining;
        Self {
            tier: spec.name.clone(),
            explanation: explain::sentence(&decision),
            recommendations: decision.recommendations.iter().map(explain::figures).collect(),
            clamps: decision.clamps.iter().map(explain::clamp).collect(),
            demand_replicas: decision.recommendations.iter().find_map(demand),
            requests_per_second: signals.offered.fresh().and_then(|it| {
                let seconds = it.over.as_secs_f64();
                (seconds > 0.0).then(|| it.requests as f64 / seconds)
            }),
            cost_usd_per_hour: spec.price_per_hour.times(billed).as_usd_f64(),
            minimum: spec.minimum,
            maximum: spec.maximum,
            objectives: spec.slo.objectives.clone(),
            objective_attainment: Attained::default(),
            objective_attainment_share: None,
            replicas: replicas.fresh().cloned().unwrap_or_default(),
            replicas_known: replicas.fresh().is_some(),
            operator: None,
            refused: None,
            decision,
            signals,
        }
    }
}

/// As the capacity policy tells it. Another policy that finds its objective out of reach tells what is there, which is no
/// demand.
fn demand(recommendation: &Recommendation) -> Option<f64> {
    if recommendation.policy != "capacity" {
        return None;
    }
    match recommendation.why {
        Why::Demand { demand_replicas, .. } => Some(demand_replicas),
        Why::Unachievable { throughput_replicas, .. } => Some(throughput_replicas),
        _ => None,
    }
}
