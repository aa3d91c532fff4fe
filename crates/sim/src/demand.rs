//! Demand in replicas, slot by slot.

use evenkeel_core::capacity::Table;
use evenkeel_core::units::Span;
use evenkeel_workload::PlayersSeries;
use evenkeel_workload::random::Stream;
use thiserror::Error;

/// The noise's CV is stated for slots of this length; independent slots of another have it by the square root.
const NOISE_SLOT: Span = Span::from_secs(5);

/// Three years of steps of 5 s: what a comparison holds in memory without trouble.
pub const MOST_SLOTS: i64 = 20_000_000;
/// Factors are searched between e^-20 and e^20, in halvings of that logarithm.
const LEAST_FACTOR_LOG: f64 = -20.0;
const HALVINGS: u32 = 60;

/// Why a series gives no demand.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum DemandError {
    /// No slot fits.
    #[error("the series lasts {duration}, less than one step of {slot}")]
    TooShort {
        /// The series.
        duration: Span,
        /// The slot.
        slot: Span,
    },
    /// A length of slots that is none.
    #[error("a step of {0}; expected more than nothing")]
    Slot(Span),
    /// More slots than fit.
    #[error(
        "the series lasts {duration}, which is {slots} steps of {slot}; at most {MOST_SLOTS} are simulated: write a longer `--step`"
    )]
    TooLong {
        /// The series.
        duration: Span,
        /// The slot.
        slot: Span,
        /// Slots.
        slots: i64,
    },
    /// The noise is no strength.
    #[error("noise {0}; expected 0 to 1, the deviation of a slot of 5s over its mean")]
    Noise(f64),
    /// Slots so short that independent noise of this strength would be mostly nothing and now and then a burst.
    #[error(
        "noise {noise} is a deviation of {of_slot:.2} in steps of {slot}; expected at most 1: less noise, or longer steps"
    )]
    NoiseOfSlot {
        /// As it was stated.
        noise: f64,
        /// What it comes to.
        of_slot: f64,
        /// The slot.
        slot: Span,
    },
    /// There is nothing to scale.
    #[error("the series is zero throughout, so no factor gives it a mean of {mean_replicas} replicas")]
    AllZero {
        /// What was asked for.
        mean_replicas: f64,
    },
}

/// What noisy slots are on average, for those who may know it.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanCurve {
    /// A value a slot, the noise left out.
    pub values: Vec<f64>,
    /// Deviation of a slot's noise over its mean; each slot is multiplied with Gamma noise of mean 1 of its own.
    pub noise_cv: f64,
}

/// A series sampled slot by slot, straight between its points. Where its own points are further apart than a slot it is
/// smoother than any real load, and each slot is multiplied with Gamma noise of mean 1: on straight lines every trend rule
/// would know the future.
///
/// # Errors
/// A slot or a noise out of range, or a series shorter than a slot.
pub fn slots(series: &PlayersSeries, slot: Span, noise_cv: f64, seed: u64) -> Result<Vec<f64>, DemandError> {
    let mut values = straight(series, slot)?;
    if let Some(cv) = noise_of(series, slot, noise_cv)? {
        let mut noise = Noise::new(cv, seed);
        values.iter_mut().for_each(|value| *value *= noise.factor());
    }
    Ok(values)
}

/// The curve under the noise of [`slots`]; `None` where that adds none, for of such a series nobody knows the mean.
///
/// # Errors
/// As for [`slots`].
pub fn mean_curve(series: &PlayersSeries, slot: Span, noise_cv: f64) -> Result<Option<MeanCurve>, DemandError> {
    let values = straight(series, slot)?;
    Ok(noise_of(series, slot, noise_cv)?.map(|noise_cv| MeanCurve { values, noise_cv }))
}

fn straight(series: &PlayersSeries, slot: Span) -> Result<Vec<f64>, DemandError> {
    if slot <= Span::ZERO {
        return Err(DemandError::Slot(slot));
    }
    let count = slots_in(series.duration(), slot)?;
    if count == 0 {
        return Err(DemandError::TooShort { duration: series.duration(), slot });
    }
    Ok((0..count).map(|index| series.at(Span::from_micros(index * slot.as_micros()))).collect())
}

/// Whole slots of a duration.
///
/// # Errors
/// More than [`MOST_SLOTS`].
pub fn slots_in(duration: Span, slot: Span) -> Result<i64, DemandError> {
    let slots = duration.as_micros() / slot.as_micros();
    if slots > MOST_SLOTS { Err(DemandError::TooLong { duration, slot, slots }) } else { Ok(slots) }
}

/// Deviation of the noise of a slot, if it gets any.
fn noise_of(series: &PlayersSeries, slot: Span, noise: f64) -> Result<Option<f64>, DemandError> {
    if !(0.0..=1.0).contains(&noise) {
        return Err(DemandError::Noise(noise));
    }
    let of_slot = noise * libm::sqrt(NOISE_SLOT.as_secs_f64() / slot.as_secs_f64());
    let noisy = of_slot > 0.0 && is_coarser(series, slot);
    if noisy && of_slot > 1.0 {
        return Err(DemandError::NoiseOfSlot { noise, of_slot, slot });
    }
    Ok(noisy.then_some(of_slot))
}

fn is_coarser(series: &PlayersSeries, slot: Span) -> bool {
    let gaps = series.points().len().saturating_sub(1).max(1);
    series.duration().as_micros() / gaps as i64 > slot.as_micros()
}

