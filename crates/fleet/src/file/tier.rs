//! `tiers: {NAME: ...}`

use crate::file::backend::{self, BackendDraft};
use crate::file::behavior::{self, BehaviorDraft};
use crate::file::objectives::{self, SloDraft};
use crate::file::policy::{self, PolicyDraft};
use crate::file::profile::{self, ProfileDraft};
use crate::file::requests::{self, RequestsDraft};
use crate::file::{asynchronous, words};
use crate::form::List;
use crate::model::{AsynchronousSettings, EngineKind, ScheduleEntry, TierSettings};
use crate::scalar::{Choice, Whole};
use crate::section::{Object, Section};
use crate::unit::{Duration, Price};
use evenkeel_core::spec::{Blind, Slo, TierSpec};
use evenkeel_core::units::{MicroUsd, Span};

/// A tier as far as it could be read.
pub(crate) struct TierDraft {
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) model: Option<String>,
    pub(crate) served_model: Option<String>,
    pub(crate) engine: Option<EngineKind>,
    pub(crate) slack: Option<u32>,
    pub(crate) replicas: Replicas,
    pub(crate) priority: Option<u32>,
    pub(crate) price: Option<MicroUsd>,
    pub(crate) slo: SloDraft,
    pub(crate) requests: RequestsDraft,
    pub(crate) profile: ProfileDraft,
    pub(crate) start_up: Option<Span>,
    pub(crate) policies: Vec<(String, PolicyDraft)>,
    pub(crate) behavior: BehaviorDraft,
    pub(crate) when_blind: Option<Blind>,
    pub(crate) backend: Option<BackendDraft>,
    pub(crate) asynchronous: Option<AsynchronousSettings>,
    /// Whether the file says so, also where a mistake keeps its settings from being read.
    pub(crate) is_asynchronous: bool,
}

/// Limits as far as they could be read.
#[derive(Clone, Copy, Default)]
pub(crate) struct Replicas {
    pub(crate) minimum: Option<u32>,
    pub(crate) maximum: Option<u32>,
}

pub(crate) fn read(tier: &mut Section<'_>) -> Option<TierDraft> {
    let model = tier.required("model", "The model's name that clients ask for.", words::MODEL);
    let served_model =
        tier.optional("served_model", "The name that the engine answers to; `model` when left out.", words::MODEL);
    let engine = tier.or("engine", "Whose metrics to read; the emulated replica speaks vLLM's.", engines(), "vllm");
    let slack = tier.or(
        "slack",
        "Requests that a replica is given beyond its largest batch.",
        Whole { what: "requests", least: 0, most: 10_000 },
        "2",
    );
    let replicas = tier.required("replicas", "How few and how many.", Object(read_replicas));
    let priority = tier.or(
        "priority",
        "Who is served first when a shared limit is short: the larger number.",
        Whole { what: "priority", least: 0, most: 1_000 },
        "0",
    );
    let price = tier.required("price", "What one replica costs; a month has 720 hours.", Price);
    let slo = tier.required("slo", "What is promised.", Object(objectives::read));
    let requests = tier.required("requests", "What a request looks like.", Object(requests::read));
    let profile = tier.required("profile", "What one replica can do.", Object(profile::read));
    let start_up =
        tier.required("start_up", "From the order of a replica to the first request it serves.", Duration::POSITIVE);
    let policies = tier.optional(
        "policies",
        "Policies; the largest recommendation wins. `[{capacity: {}}]` when left out.",
        List { form: policy::form(), least: 1 },
    );
    let default_policies = if tier.is_absent("policies") { vec![(tier.path(), policy::default())] } else { Vec::new() };
    let behavior = tier.optional("behavior", "How fast the count may move.", Object(behavior::read));
    let when_blind = tier.or(
        "when_blind",
        "When a signal that a policy needs is missing or stale: `hold` the count, or grow to at least so many.",
        behavior::blind(),
        "hold",
    );
    let backend = tier.required("backend", "How replicas are run.", backend::form());
    let asynchronous = tier.optional(
        "asynchronous",
        "Requests are accepted at once, queued durably and answered later.",
        Object(asynchronous::read),
    );
    let is_asynchronous = !tier.is_absent("asynchronous");
    Some(TierDraft {
        name: String::new(),
        path: String::new(),
        model,
        served_model,
        engine,
        slack,
        replicas: replicas.unwrap_or_default(),
        priority,
        price,
        slo: slo.unwrap_or_default(),
        requests: requests.unwrap_or_default(),
        profile: profile.unwrap_or_default(),
        start_up,
        policies: policies.unwrap_or(default_policies),
        behavior: behavior.unwrap_or_default(),
        when_blind,
        backend,
        asynchronous,
        is_asynchronous,
    })
}

fn engines() -> Choice<EngineKind> {
    Choice {
        what: "an engine",
        words: vec![
            ("vllm", EngineKind::Vllm),
            ("sglang", EngineKind::Sglang),
            ("tgi", EngineKind::Tgi),
            ("llama_cpp", EngineKind::LlamaCpp),
        ],
    }
}

fn read_replicas(replicas: &mut Section<'_>) -> Option<Replicas> {
    let minimum = replicas.required(
        "minimum",
        "Replicas at least; it wins over every other limit. 0 lets the tier sleep.",
        Whole { what: "replicas", least: 0, most: 100_000 },
    );
    let maximum = replicas.required(
        "maximum",
        "Replicas at most, starting and ready together.",
        Whole { what: "replicas", least: 1, most: 100_000 },
    );
    Some(Replicas { minimum, maximum })
}

impl TierDraft {
    pub(crate) fn named(self, name: String, path: String) -> Self {
        Self { name, path, ..self }
    }

    /// The path of one of its keys.
    pub(crate) fn at(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    /// Schedule entries of all its policies, with their paths.
    pub(crate) fn schedule(&self) -> impl Iterator<Item = &(String, ScheduleEntry)> {
        self.policies.iter().flat_map(|(_, policy)| match policy {
            PolicyDraft::Schedule(entries) => entries.as_slice(),
            PolicyDraft::Ready(_) | PolicyDraft::Latency { .. } => &[],
        })
    }

    /// Its two halves, if nothing is missing.
    pub(crate) fn build(self) -> Option<(TierSpec, TierSettings)> {
        let classic = self.policies.iter().any(|(_, policy)| policy.is_classic());
        let policies =
            self.policies.iter().map(|(_, policy)| policy.spec(&self.slo.objectives)).collect::<Option<Vec<_>>>()?;
        let schedule = self.schedule().map(|(_, entry)| entry.clone()).collect();
        let start_up = self.start_up?;
        let model = self.model?;
        let spec = TierSpec {
            name: self.name,
            minimum: self.replicas.minimum?,
            maximum: self.replicas.maximum?,
            priority: self.priority?,
            price_per_hour: self.price?,
            slo: Slo { objectives: self.slo.objectives.into_iter().map(|(_, objective)| objective).collect() },
            attainment: self.slo.attainment?,
            requests: self.requests.shape()?,
            profile: self.profile.build()?,
            start_up,
            policies,
            behavior: self.behavior.resolve(classic),
            blind: self.when_blind?,
        };
        let settings = TierSettings {
            served_model: self.served_model.unwrap_or_else(|| model.clone()),
            model,
            engine: self.engine?,
            slack: self.slack?,
            backend: self.backend?.build(start_up)?,
            asynchronous: self.asynchronous,
            players_share: self.requests.players_share?,
            schedule,
            profile_is_estimate: self.profile.is_estimate?,
        };
        Some((spec, settings))
    }
}
