//! The controller's samples by slices of time, so that all charts share their moments.

use crate::scaling::usual_distance;
use crate::summary::{FleetPoint, Summary, TierFleet};

/// A sample stands for so many usual distances of samples: in a short run slices are shorter than that distance, and a
/// slice between two samples is no gap.
const STANDS_FACTOR: f64 = 2.0;

/// The last sample in each slice, or one shortly before it; `None` where there is none.
pub(super) fn sampled(summary: &Summary, tier: &TierFleet) -> Vec<Option<FleetPoint>> {
    by_slice(&tier.timeline, &moments(summary), summary.slice_seconds)
}

fn by_slice(points: &[FleetPoint], moments: &[f64], slice_seconds: f64) -> Vec<Option<FleetPoint>> {
    let usual = usual_distance(points);
    let stands_seconds = if usual.is_finite() { STANDS_FACTOR * usual } else { 0.0 };
    let of = |moment: &f64| {
        let before_end = points.partition_point(|point| point.at_seconds < moment + slice_seconds);
        let last = points[..before_end].last()?;
        (last.at_seconds >= *moment || last.at_seconds + stands_seconds > *moment).then_some(*last)
    };
    moments.iter().map(of).collect()
}

/// The beginning of each slice up to the last answer.
pub(super) fn moments(summary: &Summary) -> Vec<f64> {
    let count = (summary.elapsed_seconds / summary.slice_seconds).ceil().max(1.0) as u32;
    (0..count).map(|index| f64::from(index) * summary.slice_seconds).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(at: &[f64], moments: &[f64], slice_seconds: f64) -> Vec<Option<f64>> {
        let points: Vec<_> = at.iter().map(|at| FleetPoint { at_seconds: *at, ..FleetPoint::default() }).collect();
        by_slice(&points, moments, slice_seconds).iter().map(|point| point.map(|it| it.at_seconds)).collect()
    }

    #[test]
    fn a_slice_has_its_last_sample_and_one_between_two_samples_is_no_gap() {
        assert_eq!(seen(&[0.0, 1.0, 2.0, 3.0], &[0.0, 2.0], 2.0), [Some(1.0), Some(3.0)]);
        assert_eq!(seen(&[0.0, 1.0, 2.0], &[0.0, 0.5, 1.0, 1.5], 0.5), [Some(0.0), Some(0.0), Some(1.0), Some(1.0)]);
    }

    #[test]
    fn while_the_controller_is_away_there_is_a_gap() {
        let moments = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!(seen(&[0.0, 1.0, 5.0], &moments, 1.0)[2..], [Some(1.0), None, None, Some(5.0)][..]);
        assert_eq!(seen(&[], &moments, 1.0), [None; 6]);
    }
}
