//! AWS Application Auto Scaling, step scaling.
//!
//! Source: the Application Auto Scaling user guide, 'How step scaling works' and 'Create a step scaling policy using
//! the AWS CLI', and the API's `StepScalingPolicyConfiguration`. Each user writes the steps; here they are those of the
//! guide's example: a threshold of 50 for both alarms, +10 % from 10 above it on and +30 % from 20 on, and the same
//! downwards. A step towards more takes in its lower bound, one towards less its upper. A change that is no whole
//! number is cut, and is one where it is less. Alarms are of two points of a minute, as the guide's; each can be read a
//! minute after it ended, and an alarm that stays acts each minute. For 300 s after a scale-out what it added counts as
//! part of the next one, which so must be larger to add anything; after a scale-in nothing is removed for as long,
//! until a scale-out ends the wait.

use super::points::Points;
use crate::autoscaler::{Autoscaler, Seen};
use evenkeel_core::units::{Span, Time};

const PERIOD: Span = Span::from_secs(60);
const EVALUATION_PERIODS: usize = 2;
const COOLDOWN: Span = Span::from_secs(300);
/// The example's threshold, in percent; its steps are stated in the same unit.
const THRESHOLD: f64 = 50.0;
/// From a breach of so much on, percent of the capacity more.
const OUT: [(f64, f64); 2] = [(10.0, 10.0), (20.0, 30.0)];
/// From a breach of so much on, percent of the capacity less.
const IN: [(f64, f64); 2] = [(-10.0, -10.0), (-20.0, -30.0)];

/// Percent of the capacity that the example's steps add or remove at this metric.
fn step_percent(metric: f64) -> f64 {
    let breach = metric - THRESHOLD;
    let reached = |&&(from, _): &&(f64, f64)| if from > 0.0 { breach >= from } else { breach <= from };
    OUT.iter().chain(&IN).rfind(reached).map_or(0.0, |&(_, percent)| percent)
}

/// The capacity after a change by `percent`.
fn resized(capacity: u32, percent: f64) -> u32 {
    let change = f64::from(capacity) * percent / 100.0;
    let whole = if change > 0.0 { libm::floor(change).max(1.0) } else { libm::ceil(change).min(-1.0) };
    (f64::from(capacity) + whole).max(0.0) as u32
}

/// The example's policy on load a replica.
#[derive(Clone, Debug)]
pub(super) struct StepScaling {
    threshold: f64,
    points: Points,
    /// When it last grew, and the capacity that it grew from.
    out: Option<(Time, u32)>,
    in_at: Option<Time>,
}

impl StepScaling {
    /// Both alarms at `threshold` load a replica. The steps keep their proportion to it.
    pub(super) const fn new(threshold: f64) -> Self {
        Self { threshold, points: Points::new(PERIOD, EVALUATION_PERIODS), out: None, in_at: None }
    }

    fn judge(&mut self, now: Time, current: u32) -> u32 {
        let Some(latest) = self.points.latest() else { return current };
        let percent = step_percent(latest / self.threshold * THRESHOLD);
        if percent > 0.0 && self.points.last_are(EVALUATION_PERIODS, |point| point >= self.threshold) {
            self.grow(now, current, percent)
        } else if percent < 0.0 && self.points.last_are(EVALUATION_PERIODS, |point| point <= self.threshold) {
            self.shrink(now, current, percent)
        } else {
            current
        }
    }

    fn grow(&mut self, now: Time, current: u32, percent: f64) -> u32 {
        let cooling = self.out.filter(|&(at, _)| now.since(at) < COOLDOWN);
        let from = cooling.map_or(current, |(_, from)| from);
        let wanted = resized(from, percent);
        if wanted <= current {
            return current;
        }
        (self.out, self.in_at) = (Some((now, from)), None);
        wanted
    }

    fn shrink(&mut self, now: Time, current: u32, percent: f64) -> u32 {
        if self.in_at.is_some_and(|at| now.since(at) < COOLDOWN) {
            return current;
        }
        self.in_at = Some(now);
        resized(current, percent)
    }
}

impl Autoscaler for StepScaling {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        if !seen.is_due(PERIOD) {
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

    fn at(seconds: i64) -> Time {
        Time::default() + Span::from_secs(seconds)
    }

    #[test]
    fn the_guides_example_gives_the_guides_capacities() {
        let mut capacity = 10;
        for (metric, expected) in [(59.9, 10), (60.0, 11), (70.0, 14), (40.1, 14), (40.0, 13), (30.0, 10)] {
            if step_percent(metric) != 0.0 {
                capacity = resized(capacity, step_percent(metric));
            }
            assert_eq!(capacity, expected, "at {metric}");
        }
    }

    #[test]
    fn a_change_is_cut_to_a_whole_number_and_is_at_least_one() {
        // The guide's: 12.7 becomes 12, 0.67 becomes 1, -0.58 becomes -1, -6.67 becomes -6.
        let changes = [(100, 12.7), (1, 67.0), (1, -58.0), (100, -6.67)];
        assert_eq!(changes.map(|(capacity, percent)| resized(capacity, percent)), [112, 2, 0, 94]);
    }

    #[test]
    fn within_the_cooldown_only_a_larger_step_adds_and_adds_only_the_difference() {
        let mut policy = StepScaling::new(0.5);
        assert_eq!(policy.grow(at(0), 20, 10.0), 22);
        assert_eq!(policy.grow(at(60), 22, 10.0), 22, "the same step has been taken");
        assert_eq!(policy.grow(at(120), 22, 30.0), 26, "six more than 20, of which two are there");
        assert_eq!(policy.grow(at(419), 26, 30.0), 26);
        assert_eq!(policy.grow(at(420), 26, 30.0), 33);
    }

    #[test]
    fn a_scale_in_waits_for_the_last_one_and_a_scale_out_ends_the_wait() {
        let mut policy = StepScaling::new(0.5);
        assert_eq!(policy.shrink(at(0), 20, -10.0), 18);
        assert_eq!(policy.shrink(at(299), 18, -10.0), 18);
        assert_eq!(policy.grow(at(299), 18, 10.0), 19);
        assert_eq!(policy.shrink(at(360), 19, -10.0), 18);
    }

    #[test]
    fn a_rise_is_answered_after_two_points_and_only_in_steps() {
        let mut demand = vec![4.9; 12 * 10];
        demand.extend(vec![10.0; 12 * 30]);
        let (slot, start, violation) = (Span::from_secs(5), Time::default(), Violation::Excess);
        let setting = Setting { slot, start_up_slots: 0, minimum: 10, maximum: 100, scored_from: 0, start, violation };
        let ready = run(&demand, &setting, &mut StepScaling::new(0.5)).ready;
        let grows = ready.iter().position(|&count| count > 10);
        assert_eq!(grows, Some(12 * (10 + 2 + 1)), "two points, and one until the last of them can be read");
        assert_eq!([ready[12 * 13], ready[12 * 17], ready[12 * 18]], [13, 13, 16], "30 %, and 30 % again after 300 s");
    }
}
