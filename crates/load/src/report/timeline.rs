//! The controller's samples by slices of time, so that all charts share their moments.

use crate::summary::{FleetPoint, Summary, TierFleet};

/// The last sample in each slice; `None` where there is none.
pub(super) fn sampled(summary: &Summary, tier: &TierFleet) -> Vec<Option<FleetPoint>> {
    let mut slices = vec![None; moments(summary).len()];
    for point in &tier.timeline {
        let index = (point.at_seconds / summary.slice_seconds) as usize;
        if let Some(slice) = slices.get_mut(index) {
            *slice = Some(*point);
        }
    }
    slices
}

/// The beginning of each slice up to the last answer.
pub(super) fn moments(summary: &Summary) -> Vec<f64> {
    let count = (summary.elapsed_seconds / summary.slice_seconds).ceil().max(1.0) as u32;
    (0..count).map(|index| f64::from(index) * summary.slice_seconds).collect()
}
