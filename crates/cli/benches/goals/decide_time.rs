//! How long one decision about one tier takes: p99 over an hour of ticks, after an hour that fills every window.

use crate::goal::Goal;
use crate::tier_day::{self, TierDay, alone, fleet_of, moment};
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel};
use evenkeel_core::spec::TierSpec;
use std::hint::black_box;
use std::time::Instant;

const HOUR_OF_TICKS: u32 = 3_600;
const PEAK_PER_SECOND: f64 = 130.0;

pub(crate) fn measure() -> Vec<Goal> {
    vec![
        Goal::at_most("decide_capacity_p99", p99_micros(tier_day::capacity_tier()), "us/tier", 20.0),
        Goal::at_most("decide_classic_p99", p99_micros(tier_day::classic_tier()), "us/tier", 20.0),
    ]
}

fn p99_micros(tier: TierSpec) -> f64 {
    let mut day = TierDay::new(&tier, PEAK_PER_SECOND);
    let mut autoscaler = Evenkeel::new(fleet_of(tier), tier_day::START);
    let mut taken = Vec::with_capacity(HOUR_OF_TICKS as usize);
    for tick in 0..2 * HOUR_OF_TICKS {
        let now = moment(tick);
        let inputs = alone(day.inputs(now), now);
        let began = Instant::now();
        let decisions = black_box(autoscaler.decide(black_box(&inputs)));
        let micros = began.elapsed().as_secs_f64() * 1e6;
        if tick >= HOUR_OF_TICKS {
            taken.push(micros);
        }
        day.obey(&decisions[0]);
    }
    taken.sort_by(f64::total_cmp);
    taken[taken.len() * 99 / 100]
}
