//! The cheapest fleet that hindsight allows, and a certificate that none is cheaper.
//!
//! With demand x, replicas n, s slots of start-up billed for each replica that is switched on, and at most a share epsilon
//! of the demand violated:
//!
//! ```text
//! min  sum n_t + s * sum (n_t - n_{t-1})+    such that  sum (x_t - n_t)+ <= epsilon * sum x_t,  n_t >= m, integer
//! ```
//!
//! A price p on the violations takes the constraint into the sum, and the sum falls apart by **levels**: the k-th replica
//! is on or off, costs 1 a slot while on and s when switched on, and while off violates the part of demand between k - 1
//! and k. Levels nest, so their plans put together are one of whole replicas. Each is a programme of two states. What the
//! price charges for is the best violation budget for that price (Everett 1963), and its value is a lower bound on every
//! fleet within the budget (Lagrange duality). Over the price that bound is the lowest of the plans' straight lines. Where
//! the line of a plan above the budget crosses that of one within it, no bound is higher; if no third plan is cheaper at
//! that price, this is the highest, and else the third takes the place of one of the two.
//!
//! Where a slot that is short loses all of its demand ([`Violation::Step`]) levels do not fall apart, and the programme runs
//! over the count.
//!
//! Replicas up to the minimum are always on, and what is on in the first slot was switched on before and for free.

mod excess;
pub mod floor;
mod noise;
mod step;

use serde::Serialize;
use std::ops::RangeInclusive;

/// What a plan costs and misses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Plan {
    /// Replica-slots, start-up included.
    pub cost: f64,
    /// Replica-slots of demand above the replicas.
    pub violated: f64,
}

/// The best plan found within a violation budget, and what no plan within it can beat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimum {
    /// A plan of whole replicas within the budget.
    pub plan: Plan,
    /// No plan within the budget costs less than this.
    pub bound: f64,
}

/// How demand above the ready replicas is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Violation {
    /// Only what exceeds them: true if the gateway turns the excess away at once.
    Excess,
    /// All demand of the slot: a queue makes all of it late.
    Step,
}

impl Violation {
    /// What of `demand` is violated where so many `ready` replicas serve.
    pub fn of(self, demand: f64, ready: f64) -> f64 {
        let excess = (demand - ready).max(0.0);
        match self {
            Self::Step if excess > 0.0 => demand,
            _ => excess,
        }
    }
}

/// Demand to be met in hindsight.
#[derive(Clone, Copy, Debug)]
pub struct Oracle<'a> {
    demand: &'a [f64],
    start_up_slots: f64,
    minimum: u32,
    violation: Violation,
}

/// The highest bound is found when no plan lies below it by more than this share of it, the rounding of long sums.
const ROUNDING: f64 = 1e-12;
/// Each crossing but the last drops a plan for good, so the search ends by itself. Three weeks of steps of 5 s take under
/// 20; beyond this many the bound is still one, though perhaps not the highest.
const MOST_CROSSINGS: u32 = 200;

impl<'a> Oracle<'a> {
    /// `demand` in replicas for each slot, none of it NaN or infinite; `start_up_slots` billed for each replica switched
    /// on; `minimum` replicas always on.
    pub const fn new(demand: &'a [f64], start_up_slots: f64, minimum: u32, violation: Violation) -> Self {
        Self { demand, start_up_slots, minimum, violation }
    }

    /// The cheapest plan that violates at most `budget` replica-slots of demand.
    pub fn within(&self, budget: f64) -> Optimum {
        // Where violations are free nothing but the minimum runs, and where they cost without end nothing is missed.
        let (mut above, mut inside) = (self.at_price(0.0), self.at_price(f64::INFINITY));
        if above.violated <= budget {
            return Optimum { plan: above, bound: above.cost };
        }
        let mut best = Optimum { plan: inside, bound: above.cost };
        for _ in 0..MOST_CROSSINGS {
            let price = (inside.cost - above.cost) / (above.violated - inside.violated);
            let plan = self.at_price(price);
            let bound = bound_of(plan, price, budget);
            best.bound = best.bound.max(bound);
            if plan.violated <= budget && plan.cost < best.plan.cost {
                best.plan = plan;
            }
            let crossing = bound_of(inside, price, budget);
            if crossing - bound <= ROUNDING * crossing {
                break;
            }
            *(if plan.violated <= budget { &mut inside } else { &mut above }) = plan;
        }
        best
    }

    /// The plan that is best when each replica-slot of violation costs `price`.
    pub fn at_price(&self, price: f64) -> Plan {
        match self.violation {
            Violation::Excess => excess::at_price(self, price),
            Violation::Step => step::at_price(self, price),
        }
    }

    /// Counts that a plan may use: more than demand's peak serve nobody.
    fn counts(&self) -> RangeInclusive<u32> {
        let peak = self.demand.iter().copied().fold(f64::from(self.minimum), f64::max);
        self.minimum..=libm::ceil(peak) as u32
    }
}

impl Plan {
    fn add(&mut self, level: Branch) {
        self.cost += level.cost;
        self.violated += level.violated;
    }
}

fn bound_of(plan: Plan, price: f64, budget: f64) -> f64 {
    plan.cost + price * (plan.violated - budget)
}

/// What is missed in a slot: what the price is paid for, and what is counted.
#[derive(Clone, Copy, Debug, Default)]
struct Miss {
    priced: f64,
    counted: f64,
}

