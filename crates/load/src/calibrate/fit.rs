//! From observations to the constants of a profile. Pure: no clock, no network.

use super::limits::Limits;
use super::observation::{Kind, Observation};
use super::solve::{Dependent, non_negative};
use evenkeel_core::profile::{DecodeStep, Profile};
use serde::Serialize;
use std::collections::BTreeMap;

/// Observations of one kind below this tell nothing about their noise.
const LEAST_OBSERVATIONS: usize = 3;
/// Rounds of re-weighting; the weights settle within five on every recorded sweep.
const ROUNDS: usize = 8;
/// Errors beyond so many typical ones (1.4826 times the median, which is the standard deviation of a normal
/// distribution) pull with constant force: Huber, Robust Estimation of a Location Parameter, 1964. Far more than his 1.345,
/// since a machine's slow moments are part of what a run takes: held down as well, they made the model 4 % too fast.
const TYPICAL_ERRORS: f64 = 3.0;
/// No machine repeats itself better than this: below it there are no outliers.
const LEAST_ERROR: f64 = 1e-3;
/// Less than this share of what was measured is expected of no observation.
const LEAST_EXPECTED: f64 = 1e-3;
/// A line in the number of sequences is kept where its mean error on decoding is below this...
const LINE_SUFFICES: f64 = 0.02;
/// ...or where a table would leave more than this share of the line's error.
const TABLE_IMPROVES: f64 = 0.7;

/// The constants of an iteration's length, ms. See `evenkeel_core::profile::Profile`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Constants {
    /// Fixed time of a request outside the batch.
    pub overhead_ms: f64,
    /// Fixed time of an iteration.
    pub iteration_ms: f64,
    /// What so many decoding sequences add, in steps; empty where `per_sequence_ms` for each says it.
    pub decode_steps: Vec<DecodeStep>,
    /// Added by each sequence, beyond the last step where there are any.
    pub per_sequence_ms: f64,
    /// Added by each cached token.
    pub per_cached_token_ms: f64,
    /// Added by each chunk of a prompt.
    pub per_prefill_chunk_ms: f64,
    /// Added by each prompt token.
    pub per_prefill_token_ms: f64,
    /// Attention's quadratic share of prefill.
    pub per_prefill_token_squared_ms: f64,
}

impl Constants {
    /// The profile of an engine with these constants and limits.
    pub(super) fn profile(&self, limits: &Limits) -> Profile {
        Profile {
            iteration_ms: self.iteration_ms,
            per_sequence_ms: self.per_sequence_ms,
            decode_steps: self.decode_steps.clone(),
            per_cached_token_ms: self.per_cached_token_ms,
            per_prefill_chunk_ms: self.per_prefill_chunk_ms,
            per_prefill_token_ms: self.per_prefill_token_ms,
            per_prefill_token_squared_ms: self.per_prefill_token_squared_ms,
            max_batched_tokens: limits.max_batched_tokens,
            max_sequences: limits.max_sequences,
            kv_tokens: limits.kv_tokens,
            max_model_tokens: limits.max_model_tokens,
            // Every prompt of a sweep is new.
            prefix_hit_share: 0.0,
            overhead_ms: self.overhead_ms,
        }
    }
}

/// How far the constants are from the observations of one kind, relative to each.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FitError {
    /// Observations.
    pub observations: usize,
    /// Mean of the relative errors' sizes.
    pub mean: f64,
    /// The largest.
    pub max: f64,
}

/// Constants and how well they fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fit {
    /// The constants.
    pub constants: Constants,
    /// Their error on each kind of observation. That of joining is none of the engine's: the moment of a request within
    /// an iteration is by chance.
    pub errors: BTreeMap<Kind, FitError>,
}

/// Why nothing could be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unfit {
    /// There are not enough observations of a kind.
    #[error("only {found} usable measurements of {}; at least {LEAST_OBSERVATIONS} are needed: let it measure more rounds", kind.in_words())]
    TooFew {
        /// The kind.
        kind: Kind,
        /// How many there are.
        found: usize,
    },
    /// Two constants always came together, so no measurement tells them apart.
    #[error(
        "the measurements do not tell {0} apart from the other constants: measure more different concurrencies and lengths"
    )]
    Collinear(&'static str),
    /// A time that is none.
    #[error("a measured time of {0} ms is not usable")]
    NotATime(f64),
}

