//! `profile:`

use crate::form::List;
use crate::scalar::{Choice, Whole};
use crate::section::{Object, Section};
use crate::unit::{Milliseconds, Share};
use evenkeel_core::profile::{DecodeStep, Profile};

/// One replica's speed and limits as far as they could be read. Times are in ms.
#[derive(Clone, Default)]
pub(crate) struct ProfileDraft {
    pub(crate) is_estimate: Option<bool>,
    pub(crate) iteration_ms: Option<f64>,
    pub(crate) per_sequence_ms: Option<f64>,
    /// Each with its place in the file; empty where it has none.
    pub(crate) decode_steps: Vec<(String, DecodeStep)>,
    pub(crate) per_cached_token_ms: Option<f64>,
    pub(crate) per_prefill_chunk_ms: Option<f64>,
    pub(crate) per_prefill_token_ms: Option<f64>,
    pub(crate) per_prefill_token_squared_ms: Option<f64>,
    pub(crate) max_batched_tokens: Option<u32>,
    pub(crate) max_sequences: Option<u32>,
    pub(crate) kv_tokens: Option<u32>,
    pub(crate) max_model_tokens: Option<u32>,
    pub(crate) prefix_hit_share: Option<f64>,
    pub(crate) overhead_ms: Option<f64>,
}

impl ProfileDraft {
    /// The profile, if nothing is missing.
    pub(crate) fn build(&self) -> Option<Profile> {
        Some(Profile {
            decode_steps: self.steps(),
            iteration_ms: self.iteration_ms?,
            per_sequence_ms: self.per_sequence_ms?,
            per_cached_token_ms: self.per_cached_token_ms?,
            per_prefill_chunk_ms: self.per_prefill_chunk_ms?,
            per_prefill_token_ms: self.per_prefill_token_ms?,
            per_prefill_token_squared_ms: self.per_prefill_token_squared_ms?,
            max_batched_tokens: self.max_batched_tokens?,
            max_sequences: self.max_sequences?,
            kv_tokens: self.kv_tokens?,
            max_model_tokens: self.max_model_tokens?,
            prefix_hit_share: self.prefix_hit_share?,
            overhead_ms: self.overhead_ms?,
        })
    }

    fn steps(&self) -> Vec<DecodeStep> {
        self.decode_steps.iter().map(|(_, step)| *step).collect()
    }

    /// The fastest engine that agrees with what could be read: what it cannot do, the real one cannot do either.
    pub(crate) fn fastest(&self) -> Profile {
        Profile {
            decode_steps: self.steps(),
            iteration_ms: self.iteration_ms.unwrap_or(0.0),
            per_sequence_ms: self.per_sequence_ms.unwrap_or(0.0),
            per_cached_token_ms: self.per_cached_token_ms.unwrap_or(0.0),
            per_prefill_chunk_ms: self.per_prefill_chunk_ms.unwrap_or(0.0),
            per_prefill_token_ms: self.per_prefill_token_ms.unwrap_or(0.0),
            per_prefill_token_squared_ms: self.per_prefill_token_squared_ms.unwrap_or(0.0),
            max_batched_tokens: self.max_batched_tokens.unwrap_or(TOKENS.most),
            max_sequences: self.max_sequences.unwrap_or(1),
            kv_tokens: self.kv_tokens.unwrap_or(TOKENS.most),
            max_model_tokens: self.max_model_tokens.unwrap_or(TOKENS.most),
            prefix_hit_share: self.prefix_hit_share.unwrap_or(1.0),
            overhead_ms: self.overhead_ms.unwrap_or(0.0),
        }
    }
}

pub(crate) fn read(profile: &mut Section<'_>) -> Option<ProfileDraft> {
    let source = profile.required(
        "source",
        "Whether these figures are an `estimate` or `measured`; reports say which.",
        Choice { what: "a source of figures", words: vec![("estimate", true), ("measured", false)] },
    );
    let iteration = profile.required("iteration", "Fixed time of an iteration; above zero.", Milliseconds);
    let per_sequence = profile.required(
        "per_sequence",
        "Added by each decoding sequence; with `decode_steps`, by each beyond the last of them.",
        Milliseconds,
    );
    let steps = profile.optional(
        "decode_steps",
        "Where no line fits: what so many decoding sequences add together, straight between.",
        List { form: Object(read_step), least: 1 },
    );
    let per_cached =
        profile.or("per_cached_token", "Added by each cached token of the decoding sequences.", Milliseconds, "0ms");
    let per_chunk =
        profile.or("per_prefill_chunk", "Added by each chunk of a prompt, however short.", Milliseconds, "0ms");
    let per_prefill = profile.required("per_prefill_token", "Added by each prompt token computed.", Milliseconds);
    let squared = profile.or(
        "per_prefill_token_squared",
        "Attention's quadratic share of prefill: this times chunk * (done + chunk / 2).",
        Milliseconds,
        "0ms",
    );
    let batched = profile.required(
        "max_batched_tokens",
        "Tokens that one iteration takes at most, decoding and prefill together.",
        TOKENS,
    );
    let sequences = profile.required("max_sequences", "Sequences in the running batch at most.", SEQUENCES);
    let kv = profile.required("kv_tokens", "Tokens that the KV cache holds.", TOKENS);
    let longest = profile.required("max_model_tokens", "Longest prompt and output together.", TOKENS);
    let hits = profile.or(
        "prefix_hits",
        "Share of prompt tokens found in the prefix cache: they cost no time.",
        Share::ANY,
        "0%",
    );
    let overhead = profile.or("overhead", "Fixed time per request outside the batch.", Milliseconds, "0ms");
    Some(ProfileDraft {
        is_estimate: source,
        iteration_ms: iteration,
        per_sequence_ms: per_sequence,
        decode_steps: steps.unwrap_or_default(),
        per_cached_token_ms: per_cached,
        per_prefill_chunk_ms: per_chunk,
        per_prefill_token_ms: per_prefill,
        per_prefill_token_squared_ms: squared,
        max_batched_tokens: batched,
        max_sequences: sequences,
        kv_tokens: kv,
        max_model_tokens: longest,
        prefix_hit_share: hits,
        overhead_ms: overhead,
    })
}

fn read_step(step: &mut Section<'_>) -> Option<DecodeStep> {
    let sequences = step.required("sequences", "So many decoding sequences.", SEQUENCES);
    let added = step.required("added", "What they add together to an iteration.", Milliseconds);
    Some(DecodeStep { sequences: sequences?, added_ms: added? })
}

const TOKENS: Whole = Whole { what: "tokens", least: 1, most: 100_000_000 };
const SEQUENCES: Whole = Whole { what: "sequences", least: 1, most: 100_000 };
