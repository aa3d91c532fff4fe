//! The fleet file as validated data: the decision's `FleetSpec`, and around it what the controller, the gateway, the
//! backends and the load test need. Nothing here is read from a file directly; `reader` builds it.

use evenkeel_core::spec::{FleetSpec, LatencyMetric, TierSpec};
use evenkeel_core::units::Span;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A whole fleet file.
#[derive(Clone, Debug, PartialEq)]
pub struct Fleet {
    /// What the decision reads.
    pub spec: FleetSpec,
    /// The rest of each tier, in the order of `spec.tiers`.
    pub tiers: Vec<TierSettings>,
    /// The controller's own settings.
    pub controller: ControllerSettings,
    /// The gateway's own settings.
    pub gateway: GatewaySettings,
    /// Where the player count comes from; `None` when no one is asked.
    pub players: Option<PlayersSource>,
    /// What `load` (and later `simulate` and `chaos`) judges.
    pub criteria: Vec<Criterion>,
    /// What is allowed but worth a second look, with its place.
    pub warnings: Vec<String>,
    /// Every key's path with its value in canonical spelling, defaults included: what `diff` compares.
    pub settings: BTreeMap<String, String>,
}

impl Fleet {
    /// A tier's two halves by name.
    pub fn tier(&self, name: &str) -> Option<(&TierSpec, &TierSettings)> {
        self.spec.tiers.iter().zip(&self.tiers).find(|(spec, _)| spec.name == name)
    }
}

/// What a tier needs beside the decision.
#[derive(Clone, Debug, PartialEq)]
pub struct TierSettings {
    /// The model name that clients ask for; tiers are also found by their own name.
    pub model: String,
    /// The name that the engine answers to; the gateway rewrites `model` to it.
    pub served_model: String,
    /// Which mapping table reads the engine's metrics.
    pub engine: EngineKind,
    /// Requests that a replica is given beyond its largest batch.
    pub slack: u32,
    /// How replicas are run.
    pub backend: BackendSettings,
    /// Set for an asynchronous tier: requests are accepted at once and answered later.
    pub asynchronous: Option<AsynchronousSettings>,
    /// Share of all players that this tier serves, 0 to 1.
    pub players_share: f64,
    /// Schedule entries, for the policy `schedule`.
    pub schedule: Vec<ScheduleEntry>,
    /// Whether the profile is an estimate, not a measurement.
    pub profile_is_estimate: bool,
}

/// An engine whose metrics can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EngineKind {
    /// vLLM, old and new metric names; also the emulated replica.
    Vllm,
    /// SGLang.
    Sglang,
    /// Text Generation Inference.
    Tgi,
    /// llama.cpp's server with `--metrics`.
    LlamaCpp,
}

/// How replicas are run.
#[derive(Clone, Debug, PartialEq)]
pub enum BackendSettings {
    /// Processes of this machine.
    Local(LocalSettings),
}

/// A replica as a process of this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct LocalSettings {
    /// Argument vector, no shell. `{port}`, `{index}` and `{gpu}` are replaced. A first word `evenkeel` means this
    /// very binary.
    pub command: Vec<String>,
    /// Environment variables passed on from the controller's own environment; nothing else is.
    pub environment: Vec<String>,
    /// GPU ids handed out one to a replica as `{gpu}`.
    pub gpus: Vec<String>,
    /// Path that answers 2xx once the replica serves.
    pub ready_path: String,
    /// Not ready after this long: ended and tried again.
    pub start_deadline: Span,
    /// A draining replica is ended after this long even with work in flight.
    pub drain_deadline: Span,
    /// From SIGTERM to SIGKILL.
    pub grace: Span,
}

/// A durable queue before an asynchronous tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsynchronousSettings {
    /// Requests waiting at most; more are refused with 429.
    pub max_queued: u32,
    /// A request that is not answered within this long is handed out again.
    pub lease: Span,
    /// Times a request is handed out before it counts as failed.
    pub max_attempts: u32,
    /// An answer is kept this long.
    pub result_ttl: Span,
    /// A larger answer counts as failed, bytes.
    pub result_max_bytes: u64,
}

