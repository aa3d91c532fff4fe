//! Mooncake's traces: one JSON object a line, with the blocks that a prompt is made of.
//!
//! `hash_ids` name the prompt's blocks of 512 tokens, the last one perhaps shorter, each by everything up to its end:
//! where two prompts have an id in common they begin alike up to there (kvcache-ai/Mooncake, FAST25-release). So the
//! blocks at a prompt's beginning that came before in the trace are what a prefix cache could have kept. How much a
//! real one finds depends on its size: this is what one that forgets nothing would find.

use super::TraceRequest;
use evenkeel_core::units::Span;
use serde::Deserialize;
use std::collections::BTreeSet;

/// Tokens of a block.
const BLOCK_TOKENS: u32 = 512;

/// Times beyond this many milliseconds (the year 5138) would overflow.
const LATEST_MS: f64 = 1e14;

pub(super) const EXPECTED: &str =
    "an object such as `{\"timestamp\": 27482, \"input_length\": 6955, \"output_length\": 52, \"hash_ids\": [46, 47]}`";

/// A line, as far as it is read. Other keys are later additions, and no concern of ours.
#[derive(Deserialize)]
struct Line {
    /// Milliseconds.
    timestamp: f64,
    input_length: u32,
    output_length: u32,
    #[serde(default)]
    hash_ids: Vec<u64>,
}

/// The blocks seen so far.
#[derive(Debug, Default)]
pub(super) struct Mooncake {
    seen: BTreeSet<u64>,
}

impl Mooncake {
    /// `None` for a line that makes no sense.
    pub(super) fn request(&mut self, text: &str) -> Option<TraceRequest> {
        let line: Line = serde_json::from_str(text).ok().filter(|it: &Line| it.timestamp.abs() <= LATEST_MS)?;
        let prompt_tokens = line.input_length.max(1);
        Some(TraceRequest {
            at: Span::from_secs_f64(line.timestamp / 1e3),
            prompt_tokens,
            output_tokens: line.output_length.max(1),
            cached_tokens: self.cached_tokens(&line.hash_ids).min(prompt_tokens),
        })
    }

    /// Whether any prompt's blocks were named.
    pub(super) fn names_blocks(&self) -> bool {
        !self.seen.is_empty()
    }

    fn cached_tokens(&mut self, blocks: &[u64]) -> u32 {
        let cached = blocks.iter().take_while(|block| self.seen.contains(block)).count();
        self.seen.extend(&blocks[cached..]);
        u32::try_from(cached).unwrap_or(u32::MAX).saturating_mul(BLOCK_TOKENS)
    }
}
