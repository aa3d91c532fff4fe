//! What one measurement was of.

use serde::Serialize;

/// A time that was measured, and what the engine did in it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Observation {
    /// Which part of the sweep it comes from.
    pub kind: Kind,
    /// The time, ms.
    pub measured_ms: f64,
    /// How far it may be off for reasons that lie in the way of measuring, ms; 0 where only the machine's noise does.
    pub uncertainty_ms: f64,
    /// How many requests' fixed overhead is in it.
    pub overheads: f64,
    /// Iterations in it.
    pub iterations: f64,
    /// Sequences that decoded in each of them.
    pub sequences: u32,
    /// Their cached tokens together, the mean over the iterations.
    pub cached_tokens: f64,
    /// Chunks of prompts computed in all of them.
    pub prefill_chunks: f64,
    /// Prompt tokens computed in all of them.
    pub prefill_tokens: f64,
    /// The sum of `chunk * (done + chunk / 2)` over all chunks of prompts.
    pub prefill_squares: f64,
}

/// The parts of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Iterations in which sequences decode and no prompt is computed.
    Decode,
    /// A prompt's first token on an engine that was idle.
    Prefill,
    /// An iteration in which sequences decode and a prompt is computed.
    Mixed,
    /// From a prompt's sending to the iteration that it joined.
    Joining,
}

impl Kind {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 4] = [Self::Decode, Self::Prefill, Self::Mixed, Self::Joining];

    /// For tables.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Decode => "decoding alone",
            Self::Prefill => "a first token on an idle engine",
            Self::Mixed => "decoding and a prompt",
            Self::Joining => "from sending to joining a batch",
        }
    }
}
