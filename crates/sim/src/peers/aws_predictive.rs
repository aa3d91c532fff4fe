//! AWS predictive scaling beside target tracking.
//!
//! Documented: 24 hours to 14 days of history, a forecast for each hour of the next 48, made anew each 6 hours; capacity is
//! there 300 s (the scheduling buffer) before its hour; it never scales in, and the larger of both policies wins. How the
//! forecast is made is not published. Here an hour's is the mean load of the same hour 1, 2, 3, 7 and 14 days before, of
//! those there are.

use super::aws_target_tracking::TargetTracking;
use crate::autoscaler::{Autoscaler, Seen};
use evenkeel_core::units::Span;

const HOUR: Span = Span::from_secs(3_600);
const BUFFER: Span = Span::from_secs(300);
const DAYS_BACK: [usize; 5] = [1, 2, 3, 7, 14];
const HOURS_A_DAY: usize = 24;

/// Target tracking with a floor from the forecast.
#[derive(Clone, Debug)]
pub(super) struct Predictive {
    target: f64,
    tracking: TargetTracking,
    /// Mean load of each hour that is over.
    hours: Vec<f64>,
}

impl Predictive {
    /// Both keep load a replica at `target`.
    pub(super) const fn new(target: f64) -> Self {
        Self { target, tracking: TargetTracking::new(target, Span::from_secs(60)), hours: Vec::new() }
    }

    /// Load of the hour with this number, by the days before it; `None` in the first day.
    fn forecast(&self, hour: usize) -> Option<f64> {
        let back = |days: &usize| self.hours.get(hour.checked_sub(days * HOURS_A_DAY)?).copied();
        let before: Vec<f64> = DAYS_BACK.iter().filter_map(back).collect();
        (!before.is_empty()).then(|| before.iter().sum::<f64>() / before.len() as f64)
    }

    /// What is to be there now: for this hour, and near its end for the next.
    fn floor(&self, seen: &Seen<'_>) -> u32 {
        let at = |slot: usize| slot / seen.slots(HOUR);
        let (now, soon) = (at(seen.demand.len()), at(seen.demand.len() + seen.slots(BUFFER)));
        let load = [now, soon].into_iter().filter_map(|hour| self.forecast(hour)).fold(0.0, f64::max);
        libm::ceil(load / self.target) as u32
    }
}

impl Autoscaler for Predictive {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        if !seen.demand.is_empty() && seen.is_due(HOUR) {
            self.hours.push(seen.mean_demand(HOUR));
        }
        self.tracking.decide(seen).max(self.floor(seen))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fluid::run;
    use crate::oracle::Violation;
    use crate::setting::Setting;
    use evenkeel_core::units::Time;

    #[test]
    fn from_the_second_day_on_capacity_is_there_before_the_hour_that_needs_it() {
        let slot = Span::from_secs(60);
        // A day with one busy hour, the ninth, three times.
        let day: Vec<f64> = (0..1_440).map(|minute| if minute / 60 == 8 { 5.0 } else { 0.5 }).collect();
        let (violation, start) = (Violation::Excess, Time::default());
        let setting = Setting { slot, start_up_slots: 3, minimum: 1, maximum: 99, scored_from: 0, start, violation };
        let ready = run(&day.repeat(3), &setting, &mut Predictive::new(1.0)).ready;
        assert_eq!(ready[480], 1, "the first day comes as a surprise");
        assert_eq!([1_440 + 474, 1_440 + 475, 1_440 + 478].map(|minute| ready[minute]), [1, 1, 5]);
    }
}
