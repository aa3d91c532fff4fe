//! Violated is what exceeds the ready replicas: a programme of two states for each level.

use super::{Branch, Miss, Oracle, Plan};

/// The plan that is best when each replica-slot of violation costs `price`.
pub(super) fn at_price(oracle: &Oracle<'_>, price: f64) -> Plan {
    let demand = oracle.demand;
    let mut below = f64::from(oracle.minimum);
    let mut total = Plan { cost: below * demand.len() as f64, violated: 0.0 };
    // Levels nest, so the slots that need one are among those that need the one below.
    let mut needed: Vec<u32> = (0..demand.len() as u32).filter(|&slot| demand[slot as usize] > below).collect();
    while !needed.is_empty() {
        let misses = needed.iter().map(|&slot| (slot, Miss::certain((demand[slot as usize] - below).min(1.0))));
        total.add(level(misses, oracle.start_up_slots, price));
        below += 1.0;
        needed.retain(|&slot| demand[slot as usize] > below);
    }
    total
}

/// One replica, and what is missed while it is off in the slots that need it; only these are looked at.
pub(super) fn level(misses: impl Iterator<Item = (u32, Miss)>, start_up_slots: f64, price: f64) -> Branch {
    // Both are free before the first slot.
    let (mut off, mut on) = (Branch::default(), Branch::default());
    let mut next = 0;
    for (slot, miss) in misses {
        if slot > next {
            (off, on) = over_gap(start_up_slots, off, on, slot - next);
        }
        (off, on) = (off.or(on).missing(miss, price), on.or(off.paying(start_up_slots)).paying(1.0));
        next = slot + 1;
    }
    off.or(on)
}

/// So many slots that do not need it: off costs nothing, and on costs as many or, switched off meanwhile and on again in the
/// last of them, its start-up and one.
fn over_gap(start_up_slots: f64, off: Branch, on: Branch, slots: u32) -> (Branch, Branch) {
    let idle = off.or(on);
    (idle, on.paying(f64::from(slots)).or(idle.paying(start_up_slots + 1.0)))
}
