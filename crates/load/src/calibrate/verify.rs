//! How far a profile may be trusted: the model's latencies beside measured ones, at loads that the fit has not seen.
//!
//! A machine drifts, so calibrations and runs alternate: calibrate, measure a load, calibrate again, measure the next one.
//! Each run is compared with the model of the two calibrations around it, and the runs' own spread stands beside the errors:
//! no model can be nearer to a run than runs are to each other.

use super::latencies::{Figure, quantile};
use super::model::{self, Sent};
use super::{Calibration, CalibrationError, Engine, Observation, open_run};
use evenkeel_core::capacity::Table;
use evenkeel_core::profile::Profile;
use evenkeel_core::spec::{Lengths, RequestShape};
use evenkeel_core::units::Span;
use evenkeel_workload::{Arrival, Arrivals, PlayersSeries, TierTraffic};
use serde::Serialize;
use std::collections::BTreeMap;

/// Errors up to this share are accepted...
const ACCEPTED_ERROR: f64 = 0.10;
/// ...and up to this part of what repeats differ among themselves.
const ACCEPTED_PART_OF_SPREAD: f64 = 0.5;
/// A share of gaps may be off by so much, in absolute terms.
const ACCEPTED_SHARE: f64 = 0.03;

/// The loads that are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparing {
    /// Shares of what the profile says that the engine carries.
    pub loads: Vec<f64>,
    /// Prompt lengths.
    pub prompt_tokens: Lengths,
    /// Output lengths.
    pub output_tokens: Lengths,
    /// How often all of it is done.
    pub repeats: u32,
    /// How long requests are sent at each load.
    pub length: Span,
    /// The bound above which gaps are counted; between iterations with and without a prompt where it is left out.
    pub itl_bound_ms: Option<f64>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The bound above which gaps are counted.
    pub itl_bound_ms: f64,
    /// Each load's rows.
    pub loads: Vec<LoadComparison>,
}

/// One load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadComparison {
    /// Share of what the profile says that the engine carries.
    pub share: f64,
    /// The same in requests.
    pub requests_per_second: f64,
    /// Requests in each repeat.
    pub requests: usize,
    /// How late requests were sent, 99th percentile over all repeats, ms: what of the measured may be our own doing.
    pub own_lag_p99_ms: f64,
    /// The figures.
    pub figures: BTreeMap<Figure, FigureComparison>,
}

/// One figure at one load.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FigureComparison {
    /// What each repeat measured; ms, or a share.
    pub measured: Vec<f64>,
    /// What the model says of each.
    pub model: Vec<f64>,
    /// Median over the repeats of the error's size: relative, or of a share the plain difference.
    pub error: f64,
    /// Largest less smallest of the measured: relative to their median, or of a share the plain difference.
    pub spread: f64,
    /// The error that is accepted.
    pub accepted: f64,
}

impl FigureComparison {
    /// Compares; `measured` and `model` have an entry for each repeat.
    fn new(figure: Figure, measured: Vec<f64>, model: Vec<f64>) -> Self {
        let is_share = figure == Figure::ItlAbove;
        let middle = quantile(&measured, 0.5);
        let size = |of: f64| if is_share { 1.0 } else { of };
        let errors: Vec<f64> = measured.iter().zip(&model).map(|(is, says)| (says - is).abs() / size(*is)).collect();
        let spread = (quantile(&measured, 1.0) - quantile(&measured, 0.0)) / size(middle);
        let accepted = if is_share { ACCEPTED_SHARE } else { ACCEPTED_ERROR.max(ACCEPTED_PART_OF_SPREAD * spread) };
        Self { error: quantile(&errors, 0.5), measured, model, spread, accepted }
    }

    /// The median of what the repeats gave.
    pub fn middle(values: &[f64]) -> f64 {
        quantile(values, 0.5)
    }

    /// Whether the model is as near as it has to be. What could not be told is not.
    pub fn holds(&self) -> bool {
        self.error <= self.accepted
    }
}

impl Comparison {
    /// Whether all figures at all loads hold.
    pub fn holds(&self) -> bool {
        self.loads.iter().flat_map(|load| load.figures.values()).all(FigureComparison::holds)
    }
}

/// One load's requests, the same in each repeat.
struct Load {
    share: f64,
    requests_per_second: f64,
    arrivals: Vec<Arrival>,
    /// One for each repeat.
    runs: Vec<Run>,
    /// How late requests were sent in any repeat, ms.
    lags: Vec<f64>,
}

/// One measurement of a load.
struct Run {
    /// Calibrations before it.
    after: usize,
    /// Which requests were sent when.
    sent: Vec<Sent>,
    figures: BTreeMap<Figure, f64>,
}

