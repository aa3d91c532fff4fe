//! Violated is what exceeds the ready replicas: a programme of two states for each level.

use super::{Branch, Oracle, Plan};

/// The plan that is best when each replica-slot of violation costs `price`.
pub(super) fn at_price(oracle: &Oracle<'_>, price: f64) -> Plan {
    let demand = oracle.demand;
    let mut below = f64::from(oracle.minimum);
    let mut total = Plan { cost: below * demand.len() as f64, violated: 0.0 };
    // Levels nest, so the slots that need one are among those that need the one below.
    let mut needed: Vec<u32> = (0..demand.len() as u32).filter(|&slot| demand[slot as usize] > below).collect();
    while !needed.is_empty() {
        let level = level(oracle, &needed, below, price);
        total.cost += level.cost;
        total.violated += level.violated;
        below += 1.0;
        needed.retain(|&slot| demand[slot as usize] > below);
    }
    total
}

/// The replica that serves demand between `below` and one more. Only slots that need it are looked at.
fn level(oracle: &Oracle<'_>, needed: &[u32], below: f64, price: f64) -> Branch {
    // Both are free before the first slot.
    let (mut off, mut on) = (Branch::default(), Branch::default());
    let mut next = 0;
    for &slot in needed {
        if slot > next {
            (off, on) = over_gap(oracle, off, on, slot - next);
        }
        let missed = (oracle.demand[slot as usize] - below).min(1.0);
        (off, on) = (off.or(on).missing(missed, price), on.or(off.paying(oracle.start_up_slots)).paying(1.0));
        next = slot + 1;
    }
    off.or(on)
}

/// So many slots that do not need it: off costs nothing, and on costs as many or, switched off meanwhile and on again in the
/// last of them, its start-up and one.
fn over_gap(oracle: &Oracle<'_>, off: Branch, on: Branch, slots: u32) -> (Branch, Branch) {
    let idle = off.or(on);
    (idle, on.paying(f64::from(slots)).or(idle.paying(oracle.start_up_slots + 1.0)))
}