/// One entry of a weekly schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleEntry {
    /// Its name.
    pub name: String,
    /// Days of the week, 0 is Monday; never empty.
    pub days: Vec<u8>,
    /// Local minute of the day at which it starts.
    pub from_minute: u16,
    /// Local minute at which it ends; not after `from_minute` means on the next day.
    pub to_minute: u16,
    /// IANA time zone.
    pub time_zone: String,
    /// Replicas at least while it is active.
    pub at_least: u32,
}

/// The controller's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct ControllerSettings {
    /// Where API and page listen.
    pub listen: SocketAddr,
    /// The mode it starts in; a durable change by `evenkeel mode` wins over it.
    pub mode: Mode,
    /// A signal older than this is stale.
    pub freshness: Span,
    /// Journal rows older than this are rolled up and dropped.
    pub retention: Span,
    /// Where events go.
    pub events: EventSettings,
}

/// What the controller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Observe and journal; publish nothing, touch nothing.
    Observe,
    /// Decide and publish, touch nothing.
    Advise,
    /// Act.
    Act,
}

/// Where CloudEvents go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventSettings {
    /// To standard output, a line each.
    pub stdout: bool,
    /// To a file, a line each.
    pub file: Option<PathBuf>,
    /// By POST to this address.
    pub webhook: Option<String>,
    /// Name of an environment variable whose value goes as a bearer token with the POST.
    pub webhook_token_variable: Option<String>,
}

/// The gateway's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewaySettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Larger request bodies are refused with 413, bytes.
    pub max_body_bytes: u64,
    /// Requests waiting in one tier's queue at most; more are refused with 503.
    pub max_held: u32,
    /// A request waits this long for a replica at most, then 503.
    pub hold: Span,
    /// A replica that has not begun a streamed answer after this long is given up for another one.
    pub first_byte: Span,
}

/// Where the player count comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlayersSource {
    /// GET a JSON document and take the number at a JSON pointer.
    Http {
        /// Address.
        url: String,
        /// JSON pointer (RFC 6901), for example `/players/online`.
        pointer: String,
    },
    /// POSTed to the controller's API.
    Push,
    /// Read from a file that holds a number, and nothing else, or a JSON document with a pointer.
    File {
        /// The file.
        path: PathBuf,
        /// JSON pointer; `None` for a bare number.
        pointer: Option<String>,
    },
}

/// Something that must have held at the end.
#[derive(Clone, Debug, PartialEq)]
pub enum Criterion {
    /// A latency quantile over the whole run, as clients saw it.
    Latency {
        /// The tier.
        tier: String,
        /// The metric.
        metric: LatencyMetric,
        /// The quantile.
        quantile: f64,
        /// At most.
        at_most: Span,
    },
    /// Share of one-minute windows, weighted by offered requests, in which every objective held and nothing failed.
    ObjectiveAttainment {
        /// The tier.
        tier: String,
        /// At least, 0 to 1.
        at_least: f64,
    },
    /// Failed requests, of all tiers together.
    FailedRequests {
        /// At most.
        at_most: u64,
    },
    /// Mean GPU utilization while at least so many replicas are ready.
    GpuUtilization {
        /// The tier.
        tier: String,
        /// At least, 0 to 1.
        at_least: f64,
        /// At most, 0 to 1.
        at_most: f64,
        /// Judged only while this many are ready.
        while_ready: u32,
    },
    /// Waiting requests.
    QueueDepth {
        /// The tier.
        tier: String,
        /// At most.
        at_most: u64,
    },
    /// Everything accepted by an asynchronous tier was answered when the run ended.
    QueueDrained {
        /// The tier.
        tier: String,
    },
}