/// Calibrates and measures by turns; gives the calibration over everything measured, and the comparison.
///
/// # Errors
/// As for a calibration; or when the loads make no sense.
pub async fn verify(
    engine: &mut Engine,
    comparing: &Comparing,
    seed: u64,
    told: &mut dyn FnMut(&str),
) -> Result<(Calibration, Comparison), CalibrationError> {
    let mut calibrations = vec![engine.measure(told).await?];
    let first = engine.calibration(calibrations[0].clone())?.profile;
    let itl_bound_ms = comparing.itl_bound_ms.unwrap_or_else(|| between_iterations(&first, comparing));
    let mut loads = comparing.loads(&first, seed)?;
    for repeat in 1..=comparing.repeats {
        for load in &mut loads {
            let (share, rate) = (load.share * 100.0, load.requests_per_second);
            told(&format!("repeat {repeat} of {}: {share:.0} %, {rate:.2} requests/s", comparing.repeats));
            let run = open_run::run(&engine.client, load.arrivals.clone(), comparing.length).await?;
            let figures = Figure::ALL.map(|figure| (figure, run.latencies.figure(figure, itl_bound_ms)));
            load.runs.push(Run { after: calibrations.len(), sent: run.sent, figures: figures.into() });
            load.lags.extend(run.lags);
            calibrations.push(engine.measure(told).await?);
        }
    }
    let profiles = profiles(engine, &calibrations)?;
    let loads = loads.into_iter().map(|load| load.compare(&profiles, itl_bound_ms)).collect::<Result<_, _>>()?;
    Ok((engine.calibration(calibrations.concat())?, Comparison { itl_bound_ms, loads }))
}

/// A profile for each run: of the calibrations before and after it.
fn profiles(engine: &Engine, calibrations: &[Vec<Observation>]) -> Result<Vec<Profile>, CalibrationError> {
    calibrations.windows(2).map(|around| Ok(engine.calibration(around.concat())?.profile)).collect()
}

/// Halfway between iterations with and without a mean prompt, half a batch decoding.
fn between_iterations(profile: &Profile, comparing: &Comparing) -> f64 {
    let sequences = f64::from(profile.max_sequences) / 2.0;
    let context = comparing.prompt_tokens.mean + comparing.output_tokens.mean / 2.0;
    profile.decode_iteration_ms(sequences, sequences * context)
        + profile.prefill_ms(comparing.prompt_tokens.mean, 1.0) / 2.0
}

impl Comparing {
    fn loads(&self, profile: &Profile, seed: u64) -> Result<Vec<Load>, CalibrationError> {
        let requests = RequestShape {
            prompt_tokens: self.prompt_tokens,
            output_tokens: self.output_tokens,
            per_player_per_minute: 60.0,
        };
        let capacity = Table::solve(profile, &requests, &[], 1).rate(1.0);
        let longest = crate::plan::longest_of(profile.max_model_tokens.min(profile.kv_tokens));
        let unusable = |error: evenkeel_workload::TrafficError| CalibrationError::NoModel(error.to_string());
        let traffic = TierTraffic::new("calibration", 1.0, requests, longest).map_err(unusable)?;
        let load = |(index, &share): (usize, &f64)| {
            let requests_per_second = share * capacity;
            let players = PlayersSeries::constant(requests_per_second, self.length);
            let arrivals = Arrivals::new(&players, std::slice::from_ref(&traffic), self.length, seed + index as u64);
            Load { share, requests_per_second, arrivals: arrivals.collect(), runs: Vec::new(), lags: Vec::new() }
        };
        Ok(self.loads.iter().enumerate().map(load).collect())
    }
}

impl Load {
    fn compare(self, profiles: &[Profile], itl_bound_ms: f64) -> Result<LoadComparison, CalibrationError> {
        let models = self.runs.iter().map(|run| model::latencies(&profiles[run.after - 1], &run.sent));
        let models = models.collect::<Result<Vec<_>, _>>()?;
        let compared = |figure: Figure| {
            let measured = self.runs.iter().map(|run| run.figures[&figure]).collect();
            let model = models.iter().map(|model| model::figure(model, figure, itl_bound_ms)).collect();
            (figure, FigureComparison::new(figure, measured, model))
        };
        Ok(LoadComparison {
            share: self.share,
            requests_per_second: self.requests_per_second,
            requests: self.arrivals.len(),
            own_lag_p99_ms: quantile(&self.lags, 0.99),
            figures: Figure::ALL.map(compared).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_accepted_up_to_a_tenth_or_half_of_what_the_repeats_differ() {
        let steady = FigureComparison::new(Figure::TtftP50, vec![100.0, 101.0, 102.0], vec![109.0, 112.0, 113.0]);
        assert!(steady.accepted == 0.10 && !steady.holds(), "{steady:?}");
        let unsteady = FigureComparison::new(Figure::TtftP50, vec![80.0, 101.0, 122.0], vec![92.0, 112.0, 113.0]);
        assert!((0.2..0.21).contains(&unsteady.accepted) && unsteady.holds(), "{unsteady:?}");
    }

    #[test]
    fn a_share_may_be_off_by_three_points_however_small_it_is() {
        let compared = |says| FigureComparison::new(Figure::ItlAbove, vec![0.01; 5], vec![says; 5]);
        assert!(compared(0.039).holds() && !compared(0.041).holds());
    }

    #[test]
    fn what_was_not_measured_does_not_hold() {
        assert!(!FigureComparison::new(Figure::TpotP95, vec![f64::NAN; 3], vec![1.0; 3]).holds());
    }
}
