//! Tiers to decide over.

use evenkeel_core::profile::Profile;
use evenkeel_core::spec::{
    Behavior, Blind, FleetSpec, LatencyMetric, Lengths, Objective, Per, PolicySpec, RequestShape, Signal, Slo, TierSpec,
};
use evenkeel_core::units::{MicroUsd, Span};

pub(crate) const fn seconds(seconds: i64) -> Span {
    Span::from_secs(seconds)
}

pub(crate) const fn minutes(minutes: i64) -> Span {
    Span::from_secs(minutes * 60)
}

/// A small model behind a time-per-token objective: gold of theory.md, with the capacity policy at 95 %.
pub(crate) fn gold() -> TierSpec {
    TierSpec {
        name: "gold".into(),
        minimum: 1,
        maximum: 20,
        priority: 10,
        price_per_hour: MicroUsd::from_micros(1_006_000),
        slo: Slo {
            objectives: vec![Objective { metric: LatencyMetric::Tpot, quantile: 0.95, bound: Span::from_millis(16) }],
        },
        attainment: 0.95,
        requests: RequestShape {
            prompt_tokens: Lengths { mean: 300.0, sigma: 0.8 },
            output_tokens: Lengths { mean: 40.0, sigma: 0.8 },
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
            kv_tokens: 200_000,
            max_model_tokens: 4_096,
            prefix_hit_share: 0.0,
            overhead_ms: 0.0,
        },
        start_up: seconds(20),
        policies: vec![capacity()],
        behavior: Behavior::default(),
        blind: Blind::Hold,
    }
}

/// The same under another name, less important.
pub(crate) fn silver() -> TierSpec {
    TierSpec { name: "silver".into(), priority: 5, ..gold() }
}

/// The capacity policy as the fleet file's defaults give it.
pub(crate) const fn capacity() -> PolicySpec {
    PolicySpec::Capacity { window: seconds(60), hold: seconds(300) }
}

/// Target tracking that looks at the newest reading alone.
pub(crate) const fn tracking(signal: Signal, target: f64, per: Per) -> PolicySpec {
    PolicySpec::TargetTracking { signal, target, per, window: seconds(1) }
}

/// As many replicas as `players` need at 100 for each: the plainest policy, for tests of everything after it.
pub(crate) fn by_players() -> TierSpec {
    TierSpec { policies: vec![PolicySpec::PlayersPerReplica { players: 100.0 }], ..gold() }
}

pub(crate) fn fleet(tiers: Vec<TierSpec>, shared_maximum: Option<u32>) -> FleetSpec {
    FleetSpec { name: "game".into(), tick: seconds(1), shared_maximum, tiers }
}

/// The last tick before `moment`.
pub(crate) const fn before(moment: Span) -> Span {
    Span::from_micros(moment.as_micros() - 1_000_000)
}
