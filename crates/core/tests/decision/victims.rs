//! Which replicas go: those that serve nothing yet, then the least loaded, then the youngest; the name decides between
//! equals.

use crate::specs::{by_players, seconds};
use crate::timeline::{START, Timeline};
use evenkeel_core::observe::ReplicaState::{Draining, Failed, Ready, Starting};
use evenkeel_core::observe::{Replica, ReplicaId, ReplicaState};

/// A tier that needs two of `replicas`: (name, state, in it for so many seconds, requests inside).
fn leaving(replicas: &[(&str, ReplicaState, i64, Option<u32>)]) -> Vec<String> {
    let mut tier = Timeline::of(by_players());
    tier.tiers[0].replicas = replicas
        .iter()
        .map(|&(id, state, since, in_flight)| Replica {
            id: ReplicaId(id.into()),
            state,
            since: START - seconds(since),
            in_flight,
        })
        .collect();
    tier.feed().players = Some(200);
    tier.tick();
    tier.expect(2);
    tier.decision().victims.iter().map(|it| it.0.clone()).collect()
}

#[test]
fn those_that_serve_nothing_yet_go_first() {
    let replicas =
        [("a", Ready, 900, Some(0)), ("b", Starting, 15, None), ("c", Ready, 900, Some(9)), ("d", Starting, 10, None)];
    assert_eq!(leaving(&replicas), ["d", "b"], "the youngest of them first");
}

#[test]
fn then_the_least_loaded() {
    let replicas =
        [("a", Ready, 10, Some(4)), ("b", Ready, 20, Some(1)), ("c", Ready, 30, Some(9)), ("d", Ready, 40, Some(2))];
    assert_eq!(leaving(&replicas), ["b", "d"]);
}

#[test]
fn an_unknown_load_counts_as_the_highest() {
    let replicas = [("a", Ready, 10, None), ("b", Ready, 20, Some(700)), ("c", Ready, 30, Some(3))];
    assert_eq!(leaving(&replicas), ["c"]);
}

#[test]
fn then_the_youngest_and_then_the_name() {
    let replicas =
        [("c", Ready, 10, Some(1)), ("b", Ready, 10, Some(1)), ("a", Ready, 99, Some(1)), ("d", Ready, 5, Some(1))];
    assert_eq!(leaving(&replicas), ["d", "b"]);
}

#[test]
fn the_order_of_the_list_does_not_matter() {
    let mut replicas =
        [("a", Ready, 10, Some(4)), ("b", Starting, 2, None), ("c", Ready, 30, Some(0)), ("d", Ready, 40, Some(2))];
    let first = leaving(&replicas);
    replicas.reverse();
    assert_eq!(first, leaving(&replicas));
    assert_eq!(first, ["b", "c"]);
}

#[test]
fn what_drains_or_failed_is_not_chosen_again() {
    let replicas = [
        ("a", Draining, 10, Some(0)),
        ("b", Failed, 20, None),
        ("c", Ready, 30, Some(3)),
        ("d", Ready, 30, Some(5)),
        ("e", Ready, 30, Some(8)),
    ];
    assert_eq!(leaving(&replicas), ["c"]);
}
