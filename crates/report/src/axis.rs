//! Axes: round figures on them, and where a value lies.

/// Steps that people count in, within a power of ten.
const ROUND: [f64; 4] = [1.0, 2.0, 5.0, 10.0];

/// Steps of times, seconds: up to four weeks.
const ROUND_TIMES: [f64; 22] = [
    1.0,
    2.0,
    5.0,
    10.0,
    15.0,
    30.0,
    60.0,
    120.0,
    300.0,
    600.0,
    900.0,
    1_800.0,
    3_600.0,
    7_200.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    432_000.0,
    604_800.0,
    1_209_600.0,
    2_419_200.0,
];

const MOST_MARKS: f64 = 5.0;
const MOST_TIMES: f64 = 8.0;

/// Marks from zero up to the first one that is not below `largest`. There are two at least. Between `whole` things there is
/// nothing to mark.
pub fn marks(largest: f64, whole: bool) -> Vec<f64> {
    let largest = if largest.is_finite() && largest > 0.0 { largest } else { 1.0 };
    let rough = largest / MOST_MARKS;
    let power = libm::pow(10.0, libm::floor(libm::log10(rough)));
    let step = ROUND.iter().map(|round| round * power).find(|step| *step >= rough).unwrap_or(10.0 * power);
    let step = if whole { step.max(1.0) } else { step };
    let count = (largest / step - 1e-9).ceil().max(1.0) as u32;
    (0..=count).map(|index| f64::from(index) * step).collect()
}

/// Round times to mark, from the first moment to the last.
pub fn times(from_seconds: f64, until_seconds: f64) -> Vec<f64> {
    let rough = (until_seconds - from_seconds) / MOST_TIMES;
    let step = ROUND_TIMES.into_iter().find(|step| *step >= rough).unwrap_or(rough.max(1.0));
    let first = libm::ceil(from_seconds / step - 1e-9) as u32;
    let last = libm::floor(until_seconds / step + 1e-9) as u32;
    (first..=last).map(|index| f64::from(index) * step).collect()
}

/// A moment of the run: `4:05`, or `1:04:05` in a run of hours.
pub fn moment(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (whole / 3_600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_reach_above_the_largest_value() {
        assert_eq!(marks(7.3, false), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(marks(1.0, false), [0.0, 0.2, 0.4, 0.600_000_000_000_000_1, 0.8, 1.0]);
        assert_eq!(marks(4_100.0, false).last(), Some(&5_000.0));
        assert_eq!(marks(0.0, false).last(), Some(&1.0));
        assert_eq!(marks(1.5, true), [0.0, 1.0, 2.0]);
        assert_eq!(marks(f64::NAN, false).last(), Some(&1.0));
    }

    #[test]
    fn times_are_round_and_stay_within_the_run() {
        assert_eq!(times(0.0, 250.0), [0.0, 60.0, 120.0, 180.0, 240.0]);
        assert_eq!(times(0.0, 86_400.0).len(), 5);
        assert_eq!(times(100.0, 350.0), [120.0, 180.0, 240.0, 300.0]);
        assert_eq!(times(86_400.0 * 7.0, 86_400.0 * 22.0).len(), 8);
        assert_eq!([0.0, 65.0, 3_900.0].map(moment), ["0:00", "1:05", "1:05:00"]);
    }
}
