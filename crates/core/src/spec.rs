//! What the user asked for, validated: the decision reads nothing else about the fleet. The crate `fleet` builds it from
//! the fleet file and refuses what makes no sense, so these types are plain data.

use crate::profile::Profile;
use crate::units::{MicroUsd, Span};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A fleet: tiers that are decided together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetSpec {
    /// The fleet's name.
    pub name: String,
    /// Time between two decisions.
    pub tick: Span,
    /// Replicas, starting and ready, that all tiers may have together.
    pub shared_maximum: Option<u32>,
    /// The tiers, in the file's order.
    pub tiers: Vec<TierSpec>,
}

/// One tier: one model behind one objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TierSpec {
    /// The tier's name, unique in the fleet.
    pub name: String,
    /// Replicas at least. It wins over every other limit.
    pub minimum: u32,
    /// Replicas at most, starting and ready together.
    pub maximum: u32,
    /// Who is served first when a shared limit is short: the larger number.
    pub priority: u32,
    /// What one replica costs an hour.
    pub price_per_hour: MicroUsd,
    /// The latency objectives.
    pub slo: Slo,
    /// Capacity attainment aimed at: 1 - violated / offered demand, both in replicas; above 0, below 1.
    pub attainment: f64,
    /// What a request looks like.
    pub requests: RequestShape,
    /// What one replica can do.
    pub profile: Profile,
    /// From the order to the first request served.
    pub start_up: Span,
    /// The policies, in the file's order; the largest recommendation wins.
    pub policies: Vec<PolicySpec>,
    /// How fast the count may move.
    pub behavior: Behavior,
    /// What to do when a signal that a policy needs is missing or stale.
    pub blind: Blind,
}

/// A list of latency objectives; all must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    /// The objectives, in the file's order.
    pub objectives: Vec<Objective>,
}

/// 'The `quantile` of `metric` stays at or below `bound`.'
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Objective {
    /// What is measured.
    pub metric: LatencyMetric,
    /// Which quantile, above 0 and below 1.
    pub quantile: f64,
    /// The bound it stays within.
    pub bound: Span,
}

/// A latency of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatencyMetric {
    /// Time to the first token, from arrival at the gateway.
    Ttft,
    /// A request's mean time per output token after the first.
    Tpot,
    /// Each gap between two output tokens.
    Itl,
    /// From arrival to the last token.
    E2e,
    /// From arrival to the hand-over to a replica.
    QueueTime,
}

impl LatencyMetric {
    /// Every latency metric.
    pub const ALL: [Self; 5] = [Self::Ttft, Self::Tpot, Self::Itl, Self::E2e, Self::QueueTime];

    /// The name used in files, JSON and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ttft => "ttft",
            Self::Tpot => "tpot",
            Self::Itl => "itl",
            Self::E2e => "e2e",
            Self::QueueTime => "queue_time",
        }
    }
}

/// What a request looks like on average, and how much it varies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestShape {
    /// Prompt length.
    pub prompt_tokens: Lengths,
    /// Output length.
    pub output_tokens: Lengths,
    /// Requests that one player sends per minute.
    pub per_player_per_minute: f64,
}

/// Log-normal token lengths.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lengths {
    /// Mean, tokens.
    pub mean: f64,
    /// Standard deviation of the logarithm; 0 makes every length the mean.
    pub sigma: f64,
}

/// A policy recommends a count. Guards and limits come after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicySpec {
    /// Staff the measured demand in replicas, by the stated attainment.
    Capacity {
        /// Demand is averaged over this long.
        window: Span,
        /// A level is kept until demand has not needed it for this long.
        hold: Span,
    },
    /// Keep a signal at a target.
    TargetTracking {
        /// The signal.
        signal: Signal,
        /// Its target, in the signal's own unit.
        target: f64,
        /// Whether the target is for each replica or for the tier together.
        per: Per,
        /// The signal is averaged over this long.
        window: Span,
    },
    /// Keep the waiting requests at a number for each replica.
    BacklogPerReplica {
        /// Waiting requests for each replica.
        target: f64,
    },
    /// Grow while a latency objective is missed, shrink when one replica fewer would still meet it.
    Latency {
        /// Index into the tier's objectives.
        objective: usize,
        /// Latency is judged over this long.
        window: Span,
    },
    /// A replica for so many players.
    PlayersPerReplica {
        /// Players that one replica carries.
        players: f64,
    },
    /// At least so many while a schedule is active; expanded outside core.
    Schedule,
}

