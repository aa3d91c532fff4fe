//! How long requests waited for a replica on end, read off the samples of a run. A scale-up time says how long ready
//! replicas did not cover demand as the controller measured it; a queue says what the players felt of it, and goes on for as
//! long as the backlog takes.

use crate::fleet_point::FleetPoint;
use crate::scaling::outage_seconds;
use serde::{Deserialize, Serialize};

/// What one tier's queue came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The longest time on end in which every sample told of a waiting request: from the first of them to the first sample
    /// without. Over missing samples nothing is concluded.
    pub longest_seconds: f64,
    /// When that began, since the start of the run.
    pub longest_at_seconds: f64,
    /// Most requests that waited at once.
    pub most_requests: u64,
}

/// A row of samples with waiting requests.
#[derive(Clone, Copy)]
struct Stretch {
    since: f64,
    until: f64,
}

impl Waiting {
    /// `None` where no sample told how many requests wait.
    pub(crate) fn of(points: &[FleetPoint]) -> Option<Self> {
        let most_requests = points.iter().filter_map(|point| point.queue_depth).max()?;
        let outage_seconds = outage_seconds(points);
        let (mut waiting, mut open) = (Self { most_requests, ..Self::default() }, None);
        for point in points {
            let at = point.at_seconds;
            // A sample ends the stretch before it at its own moment, unless it comes after an outage.
            let seen = open.filter(|open: &Stretch| at - open.until <= outage_seconds && point.queue_depth.is_some());
            let stretch = seen.map(|open| Stretch { until: at, ..open });
            waiting.longest(stretch.or(open));
            let waits = point.queue_depth.is_some_and(|depth| depth > 0);
            open = waits.then(|| stretch.unwrap_or(Stretch { since: at, until: at }));
        }
        waiting.longest(open);
        Some(waiting)
    }

    fn longest(&mut self, stretch: Option<Stretch>) {
        let Some(Stretch { since, until }) = stretch else { return };
        if until - since > self.longest_seconds {
            (self.longest_seconds, self.longest_at_seconds) = (until - since, since);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn waiting(samples: &[(u32, Option<u64>)]) -> Option<Waiting> {
        let point = |(second, queue_depth): &(u32, Option<u64>)| FleetPoint {
            at_seconds: f64::from(*second),
            queue_depth: *queue_depth,
            ..FleetPoint::default()
        };
        Waiting::of(&samples.iter().map(point).collect::<Vec<_>>())
    }

    #[test]
    fn a_stretch_lasts_from_the_first_waiting_request_to_the_first_sample_without_one() {
        let seen = waiting(&[(0, Some(0)), (1, Some(3)), (2, Some(9)), (3, Some(0)), (4, Some(1)), (5, Some(0))]);
        let expected = Waiting { longest_seconds: 2.0, longest_at_seconds: 1.0, most_requests: 9 };
        assert_eq!(seen.unwrap(), expected);
    }

    #[test]
    fn one_that_lasts_to_the_end_of_the_run_counts_as_far_as_it_was_seen() {
        assert_eq!(waiting(&[(0, Some(0)), (1, Some(1)), (2, Some(1)), (3, Some(1))]).unwrap().longest_seconds, 2.0);
    }

    #[test]
    fn over_missing_samples_nothing_is_concluded() {
        let away = [(0, Some(1)), (1, Some(1)), (2, Some(1)), (30, Some(1)), (31, Some(1)), (32, Some(0))];
        assert_eq!(waiting(&away).unwrap().longest_seconds, 2.0);
        assert_eq!(waiting(&[(0, Some(1)), (1, Some(1)), (2, None), (3, Some(1))]).unwrap().longest_seconds, 1.0);
    }

    #[test]
    fn no_reading_is_not_an_empty_queue() {
        assert_eq!(waiting(&[(0, None), (1, None)]), None);
        assert_eq!(waiting(&[(0, Some(0)), (1, Some(0))]).unwrap(), Waiting::default());
    }
}
