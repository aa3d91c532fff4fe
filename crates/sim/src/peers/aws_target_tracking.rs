//! AWS Application Auto Scaling, target tracking.
//!
//! The arithmetic is not published; documented are: proportional to how far the metric is from its target, rounded so that
//! it is not undershot; a cooldown of 300 s in both directions for ECS and SageMaker. A scale-out breaks one of scale-in, and
//! after a scale-out only a larger one is obeyed meanwhile, of which what the first added is a part (API reference,
//! `TargetTrackingScalingPolicyConfiguration.ScaleOutCooldown`). Further: scale-in only where the metric is well below (a tenth, as users observe) for long; no action on missing
//! data. Users observe alarms of 3 points out and 15 minutes in (aws/containers-roadmap issues 1208, 1220, 2113). A point is
//! a minute of an ECS service's metrics, 20 s for its CPU and memory since June 2026, and 10 s of the concurrent requests of
//! a SageMaker endpoint, which scales in no faster for it; it can be read a period after it ended.

use super::points::Points;
use crate::autoscaler::{Autoscaler, Seen};
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
    /// The count before the scale-out whose cooldown runs.
    before_out: u32,
    in_at: Option<Time>,
}

impl TargetTracking {
    /// Keeps load a replica at `target`, by points of this `period`.
    pub(super) const fn new(target: f64, period: Span) -> Self {
        let points = Points::new(period, Self::points_in(period));
        Self { target, period, points, out_at: None, before_out: 0, in_at: None }
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
        let before = if cools(self.out_at) { self.before_out } else { current };
        let wanted = self.proportional(before);
        if self.points.last_are(POINTS_OUT, |point| point > self.target) && wanted > current {
            (self.out_at, self.before_out) = (Some(now), before);
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
    use crate::fluid::run;
    use crate::oracle::Violation;
    use crate::setting::Setting;

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
    fn while_a_scale_out_cools_only_a_larger_one_is_obeyed_and_counts_what_was_added() {
        let mut tracking = TargetTracking::new(1.0, Span::from_secs(60));
        let at = |minute: i64| Time::default() + Span::from_secs(60 * minute);
        let mut judge = |minute, point: f64, current| {
            tracking.points.push(point);
            tracking.judge(at(minute), current)
        };
        // Three points of 1.5 of the target make fifteen of ten; a minute later the ten would be twenty, five more.
        assert_eq!([judge(0, 1.5, 10), judge(1, 1.5, 10), judge(2, 1.5, 10)], [10, 10, 15]);
        assert_eq!(judge(3, 1.4, 15), 15, "fourteen are no more than fifteen");
        assert_eq!(judge(4, 2.0, 15), 20);
        // The cooldown began anew with the larger one.
        assert_eq!([judge(8, 1.5, 20), judge(9, 1.5, 20)], [20, 30]);
    }

    #[test]
    fn points_of_twenty_seconds_are_three_times_as_fast() {
        let mut demand = vec![0.5; 12 * 20];
        demand.extend(vec![3.0; 12 * 10]);
        let ready = run(&demand, &setting(), &mut TargetTracking::new(0.5, Span::from_secs(20))).ready;
        assert_eq!(ready.iter().position(|&count| count > 1), Some(12 * 20 + 4 * 4));
    }
}
