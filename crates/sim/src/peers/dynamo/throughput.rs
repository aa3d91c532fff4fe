//! Throughput scaling: requests a second over what one engine carries inside the objectives.
//!
//! Source: `core/throughput_scaling.py`, `_throughput_agg`, `_cap_throughput_replicas`; `perf_model/agg.py`,
//! `find_best_engine_agg_rps`; `max_throughput_scaling_replicas` 8.

use super::Sla;
use super::regression::Model;
use evenkeel_core::spec::TierSpec;

/// Replicas that one interval adds or removes at most.
const MOST: u32 = 8;

/// An engine's limits and its requests' lengths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limits {
    pub(super) prompt_tokens: f64,
    pub(super) output_tokens: f64,
    /// `max_num_seqs`.
    pub(super) sequences: f64,
}

impl Limits {
    pub(super) fn of(tier: &TierSpec) -> Self {
        Self {
            prompt_tokens: tier.requests.prompt_tokens.mean,
            output_tokens: tier.requests.output_tokens.mean.max(1.0),
            sequences: f64::from(tier.profile.max_sequences),
        }
    }

    /// The largest batch that the cache, `max_num_seqs` and a balance of prompts and outputs in each pass allow.
    fn most(&self, model: &Model) -> u32 {
        let context = (self.prompt_tokens + self.output_tokens / 2.0).max(1.0);
        let by_cache = model.kv_tokens.map_or(1_024.0, |tokens| libm::floor(tokens / context).max(1.0));
        let balanced = model.batched_tokens - self.prompt_tokens / self.output_tokens;
        by_cache.min(self.sequences).min(model.batched_tokens - 1.0).min(libm::floor(balanced)).max(1.0) as u32
    }
}

/// Requests a second that one engine carries: the largest batch at which a pass and a first token keep the objectives,
/// or a single request where none does.
pub(super) fn engine_rate(limits: &Limits, model: &Model, sla: Sla) -> f64 {
    let mut best = None;
    for batch in (1..=limits.most(model)).map(f64::from) {
        let prefill = (batch * limits.prompt_tokens / limits.output_tokens).min(model.batched_tokens);
        let decoding = batch * (limits.prompt_tokens + limits.output_tokens / 2.0);
        let pass_ms = model.regression.pass_ms(prefill, decoding);
        let ttft_ms = model.next_ttft_ms(libm::floor(prefill), libm::floor(decoding));
        let keeps = pass_ms <= sla.itl_ms && ttft_ms <= sla.ttft_ms;
        if !keeps && best.is_some() {
            break;
        }
        best = Some(1e3 * batch / (limits.output_tokens * pass_ms));
        if !keeps {
            break;
        }
    }
    best.unwrap_or(0.0)
}

/// Replicas for so many requests a second.
pub(super) fn by_rate(requests_per_second: f64, engine_rate: f64) -> u32 {
    (libm::ceil(requests_per_second / engine_rate) as u32).max(1)
}

/// What one interval may make of it.
pub(super) fn capped(wanted: u32, current: u32) -> u32 {
    wanted.clamp(current.saturating_sub(MOST), current + MOST)
}

#[cfg(test)]
mod tests {
    use super::super::super::engine_load::tests::tier;
    use super::*;

    /// Cases of `tests/unit/test_throughput_scaling.py`, by their names there.
    #[test]
    fn the_published_rates_give_the_published_counts() {
        for (name, requests_per_second, engine_rate, expected) in [
            ("test_engine_rps_recommendation_is_independent_of_sidecar_cost", 2.1, 1.0, 3),
            ("test_unreachable_prefill_ttft_does_not_create_replica_floor", 0.01, 1.0, 1),
        ] {
            assert_eq!(by_rate(requests_per_second, engine_rate), expected, "{name}");
        }
    }

    /// Cases of the same file in which neither the GPUs nor the other role bind.
    #[test]
    fn the_published_changes_are_capped_to_the_published_counts() {
        for (name, current, wanted, expected) in [
            ("test_disagg_throughput_caps_persisted_lower_bounds_once_per_observation: prefill", 24, 8, 16),
            ("test_disagg_throughput_caps_persisted_lower_bounds_once_per_observation: decode", 40, 180, 48),
            ("test_single_throughput_floor_is_not_inflated_by_minimum_gpu_budget", 64, 1, 56),
            ("test_disagg_throughput_caps_scale_down_when_minimum_is_disabled: prefill", 20, 1, 12),
            ("test_disagg_throughput_caps_scale_down_when_minimum_is_disabled: decode", 20, 20, 20),
            ("test_agg_throughput_uses_replica_cap", 10, by_rate(100.0, 1.0), 18),
            ("test_capped_throughput_floor_preserves_floor_guard_without_oscillation: prefill", 27, 8, 19),
            ("test_capped_throughput_floor_preserves_floor_guard_without_oscillation: decode", 36, 8, 28),
        ] {
            assert_eq!(capped(wanted, current), expected, "{name}");
        }
    }

    #[test]
    fn an_engine_carries_its_largest_batch_inside_the_objectives() {
        let (limits, model) = (Limits::of(&tier()), Model::unloaded(&tier()));
        // A batch of k takes 10 + k + 0.2 k ms a pass and 50 passes: 12 are the most in 25 ms.
        let within = |itl_ms| engine_rate(&limits, &model, Sla { ttft_ms: 1_000.0, itl_ms });
        assert!((within(25.0) - 12.0 / (50.0 * 0.0244)).abs() < 1e-9, "{}", within(25.0));
        assert!((within(1_000.0) - 20.0 / (50.0 * 0.034)).abs() < 1e-9, "no more than max_num_seqs");
        assert!((within(1.0) - 1.0 / (50.0 * 0.0112)).abs() < 1e-9, "none keeps it: a single request");
        let first = engine_rate(&limits, &model, Sla { ttft_ms: 32.0, itl_ms: 1_000.0 });
        assert!(first < within(1_000.0), "the first token binds too: {first}");
    }
}
