//! The share of the last second in which iterations ran: what an emulated replica has in place of GPU utilization.

use evenkeel_core::units::{Span, Time};
use std::collections::VecDeque;

const WINDOW: Span = Span::from_secs(1);
/// Samples closer together than this tell nothing more.
const SPACING: Span = Span::from_millis(20);

/// Samples of the time spent busy, from before the window's beginning until now.
#[derive(Debug)]
pub(super) struct BusyWindow {
    samples: VecDeque<(Time, Span)>,
}

impl BusyWindow {
    pub(super) fn beginning(now: Time) -> Self {
        Self { samples: VecDeque::from([(now, Span::ZERO)]) }
    }

    /// Notes that until `now` the replica was busy for `busy` altogether.
    pub(super) fn sample(&mut self, now: Time, busy: Span) {
        if self.samples.back().is_some_and(|(last, _)| now.since(*last) < SPACING) {
            return;
        }
        self.samples.push_back((now, busy));
        let begins = now - WINDOW;
        while self.samples.get(1).is_some_and(|(second, _)| *second <= begins) {
            self.samples.pop_front();
        }
    }

    /// The busy share of the second before `now`, 0 to 1; of the whole life so far where that is shorter.
    pub(super) fn share(&self, now: Time, busy: Span) -> f64 {
        let Some((first, _)) = self.samples.front() else { return 0.0 };
        let begins = (now - WINDOW).max(*first);
        let length = now.since(begins).as_secs_f64();
        if length <= 0.0 {
            return 0.0;
        }
        let spent = busy.as_secs_f64() - self.busy_until(begins, now, busy);
        (spent / length).clamp(0.0, 1.0)
    }

    /// Seconds busy until `time`. Between two samples the replica was mostly all busy or all idle, so a straight line
    /// between them is right.
    fn busy_until(&self, time: Time, now: Time, busy: Span) -> f64 {
        let after = self.samples.partition_point(|(sampled, _)| *sampled <= time);
        let Some((left, from)) = after.checked_sub(1).and_then(|index| self.samples.get(index)) else { return 0.0 };
        let (right, to) = self.samples.get(after).copied().unwrap_or((now, busy));
        let length = right.since(*left).as_secs_f64();
        let part = if length > 0.0 { time.since(*left).as_secs_f64() / length } else { 0.0 };
        from.as_secs_f64() + part * (to.as_secs_f64() - from.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Time {
        Time::from_micros(1_700_000_000_000_000) + Span::from_millis(millis)
    }

    fn near(share: f64, expected: f64) {
        assert!((share - expected).abs() < 1e-9, "{share} is not {expected}");
    }

    #[test]
    fn a_replica_that_never_worked_is_not_busy() {
        let window = BusyWindow::beginning(at(0));
        near(window.share(at(0), Span::ZERO), 0.0);
        near(window.share(at(5_000), Span::ZERO), 0.0);
    }

    #[test]
    fn half_a_second_of_work_after_a_long_rest_is_a_share_of_one_half() {
        let mut window = BusyWindow::beginning(at(0));
        window.sample(at(10_000), Span::ZERO);
        near(window.share(at(10_500), Span::from_millis(500)), 0.5);
    }

    #[test]
    fn work_older_than_a_second_no_longer_counts() {
        let mut window = BusyWindow::beginning(at(0));
        let mut busy = Span::ZERO;
        for step in 1..=50 {
            busy = Span::from_millis(step * 20);
            window.sample(at(step * 20), busy);
        }
        near(window.share(at(1_000), busy), 1.0);
        near(window.share(at(1_500), busy), 0.5);
        near(window.share(at(60_000), busy), 0.0);
    }

    #[test]
    fn only_one_sample_older_than_the_window_is_kept() {
        let mut window = BusyWindow::beginning(at(0));
        for step in 1..1_000 {
            window.sample(at(step * 20), Span::from_millis(step));
        }
        assert!(window.samples.len() <= 52, "{} samples", window.samples.len());
    }
}