impl Miss {
    /// What hindsight knows: they are the same.
    #[inline]
    fn certain(missed: f64) -> Self {
        Self { priced: missed, counted: missed }
    }
}

/// The best way to be in one of the states, with its cost and violation carried along.
#[derive(Clone, Copy, Debug, Default)]
struct Branch {
    value: f64,
    cost: f64,
    violated: f64,
}

impl Branch {
    /// The cheaper of two; `self` where they are equal.
    #[inline]
    fn or(self, other: Self) -> Self {
        if other.value < self.value { other } else { self }
    }

    #[inline]
    fn paying(self, cost: f64) -> Self {
        Self { value: self.value + cost, cost: self.cost + cost, ..self }
    }

    #[inline]
    fn missing(self, miss: Miss, price: f64) -> Self {
        Self { value: self.value + price * miss.priced, violated: self.violated + miss.counted, ..self }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every plan of at most `most` replicas, by hand.
    fn cheapest_by_trying_all(oracle: &Oracle<'_>, most: u32, budget: f64) -> f64 {
        fn rest(oracle: &Oracle<'_>, most: u32, before: Option<u32>, budget: f64) -> f64 {
            let Some((&first, later)) = oracle.demand.split_first() else { return 0.0 };
            let mut best = f64::INFINITY;
            for count in oracle.minimum..=most {
                let violated = oracle.violation.of(first, f64::from(count));
                if violated <= budget + 1e-12 {
                    let started = before.map_or(0, |before| count.saturating_sub(before));
                    let now = f64::from(count) + oracle.start_up_slots * f64::from(started);
                    let later = Oracle { demand: later, ..*oracle };
                    best = best.min(now + rest(&later, most, Some(count), budget - violated));
                }
            }
            best
        }
        rest(oracle, most, None, budget)
    }

    #[test]
    fn with_nothing_allowed_to_be_missed_a_dip_is_bridged_when_starting_again_costs_more() {
        // Two replicas, three slots of only one, two again: keeping costs 3, starting again costs the start-up.
        let demand = [2.0, 1.0, 1.0, 1.0, 2.0];
        assert_eq!(
            Oracle::new(&demand, 4.0, 1, Violation::Excess).within(0.0).plan,
            Plan { cost: 10.0, violated: 0.0 }
        );
        assert_eq!(Oracle::new(&demand, 2.0, 1, Violation::Excess).within(0.0).plan, Plan { cost: 9.0, violated: 0.0 });
    }

    #[test]
    fn the_budget_goes_where_a_replica_is_dearest() {
        // A lone spike of one slot costs a start-up and a slot to meet: it is the first to be missed.
        let demand = [1.0, 1.0, 2.0, 1.0, 1.0];
        let oracle = Oracle::new(&demand, 6.0, 1, Violation::Excess).within(1.0);
        assert_eq!(oracle.plan, Plan { cost: 5.0, violated: 1.0 });
        assert_eq!(oracle.bound, 5.0);
    }

    #[test]
    fn the_bound_lies_between_two_plans_where_neither_uses_the_budget_up() {
        // Missing the spike costs 5 and keeping a second replica until it 8: on the line between, half is worth half.
        let demand = [1.0, 1.0, 2.0, 1.0, 1.0];
        let oracle = Oracle::new(&demand, 6.0, 1, Violation::Excess).within(0.5);
        assert_eq!(oracle, Optimum { plan: Plan { cost: 8.0, violated: 0.0 }, bound: 6.5 });
    }

    #[test]
    fn with_nothing_allowed_to_be_missed_the_least_excess_is_met() {
        let oracle = Oracle::new(&[1.0, 1.0 + 1e-12], 6.0, 1, Violation::Excess).within(0.0);
        assert_eq!(oracle.plan, Plan { cost: 4.0, violated: 0.0 });
    }

    #[test]
    fn the_fleet_that_is_there_at_first_was_started_for_free() {
        assert_eq!(Oracle::new(&[3.0, 3.0], 100.0, 1, Violation::Excess).within(0.0).plan.cost, 6.0);
    }

    #[test]
    fn no_demand_costs_the_minimum() {
        assert_eq!(
            Oracle::new(&[0.0; 4], 3.0, 2, Violation::Excess).within(0.0).plan,
            Plan { cost: 8.0, violated: 0.0 }
        );
    }

    proptest! {
        #[test]
        fn no_plan_beats_the_bound_and_at_its_own_violation_none_beats_the_plan(
            demand in prop::collection::vec(0.0f64..3.0, 1..7),
            start_up in 0.0f64..5.0,
            minimum in 0u32..2,
            share in 0.0f64..0.5,
            violation in prop_oneof![Just(Violation::Excess), Just(Violation::Step)],
        ) {
            let budget = share * demand.iter().sum::<f64>();
            let oracle = Oracle::new(&demand, start_up, minimum, violation);
            let found = oracle.within(budget);
            prop_assert!(found.plan.violated <= budget + 1e-9);
            let best = cheapest_by_trying_all(&oracle, 3, budget);
            prop_assert!(found.bound <= best + 1e-9 && best <= found.plan.cost + 1e-9, "{found:?} {best}");
            let best = cheapest_by_trying_all(&oracle, 3, found.plan.violated);
            prop_assert!((found.plan.cost - best).abs() < 1e-9, "{found:?} {best}");
        }
    }
}
