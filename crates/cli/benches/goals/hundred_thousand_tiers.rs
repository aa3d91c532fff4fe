//! A fleet of 100,000 tiers with classic policies, decided on one core: the longest tick once every window is full.

use crate::goal::Goal;
use crate::tier_day::{self, TICK, TierDay, moment};
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel, FleetInputs};
use evenkeel_core::spec::{FleetSpec, TierSpec};
use std::hint::black_box;
use std::time::Instant;

const TIERS: usize = 100_000;
/// The longest default window and cooldown have passed.
const FULL: u32 = 300;
const TICKS: u32 = FULL + 30;
/// Few replicas each: a fleet of this many tiers is one of small ones.
const PEAK_PER_SECOND: f64 = 10.0;

pub(crate) fn measure() -> Vec<Goal> {
    let classic = tier_day::classic_tier();
    let mut day = TierDay::new(&classic, PEAK_PER_SECOND);
    let tiers = (0..TIERS).map(|index| TierSpec { name: format!("tier-{index}"), ..classic.clone() }).collect();
    let spec = FleetSpec { name: "bench".into(), tick: TICK, shared_maximum: None, tiers };
    let mut autoscaler = Evenkeel::new(spec, tier_day::START);
    let mut longest = 0.0_f64;
    for tick in 0..TICKS {
        let now = moment(tick);
        let inputs = FleetInputs { now, tiers: vec![day.inputs(now); TIERS] };
        let began = Instant::now();
        let decisions = black_box(autoscaler.decide(black_box(&inputs)));
        if tick >= FULL {
            longest = longest.max(began.elapsed().as_secs_f64());
        }
        day.obey(&decisions[0]);
    }
    vec![Goal::at_most("decide_100000_classic_tiers", longest, "s/tick", 1.0)]
}
