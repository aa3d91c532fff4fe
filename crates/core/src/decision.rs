//! What is to be, and why: immutable data that leaves the actuator no choices.

use crate::observe::{Cause, ReplicaId, Supply};
use crate::spec::{LatencyMetric, Signal};
use crate::units::{Span, Time};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One tier's decision at one tick.
#[must_use]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// The tier.
    pub tier: String,
    /// When it was taken.
    pub at: Time,
    /// The replicas it was taken over.
    pub supply: Supply,
    /// Ready and starting replicas there shall be.
    pub desired: u32,
    /// Which replicas go, first to last; empty unless the count shrinks.
    pub victims: Vec<ReplicaId>,
    /// What each policy recommended, in the file's order.
    pub recommendations: Vec<Recommendation>,
    /// Index of the recommendation that won, when one did.
    pub winner: Option<usize>,
    /// Each guard that changed the count, in the order applied.
    pub clamps: Vec<Clamp>,
    /// The outcome in one word.
    pub reason: Reason,
    /// When a decision may differ with nothing new observed.
    pub look_again: Time,
}

/// What one policy recommended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recommendation {
    /// The policy's name.
    pub policy: String,
    /// The count; `None` when it could not tell.
    pub desired: Option<u32>,
    /// The figures behind it.
    pub why: Why,
}

/// The figures behind a recommendation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// A signal that the policy needs may not be used.
    Blind {
        /// The signal.
        signal: Signal,
        /// Why not.
        cause: Cause,
    },
    /// The capacity policy staffed demand.
    Demand {
        /// Mean offered requests per second over the policy's window.
        requests_per_second: f64,
        /// The same in replicas: the inverse of what N pooled replicas carry inside the SLO.
        demand_replicas: f64,
        /// The largest of these within the hold.
        peak_demand_replicas: f64,
        /// Staffed above demand by this factor, from the stated attainment.
        staffing_gain: f64,
        /// How much slower than declared the replicas measured: 1 is as declared.
        slowdown: f64,
        /// A forecast added to it.
        forecast_replicas: Option<f64>,
    },
    /// As `Demand`, but no number of replicas meets the objective; staffed for throughput so that queues stay finite.
    Unachievable {
        /// The objective that cannot be met.
        metric: LatencyMetric,
        /// Mean offered requests per second over the policy's window.
        requests_per_second: f64,
        /// Replicas that carry it at full batches.
        throughput_replicas: f64,
        /// How much slower than declared the replicas measured.
        slowdown: f64,
    },
    /// A signal against its target.
    Target {
        /// The signal.
        signal: Signal,
        /// Its value over the window.
        value: f64,
        /// Its target.
        target: f64,
    },
    /// Waiting requests against the target for each replica.
    Backlog {
        /// Requests waiting.
        waiting: u64,
        /// Target for each replica.
        target: f64,
    },
    /// A latency objective over the window.
    Objective {
        /// The metric.
        metric: LatencyMetric,
        /// Share of requests above the bound.
        above_share: f64,
        /// Share allowed above it.
        allowed_share: f64,
    },
    /// Players against what one replica carries.
    Players {
        /// Players online.
        players: u64,
        /// Players for each replica.
        per_replica: f64,
    },
    /// A schedule's floor.
    Scheduled {
        /// The active entry; `None` when no entry is active.
        entry: Option<String>,
    },
}

/// One guard's change of the count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clamp {
    /// The guard.
    pub guard: Guard,
    /// The count it was given.
    pub before: u32,
    /// The count it left.
    pub after: u32,
}

/// The guards, in the order they are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// Missing, stale or partial data removes nothing.
    Freshness,
    /// Stabilization window.
    Window,
    /// Cooldown after a change.
    Cooldown,
    /// Step limit per period.
    StepLimit,
    /// An operator's override.
    Override,
    /// The tier's maximum.
    Maximum,
    /// The fleet's shared maximum.
    SharedMaximum,
    /// The tier's minimum.
    Minimum,
}

