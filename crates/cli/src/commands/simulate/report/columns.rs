//! A run in the columns of a picture. A column holds the extremes of its slots and not their mean, so that no spike of
//! demand and no gap of supply is lost however long the run is.

use evenkeel_sim::fluid::Change;
use std::ops::Range;

/// What a column shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    /// Its slots.
    pub(super) slots: Range<usize>,
    /// Least and most demand.
    pub(super) demand: (f64, f64),
    /// Fewest and most ready replicas.
    pub(super) ready: (u32, u32),
    /// Ready replicas and demand of the slot that is shortest, where one is short: the extremes may be of different slots.
    pub(super) short: Option<(u32, f64)>,
}

/// Shares `slots` among at most so many columns, each of one slot at least.
pub(super) fn columns(demand: &[f64], ready: &[u32], slots: Range<usize>, most: usize) -> Vec<Column> {
    let count = slots.len().min(most);
    let begin = |index: usize| slots.start + slots.len() * index / count;
    (0..count).map(|index| column(demand, ready, begin(index)..begin(index + 1))).collect()
}

fn column(demand: &[f64], ready: &[u32], slots: Range<usize>) -> Column {
    let mut column = Column { slots: slots.clone(), demand: (f64::INFINITY, 0.0), ready: (u32::MAX, 0), short: None };
    let mut shortest = 0.0;
    for (&demand, &ready) in demand[slots.clone()].iter().zip(&ready[slots]) {
        column.demand = (column.demand.0.min(demand), column.demand.1.max(demand));
        column.ready = (column.ready.0.min(ready), column.ready.1.max(ready));
        let missing = demand - f64::from(ready);
        if missing > shortest {
            (shortest, column.short) = (missing, Some((ready, demand)));
        }
    }
    column
}

/// Ready and starting replicas at the end of each slot of `slots`, as `changes` and what was ready tell it.
pub(super) fn ordered(changes: &[Change], ready: &[u32], slots: Range<usize>) -> Vec<u32> {
    let after = changes.partition_point(|change| change.slot < slots.start);
    let before = changes[..after].last().map(|change| change.to);
    let mut count = before.or(changes.get(after).map(|change| change.from)).unwrap_or(ready[slots.start]);
    let mut later = changes[after..].iter().peekable();
    let at = |slot| {
        while let Some(change) = later.next_if(|change| change.slot <= slot) {
            count = change.to;
        }
        count
    };
    slots.map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn extremes_of_different_slots_are_no_shortage() {
        // Demand grows from 1 to 3 and the fleet from 2 to 4: neither slot is short, though 3 is above 2.
        let found = columns(&[1.0, 3.0], &[2, 4], 0..2, 1);
        assert_eq!(found, [Column { slots: 0..2, demand: (1.0, 3.0), ready: (2, 4), short: None }]);
        assert_eq!(columns(&[1.0, 3.0], &[2, 2], 0..2, 1)[0].short, Some((2, 3.0)));
    }

    #[test]
    fn a_short_run_has_a_column_for_each_slot_of_its_part() {
        let slots: Vec<_> = columns(&[1.0; 5], &[1; 5], 2..5, 900).into_iter().map(|it| it.slots).collect();
        assert_eq!(slots, [2..3, 3..4, 4..5]);
        assert_eq!(columns(&[], &[], 0..0, 900), []);
    }

    #[test]
    fn what_is_ordered_holds_from_its_change_on() {
        let change = |slot, from, to| Change { slot, from, to, reason: None };
        let changes = [change(1, 2, 5), change(3, 5, 4)];
        assert_eq!(ordered(&changes, &[2; 5], 0..5), [2, 5, 5, 4, 4]);
        assert_eq!(ordered(&changes, &[2; 5], 2..3), [5]);
        assert_eq!(ordered(&[], &[2; 5], 2..4), [2, 2]);
    }

    proptest! {
        #[test]
        fn no_spike_of_demand_and_no_gap_of_supply_is_lost(
            steps in prop::collection::vec((0.0f64..50.0, 0u32..50), 1..400),
            most in 1usize..60,
        ) {
            let (demand, ready): (Vec<f64>, Vec<u32>) = steps.iter().copied().unzip();
            let found = columns(&demand, &ready, 0..demand.len(), most);
            prop_assert!(found.len() <= most);
            prop_assert_eq!(found.iter().map(|it| it.slots.len()).sum::<usize>(), demand.len());
            let largest = |of: &[f64]| of.iter().copied().fold(0.0, f64::max);
            let tops: Vec<f64> = found.iter().map(|it| it.demand.1).collect();
            prop_assert_eq!(largest(&tops), largest(&demand));
            prop_assert_eq!(found.iter().map(|it| it.ready.0).min(), ready.iter().copied().min());
            for column in &found {
                let short = column.slots.clone().any(|slot| demand[slot] > f64::from(ready[slot]));
                prop_assert_eq!(column.short.is_some(), short);
            }
        }
    }
}
