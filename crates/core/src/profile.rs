//! What one replica can do: the constants of a continuous-batching engine, measured or estimated.

use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One replica's speed and limits. An iteration with `n` decoding sequences that hold `kv` cached tokens together, and
/// with prefill chunks in it, lasts
///
/// ```text
/// iteration_ms + per_sequence_ms * n + per_cached_token_ms * kv
///     + sum over chunks of (per_prefill_chunk_ms + per_prefill_token_ms * chunk
///                           + per_prefill_token_squared_ms * chunk * (done + chunk / 2))
/// ```
///
/// milliseconds, where `done` counts the prompt tokens computed before the chunk. Fitted by least squares over batch
/// size, context length and prefill; a line in `n` alone misses real engines by 24 % on average. Where even with the
/// others no line in `n` fits, `decode_steps` take the place of `per_sequence_ms * n`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Fixed time of an iteration, ms (`a`).
    pub iteration_ms: f64,
    /// Added by each decoding sequence, ms (`b`); where there are steps, by each beyond the last.
    pub per_sequence_ms: f64,
    /// What so many decoding sequences add together, in ascending order; straight from 0 to the first and between two.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decode_steps: Vec<DecodeStep>,
    /// Added by each cached token of the decoding sequences, ms (`g`).
    pub per_cached_token_ms: f64,
    /// Added by each chunk of a prompt, however short, ms.
    #[serde(default)]
    pub per_prefill_chunk_ms: f64,
    /// Added by each prompt token computed, ms (`c`).
    pub per_prefill_token_ms: f64,
    /// Attention's quadratic share of prefill, ms per token squared (`q`).
    pub per_prefill_token_squared_ms: f64,
    /// Tokens that one iteration takes at most, decoding and prefill together (`max_num_batched_tokens`, `B`).
    pub max_batched_tokens: u32,
    /// Sequences in the running batch at most (`max_num_seqs`).
    pub max_sequences: u32,
    /// Tokens that the KV cache holds.
    pub kv_tokens: u32,
    /// Longest prompt and output together that the engine accepts (`max_model_len`).
    pub max_model_tokens: u32,
    /// Share of prompt tokens found in the prefix cache, 0 to 1: they cost neither time nor batch room.
    pub prefix_hit_share: f64,
    /// Fixed time per request outside the batch (tokenizer, HTTP), ms.
    pub overhead_ms: f64,
}

/// What a number of decoding sequences adds to an iteration.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecodeStep {
    /// So many sequences.
    pub sequences: u32,
    /// Add so much together, ms.
    pub added_ms: f64,
}

impl Profile {
    /// What `sequences` that decode add to an iteration, ms, their cached tokens apart.
    pub fn sequences_ms(&self, sequences: f64) -> f64 {
        let (mut below, mut added) = (0.0, 0.0);
        for step in &self.decode_steps {
            let at = f64::from(step.sequences);
            if sequences <= at {
                return added + (step.added_ms - added) * (sequences - below) / (at - below);
            }
            (below, added) = (at, step.added_ms);
        }
        added + self.per_sequence_ms * (sequences - below)
    }

    /// Length in ms of an iteration in which `sequences` decode over `cached_tokens` and nothing is prefilled.
    pub fn decode_iteration_ms(&self, sequences: f64, cached_tokens: f64) -> f64 {
        self.iteration_ms + self.sequences_ms(sequences) + self.per_cached_token_ms * cached_tokens
    }

    /// Time in ms that computing a prompt of `tokens` in so many `chunks` adds to their iterations together.
    pub fn prefill_ms(&self, tokens: f64, chunks: f64) -> f64 {
        self.per_prefill_chunk_ms * chunks
            + self.per_prefill_token_ms * tokens
            + self.per_prefill_token_squared_ms * tokens * tokens / 2.0
    }

    /// The same engine, every duration multiplied by `factor`: how a slower machine, or a slower day, looks.
    pub fn slowed(&self, factor: f64) -> Self {
        Self {
            iteration_ms: self.iteration_ms * factor,
            per_sequence_ms: self.per_sequence_ms * factor,
            decode_steps: self
                .decode_steps
                .iter()
                .map(|step| DecodeStep { added_ms: step.added_ms * factor, ..*step })
                .collect(),
            per_cached_token_ms: self.per_cached_token_ms * factor,
            per_prefill_chunk_ms: self.per_prefill_chunk_ms * factor,
            per_prefill_token_ms: self.per_prefill_token_ms * factor,
            per_prefill_token_squared_ms: self.per_prefill_token_squared_ms * factor,
            overhead_ms: self.overhead_ms * factor,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn on_a_slower_machine_every_duration_is_longer_and_nothing_else_is_different() {
        let steps = |added_ms| vec![DecodeStep { sequences: 2, added_ms }];
        let profile = |factor: f64| Profile {
            iteration_ms: factor,
            per_sequence_ms: 2.0 * factor,
            decode_steps: steps(3.0 * factor),
            per_cached_token_ms: 4.0 * factor,
            per_prefill_chunk_ms: 5.0 * factor,
            per_prefill_token_ms: 6.0 * factor,
            per_prefill_token_squared_ms: 7.0 * factor,
            max_batched_tokens: 512,
            max_sequences: 16,
            kv_tokens: 10_000,
            max_model_tokens: 1_000,
            prefix_hit_share: 0.25,
            overhead_ms: 8.0 * factor,
        };
        assert_eq!(profile(1.0).slowed(4.0), profile(4.0));
    }

    #[test]
    fn steps_are_joined_by_straight_lines_and_go_on_with_the_time_of_a_sequence() {
        let step = |sequences, added_ms| DecodeStep { sequences, added_ms };
        let profile = Profile {
            iteration_ms: 4.0,
            per_sequence_ms: 2.5,
            decode_steps: vec![step(1, 7.0), step(2, 14.0), step(8, 32.0)],
            per_cached_token_ms: 0.001,
            per_prefill_token_ms: 0.0,
            per_prefill_chunk_ms: 0.0,
            per_prefill_token_squared_ms: 0.0,
            max_batched_tokens: 512,
            max_sequences: 16,
            kv_tokens: 10_000,
            max_model_tokens: 1_000,
            prefix_hit_share: 0.0,
            overhead_ms: 0.0,
        };
        let added = [0.0, 0.5, 1.0, 2.0, 5.0, 8.0, 10.0].map(|sequences| profile.sequences_ms(sequences));
        assert_eq!(added, [0.0, 3.5, 7.0, 14.0, 23.0, 32.0, 37.0]);
        assert!((profile.decode_iteration_ms(8.0, 1_000.0) - 37.0).abs() < 1e-12);
        assert!((profile.slowed(2.0).decode_iteration_ms(5.0, 0.0) - 54.0).abs() < 1e-12);
        // Without steps, as in every fleet file that has none.
        assert!((Profile { decode_steps: vec![], ..profile }.sequences_ms(5.0) - 12.5).abs() < 1e-12);
    }
}
