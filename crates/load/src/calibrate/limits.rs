//! What an engine takes, and so what a sweep may ask of it.

use super::CalibrationError;

/// Sequences at which decoding is measured, as far as the engine takes so many: close together where batches begin to
/// share their work, then by halves.
const CONCURRENCIES: [u32; 16] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];
/// Prompt lengths from here on double.
const SHORTEST_PROMPT: u32 = 16;
/// A tenth of the model's length is left for what the chat template adds.
const USED_SHARE: f64 = 0.9;
/// Iterations that a sweep's answers are long at most, beside the prompts.
const LONGEST_ANSWER: u32 = 80;

/// An engine's limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tokens in one iteration at most.
    pub max_batched_tokens: u32,
    /// Sequences in the batch at most.
    pub max_sequences: u32,
    /// Tokens that the KV cache holds.
    pub kv_tokens: u32,
    /// Prompt and output together at most.
    pub max_model_tokens: u32,
    /// More sequences than this are not tried, however many the engine takes.
    pub top_concurrency: u32,
    /// Longer prompts than this are not tried.
    pub longest_prompt: u32,
}

impl Limits {
    /// Refuses an engine that is too small to be measured.
    pub(super) fn check(&self) -> Result<(), CalibrationError> {
        let longest = self.prompts().last().copied().unwrap_or(0);
        if self.top() < 2 || longest < 4 * SHORTEST_PROMPT || self.max_batched_tokens < 4 * SHORTEST_PROMPT {
            return Err(CalibrationError::TooSmall(*self));
        }
        Ok(())
    }

    /// The largest number of sequences that is tried.
    pub(super) fn top(&self) -> u32 {
        let by_cache = self.kv_tokens / (SHORTEST_PROMPT + LONGEST_ANSWER);
        self.max_sequences.min(self.top_concurrency).min(self.max_batched_tokens / 2).min(by_cache)
    }

    /// The numbers of sequences that are tried, the top one among them.
    pub(super) fn concurrencies(&self) -> Vec<u32> {
        let below = CONCURRENCIES.into_iter().take_while(|it| *it < self.top());
        below.chain([self.top()]).collect()
    }

    /// The numbers of sequences that prompts join: few, some, and nearly all.
    pub(super) fn joined(&self) -> Vec<u32> {
        let mut joined = vec![1, self.top() / 4, self.top() * 3 / 4];
        joined.retain(|it| (1..self.max_sequences).contains(it));
        joined.dedup();
        joined
    }

    /// The lengths of prompts that come alone: by doubling, and the longest.
    pub(super) fn prompts(&self) -> Vec<u32> {
        let takes = f64::from(self.max_model_tokens.min(self.kv_tokens)) * USED_SHARE;
        let longest = (takes as u32).saturating_sub(LONGEST_ANSWER).min(self.longest_prompt);
        let doubling = std::iter::successors(Some(SHORTEST_PROMPT), |it| it.checked_mul(2));
        let mut prompts: Vec<u32> = doubling.take_while(|it| *it < longest).collect();
        prompts.push(longest);
        prompts
    }

    /// Prompts that join so many sequences: they fit into one iteration beside them.
    pub(super) fn joining_prompts(&self, sequences: u32) -> Vec<u32> {
        let room = f64::from(self.max_batched_tokens.saturating_sub(sequences)) * USED_SHARE;
        let longest = (room as u32).min(self.prompts().last().copied().unwrap_or(0) / 2);
        vec![(longest / 8).max(SHORTEST_PROMPT), (longest / 2).max(SHORTEST_PROMPT)]
    }

    /// A prompt of a long context, of which so many fit the cache.
    pub(super) fn long_prompt(&self, sequences: u32) -> u32 {
        let longest = self.prompts().last().copied().unwrap_or(0);
        (longest / 2).min(self.kv_tokens / sequences.max(1) / 2)
    }
}
