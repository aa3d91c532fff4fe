//! AWS Application Auto Scaling, target tracking.
//!
//! The arithmetic is not published; documented are: proportional to how far the metric is from its target, rounded so that
//! it is not undershot; a cooldown of 300 s in both directions for ECS and SageMaker, which a scale-out breaks when it was
//! one of scale-in; scale-in only where the metric is well below (a tenth, as users observe) for long; no action on missing
//! data. Users observe alarms of 3 points out and 15 minutes in (aws/containers-roadmap issues 1208, 1220, 2113). A point is
//! a minute of an ECS service's metrics, 20 s for its CPU and memory since June 2026, and 10 s of the concurrent requests of
//! a SageMaker endpoint, which scales in no faster for it; it can be read a period after it ended.

use super::points::Points;
use crate::fluid::{Autoscaler, Seen};
use evenkeel_core::units::{Span, Time};

const POINTS_OUT: usize = 3;
const LOW_FOR: Span = Span::from_secs(15 * 60);
/// Scale-in where all points are below so much of the target.
const IN_SHARE: f64 = 0.9;
const COOLDOWN: Span = Span::from_secs(300);

/// Target tracking on load a replica.
#[derive(Clone, Debug)]
pub(super) struct TargetTracking {
    target: f64,
    period: Span,
    points: Points,
    out_at: Option<Time>,
    in_at: Option<Time>,
}

impl TargetTracking {
    /// Keeps load a replica at `target`, by points of this `period`.
    pub(super) const fn new(target: f64, period: Span) -> Self {
        let points = Points::new(period, Self::points_in(period));
        Self { target, period, points, out_at: None, in_at: None }
    }

    const fn points_in(period: Span) -> usize {
        (LOW_FOR.as_micros() / period.as_micros()) as usize
    }

    fn proportional(&self, current: u32) -> u32 {
        let latest = self.points.latest().unwrap_or(self.target);
        libm::ceil(f64::from(current) * latest / self.target) as u32
    }

    fn judge(&mut self, now: Time, current: u32) -> u32 {
        let cools = |at: Option<Time>| at.is_some_and(|at| now.since(at) < COOLDOWN);
        let wanted = self.proportional(current);
        if self.points.last_are(POINTS_OUT, |point| point > self.target) && wanted > current && !cools(self.out_at) {
            self.out_at = Some(now);
            return wanted;
        }
        let low = self.points.last_are(Self::points_in(self.period), |point| point < IN_SHARE * self.target);
        if low && wanted < current && !cools(self.in_at) && !cools(self.out_at) {
            self.in_at = Some(now);
            return wanted;
        }
        current
    }
}

impl Autoscaler for TargetTracking {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        if !seen.is_due(self.period) {
            return seen.current();
        }
        self.points.publish(seen);
        self.judge(seen.now, seen.current())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fluid::{Setting, run};
    use crate::oracle::Violation;

    fn setting() -> Setting {
        let (slot, start) = (Span::from_secs(5), Time::default());
        let violation = Violation::Excess;
        Setting { slot, start_up_slots: 0, minimum: 1, maximum: 100, scored_from: 0, start, violation }
    }

    fn minute(slot: usize) -> usize {
        slot / 12
    }

    #[test]
    fn a_rise_is_answered_after_three_points_and_a_fall_after_fifteen() {
        let mut demand = vec![0.5; 12 * 20];
        demand.extend(vec![3.0; 12 * 30]);
        demand.extend(vec![0.5; 12 * 40]);
        let ready = run(&demand, &setting(), &mut TargetTracking::new(0.5, Span::from_secs(60))).ready;
        let grows = ready.iter().position(|&count| count > 1).map(minute);
        assert_eq!(grows, Some(20 + 3 + 1), "three points, and one until the last of them can be read");
        assert_eq!(ready[12 * 49], 6);
        let shrinks = ready.iter().rposition(|&count| count == 6).map(|slot| minute(slot + 1));
        assert_eq!(shrinks, Some(50 + 15 + 1));
        assert_eq!(ready.last(), Some(&1));
    }

    #[test]
    fn points_of_twenty_seconds_are_three_times_as_fast() {
        let mut demand = vec![0.5; 12 * 20];
        demand.extend(vec![3.0; 12 * 10]);
        let ready = run(&demand, &setting(), &mut TargetTracking::new(0.5, Span::from_secs(20))).ready;
        assert_eq!(ready.iter().position(|&count| count > 1), Some(12 * 20 + 4 * 4));
    }
}
