//! What one replica can do: the constants of a continuous-batching engine, measured or estimated.

use serde::{Deserialize, Serialize};

/// One replica's speed and limits. An iteration with `n` decoding sequences that hold `kv` cached tokens together, and
/// with prefill chunks in it, lasts
///
/// ```text
/// iteration_ms + per_sequence_ms * n + per_cached_token_ms * kv
///     + sum over chunks of (per_prefill_token_ms * chunk + per_prefill_token_squared_ms * chunk * (done + chunk / 2))
/// ```
///
/// milliseconds, where `done` counts the prompt tokens computed before the chunk. Fitted by least squares over batch
/// size, context length and prefill; a line in `n` alone misses real engines by 24 % on average.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Fixed time of an iteration, ms (`a`).
    pub iteration_ms: f64,
    /// Added by each decoding sequence, ms (`b`).
    pub per_sequence_ms: f64,
    /// Added by each cached token of the decoding sequences, ms (`g`).
    pub per_cached_token_ms: f64,
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

impl Profile {
    /// Length in ms of an iteration in which `sequences` decode over `cached_tokens` and nothing is prefilled.
    pub fn decode_iteration_ms(&self, sequences: f64, cached_tokens: f64) -> f64 {
        self.iteration_ms + self.per_sequence_ms * sequences + self.per_cached_token_ms * cached_tokens
    }

    /// Time in ms that computing `tokens` prompt tokens adds, `done` of the prompt being computed already.
    pub fn prefill_ms(&self, done: f64, tokens: f64) -> f64 {
        self.per_prefill_token_ms * tokens + self.per_prefill_token_squared_ms * tokens * (done + tokens / 2.0)
    }

    /// The same engine, every duration multiplied by `factor`: how a slower machine, or a slower day, looks.
    pub fn slowed(&self, factor: f64) -> Self {
        Self {
            iteration_ms: self.iteration_ms * factor,
            per_sequence_ms: self.per_sequence_ms * factor,
            per_cached_token_ms: self.per_cached_token_ms * factor,
            per_prefill_token_ms: self.per_prefill_token_ms * factor,
            per_prefill_token_squared_ms: self.per_prefill_token_squared_ms * factor,
            overhead_ms: self.overhead_ms * factor,
            ..self.clone()
        }
    }
}
