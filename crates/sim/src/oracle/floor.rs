//! The causal floor: the cheapest plan of an oracle that knows the mean of demand in every slot and not its noise.
//!
//! The noise of a slot says nothing of another's, so whoever knows the mean loses nothing by planning ahead, and no
//! autoscaler that decides before it sees a slot can know more. Of the oracle's programme only what a slot misses changes:
//! in place of what demand x had it is the expectation over x times Gamma noise of mean 1 (`noise.rs`). Levels nest as
//! before, since a higher one misses less of every demand.
//!
//! What a plan missed is counted on the demand that came. The price is bisected on that, so that the attainment is the one
//! asked for; this is the only thing that the floor knows of the noise.

use super::noise::Noise;
use super::{Miss, Oracle, Plan, Violation, excess, step};
use std::ops::RangeInclusive;

/// A level that misses less than this is missed by nobody, replica-slots.
const NEGLIGIBLE: f64 = 1e-12;
/// Prices are searched in this range; a price of 1 makes a slot of violation as dear as a slot of a replica.
const LEAST_PRICE: f64 = 1e-6;
const LARGEST_PRICE: f64 = 1e9;
/// Halvings of the price's logarithm: 25 of 34.5 leave steps of 1e-6. It ends before where no larger share of the budget
/// than this is left over; more is where one step of the price changes much of the plan.
const HALVINGS: u32 = 25;
const LEFT_OVER: f64 = 1e-4;

/// Demand whose mean is known.
#[derive(Clone, Debug)]
pub struct Floor<'a> {
    /// The demand that came, and the terms.
    came: Oracle<'a>,
    mean: &'a [f64],
    noise: Noise,
}

impl<'a> Floor<'a> {
    /// The floor under `came`, whose demand in each slot was that of `mean` times noise of this deviation, above 0 and at
    /// most 1, as [`mean_curve`](crate::demand::mean_curve) has them.
    pub fn new(came: Oracle<'a>, mean: &'a [f64], noise_cv: f64) -> Self {
        Self { came, mean, noise: Noise::new(noise_cv) }
    }

