//! A metric of CloudWatch's: load a ready replica, a mean for each period, which can be read a period after it ended.

use crate::autoscaler::Seen;
use evenkeel_core::units::Span;
use std::collections::VecDeque;

/// The last points, and an alarm's look at them.
#[derive(Clone, Debug)]
pub(super) struct Points {
    period: Span,
    kept: usize,
    /// Oldest first.
    points: VecDeque<f64>,
}

impl Points {
    /// The last so many points of this `period`.
    pub(super) const fn new(period: Span, kept: usize) -> Self {
        Self { period, kept, points: VecDeque::new() }
    }

    /// Takes in the period that ended one period ago. To be called each period.
    pub(super) fn publish(&mut self, seen: &Seen<'_>) {
        let slots = seen.slots(self.period);
        let Some(from) = seen.demand.len().checked_sub(2 * slots) else { return };
        let load: f64 = seen.demand[from..from + slots].iter().sum();
        let ready: u32 = seen.served_by[from..from + slots].iter().sum();
        if ready > 0 {
            self.push(load / f64::from(ready));
        }
    }

    /// The next one.
    pub(super) fn push(&mut self, point: f64) {
        self.points.push_back(point);
        if self.points.len() > self.kept {
            self.points.pop_front();
        }
    }

    /// The newest one.
    pub(super) fn latest(&self) -> Option<f64> {
        self.points.back().copied()
    }

    /// Whether there are so many points, and the last of them are so.
    pub(super) fn last_are(&self, count: usize, so: impl Fn(f64) -> bool) -> bool {
        self.points.len() >= count && self.points.iter().rev().take(count).all(|&point| so(point))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::units::Time;

    #[test]
    fn a_point_is_the_mean_a_ready_replica_and_is_read_a_period_after_it_ended() {
        let (demand, served_by) = ([1.0, 3.0, 4.0, 4.0, 8.0, 8.0], [1, 1, 2, 2, 1, 1]);
        let mut points = Points::new(Span::from_secs(60), 2);
        let mut latest = |slots: usize| {
            let (now, slot) = (Time::default(), Span::from_secs(30));
            let (demand, served_by) = (&demand[..slots], &served_by[..slots]);
            points.publish(&Seen {
                now,
                slot,
                demand,
                served_by,
                ready: 1,
                starting: 0,
                measured: None,
                engines: None,
            });
            points.latest()
        };
        assert_eq!([2, 4, 6].map(&mut latest), [None, Some(2.0), Some(2.0)]);
    }

    #[test]
    fn an_alarm_needs_its_points_and_looks_at_no_older_ones() {
        let mut points = Points::new(Span::from_secs(60), 3);
        points.points.extend([1.0, 5.0]);
        assert!(points.last_are(1, |point| point > 4.0) && !points.last_are(2, |point| point > 4.0));
        assert!(!points.last_are(3, |point| point > 0.0), "there are but two");
    }
}
