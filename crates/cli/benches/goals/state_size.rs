//! What a tier's state takes in memory, once ten minutes have filled every window: how much this process grows by many
//! copies of it, the tier's spec and whatever the decision keeps for it included.

use crate::goal::Goal;
use crate::memory::resident_bytes;
use crate::tier_day::{self, TierDay, alone, fleet_of, moment};
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel};
use evenkeel_core::spec::TierSpec;

const TICKS: u32 = 600;
const PEAK_PER_SECOND: f64 = 130.0;
const COPIES: usize = 10_000;

pub(crate) fn measure() -> Vec<Goal> {
    vec![
        Goal::at_most("state_capacity", bytes_per_tier(tier_day::capacity_tier()), "bytes/tier", 4_096.0),
        Goal::at_most("state_classic", bytes_per_tier(tier_day::classic_tier()), "bytes/tier", 4_096.0),
    ]
}

fn bytes_per_tier(tier: TierSpec) -> f64 {
    let mut day = TierDay::new(&tier, PEAK_PER_SECOND);
    let mut autoscaler = Evenkeel::new(fleet_of(tier), tier_day::START);
    for tick in 0..TICKS {
        let now = moment(tick);
        let decisions = autoscaler.decide(&alone(day.inputs(now), now));
        day.obey(&decisions[0]);
    }
    let before = resident_bytes();
    let copies = vec![autoscaler; COPIES];
    let grown = resident_bytes() - before;
    // Kept for good: what was given back would be used again by the next ones, and they would seem smaller.
    std::mem::forget(copies);
    grown as f64 / COPIES as f64
}