impl Guard {
    /// The name used in JSON, metrics and the page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Freshness => "freshness",
            Self::Window => "window",
            Self::Cooldown => "cooldown",
            Self::StepLimit => "step_limit",
            Self::Override => "override",
            Self::Maximum => "maximum",
            Self::SharedMaximum => "shared_maximum",
            Self::Minimum => "minimum",
        }
    }
}

/// The outcome, closed. The first word tells the direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A policy asked for more.
    GrewForDemand,
    /// There were fewer than the minimum.
    GrewToMinimum,
    /// An operator asked for more.
    GrewForOverride,
    /// Blind: grown back to the count decided before, or, blind for too long, to the declared fallback.
    GrewWhenBlind,
    /// A replica ended by itself before the windows were full after a start, a reload or a gap: the count decided before is
    /// brought back, for nobody knows yet that it is not needed.
    GrewInWindow,
    /// No policy needs them any more.
    ShrankUnneeded,
    /// An operator asked for fewer.
    ShrankForOverride,
    /// A tier with a higher priority needs the room.
    ShrankForPriority,
    /// The count is what the policies ask for.
    HeldSteady,
    /// The stabilization window, or a level's hold, is not over.
    HeldInWindow,
    /// The cooldown is not over.
    HeldInCooldown,
    /// This period's step is used up.
    HeldByStepLimit,
    /// A needed signal is missing or stale.
    HeldBlind,
    /// An operator's override keeps it.
    HeldByOverride,
    /// More is asked for, the tier's maximum forbids it.
    HeldAtMaximum,
    /// More is asked for, the shared maximum forbids it.
    HeldAtSharedMaximum,
    /// Less is asked for, the minimum forbids it.
    HeldAtMinimum,
    /// No number of replicas meets the objective.
    Unachievable,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 18] = [
        Self::GrewForDemand,
        Self::GrewToMinimum,
        Self::GrewForOverride,
        Self::GrewWhenBlind,
        Self::GrewInWindow,
        Self::ShrankUnneeded,
        Self::ShrankForOverride,
        Self::ShrankForPriority,
        Self::HeldSteady,
        Self::HeldInWindow,
        Self::HeldInCooldown,
        Self::HeldByStepLimit,
        Self::HeldBlind,
        Self::HeldByOverride,
        Self::HeldAtMaximum,
        Self::HeldAtSharedMaximum,
        Self::HeldAtMinimum,
        Self::Unachievable,
    ];

    /// The name used in JSON, metrics and the page.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GrewForDemand => "grew_for_demand",
            Self::GrewToMinimum => "grew_to_minimum",
            Self::GrewForOverride => "grew_for_override",
            Self::GrewWhenBlind => "grew_when_blind",
            Self::GrewInWindow => "grew_in_window",
            Self::ShrankUnneeded => "shrank_unneeded",
            Self::ShrankForOverride => "shrank_for_override",
            Self::ShrankForPriority => "shrank_for_priority",
            Self::HeldSteady => "held_steady",
            Self::HeldInWindow => "held_in_window",
            Self::HeldInCooldown => "held_in_cooldown",
            Self::HeldByStepLimit => "held_by_step_limit",
            Self::HeldBlind => "held_blind",
            Self::HeldByOverride => "held_by_override",
            Self::HeldAtMaximum => "held_at_maximum",
            Self::HeldAtSharedMaximum => "held_at_shared_maximum",
            Self::HeldAtMinimum => "held_at_minimum",
            Self::Unachievable => "unachievable",
        }
    }
}

/// A forecast of offered demand, made outside core. It may add replicas, never remove them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Requests per second expected at the horizon, at the quantile that the forecaster chose.
    pub requests_per_second: f64,
    /// How far ahead.
    pub horizon: Span,
}

/// A schedule entry that is active now, expanded outside core.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveSchedule {
    /// The entry's name.
    pub entry: String,
    /// Replicas at least.
    pub at_least: u32,
}

/// An operator's order for one tier, until a moment and with a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Override {
    /// Replicas at least.
    pub at_least: Option<u32>,
    /// Replicas at most; it removes replicas if there are more.
    pub at_most: Option<u32>,
    /// Until when.
    pub until: Time,
    /// Why.
    pub because: String,
}
