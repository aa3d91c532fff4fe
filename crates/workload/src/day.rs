//! A generated day of players.
//!
//! The shape is fitted to the players online in one large MMO, 5 to 31 January 2021, 5-minute values
//! (github.com/ys-lin14/osrs-player-count-scraper), without the weekly maintenance drops: median over the days of each
//! time of day over the day's mean, then four harmonics by least squares (rms error 0.5 % of the mean; a fifth gains
//! nothing). The peak is at 20:47 UTC, the low at 09:33 UTC with 52 % of the peak. What is left is a first-order
//! autoregressive noise of the logarithm: standard deviation 1.6 %, correlation 0.966 from one 5-minute value to the
//! next.

use crate::random::Stream;
use crate::series::{PlayersSeries, Point};
use evenkeel_core::units::Span;
use thiserror::Error;

/// Cosine and sine amplitude of each harmonic of the day, relative to the day's mean.
const HARMONICS: [(f64, f64); 4] = [(0.24131, -0.16938), (-0.0304, 0.04723), (-0.02634, 0.00029), (-0.02658, -0.00705)];

/// The shape's least and largest value, relative to the day's mean.
const LOW: f64 = 0.668_673;
const PEAK: f64 = 1.289_223;

/// Time of day (UTC) of the low and of the peak.
pub(crate) const LOW_AT: Span = Span::from_secs(9 * 3_600 + 33 * 60);
pub(crate) const PEAK_AT: Span = Span::from_secs(20 * 3_600 + 47 * 60);

/// Low over peak, as measured.
pub const MEASURED_LOW_SHARE: f64 = 0.52;

const NOISE_DEVIATION: f64 = 0.016_2;
const NOISE_CORRELATION: f64 = 0.966;

const DAY_S: f64 = 86_400.0;
const STEP: Span = Span::from_secs(300);

/// The longest series generated: a year.
const LONGEST: Span = Span::from_secs(366 * 86_400);

/// What day to generate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Day {
    /// Players at the daily peak, before noise.
    pub peak_players: f64,
    /// Players at the daily low over those at the peak, 0 to 1; `MEASURED_LOW_SHARE` as fitted.
    pub low_share: f64,
    /// Strength of the noise: 1 as measured, 0 for none.
    pub noise: f64,
    /// Time of day (UTC) at which the series starts.
    pub starts_at: Span,
    /// Length of the series; longer than a day repeats the shape with fresh noise.
    pub duration: Span,
    /// Seed of the noise.
    pub seed: u64,
}

/// Why a day cannot be generated.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum DayError {
    /// The peak is no count.
    #[error("{0} players at the peak; expected a finite number of at least 0")]
    Peak(f64),
    /// The low is not between nothing and the peak.
    #[error("the low is {0} of the peak; expected 0 to 1")]
    LowShare(f64),
    /// The noise is no strength.
    #[error("noise {0}; expected 0 to 10, 1 being as measured")]
    Noise(f64),
    /// The length is nothing or too much.
    #[error("a series of {0}; expected more than nothing and at most 366 days")]
    Duration(Span),
}

impl Default for Day {
    /// A day as measured, from its low to the next, with 1,000 players at the peak.
    fn default() -> Self {
        Self {
            peak_players: 1_000.0,
            low_share: MEASURED_LOW_SHARE,
            noise: 1.0,
            starts_at: LOW_AT,
            duration: Span::from_secs(86_400),
            seed: 1,
        }
    }
}

impl Day {
    /// The players, a value each 5 minutes.
    ///
    /// # Errors
    /// A setting that is out of its range.
    pub fn generate(&self) -> Result<PlayersSeries, DayError> {
        self.check()?;
        let mut noise = Noise::new(self.noise, self.seed);
        let (step, end) = (STEP.as_micros(), self.duration.as_micros());
        let moments = (0..end).step_by(step as usize).chain([end]).map(Span::from_micros);
        let points = moments.map(|at| Point { at, players: self.players_without_noise(at) * noise.next_factor() });
        Ok(PlayersSeries::from_points(points.collect(), 0))
    }

    fn players_without_noise(&self, at: Span) -> f64 {
        let height = height((self.starts_at + at).as_secs_f64());
        self.peak_players * (self.low_share + (1.0 - self.low_share) * height)
    }

    pub(crate) fn check(&self) -> Result<(), DayError> {
        if !(self.peak_players.is_finite() && self.peak_players >= 0.0) {
            return Err(DayError::Peak(self.peak_players));
        }
        if !(0.0..=1.0).contains(&self.low_share) {
            return Err(DayError::LowShare(self.low_share));
        }
        if !(0.0..=10.0).contains(&self.noise) {
            return Err(DayError::Noise(self.noise));
        }
        if self.duration <= Span::ZERO || self.duration > LONGEST {
            return Err(DayError::Duration(self.duration));
        }
        Ok(())
    }
}

