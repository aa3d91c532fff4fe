//! An hour of requests that come in bursts of seconds, as from programs rather than from people.
//!
//! Measured on one hour of requests of a code assistant, 16 November 2023 (Azure/AzurePublicDataset, LLM inference
//! 2023, code; 8,819 requests), counted in windows of 5 seconds, with the Poisson noise of counting taken off: the
//! rate's coefficient of variation is 1.90, its correlation from one window to the next 0.57, over two 0.34, over three
//! 0.14; the fullest window has 20.9 times the mean. A log-normal rate whose logarithm is a first-order autoregression
//! shows the same: its correlations are 0.57, 0.35 and 0.22, and the highest of 720 values is about 20 times the mean.
//!
//! For comparison, the same service's conversations vary by 0.24, and slowly (0.90, 0.86, 0.81).
//!
//! Players here are a measure of the rate: so many would send what is sent.

use crate::day::{Day, DayError};
use crate::random::Stream;
use crate::series::{PlayersSeries, Point};
use evenkeel_core::units::Span;

/// The rate's standard deviation over its mean.
const VARIATION: f64 = 1.90;

/// Correlation of the rate's logarithm from one value to the next. Between rates it is
/// (exp(s^2 r) - 1) / (exp(s^2) - 1) = 0.57 with s^2 = ln(1 + 1.90^2).
const CORRELATION: f64 = 0.73;

/// The fullest window over the mean.
const PEAK_RATIO: f64 = 20.9;

const STEP: Span = Span::from_secs(5);

pub(super) const DURATION: Span = Span::from_secs(3_600);

pub(super) fn players(hour: &Day) -> Result<PlayersSeries, DayError> {
    // The count is checked where every other scenario checks it.
    hour.check()?;
    let mean = hour.peak_players / PEAK_RATIO;
    let mut rate = Rate::new(hour.seed);
    let moments = (0..=hour.duration.as_micros()).step_by(STEP.as_micros() as usize).map(Span::from_micros);
    let points = moments.map(|at| Point { at, players: (mean * rate.next_factor()).min(hour.peak_players) });
    Ok(PlayersSeries::from_points(points.collect(), 0))
}

/// A log-normal rate with mean 1, stationary from its first value on.
struct Rate {
    level: f64,
    stream: Stream,
}

impl Rate {
    fn new(seed: u64) -> Self {
        let mut stream = Stream::named(seed, "players", "bursts");
        Self { level: stream.normal(), stream }
    }

    fn next_factor(&mut self) -> f64 {
        let variance = libm::log(1.0 + VARIATION * VARIATION);
        let factor = libm::exp(libm::sqrt(variance) * self.level - variance / 2.0);
        let innovation = libm::sqrt(1.0 - CORRELATION * CORRELATION);
        self.level = CORRELATION * self.level + innovation * self.stream.normal();
        factor
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean, variation and correlation to the next of rates over a thousand hours.
    fn moments() -> (f64, f64, f64) {
        let mut rate = Rate::new(1);
        let rates: Vec<f64> = (0..720_000).map(|_| rate.next_factor()).collect();
        let count = rates.len() as f64;
        let mean = rates.iter().sum::<f64>() / count;
        let joint =
            |by: usize| rates.iter().zip(&rates[by..]).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / count;
        (mean, libm::sqrt(joint(0)) / mean, joint(1) / joint(0))
    }

    #[test]
    fn bursts_vary_and_follow_each_other_as_measured() {
        let (mean, variation, correlation) = moments();
        assert!((mean - 1.0).abs() < 0.03, "{mean}");
        assert!((variation - VARIATION).abs() < 0.15, "{variation}");
        assert!((correlation - 0.57).abs() < 0.05, "{correlation}");
    }

    #[test]
    fn the_fullest_five_seconds_of_an_hour_have_about_twenty_times_the_mean() {
        let mut peaks: Vec<f64> = (0..201)
            .map(|seed| {
                let mut rate = Rate::new(seed);
                (0..720).map(|_| rate.next_factor()).fold(0.0, f64::max)
            })
            .collect();
        peaks.sort_by(f64::total_cmp);
        assert!((14.0..27.0).contains(&peaks[100]), "{}", peaks[100]);
    }
}
