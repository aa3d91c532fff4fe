//! Violated is all demand of a slot that is short: a programme over the count of replicas.
//!
//! Into a count one comes from a larger one for free, from a smaller one by a start-up for each more. So the best way into
//! all counts of a slot is two sweeps over them, and a slot takes time in proportion to the counts and not to their pairs.

use super::{Branch, Miss, Oracle, Plan};
use std::ops::RangeInclusive;

/// The plan that is best when each replica-slot of violation costs `price`.
pub(super) fn at_price(oracle: &Oracle<'_>, price: f64) -> Plan {
    let miss = |slot: usize, count: f64| {
        let demand = oracle.demand[slot];
        (demand > count).then(|| Miss::certain(demand))
    };
    counts(oracle, oracle.counts(), price, miss)
}

/// The same for any `miss` of a slot and a count, over the counts of `range`.
pub(super) fn counts(
    oracle: &Oracle<'_>,
    range: RangeInclusive<u32>,
    price: f64,
    miss: impl Fn(usize, f64) -> Option<Miss>,
) -> Plan {
    let counts: Vec<f64> = range.map(f64::from).collect();
    // Every count is free before the first slot.
    let mut ways = vec![Branch::default(); counts.len()];
    for slot in 0..oracle.demand.len() {
        come_down(&mut ways);
        go_up(&mut ways, oracle.start_up_slots);
        for (way, &count) in ways.iter_mut().zip(&counts) {
            *way = way.paying(count);
            if let Some(miss) = miss(slot, count) {
                *way = way.missing(miss, price);
            }
        }
    }
    let best = ways.into_iter().reduce(Branch::or).unwrap_or_default();
    Plan { cost: best.cost, violated: best.violated }
}

fn come_down(ways: &mut [Branch]) {
    let mut best = ways[ways.len() - 1];
    for way in ways.iter_mut().rev() {
        *way = way.or(best);
        best = *way;
    }
}

fn go_up(ways: &mut [Branch], start_up_slots: f64) {
    let mut best = ways[0];
    for way in ways.iter_mut() {
        *way = way.or(best);
        best = way.paying(start_up_slots);
    }
}