/// Height of the day's curve at a time of day (seconds, UTC): 0 at its low, 1 at its peak.
pub(crate) fn height(second: f64) -> f64 {
    let harmonic = |(index, (cosine, sine)): (usize, &(f64, f64))| {
        let angle = core::f64::consts::TAU * (index + 1) as f64 * second / DAY_S;
        cosine * libm::cos(angle) + sine * libm::sin(angle)
    };
    let relative = 1.0 + HARMONICS.iter().enumerate().map(harmonic).sum::<f64>();
    ((relative - LOW) / (PEAK - LOW)).clamp(0.0, 1.0)
}

/// Autoregressive noise of the logarithm, stationary from its first value on.
struct Noise {
    strength: f64,
    level: f64,
    stream: Stream,
}

impl Noise {
    fn new(strength: f64, seed: u64) -> Self {
        let mut stream = Stream::named(seed, "players", "noise");
        Self { strength, level: stream.normal(), stream }
    }

    /// The factor by which the next value differs from the smooth day.
    fn next_factor(&mut self) -> f64 {
        let factor = libm::exp(self.strength * NOISE_DEVIATION * self.level);
        let innovation = libm::sqrt(1.0 - NOISE_CORRELATION * NOISE_CORRELATION);
        self.level = NOISE_CORRELATION * self.level + innovation * self.stream.normal();
        factor
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600;

    #[test]
    fn a_smooth_day_runs_from_its_low_over_its_peak_to_its_low() {
        let day = Day { peak_players: 2_000.0, low_share: 0.1, noise: 0.0, ..Day::default() }.generate().unwrap();
        assert!((day.at(Span::ZERO) - 200.0).abs() < 1.0);
        assert!((day.at(Span::from_secs(86_400)) - 200.0).abs() < 1.0);
        assert!((day.peak() - 2_000.0).abs() < 1.0);
        let peak_at = day.points().iter().max_by(|a, b| a.players.total_cmp(&b.players)).unwrap().at;
        // 20:47 UTC is 11 h 14 min after the low.
        assert!((Span::from_secs(11 * HOUR)..Span::from_secs(11 * HOUR + 1_800)).contains(&peak_at), "{peak_at}");
    }

    #[test]
    fn the_low_and_the_peak_of_the_shape_are_those_of_its_harmonics() {
        let heights: Vec<f64> = (0..86_400).step_by(10).map(|second| height(f64::from(second))).collect();
        let inside = heights.iter().filter(|&&height| height > 0.0 && height < 1.0).count();
        // Clamping touches the two extremes only, so LOW and PEAK are neither too near nor too far.
        assert!(heights.len() - inside < 20, "{} clamped", heights.len() - inside);
        let (low, peak) = heights.iter().fold((1.0f64, 0.0f64), |(low, peak), &h| (low.min(h), peak.max(h)));
        assert!(low < 1e-4 && peak > 1.0 - 1e-4);
    }

    #[test]
    fn the_noise_is_as_strong_as_measured_and_slow() {
        let year = Day { low_share: 1.0, duration: LONGEST, ..Day::default() }.generate().unwrap();
        let logs: Vec<f64> = year.points().iter().map(|point| libm::log(point.players / 1_000.0)).collect();
        let variance = logs.iter().map(|log| log * log).sum::<f64>() / logs.len() as f64;
        let joint = logs.windows(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / logs.len() as f64;
        assert!((libm::sqrt(variance) - NOISE_DEVIATION).abs() < 0.001, "{variance}");
        assert!((joint / variance - NOISE_CORRELATION).abs() < 0.01, "{joint}");
    }

    #[test]
    fn the_same_seed_gives_the_same_day_and_another_seed_another() {
        let day = |seed| Day { seed, ..Day::default() }.generate().unwrap();
        assert_eq!(day(5), day(5));
        assert!(day(5) != day(6));
    }

    #[test]
    fn a_length_that_is_no_multiple_of_the_step_ends_on_time() {
        let short = Day { duration: Span::from_secs(700), ..Day::default() }.generate().unwrap();
        assert_eq!((short.points().len(), short.duration()), (4, Span::from_secs(700)));
    }

    #[test]
    fn a_day_out_of_range_is_refused() {
        let day = Day::default();
        let refused = |day: Day| day.generate().unwrap_err();
        assert_eq!(refused(Day { peak_players: f64::INFINITY, ..day }), DayError::Peak(f64::INFINITY));
        assert_eq!(refused(Day { low_share: 1.5, ..day }), DayError::LowShare(1.5));
        assert!(matches!(refused(Day { noise: f64::NAN, ..day }), DayError::Noise(_)));
        assert_eq!(refused(Day { duration: Span::ZERO, ..day }), DayError::Duration(Span::ZERO));
    }
}
