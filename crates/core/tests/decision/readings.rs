//! A reading is fresh, stale or missing, and never more than one of them.

use crate::specs::seconds;
use crate::timeline::START;
use evenkeel_core::observe::{Cause, Latency, Reading, Replica, ReplicaId, ReplicaState, Signals, Supply};

#[test]
fn of_two_readings_the_fresher_stands_and_a_cause_stands_before_none() {
    let fresh = Reading::Fresh { value: 1_u64, at: START };
    let part = Reading::AtLeast { value: 3, at: START };
    let stale = Reading::Stale { value: 2, at: START };
    let missing = Reading::Missing { cause: Cause::TimedOut };
    let ordered = [fresh, part, stale, missing, Reading::default()];
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

#[test]
fn a_part_of_a_count_is_a_lower_bound_and_ages_as_the_whole_does() {
    let part = Reading::AtLeast { value: 4_u64, at: START };
    assert_eq!((part.fresh(), part.at_least(), part.blind()), (None, Some(&4), Some(Cause::LowerBound)));
    assert_eq!(Reading::Fresh { value: 4, at: START }.at_least(), Some(&4));
    assert_eq!(Reading::Stale { value: 4, at: START }.at_least(), None);
    let limit = seconds(5);
    assert_eq!(part.aged(START + limit, limit), part);
    assert_eq!(part.aged(START + limit + limit, limit), Reading::Stale { value: 4, at: START });
    assert_eq!(part.aged(START - seconds(1), limit).blind(), Some(Cause::FutureDated));
}

#[test]
fn of_two_sources_the_better_reading_stands_field_by_field_and_the_first_of_equals() {
    let at = |value: u64| Reading::Fresh { value, at: START };
    let latency = |above| Reading::Fresh { value: Latency { count: 9, above, ..Latency::default() }, at: START };
    let gateway = Signals { queue_depth: at(1), latency: vec![latency(1)], ..Signals::default() };
    let engines =
        Signals { queue_depth: at(2), players: at(300), latency: vec![latency(2), latency(3)], ..Signals::default() };
    let both =
        Signals { queue_depth: at(1), players: at(300), latency: vec![latency(1), latency(3)], ..Signals::default() };
    assert_eq!(gateway.or(engines), both);
}

#[test]
fn replicas_are_counted_by_their_state_and_two_of_a_kind_are_two() {
    let replica = |(id, state): (&str, ReplicaState)| Replica {
        id: ReplicaId(id.to_owned()),
        state,
        since: START,
        in_flight: None,
    };
    let states = [
        ("a", ReplicaState::Ready),
        ("b", ReplicaState::Ready),
        ("c", ReplicaState::Ready),
        ("d", ReplicaState::Starting),
        ("e", ReplicaState::Starting),
        ("f", ReplicaState::Draining),
        ("g", ReplicaState::Draining),
        ("h", ReplicaState::Failed),
        ("i", ReplicaState::Failed),
    ];
    let supply = Supply::of(&states.map(replica));
    assert_eq!(supply, Supply { ready: 3, starting: 2, draining: 2, failed: 2 });
    assert_eq!(supply.current(), 5);
    assert_eq!(ReplicaId("a".to_owned()).to_string(), "a");
}