    /// The cheapest plan that violated at most `budget` replica-slots of the demand that came; `None` where the budget is
    /// so small that no price of violation keeps it.
    pub fn within(&self, budget: f64) -> Option<Plan> {
        let free = self.at_price(0.0);
        if free.violated <= budget {
            return Some(free);
        }
        let mut best = Some(self.at_price(LARGEST_PRICE)).filter(|plan| plan.violated <= budget)?;
        // A higher price never misses more, in whichever slot.
        let (mut low, mut high) = (libm::log(LEAST_PRICE), libm::log(LARGEST_PRICE));
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            let plan = self.at_price(libm::exp(middle));
            if plan.violated <= budget {
                (high, best) = (middle, plan);
            } else {
                low = middle;
            }
            if best.violated >= (1.0 - LEFT_OVER) * budget {
                break;
            }
        }
        Some(best)
    }

    /// The plan that is best on average when each replica-slot of violation costs `price`, and what it then violated.
    pub fn at_price(&self, price: f64) -> Plan {
        match self.came.violation {
            Violation::Excess => self.by_levels(price),
            Violation::Step => step::counts(&self.came, self.counts(), price, |slot, count| self.short(slot, count)),
        }
    }

    fn by_levels(&self, price: f64) -> Plan {
        let came = self.came.demand;
        let mut below = f64::from(self.came.minimum);
        let mut total = Plan { cost: below * came.len() as f64, violated: 0.0 };
        // With each slot goes what demand lies above the level's lower edge on average.
        let mut needed: Vec<(u32, f64)> =
            (0..came.len() as u32).map(|slot| (slot, self.expected_above(slot as usize, below))).collect();
        let is_needed = |slot: u32, above: f64, below: f64| above > NEGLIGIBLE || came[slot as usize] > below;
        needed.retain(|&(slot, above)| is_needed(slot, above, below));
        while !needed.is_empty() {
            let misses = needed.iter_mut().map(|(slot, above)| {
                let beyond = self.expected_above(*slot as usize, below + 1.0);
                let priced = *above - beyond;
                *above = beyond;
                (*slot, Miss { priced, counted: (came[*slot as usize] - below).clamp(0.0, 1.0) })
            });
            total.add(excess::level(misses, self.came.start_up_slots, price));
            below += 1.0;
            needed.retain(|&(slot, above)| is_needed(slot, above, below));
        }
        total
    }

    /// Replicas of demand above so many, on average.
    #[inline]
    fn expected_above(&self, slot: usize, replicas: f64) -> f64 {
        let mean = self.mean[slot];
        if mean > 0.0 { mean * self.noise.beyond(replicas / mean).0 } else { 0.0 }
    }

    /// What is missed where all demand of a slot that is short is.
    #[inline]
    fn short(&self, slot: usize, count: f64) -> Option<Miss> {
        let (mean, came) = (self.mean[slot], self.came.demand[slot]);
        if mean <= 0.0 {
            return None;
        }
        let bound = count / mean;
        let (excess, share) = self.noise.beyond(bound);
        let priced = mean * (excess + bound * share);
        let counted = if came > count { came } else { 0.0 };
        (priced > NEGLIGIBLE || counted > 0.0).then_some(Miss { priced, counted })
    }

    fn counts(&self) -> RangeInclusive<u32> {
        let peak = self.mean.iter().copied().fold(0.0, f64::max) * self.noise.highest();
        let known = self.came.counts();
        *known.start()..=(libm::ceil(peak) as u32).max(*known.end())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use evenkeel_workload::random::Stream;
    use proptest::prelude::*;

    fn noisy(mean: &[f64], cv: f64) -> Vec<f64> {
        let (mut stream, shape) = (Stream::named(1, "oracle", "noise over a known mean"), 1.0 / (cv * cv));
        mean.iter().map(|mean| mean * stream.gamma(shape) / shape).collect()
    }

    /// Of all plans of at most `most` replicas the one that is best, expected violations priced, with that value.
    fn best_by_trying_all(floor: &Floor<'_>, most: u32, price: f64) -> (f64, Plan) {
        fn rest(floor: &Floor<'_>, most: u32, slot: usize, before: Option<u32>, price: f64) -> (f64, Plan) {
            let Some(&came) = floor.came.demand.get(slot) else { return (0.0, Plan::default()) };
            let tries = (floor.came.minimum..=most).map(|count| {
                let ready = f64::from(count);
                let started = f64::from(before.map_or(0, |before| count.saturating_sub(before)));
                let cost = ready + floor.came.start_up_slots * started;
                let missed = match floor.came.violation {
                    Violation::Excess => floor.expected_above(slot, ready),
                    Violation::Step => floor.short(slot, ready).unwrap_or_default().priced,
                };
                let (value, later) = rest(floor, most, slot + 1, Some(count), price);
                let violated = later.violated + floor.came.violation.of(came, ready);
                (value + cost + price * missed, Plan { cost: later.cost + cost, violated })
            });
            tries.min_by(|(one, _), (other, _)| one.total_cmp(other)).unwrap()
        }
        rest(floor, most, 0, None, price)
    }

    #[test]
    fn on_a_flat_curve_it_holds_a_count_and_chases_no_noise() {
        let mean = [1.5; 200];
        let came = noisy(&mean, 0.3);
        let oracle = Oracle::new(&came, 0.0, 1, Violation::Excess);
        let floor = Floor::new(oracle, &mean, 0.3);
        let budget = 0.05 * came.iter().sum::<f64>();
        assert_eq!(floor.within(budget).unwrap().cost, 400.0);
        assert!(oracle.within(budget).plan.cost < 400.0);
        assert_eq!(floor.within(f64::INFINITY).unwrap().cost, 200.0);
    }

    #[test]
    fn it_is_ready_before_a_rise_of_the_mean() {
        let mean = [0.5, 0.5, 0.5, 1.7, 1.7, 1.7];
        let came = [0.5, 0.5, 0.5, 1.6, 1.8, 1.7];
        let floor = Floor::new(Oracle::new(&came, 2.0, 1, Violation::Excess), &mean, 0.05);
        assert_eq!(floor.within(0.0), Some(Plan { cost: 6.0 + 3.0 + 2.0, violated: 0.0 }));
    }

    #[test]
    fn where_noise_goes_beyond_what_any_price_pays_for_there_is_no_floor() {
        let floor = Floor::new(Oracle::new(&[9.0], 0.0, 1, Violation::Excess), &[1.0], 0.05);
        assert_eq!(floor.within(0.0), None);
    }

    proptest! {
        #[test]
        fn at_any_price_no_plan_is_better_on_average(
            mean in prop::collection::vec(0.0f64..1.5, 1..5),
            start_up in 0.0f64..4.0,
            minimum in 0u32..2,
            cv in 0.05f64..0.3,
            price in 0.1f64..30.0,
            violation in prop_oneof![Just(Violation::Excess), Just(Violation::Step)],
        ) {
            let came = noisy(&mean, cv);
            let floor = Floor::new(Oracle::new(&came, start_up, minimum, violation), &mean, cv);
            let most = libm::ceil(came.iter().copied().fold(5.0, f64::max)) as u32;
            let found = floor.at_price(price);
            let (_, best) = best_by_trying_all(&floor, most, price);
            prop_assert!((found.cost - best.cost).abs() < 1e-9, "{found:?} {best:?}");
            prop_assert!((found.violated - best.violated).abs() < 1e-9, "{found:?} {best:?}");
        }

        #[test]
        fn it_keeps_the_attainment_and_never_costs_less_than_hindsight(
            mean in prop::collection::vec(0.5f64..5.0, 20..60),
            start_up in 0.0f64..10.0,
            share in 0.02f64..0.2,
            violation in prop_oneof![Just(Violation::Excess), Just(Violation::Step)],
        ) {
            let came = noisy(&mean, 0.1);
            let oracle = Oracle::new(&came, start_up, 1, violation);
            let budget = share * came.iter().sum::<f64>();
            let floor = Floor::new(oracle, &mean, 0.1).within(budget).unwrap();
            prop_assert!(floor.violated <= budget);
            prop_assert!(floor.cost >= oracle.within(budget).bound - 1e-9);
        }
    }
}