/// The values times the factor that gives them a mean of `mean_replicas`.
///
/// # Errors
/// When all are zero.
pub fn with_mean(mut values: Vec<f64>, mean_replicas: f64) -> Result<Vec<f64>, DemandError> {
    let factor = factor_to(&values, mean_replicas)?;
    values.iter_mut().for_each(|value| *value *= factor);
    Ok(values)
}

/// How many times as many requests have a mean demand of `mean_replicas`; demand does not grow in proportion to them.
pub fn factor_for(mean_replicas: f64, rates: &[f64], table: &Table) -> f64 {
    let mean_at = |factor: f64| rates.iter().map(|rate| table.demand(rate * factor)).sum::<f64>() / rates.len() as f64;
    let (mut low, mut high) = (LEAST_FACTOR_LOG, -LEAST_FACTOR_LOG);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if mean_at(libm::exp(middle)) < mean_replicas { low = middle } else { high = middle }
    }
    libm::exp(high)
}

/// What [`with_mean`] multiplies with, for a [`MeanCurve`] to keep its place under the noisy values.
///
/// # Errors
/// When all are zero.
pub fn factor_to(values: &[f64], mean_replicas: f64) -> Result<f64, DemandError> {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    if mean > 0.0 { Ok(mean_replicas / mean) } else { Err(DemandError::AllZero { mean_replicas }) }
}

struct Noise {
    shape: f64,
    stream: Stream,
}

impl Noise {
    /// Independent Gamma factors with mean 1 and this deviation, above 0.
    fn new(cv: f64, seed: u64) -> Self {
        Self { shape: 1.0 / (cv * cv), stream: Stream::named(seed, "demand", "noise of coarse series") }
    }

    fn factor(&mut self) -> f64 {
        self.stream.gamma(self.shape) / self.shape
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn series(text: &str) -> PlayersSeries {
        PlayersSeries::from_bytes(text.as_bytes()).unwrap()
    }

    const STEP: Span = Span::from_secs(5);

    #[test]
    fn a_series_is_sampled_straight_between_its_points() {
        assert_eq!(slots(&series("0,0\n10,10\n20,10\n"), STEP, 0.0, 1).unwrap(), [0.0, 5.0, 10.0, 10.0]);
    }

    #[test]
    fn a_coarse_series_gets_noise_of_the_stated_deviation_and_a_fine_one_none() {
        let coarse = slots(&series("0,100\n3600000,100\n"), STEP, 0.1, 1).unwrap();
        let mean = coarse.iter().sum::<f64>() / coarse.len() as f64;
        let variance = coarse.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / coarse.len() as f64;
        assert!((mean - 100.0).abs() < 0.1 && (libm::sqrt(variance) - 10.0).abs() < 0.1, "{mean} {variance}");
        assert_eq!(slots(&series("0,100\n5,100\n10,100\n"), STEP, 0.1, 1).unwrap(), [100.0, 100.0]);
    }

    #[test]
    fn the_same_seed_gives_the_same_noise_and_another_seed_another() {
        let noisy = |seed| slots(&series("0,100\n3600,100\n"), STEP, 0.1, seed).unwrap();
        assert_eq!(noisy(3), noisy(3));
        assert!(noisy(3) != noisy(4));
    }

    #[test]
    fn the_mean_curve_lies_under_the_noise_and_a_fine_series_has_none() {
        let coarse = series("0,100\n3600000,100\n");
        let curve = mean_curve(&coarse, Span::from_secs(20), 0.1).unwrap().unwrap();
        assert!(curve.values.iter().all(|value| *value == 100.0));
        assert_eq!((curve.values.len(), curve.noise_cv), (180_000, 0.05));
        assert_eq!(mean_curve(&series("0,100\n5,100\n10,100\n"), STEP, 0.1), Ok(None));
        assert_eq!(mean_curve(&coarse, STEP, 0.0), Ok(None));
    }

    #[test]
    fn a_mean_is_kept_to() {
        assert_eq!(with_mean(vec![1.0, 3.0], 10.0).unwrap(), [5.0, 15.0]);
        assert_eq!(with_mean(vec![0.0], 10.0), Err(DemandError::AllZero { mean_replicas: 10.0 }));
    }

    #[test]
    fn rates_times_their_factor_have_the_mean_that_was_asked_for() {
        let rates = [0.4, 0.2, 0.0];
        // One replica carries 2 requests a second, two carry 6.
        let table = Table { points: vec![(1, 2.0), (2, 6.0)], unachievable: None };
        let factor = factor_for(1.0, &rates, &table);
        let mean = rates.iter().map(|rate| table.demand(rate * factor)).sum::<f64>() / 3.0;
        assert!((mean - 1.0).abs() < 1e-9, "{factor} {mean}");
    }

    #[test]
    fn what_gives_no_slot_is_refused() {
        let series = series("0,1\n4,1\n");
        assert!(matches!(slots(&series, STEP, 0.0, 1), Err(DemandError::TooShort { .. })));
        assert!(matches!(slots(&series, Span::ZERO, 0.0, 1), Err(DemandError::Slot(_))));
        assert!(matches!(slots(&series, Span::from_secs(1), f64::NAN, 1), Err(DemandError::Noise(_))));
        let refused = slots(&series, Span::from_secs(1), 0.9, 1).unwrap_err();
        assert!(refused.to_string().starts_with("noise 0.9 is a deviation of 2.01"), "{refused}");
    }
}