/// Fits by least squares of relative errors, with outliers held down. Decoding is a line in the number of sequences, or
/// a table with a step at each measured number where no line fits.
///
/// # Errors
/// When there are too few observations, or they do not determine every constant.
pub fn fit(observations: &[Observation]) -> Result<Fit, Unfit> {
    let decodes = observations.iter().filter(|it| it.kind == Kind::Decode);
    let mut knots: Vec<u32> = decodes.map(|it| it.sequences).collect();
    knots.sort_unstable();
    knots.dedup();
    enough(observations)?;
    let line = fit_with(observations, &[])?;
    let of_line = line.errors[&Kind::Decode].mean;
    // Two numbers of sequences always lie on a line.
    if knots.len() < 3 || of_line <= LINE_SUFFICES {
        return Ok(line);
    }
    // A table has more constants, and may leave one open that the line does not.
    let Ok(table) = fit_with(observations, &knots) else { return Ok(line) };
    Ok(if table.errors[&Kind::Decode].mean < TABLE_IMPROVES * of_line { table } else { line })
}

fn enough(observations: &[Observation]) -> Result<(), Unfit> {
    let usable = |it: &&Observation| it.measured_ms.is_finite() && it.measured_ms > 0.0 && it.uncertainty_ms >= 0.0;
    if let Some(wrong) = observations.iter().find(|it| !usable(it)) {
        return Err(Unfit::NotATime(wrong.measured_ms));
    }
    for kind in [Kind::Decode, Kind::Prefill] {
        let found = observations.iter().filter(|it| it.kind == kind).count();
        if found < LEAST_OBSERVATIONS {
            return Err(Unfit::TooFew { kind, found });
        }
    }
    Ok(())
}

/// What stands before the unknowns in an observation: overhead, fixed time, a slope for each stretch between knots,
/// cached tokens, chunks of prompts, their tokens, the squares of those. Slopes that are not negative make the table monotone.
fn coefficients(it: &Observation, knots: &[u32]) -> Vec<f64> {
    let mut row = vec![it.overheads, it.iterations];
    let mut below = 0;
    for &knot in knots {
        row.push(it.iterations * f64::from(it.sequences.clamp(below, knot) - below));
        below = knot;
    }
    if knots.is_empty() {
        row.push(it.iterations * f64::from(it.sequences));
    }
    row.extend([it.iterations * it.cached_tokens, it.prefill_chunks, it.prefill_tokens, it.prefill_squares]);
    row
}

fn name(unknown: usize, unknowns: usize) -> &'static str {
    match unknown {
        0 => "the fixed overhead of a request",
        1 => "the fixed time of an iteration",
        _ if unknown + 4 == unknowns => "the time of a cached token",
        _ if unknown + 3 == unknowns => "the fixed time of a prompt",
        _ if unknown + 2 == unknowns => "the time of a prompt token",
        _ if unknown + 1 == unknowns => "the quadratic share of prefill",
        _ => "the time of a decoding sequence",
    }
}

fn fit_with(observations: &[Observation], knots: &[u32]) -> Result<Fit, Unfit> {
    let rows: Vec<Vec<f64>> = observations.iter().map(|it| coefficients(it, knots)).collect();
    let mut scales = first_scales(observations);
    let mut pulls: Vec<f64> = vec![1.0; rows.len()];
    let mut unknowns = Vec::new();
    for _ in 0..ROUNDS {
        let weights: Vec<f64> = pulls.iter().zip(&scales).map(|(pull, scale)| pull.sqrt() / scale).collect();
        unknowns = weighted(observations, &rows, &weights)?;
        scales = observations.iter().zip(&rows).map(|(it, row)| scale(it, predicted(row, &unknowns))).collect();
        pulls = held_down(observations, &rows, &scales, &unknowns);
    }
    let errors = Kind::ALL.into_iter().filter_map(|kind| Some((kind, error_of(kind, observations, &rows, &unknowns)?)));
    Ok(Fit { constants: constants(&unknowns, knots), errors: errors.collect() })
}

/// The error that counts as much in one observation as anywhere: a share of what is expected. A share of what was measured
/// would let a slow one weigh less than a fast one, and the fit would be too fast. Also what measuring it leaves open: a
/// standard deviation, which weighs as much as one of 5 % in the machine's noise.
fn scale(it: &Observation, expected: f64) -> f64 {
    expected.max(it.uncertainty_ms / 0.05).max(LEAST_EXPECTED * it.measured_ms)
}