impl PolicySpec {
    /// The name used in files, JSON and explanations.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Capacity { .. } => "capacity",
            Self::TargetTracking { .. } => "target_tracking",
            Self::BacklogPerReplica { .. } => "backlog_per_replica",
            Self::Latency { .. } => "latency",
            Self::PlayersPerReplica { .. } => "players_per_replica",
            Self::Schedule => "schedule",
        }
    }
}

/// Whose number a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// The target holds for each replica: count = total / target.
    Replica,
    /// The target holds for the whole tier: the count moves in proportion. A total that does not shrink when replicas
    /// are added (a queue depth) overshoots this way; `check` warns.
    Tier,
}

/// A signal: a decision's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Offered requests per second and their tokens.
    Offered,
    /// Requests waiting before a replica.
    QueueDepth,
    /// Age of the oldest waiting request.
    OldestQueued,
    /// Requests inside replicas.
    InFlight,
    /// Requests that ended, well or badly.
    Finished,
    /// Latency against each objective.
    Latency,
    /// Mean time per output token.
    Pace,
    /// GPU utilization, 0 to 1, averaged over replicas.
    GpuUtilization,
    /// KV-cache utilization, 0 to 1, averaged over replicas.
    KvUtilization,
    /// Requests waiting inside the engines.
    EngineWaiting,
    /// Share of prompt tokens not found in the prefix cache, 0 to 1.
    PrefixCacheMiss,
    /// Failed share of ended requests, 0 to 1.
    ErrorShare,
    /// Players online in this tier.
    Players,
}

impl Signal {
    /// Every signal, in the order of `Signals`' fields.
    pub const ALL: [Self; 13] = [
        Self::Offered,
        Self::QueueDepth,
        Self::OldestQueued,
        Self::InFlight,
        Self::Finished,
        Self::Latency,
        Self::Pace,
        Self::GpuUtilization,
        Self::KvUtilization,
        Self::EngineWaiting,
        Self::PrefixCacheMiss,
        Self::ErrorShare,
        Self::Players,
    ];

    /// The name used in files, JSON and explanations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offered => "offered",
            Self::QueueDepth => "queue_depth",
            Self::OldestQueued => "oldest_queued",
            Self::InFlight => "in_flight",
            Self::Finished => "finished",
            Self::Latency => "latency",
            Self::Pace => "pace",
            Self::GpuUtilization => "gpu_utilization",
            Self::KvUtilization => "kv_utilization",
            Self::EngineWaiting => "engine_waiting",
            Self::PrefixCacheMiss => "prefix_cache_miss",
            Self::ErrorShare => "error_share",
            Self::Players => "players",
        }
    }
}

/// How fast the count may move in each direction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Behavior {
    /// Growing.
    pub scale_out: Pace,
    /// Shrinking.
    pub scale_in: Pace,
}

/// One direction's limits; all zero and `None` means no limit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Pace {
    /// Stabilization window: growing follows the smallest, shrinking the largest recommendation in it.
    pub window: Span,
    /// No change in this direction for this long after the last one; a scale-out ends a scale-in cooldown.
    pub cooldown: Span,
    /// How far one period may move.
    pub step: Option<StepLimit>,
}

/// The larger of the two counts may be added or removed in each period.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepLimit {
    /// Replicas.
    pub replicas: u32,
    /// Percent of the count at the period's start, rounded up.
    pub percent: u32,
    /// The period.
    pub period: Span,
}

/// What a tier does when it cannot see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blind {
    /// Keep the present count.
    Hold,
    /// Keep the present count, and grow to this many once blind for `after`.
    AtLeast {
        /// Replicas.
        replicas: u32,
        /// Blind for this long.
        after: Span,
    },
}
