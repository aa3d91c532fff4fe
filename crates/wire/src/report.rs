//! The gateway's report: `GET /gateway/report`. Counts only ever grow while `instance` stays the same; the reader takes
//! differences. Levels (`queued`, `in_flight`, ages) hold at `at`.

use crate::routes::RouteVersion;
use evenkeel_core::observe::ReplicaId;
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::{Span, Time};
use serde::{Deserialize, Serialize};

/// What one gateway process has seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GatewayReport {
    /// Changes when the gateway restarts: every count then starts again at zero.
    pub instance: String,
    /// When the levels were read.
    pub at: Time,
    /// The route table in force; `None` before the first.
    pub applied: Option<RouteVersion>,
    /// One entry for each tier of the fleet file.
    pub tiers: Vec<TierReport>,
}

/// One tier as the gateway sees it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TierReport {
    /// The tier.
    pub tier: String,
    /// Whether a gateway that was here before still ends answers, perhaps of this tier, which are in no count of this one:
    /// more may wait and be inside replicas than is told.
    #[serde(default)]
    pub earlier_answers: bool,
    /// Requests that arrived, whatever became of them.
    pub offered: u64,
    /// Their prompt tokens, estimated at four bytes each where the engine does not tell.
    pub offered_prompt_tokens: u64,
    /// Requests waiting here now, in the queue or in the durable queue of an asynchronous tier.
    pub queued: u64,
    /// Age of the oldest of them; zero when none waits.
    pub oldest_queued_us: Span,
    /// Requests inside replicas now.
    pub in_flight: u64,
    /// The same for each replica in the table, and for those that left it with requests inside.
    pub replicas: Vec<ReplicaLoad>,
    /// Requests that ended well.
    pub succeeded: u64,
    /// Prompt tokens of those, from the engine's usage or estimated.
    pub prompt_tokens: u64,
    /// Output tokens of those.
    pub output_tokens: u64,
    /// Requests that ended badly by our side's or an engine's fault: expired, refused because full, retries used up.
    pub failed: u64,
    /// Requests that a replica refused for the client's fault. They were offered and cost next to nothing.
    #[serde(default)]
    pub client_errors: u64,
    /// Requests whose client left.
    pub cancelled: u64,
    /// Requests tried again elsewhere.
    pub retried: u64,
    /// One histogram for each latency metric.
    pub latency: Vec<Histogram>,
}

/// One replica's load.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaLoad {
    /// Its name.
    pub id: ReplicaId,
    /// Requests handed to it and not ended.
    pub in_flight: u32,
    /// Requests that it failed since it last served one, where they were enough to take it out of rotation, in which it stays
    /// all the same if no other is well; else 0.
    #[serde(default)]
    pub failed_in_a_row: u32,
    /// Of these, requests that it was given after it was taken out, to see whether it serves again.
    #[serde(default)]
    pub failed_probes: u32,
    /// Requests that it has answered to their end since it came into the routes or the gateway began.
    #[serde(default)]
    pub served: u64,
}

/// A latency histogram. Each objective's bound is one of the edges, so 'above the bound' is exact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// What was measured.
    pub metric: LatencyMetric,
    /// Upper edges, growing; the last bucket has no upper edge.
    pub edges_us: Vec<Span>,
    /// Values in each bucket: one longer than `edges_us`. A value equal to an edge is below it.
    pub counts: Vec<u64>,
    /// All values added up.
    pub sum_us: Span,
}
