//! A reading is fresh, stale or missing, and never more than one of them.

use crate::specs::seconds;
use crate::timeline::START;
use evenkeel_core::observe::{Cause, Reading};

#[test]
fn of_two_readings_the_fresher_stands_and_a_cause_stands_before_none() {
    let fresh = Reading::Fresh { value: 1_u64, at: START };
    let stale = Reading::Stale { value: 2, at: START };
    let missing = Reading::Missing { cause: Cause::TimedOut };
    let ordered = [fresh, stale, missing, Reading::default()];
    for (index, better) in ordered.into_iter().enumerate() {
        for worse in ordered.into_iter().skip(index) {
            assert_eq!((better.or(worse), worse.or(better)), (better, better));
        }
    }
}

#[test]
fn what_may_not_be_decided_by_says_why() {
    let fresh = Reading::Fresh { value: 1_u64, at: START };
    assert_eq!((fresh.blind(), fresh.fresh()), (None, Some(&1)));
    let limit = seconds(5);
    assert_eq!(fresh.aged(START + limit, limit).blind(), None, "as old as the limit is not older");
    assert_eq!(fresh.aged(START + limit + limit, limit).blind(), Some(Cause::Stale));
    assert_eq!(fresh.aged(START - seconds(1), limit).blind(), Some(Cause::FutureDated));
    assert_eq!(Reading::<u64>::default().blind(), Some(Cause::NotConfigured));
}
