//! One fleet for the tests and the bench.

use evenkeel_core::profile::Profile;
use evenkeel_core::spec::{Behavior, Blind, FleetSpec, LatencyMetric, Lengths, Objective, RequestShape, Slo, TierSpec};
use evenkeel_core::units::{MicroUsd, Span};
use evenkeel_fleet::model::{
    AsynchronousSettings, BackendSettings, ControllerSettings, EngineKind, EventSettings, Fleet, GatewaySettings,
    LocalSettings, Mode, TierSettings,
};
use std::collections::BTreeMap;

/// The tests' fleet: gold and silver with the model `qwen`, bronze asynchronous with the model `large`.
pub(crate) fn fleet() -> Fleet {
    let names = ["gold", "silver", "bronze"];
    Fleet {
        spec: FleetSpec {
            name: "game".into(),
            tick: Span::from_secs(1),
            shared_maximum: None,
            tiers: names.iter().map(|name| tier_spec(name)).collect(),
        },
        tiers: names.iter().map(|name| tier_settings(name)).collect(),
        controller: ControllerSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            mode: Mode::Act,
            freshness: Span::from_secs(10),
            retention: Span::from_secs(3_600),
            events: EventSettings::default(),
        },
        gateway: GatewaySettings {
            listen: ([127, 0, 0, 1], 0).into(),
            max_body_bytes: 64 * 1024,
            max_held: 4,
            hold: Span::from_secs(30),
            first_byte: Span::from_secs(60),
        },
        players: None,
        criteria: Vec::new(),
        warnings: Vec::new(),
        settings: BTreeMap::new(),
    }
}

fn tier_spec(name: &str) -> TierSpec {
    let tokens = |mean| Lengths { mean, sigma: 0.0 };
    let objective = Objective { metric: LatencyMetric::Tpot, quantile: 0.95, bound: Span::from_millis(16) };
    TierSpec {
        name: name.into(),
        minimum: 0,
        maximum: 8,
        priority: 1,
        price_per_hour: MicroUsd::from_micros(1_006_000),
        slo: Slo { objectives: vec![objective] },
        attainment: 0.99,
        requests: RequestShape {
            prompt_tokens: tokens(300.0),
            output_tokens: tokens(40.0),
            per_player_per_minute: 3.4,
        },
        profile: Profile {
            iteration_ms: 6.5,
            per_sequence_ms: 0.09,
            decode_steps: Vec::new(),
            per_cached_token_ms: 9e-5,
            per_prefill_token_ms: 0.08,
            per_prefill_chunk_ms: 0.0,
            per_prefill_token_squared_ms: 0.0,
            max_batched_tokens: 112,
            max_sequences: 64,
            kv_tokens: 100_000,
            max_model_tokens: 4_096,
            prefix_hit_share: 0.0,
            overhead_ms: 1.0,
        },
        start_up: Span::from_millis(2_500),
        policies: Vec::new(),
        behavior: Behavior::default(),
        blind: Blind::Hold,
    }
}

fn tier_settings(name: &str) -> TierSettings {
    let asynchronous = AsynchronousSettings {
        max_queued: 3,
        lease: Span::from_secs(30),
        max_attempts: 2,
        result_ttl: Span::from_secs(600),
        result_max_bytes: 4_096,
    };
    TierSettings {
        model: if name == "bronze" { "large" } else { "qwen" }.into(),
        served_model: "served-model".into(),
        engine: EngineKind::Vllm,
        slack: 2,
        backend: BackendSettings::Local(LocalSettings {
            command: vec!["true".into()],
            environment: Vec::new(),
            gpus: Vec::new(),
            ready_path: "/health".into(),
            start_deadline: Span::from_secs(60),
            drain_deadline: Span::from_secs(60),
            grace: Span::from_secs(5),
        }),
        asynchronous: (name == "bronze").then_some(asynchronous),
        players_share: 1.0,
        schedule: Vec::new(),
        profile_is_estimate: true,
    }
}
