//! A profile's durations as whole femtoseconds, and the length of one iteration by them.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use evenkeel_core::profile::Profile;
use evenkeel_core::units::Span;

/// Above this a constant is surely in the wrong unit, and sums of it could leave the integer range.
const LONGEST_MS: f64 = 1e6;
const FEMTOS_PER_MS: f64 = 1e12;
/// No engine takes more sequences; the table of steps has an entry for each.
const MOST_STEPPED: u32 = 100_000;

/// Why a profile cannot drive an engine.
#[derive(Clone, Debug, PartialEq)]
pub enum InvalidProfile {
    /// A duration is not a number, negative, or above 10^6 ms.
    Duration {
        /// The profile's field.
        field: &'static str,
        /// What it held, in the field's unit.
        value: f64,
    },
    /// `iteration_ms` is zero: an engine whose iterations take no time never moves its clock.
    NoIterationTime,
    /// A limit that must be at least 1 is 0.
    Limit {
        /// The profile's field.
        field: &'static str,
    },
    /// `prefix_hit_share` lies outside 0 to 1.
    PrefixHitShare(f64),
    /// The steps of decoding are not in ascending order of sequences, or one adds less than the one before.
    DecodeSteps {
        /// Sequences of the wrong step.
        sequences: u32,
    },
}

impl fmt::Display for InvalidProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duration { field, value } => write!(f, "{field} is {value}: write milliseconds, 0 to 1000000"),
            Self::NoIterationTime => write!(f, "iteration_ms is 0: write the time of an empty iteration, above 0"),
            Self::Limit { field } => write!(f, "{field} is 0: write at least 1"),
            Self::DecodeSteps { sequences } => {
                write!(f, "decode_steps at {sequences} sequences: write more sequences, and no less time, at each step")
            }
            Self::PrefixHitShare(value) => write!(f, "prefix_hit_share is {value}: write a share from 0 to 1"),
        }
    }
}

impl core::error::Error for InvalidProfile {}

/// A profile's durations in femtoseconds; each is the nearest whole number.
#[derive(Clone, Debug)]
pub(super) struct Cost {
    iteration: u64,
    /// What 0, 1, 2, ... sequences add, as far as the profile's steps go.
    by_sequences: Vec<u64>,
    /// Added by each sequence beyond them.
    per_sequence: u64,
    per_cached_token: u64,
    per_prefill_chunk: u64,
    per_prefill_token: u64,
    /// Half of the quadratic constant, so that `chunk * (done + chunk/2)` needs no fraction.
    half_per_prefill_token_squared: u64,
    prefix_hit_share: f64,
    /// Time outside the batch, spent before a request may join it.
    pub(super) overhead: Span,
}

impl Cost {
    pub(super) fn of(profile: &Profile) -> Result<Self, InvalidProfile> {
        let share = profile.prefix_hit_share;
        if !(0.0..=1.0).contains(&share) {
            return Err(InvalidProfile::PrefixHitShare(share));
        }
        let iteration = femtos("iteration_ms", profile.iteration_ms)?;
        if iteration == 0 {
            return Err(InvalidProfile::NoIterationTime);
        }
        // Checked like the others, though it is kept in microseconds.
        femtos("overhead_ms", profile.overhead_ms)?;
        let squared = profile.per_prefill_token_squared_ms;
        femtos("per_prefill_token_squared_ms", squared)?;
        Ok(Self {
            iteration,
            by_sequences: by_sequences(profile)?,
            per_sequence: femtos("per_sequence_ms", profile.per_sequence_ms)?,
            per_cached_token: femtos("per_cached_token_ms", profile.per_cached_token_ms)?,
            per_prefill_chunk: femtos("per_prefill_chunk_ms", profile.per_prefill_chunk_ms)?,
            per_prefill_token: femtos("per_prefill_token_ms", profile.per_prefill_token_ms)?,
            half_per_prefill_token_squared: femtos("per_prefill_token_squared_ms", squared / 2.0)?,
            prefix_hit_share: share,
            overhead: Span::from_secs_f64(profile.overhead_ms / 1e3),
        })
    }

