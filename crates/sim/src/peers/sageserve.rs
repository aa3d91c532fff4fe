//! SageServe: an hourly plan by a forecast, carried out as the load confirms it.
//!
//! Source: kjain1810/SageServe@635bcbd `global_arbiter.py`, `long_term_allocation.py` (the plan) and `arbiter.py`,
//! `GlobalArbiterARIMAChecking` (the hours between, 'reactive scaling, proactive guidance'), with
//! `configs/config.yaml`. Each hour an integer programme buys what carries the largest minute forecast for 20 to 60
//! minutes ahead; with one model, one region and one kind of GPU its answer is that over what an instance carries,
//! which is counted at half. What is too much goes at once. What is missing comes one by one while memory is used by
//! more than half. With nothing left of the plan, one is added where the last minute is more than five times its
//! forecast; such a one goes below a quarter. While an instance starts nothing else is done. Its forecasts are files
//! made by an ARIMA model elsewhere; here a minute's is the same minute of the day before, and on the first day the
//! largest of the last hour. Memory bounds the batches of its simulated engines, so what it reads as memory is the
//! running share of the largest batch.

use super::engine_load::SteadyState;
use crate::autoscaler::{Autoscaler, Seen};
use evenkeel_core::units::Span;

const MINUTE: Span = Span::from_secs(60);
const HOUR: Span = Span::from_secs(3_600);
const MINUTES_A_DAY: usize = 1_440;
/// The plan is for the minutes from the first to the second from now.
const PLANNED: (usize, usize) = (20, 60);
const USED_TO_GROW: f64 = 0.5;
const USED_TO_SHRINK: f64 = 0.25;
/// So many times its forecast is a surprise.
const SURPRISE: f64 = 5.0;

/// One instance more or less beside the plan: `left` of it still to come, below zero what came in surprise.
fn reacts(left: i64, used: f64, surprised: bool) -> i64 {
    match left {
        0 => i64::from(surprised),
        1.. => i64::from(used > USED_TO_GROW),
        _ => -i64::from(used < USED_TO_SHRINK),
    }
}

/// The hourly plan and what is left of it.
#[derive(Clone, Debug)]
pub(super) struct SageServe<'a> {
    engine: &'a SteadyState,
    share: f64,
    /// Mean demand of each minute that is over.
    minutes: Vec<f64>,
    left: i64,
}

impl<'a> SageServe<'a> {
    /// Plans with `share` of what an instance carries.
    pub(super) const fn new(engine: &'a SteadyState, share: f64) -> Self {
        Self { engine, share, minutes: Vec::new(), left: 0 }
    }

    /// The largest of the minutes from `from` to `to` from now; `None` on the first day.
    fn forecast(&self, (from, to): (usize, usize)) -> Option<f64> {
        let day_before = self.minutes.len().checked_sub(MINUTES_A_DAY)?;
        Some(largest(&self.minutes[day_before + from..day_before + to]))
    }

    /// What the latest minute was expected to be.
    fn expected(&self) -> Option<f64> {
        self.minutes.len().checked_sub(MINUTES_A_DAY + 1).map(|minute| self.minutes[minute])
    }

    /// Instances that the next hour needs.
    fn planned(&self) -> u32 {
        let last_hour = || largest(&self.minutes[self.minutes.len().saturating_sub(60)..]);
        let load = self.forecast(PLANNED).unwrap_or_else(last_hour);
        (libm::ceil(load / self.share) as u32).max(1)
    }

    fn surprised(&self) -> bool {
        let latest = self.minutes.last().zip(self.expected());
        latest.is_some_and(|(&latest, expected)| latest > SURPRISE * expected)
    }
}

fn largest(minutes: &[f64]) -> f64 {
    minutes.iter().copied().fold(0.0, f64::max)
}

impl Autoscaler for SageServe<'_> {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        let Some(load) = self.engine.loads(seen, seen.slot).last() else { return seen.current() };
        if seen.is_due(MINUTE) {
            self.minutes.push(seen.mean_demand(MINUTE));
        }
        let mut count = seen.current();
        if seen.is_due(HOUR) {
            let planned = self.planned();
            self.left = i64::from(planned.saturating_sub(count));
            count = count.min(planned);
        }
        if seen.starting > 0 {
            return count;
        }
        let used = load.running / self.engine.largest_batch();
        let change = reacts(self.left, used, self.surprised());
        self.left -= change;
        u32::try_from(i64::from(count) + change).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine_load::tests::tier;
    use super::*;
    use crate::fluid::run;
    use crate::oracle::Violation;
    use crate::setting::Setting;
    use evenkeel_core::units::Time;

    #[test]
    fn what_the_plan_still_owes_comes_with_use_and_what_came_in_surprise_goes_without() {
        for (left, used, surprised, expected) in [
            (3, 0.51, false, 1),
            (3, 0.5, true, 0),
            (0, 0.9, false, 0),
            (0, 0.1, true, 1),
            (-1, 0.24, false, -1),
            (-1, 0.25, false, 0),
        ] {
            assert_eq!(reacts(left, used, surprised), expected, "{left} left, {used} used");
        }
    }

    #[test]
    fn a_minute_surprises_beside_the_same_minute_a_day_before() {
        let engine = SteadyState::new(&tier());
        let mut sageserve = SageServe::new(&engine, 0.5);
        // The first minute of the day has little, all others much.
        sageserve.minutes = (0..MINUTES_A_DAY).map(|minute| if minute == 0 { 0.1 } else { 1.0 }).collect();
        assert!(!sageserve.surprised(), "nothing was expected on the first day");
        sageserve.minutes.push(0.6);
        assert!(sageserve.surprised(), "six times as much as a day before");
        sageserve.minutes.push(0.6);
        assert!(!sageserve.surprised());
    }

    #[test]
    fn the_second_day_is_planned_by_the_first() {
        let slot = Span::from_secs(60);
        // Each day one busy hour, the ninth.
        let day: Vec<f64> = (0..1_440).map(|minute| if minute / 60 == 8 { 4.0 } else { 0.5 }).collect();
        let engine = SteadyState::new(&tier());
        let (violation, start) = (Violation::Excess, Time::default());
        let setting = Setting { slot, start_up_slots: 0, minimum: 1, maximum: 99, scored_from: 0, start, violation };
        let ready = run(&day.repeat(2), &setting, &mut SageServe::new(&engine, 0.5)).ready;
        let (first, second) = ready.split_at(1_440);
        let of_busy_hour = |ready: &[u32]| ready[480..540].iter().copied().max();
        assert_eq!((first[479], of_busy_hour(first)), (1, Some(1)), "the first day comes as a surprise");
        assert!(of_busy_hour(second) > Some(2), "{:?}", &second[470..550]);
        assert_eq!(second[600], 1, "what the next hour does not need goes at once");
    }
}