/// Before anything is known, what is usual for a kind is what is expected of it.
fn first_scales(observations: &[Observation]) -> Vec<f64> {
    let usual = Kind::ALL.map(|kind| {
        let of_kind = observations.iter().filter(|it| it.kind == kind);
        median(of_kind.map(|it| it.measured_ms / it.iterations).collect())
    });
    observations.iter().map(|it| scale(it, usual[it.kind as usize] * it.iterations)).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Rows weighted by how much each observation pulls and by how large an error is usual in it.
fn weighted(observations: &[Observation], rows: &[Vec<f64>], weights: &[f64]) -> Result<Vec<f64>, Unfit> {
    let row = |((it, row), weight): ((&Observation, &Vec<f64>), &f64)| {
        (row.iter().map(|coefficient| coefficient * weight).collect(), it.measured_ms * weight)
    };
    let system: Vec<(Vec<f64>, f64)> = observations.iter().zip(rows).zip(weights).map(row).collect();
    let unknowns = rows.first().map_or(0, Vec::len);
    non_negative(&system).map_err(|Dependent(unknown)| Unfit::Collinear(name(unknown, unknowns)))
}

fn predicted(row: &[f64], unknowns: &[f64]) -> f64 {
    row.iter().zip(unknowns).map(|(coefficient, unknown)| coefficient * unknown).sum()
}

/// How much each observation still pulls: 1, or less for outliers among its kind.
fn held_down(observations: &[Observation], rows: &[Vec<f64>], scales: &[f64], unknowns: &[f64]) -> Vec<f64> {
    let error = |((it, row), scale): ((&Observation, &Vec<f64>), &f64)| {
        (predicted(row, unknowns) - it.measured_ms).abs() / scale
    };
    let errors: Vec<f64> = observations.iter().zip(rows).zip(scales).map(error).collect();
    let typical = |kind: Kind| {
        let of_kind = errors.iter().zip(observations).filter(|(_, it)| it.kind == kind);
        (1.4826 * median(of_kind.map(|(error, _)| *error).collect())).max(LEAST_ERROR)
    };
    let bounds = Kind::ALL.map(|kind| TYPICAL_ERRORS * typical(kind));
    let pull = |(error, it): (&f64, &Observation)| (bounds[it.kind as usize] / error).min(1.0);
    errors.iter().zip(observations).map(pull).collect()
}

fn error_of(kind: Kind, observations: &[Observation], rows: &[Vec<f64>], unknowns: &[f64]) -> Option<FitError> {
    let of_kind = observations.iter().zip(rows).filter(|(it, _)| it.kind == kind);
    let relative = |(it, row): (&Observation, &Vec<f64>)| (predicted(row, unknowns) / it.measured_ms - 1.0).abs();
    let errors: Vec<f64> = of_kind.map(relative).collect();
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let max = errors.iter().copied().fold(0.0, f64::max);
    (!errors.is_empty()).then_some(FitError { observations: errors.len(), mean, max })
}

fn constants(unknowns: &[f64], knots: &[u32]) -> Constants {
    let slopes = &unknowns[2..unknowns.len() - 4];
    let (mut below, mut added) = (0, 0.0);
    let mut decode_steps = Vec::new();
    for (&knot, slope) in knots.iter().zip(slopes) {
        added += slope * f64::from(knot - below);
        below = knot;
        decode_steps.push(DecodeStep { sequences: knot, added_ms: added });
    }
    let per_sequence_ms = beyond(&decode_steps).unwrap_or(slopes[0]);
    let last = unknowns.len() - 1;
    Constants {
        overhead_ms: unknowns[0],
        iteration_ms: unknowns[1],
        decode_steps,
        per_sequence_ms,
        per_cached_token_ms: unknowns[last - 3],
        per_prefill_chunk_ms: unknowns[last - 2],
        per_prefill_token_ms: unknowns[last - 1],
        per_prefill_token_squared_ms: unknowns[last],
    }
}

/// What each sequence beyond the table adds: as in its upper half, since a single stretch may be flat by chance.
fn beyond(steps: &[DecodeStep]) -> Option<f64> {
    let top = steps.last()?;
    let half = steps.iter().rfind(|step| 2 * step.sequences <= top.sequences);
    let (sequences, added) = half.map_or((0, 0.0), |step| (step.sequences, step.added_ms));
    Some((top.added_ms - added) / f64::from(top.sequences - sequences))
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
