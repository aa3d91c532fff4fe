//! The planner's model of an engine's pass: a line in the prompt tokens and in the tokens of the decoding sequences.
//!
//! Source: `perf_model/agg.py`, `AggRegressionModel`, with its moving averages. `throughput_metrics_source: frontend`,
//! the default, has no hit rate of the prefix cache, so nothing is taken off for it.

use evenkeel_core::spec::TierSpec;

/// A pass in ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Regression {
    pub(super) constant_ms: f64,
    pub(super) per_prefill_token_ms: f64,
    pub(super) per_kv_token_ms: f64,
}

impl Regression {
    /// The profile as a line: through one request and the largest batch, prompts at the cost of a mean one's chunk.
    fn of(tier: &TierSpec) -> Self {
        let (profile, context) = (&tier.profile, context_tokens(tier));
        let most = f64::from(profile.max_sequences).max(2.0);
        let pass = |sequences: f64| profile.decode_iteration_ms(sequences, sequences * context);
        let per_kv_token_ms = (pass(most) - pass(1.0)) / ((most - 1.0) * context);
        let chunk = chunk_tokens(tier);
        Self {
            constant_ms: pass(1.0) - per_kv_token_ms * context,
            per_prefill_token_ms: profile.prefill_ms(chunk, 1.0) / chunk,
            per_kv_token_ms,
        }
    }

    pub(super) fn pass_ms(&self, prefill_tokens: f64, kv_tokens: f64) -> f64 {
        let pass = self.constant_ms + self.per_prefill_token_ms * prefill_tokens + self.per_kv_token_ms * kv_tokens;
        pass.max(1e-3)
    }
}

/// Mean tokens of a sequence that decodes.
fn context_tokens(tier: &TierSpec) -> f64 {
    (tier.requests.prompt_tokens.mean + tier.requests.output_tokens.mean / 2.0).max(1.0)
}

/// Tokens of a prompt that one pass computes, at most a whole one.
fn chunk_tokens(tier: &TierSpec) -> f64 {
    let computed = tier.requests.prompt_tokens.mean * (1.0 - tier.profile.prefix_hit_share);
    computed.clamp(1.0, f64::from(tier.profile.max_batched_tokens).max(1.0))
}

/// The regression, what it knows of the engine, and its averages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Model {
    pub(super) regression: Regression,
    /// `max_num_batched_tokens`.
    pub(super) batched_tokens: f64,
    /// Tokens of the KV cache, where known.
    pub(super) kv_tokens: Option<f64>,
    /// Mean prompt tokens a request in a pass.
    pub(super) prompt_tokens: f64,
    /// Mean prompt tokens in a pass.
    pub(super) prefill_tokens: f64,
    /// Mean tokens of a decoding sequence.
    pub(super) context_tokens: f64,
}

impl Model {
    /// Of the tier's engine with nothing averaged but the lengths.
    pub(super) fn unloaded(tier: &TierSpec) -> Self {
        Self {
            regression: Regression::of(tier),
            batched_tokens: f64::from(tier.profile.max_batched_tokens),
            kv_tokens: Some(f64::from(tier.profile.kv_tokens)),
            prompt_tokens: chunk_tokens(tier),
            prefill_tokens: 0.0,
            context_tokens: context_tokens(tier),
        }
    }

    /// First token of a request that comes now, behind so many queued prompt tokens: as many passes as they fill.
    pub(super) fn next_ttft_ms(&self, queued_tokens: f64, decode_kv_tokens: f64) -> f64 {
        let tokens = queued_tokens + self.prompt_tokens;
        let full = libm::ceil(tokens / self.batched_tokens) - 1.0;
        full * self.regression.pass_ms(self.batched_tokens, decode_kv_tokens)
            + self.regression.pass_ms(tokens - full * self.batched_tokens, decode_kv_tokens)
    }

    /// The next pass with one more sequence in it.
    pub(super) fn next_itl_ms(&self, decode_kv_tokens: f64) -> f64 {
        self.regression.pass_ms(self.prefill_tokens, decode_kv_tokens + self.context_tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::engine_load::tests::tier;
    use super::*;

    #[test]
    fn the_line_is_the_profile_at_one_request_and_at_the_largest_batch() {
        let line = Regression::of(&tier());
        assert!((line.pass_ms(0.0, 125.0) - 11.0).abs() < 1e-9, "{line:?}");
        assert!((line.pass_ms(0.0, 20.0 * 125.0) - 30.0).abs() < 1e-9, "{line:?}");
        assert!((line.pass_ms(100.0, 125.0) - 21.0).abs() < 1e-9, "{line:?}");
    }

    #[test]
    fn a_first_token_waits_for_the_passes_that_the_queue_fills() {
        let model = Model::unloaded(&tier());
        // 100 of its own and 924 queued are two whole passes of 512.
        let two = 2.0 * model.regression.pass_ms(512.0, 250.0);
        assert!((model.next_ttft_ms(924.0, 250.0) - two).abs() < 1e-9);
        let third = model.regression.pass_ms(1.0, 250.0);
        assert!((model.next_ttft_ms(925.0, 250.0) - two - third).abs() < 1e-9);
    }
}