    /// Length of an iteration in which `sequences` decode over `context` cached tokens, without prefill.
    pub(super) fn decode(&self, sequences: u64, context: u64) -> u128 {
        u128::from(self.iteration) + self.sequences(sequences) + u128::from(self.per_cached_token) * u128::from(context)
    }

    fn sequences(&self, sequences: u64) -> u128 {
        let last = self.by_sequences.len() - 1;
        let within = usize::try_from(sequences).unwrap_or(usize::MAX).min(last);
        let beyond = u128::from(sequences) - within as u128;
        u128::from(self.by_sequences[within]) + u128::from(self.per_sequence) * beyond
    }

    /// What each iteration adds to the next one's length: every sequence has cached one token more.
    pub(super) fn growth(&self, sequences: u64) -> u128 {
        u128::from(self.per_cached_token) * u128::from(sequences)
    }

    /// What computing `chunk` prompt tokens adds, `done` of them being there already.
    pub(super) fn prefill(&self, done: u32, chunk: u32) -> u128 {
        let (done, chunk) = (u128::from(done), u128::from(chunk));
        u128::from(self.per_prefill_chunk)
            + u128::from(self.per_prefill_token) * chunk
            + u128::from(self.half_per_prefill_token_squared) * chunk * (2 * done + chunk)
    }

    /// How many of a prompt's tokens the prefix cache holds; the last token is always computed, since its
    /// computation yields the first output token.
    pub(super) fn cached_prefix(&self, prompt: u32) -> u32 {
        let hit = libm::floor(f64::from(prompt) * self.prefix_hit_share) as u32;
        hit.min(prompt.saturating_sub(1))
    }
}

/// The steps with what lies between them, from 0 sequences on.
fn by_sequences(profile: &Profile) -> Result<Vec<u64>, InvalidProfile> {
    let mut table = vec![0];
    for step in &profile.decode_steps {
        let (below, before) = (table.len() as u64 - 1, table[table.len() - 1]);
        let (at, added) = (u64::from(step.sequences), femtos("decode_steps", step.added_ms)?);
        if at <= below || added < before || step.sequences > MOST_STEPPED {
            return Err(InvalidProfile::DecodeSteps { sequences: step.sequences });
        }
        let between =
            |it: u64| before + ((u128::from(added - before) * u128::from(it)) / u128::from(at - below)) as u64;
        table.extend((1..=at - below).map(between));
    }
    Ok(table)
}

fn femtos(field: &'static str, ms: f64) -> Result<u64, InvalidProfile> {
    if (0.0..=LONGEST_MS).contains(&ms) {
        Ok(libm::round(ms * FEMTOS_PER_MS) as u64)
    } else {
        Err(InvalidProfile::Duration { field, value: ms })
    }
}

/// The limits of a batch.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) batched_tokens: u64,
    pub(super) sequences: usize,
    pub(super) kv_tokens: u64,
    pub(super) model_tokens: u64,
}

impl Limits {
    pub(super) fn of(profile: &Profile) -> Result<Self, InvalidProfile> {
        let fields = [
            ("max_batched_tokens", profile.max_batched_tokens),
            ("max_sequences", profile.max_sequences),
            ("kv_tokens", profile.kv_tokens),
            ("max_model_tokens", profile.max_model_tokens),
        ];
        if let Some((field, _)) = fields.into_iter().find(|(_, value)| *value == 0) {
            return Err(InvalidProfile::Limit { field });
        }
        // Each running sequence takes at least a token of every iteration, so more than B could never run.
        let sequences = profile.max_sequences.min(profile.max_batched_tokens);
        Ok(Self {
            batched_tokens: u64::from(profile.max_batched_tokens),
            sequences: sequences as usize,
            kv_tokens: u64::from(profile.kv_tokens),
            model_tokens: u64::from(profile.max_model_tokens),
        })
    }
}
