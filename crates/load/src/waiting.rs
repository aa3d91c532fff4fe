//! How long requests waited for a replica on end, read off the samples of a run. A scale-up time says how long ready
//! replicas did not cover demand as the controller measured it; a queue says what the players felt of it, and goes on for as
//! long as the backlog takes.

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

/// Reads it off sample by sample: a timeline that was thinned would miss peaks.
#[derive(Debug, Default)]
pub(crate) struct WaitingReader {
    /// `None` before any sample told how many requests wait.
    seen: Option<Waiting>,
    /// When the requests that wait now began to.
    since: Option<f64>,
}

impl WaitingReader {
    /// Takes in the requests that wait; `None` where a sample is missing or did not tell.
    pub(crate) fn take(&mut self, at_seconds: f64, queue_depth: Option<u64>) {
        let Some(depth) = queue_depth else {
            self.since = None;
            return;
        };
        let seen = self.seen.get_or_insert_default();
        seen.most_requests = seen.most_requests.max(depth);
        if let Some(since) = self.since
            && at_seconds - since > seen.longest_seconds
        {
            (seen.longest_seconds, seen.longest_at_seconds) = (at_seconds - since, since);
        }
        self.since = (depth > 0).then(|| self.since.unwrap_or(at_seconds));
    }

    pub(crate) fn seen(&self) -> Option<Waiting> {
        self.seen
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn waiting(depths: &[Option<u64>]) -> Option<Waiting> {
        let mut reader = WaitingReader::default();
        (0..).zip(depths).for_each(|(second, depth)| reader.take(f64::from(second), *depth));
        reader.seen()
    }

    #[test]
    fn a_stretch_lasts_from_the_first_waiting_request_to_the_first_sample_without_one() {
        let expected = Waiting { longest_seconds: 2.0, longest_at_seconds: 1.0, most_requests: 9 };
        assert_eq!(waiting(&[Some(0), Some(3), Some(9), Some(0), Some(1), Some(0)]).unwrap(), expected);
    }

    #[test]
    fn one_that_lasts_to_the_end_of_the_run_counts_as_far_as_it_was_seen() {
        assert_eq!(waiting(&[Some(0), Some(1), Some(1), Some(1)]).unwrap().longest_seconds, 2.0);
    }

    #[test]
    fn over_missing_samples_nothing_is_concluded() {
        assert_eq!(waiting(&[Some(1), Some(1), None, Some(1), Some(1), Some(1)]).unwrap().longest_seconds, 2.0);
    }

    #[test]
    fn no_reading_is_not_an_empty_queue() {
        assert_eq!(waiting(&[None, None]), None);
        assert_eq!(waiting(&[Some(0), Some(0)]).unwrap(), Waiting::default());
    }
}
