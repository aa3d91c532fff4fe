//! The tier queue, told as timelines.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use evenkeel_core::units::{Span, Time};
use evenkeel_engine::queue::{Action, Failure, QueueSettings, Rejection, RequestId, TierQueue};

type Queue = TierQueue<&'static str>;

fn ms(millis: i64) -> Time {
    Time::from_micros(millis * 1_000)
}

fn settings() -> QueueSettings {
    QueueSettings::new(100, Span::from_secs(60))
}

fn queue_with(replicas: &[(&'static str, u32)], settings: QueueSettings) -> Queue {
    let mut queue = Queue::new(settings, ms(0));
    for (replica, max_outstanding) in replicas {
        assert_eq!(queue.add_replica(ms(0), *replica, *max_outstanding), []);
    }
    queue
}

fn queue(replicas: &[(&'static str, u32)]) -> Queue {
    queue_with(replicas, settings())
}

/// Where the requests of these actions went, in order.
fn sent_to(actions: &[Action<&'static str>]) -> Vec<&'static str> {
    let replica = |action: &Action<&'static str>| match action {
        Action::Dispatch { replica, .. } => Some(*replica),
        Action::Reject { .. } | Action::Drained { .. } => None,
    };
    actions.iter().filter_map(replica).collect()
}

fn enqueue(queue: &mut Queue, millis: i64) -> (RequestId, Vec<&'static str>) {
    let (id, actions) = queue.enqueue(ms(millis));
    (id, sent_to(&actions))
}

fn rejected(request: RequestId, reason: Rejection) -> Vec<Action<&'static str>> {
    vec![Action::Reject { request, reason }]
}

#[test]
fn requests_go_to_the_least_outstanding_and_rotate_among_equals() {
    let mut queue = queue(&[("a", 4), ("b", 4), ("c", 4)]);
    let (first, to) = enqueue(&mut queue, 0);
    assert_eq!(to, ["a"]);
    assert_eq!(enqueue(&mut queue, 0).1, ["b"]);
    assert_eq!(enqueue(&mut queue, 0).1, ["c"]);
    assert_eq!(queue.complete(ms(1), first), []);
    assert_eq!(enqueue(&mut queue, 2).1, ["a"], "the only idle one");
    assert_eq!(enqueue(&mut queue, 2).1, ["b"], "all have one; b was used least recently");
}

#[test]
fn what_no_replica_can_take_waits_and_helps_itself_to_the_next_free_place_in_order() {
    let mut queue = queue(&[("a", 1)]);
    let (first, _) = enqueue(&mut queue, 0);
    let (second, to) = enqueue(&mut queue, 1);
    let (third, _) = enqueue(&mut queue, 2);
    assert_eq!((to.len(), queue.queued(), queue.in_flight()), (0, 2, 1));
    assert_eq!(queue.oldest_waiting(ms(11)), Some(Span::from_millis(10)));
    let next = queue.complete(ms(11), first);
    assert_eq!(next, [Action::Dispatch { request: second, replica: "a", attempt: 1 }]);
    let next = queue.add_replica(ms(12), "b", 1);
    assert_eq!(next, [Action::Dispatch { request: third, replica: "b", attempt: 1 }]);
    assert_eq!(queue.oldest_waiting(ms(13)), None);
}

#[test]
fn a_full_queue_rejects_the_newcomer() {
    let mut queue = queue_with(&[("a", 1)], QueueSettings::new(2, Span::from_secs(60)));
    (0..3).for_each(|at| drop(enqueue(&mut queue, at)));
    let (id, actions) = queue.enqueue(ms(4));
    assert_eq!(actions, rejected(id, Rejection::QueueFull));
    assert_eq!((queue.queued(), queue.counters().rejected), (2, 1));
}

#[test]
fn a_tier_at_zero_holds_requests_until_a_replica_comes() {
    let mut queue = queue(&[]);
    let (id, _) = enqueue(&mut queue, 0);
    assert_eq!(queue.next_event(), Some(ms(60_000)));
    assert_eq!(queue.advance(ms(59_999)), []);
    let actions = queue.add_replica(ms(59_999), "a", 4);
    assert_eq!(actions, [Action::Dispatch { request: id, replica: "a", attempt: 1 }]);
    assert_eq!(queue.next_event(), None);
}

#[test]
fn a_replica_that_comes_as_the_hold_ends_serves_rather_than_rejects() {
    let mut queue = queue(&[]);
    let (id, _) = enqueue(&mut queue, 0);
    // The caller is late: the hold ended a second ago, and nobody has been told.
    let actions = queue.add_replica(ms(61_000), "a", 1);
    assert_eq!(actions, [Action::Dispatch { request: id, replica: "a", attempt: 1 }]);
}

#[test]
fn a_request_held_too_long_is_rejected_each_at_its_own_time() {
    let mut queue = queue(&[]);
    let (first, _) = enqueue(&mut queue, 0);
    let (second, _) = enqueue(&mut queue, 5_000);
    assert_eq!(queue.advance(ms(60_000)), rejected(first, Rejection::HeldTooLong));
    assert_eq!(queue.next_event(), Some(ms(65_000)));
    assert_eq!(queue.advance(ms(65_000)), rejected(second, Rejection::HeldTooLong));
    assert_eq!((queue.next_event(), queue.counters().expired), (None, 2));
}

#[test]
fn waiting_behind_a_busy_replica_is_not_being_held() {
    let mut queue = queue(&[("a", 1)]);
    enqueue(&mut queue, 0);
    enqueue(&mut queue, 0);
    assert_eq!(queue.next_event(), None);
    assert_eq!(queue.advance(ms(600_000)), []);
    // The replica is lost: only from now on are requests held.
    assert_eq!(queue.remove_replica(ms(600_000), &"a"), []);
    assert_eq!(queue.next_event(), Some(ms(660_000)));
}

#[test]
fn a_draining_replica_gets_nothing_and_says_when_it_is_empty() {
    let mut queue = queue(&[("a", 4), ("b", 4)]);
    let (first, _) = enqueue(&mut queue, 0);
    let (second, _) = enqueue(&mut queue, 0);
    assert_eq!(queue.drain_replica(ms(1), &"a"), [], "one request is under way there");
    assert_eq!(enqueue(&mut queue, 2).1, ["b"]);
    assert_eq!(queue.complete(ms(3), first), [Action::Drained { replica: "a" }]);
    assert_eq!(queue.complete(ms(3), second), []);
    assert_eq!(queue.remove_replica(ms(4), &"a"), []);
    assert_eq!(queue.replicas().count(), 1);
}

#[test]
fn an_idle_replica_is_drained_at_once_and_only_once() {
    let mut queue = queue(&[("a", 4)]);
    assert_eq!(queue.drain_replica(ms(1), &"a"), [Action::Drained { replica: "a" }]);
    assert_eq!(queue.drain_replica(ms(2), &"a"), []);
    assert_eq!(queue.drain_replica(ms(2), &"unknown"), []);
}

#[test]
fn a_drained_replica_can_be_called_back() {
    let mut queue = queue(&[("a", 4)]);
    assert_eq!(queue.drain_replica(ms(1), &"a"), [Action::Drained { replica: "a" }]);
    let (id, to) = enqueue(&mut queue, 2);
    assert_eq!(to, [""; 0]);
    let actions = queue.add_replica(ms(3), "a", 4);
    assert_eq!(actions, [Action::Dispatch { request: id, replica: "a", attempt: 1 }]);
}

#[test]
fn a_removed_replica_keeps_its_requests_until_they_end() {
    let mut queue = queue(&[("a", 1)]);
    let (id, _) = enqueue(&mut queue, 0);
    assert_eq!(queue.remove_replica(ms(1), &"a"), []);
    assert_eq!((queue.in_flight(), queue.replicas().count()), (1, 1));
    assert_eq!(queue.add_replica(ms(2), "a", 1), []);
    assert_eq!(enqueue(&mut queue, 2).1, [""; 0], "its one place is still taken");
    assert_eq!(queue.complete(ms(3), id).len(), 1);
    assert_eq!(queue.in_flight(), 1, "the one that waited");
}

#[test]
fn a_lower_limit_takes_effect_as_places_come_free() {
    let mut queue = queue(&[("a", 3)]);
    let ids: Vec<_> = (0..4).map(|at| enqueue(&mut queue, at).0).collect();
    assert_eq!(queue.add_replica(ms(5), "a", 1), []);
    assert_eq!(queue.complete(ms(6), ids[0]), [], "two are still under way, one is allowed");
    assert_eq!(queue.complete(ms(7), ids[1]), []);
    assert_eq!(sent_to(&queue.complete(ms(8), ids[2])), ["a"]);
}

#[test]
fn a_replica_with_a_limit_of_zero_is_not_waited_for() {
    let mut queue = queue(&[("closed", 0), ("open", 1)]);
    let (id, to) = enqueue(&mut queue, 0);
    assert_eq!(to, ["open"]);
    assert_eq!(sent_to(&queue.fail(ms(1), id, Failure::Error)), ["open"]);
    assert_eq!(queue.remove_replica(ms(2), &"open"), []);
    assert_eq!(queue.unreachable_since(), Some(ms(2)));
}

#[test]
fn an_error_is_retried_elsewhere_until_three_tries_are_spent() {
    let mut queue = queue(&[("a", 4), ("b", 4)]);
    let (id, to) = enqueue(&mut queue, 0);
    assert_eq!(to, ["a"]);
    let retry = queue.fail(ms(1), id, Failure::Error);
    assert_eq!(retry, [Action::Dispatch { request: id, replica: "b", attempt: 2 }]);
    assert_eq!(sent_to(&queue.fail(ms(2), id, Failure::TimedOut)), ["a"]);
    assert_eq!(queue.fail(ms(3), id, Failure::Error), rejected(id, Rejection::TriesSpent));
    assert_eq!((queue.counters().retried, queue.counters().failed), (2, 1));
}

#[test]
fn a_retry_waits_for_another_replica_rather_than_return_to_the_one_that_failed_it() {
    let mut queue = queue(&[("a", 1), ("b", 1)]);
    let (failing, _) = enqueue(&mut queue, 0);
    let (busy, _) = enqueue(&mut queue, 0);
    let (next, _) = enqueue(&mut queue, 0);
    let actions = queue.fail(ms(1), failing, Failure::Error);
    assert_eq!(actions, [Action::Dispatch { request: next, replica: "a", attempt: 1 }], "a serves the next one");
    let actions = queue.complete(ms(2), busy);
    assert_eq!(actions, [Action::Dispatch { request: failing, replica: "b", attempt: 2 }]);
}

#[test]
fn with_no_other_replica_a_retry_goes_to_the_same_one() {
    let mut queue = queue(&[("a", 1)]);
    let (id, _) = enqueue(&mut queue, 0);
    assert_eq!(sent_to(&queue.fail(ms(1), id, Failure::Error)), ["a"]);
}

#[test]
fn nothing_is_retried_after_the_first_byte() {
    for failure in [Failure::Error, Failure::TimedOut, Failure::Broke, Failure::Unreached] {
        let mut queue = queue(&[("a", 4), ("b", 4)]);
        let (id, _) = enqueue(&mut queue, 0);
        assert_eq!(queue.first_byte(ms(1), id), []);
        assert_eq!(queue.fail(ms(2), id, failure), rejected(id, Rejection::BrokeOff));
        assert_eq!(queue.in_flight(), 0);
    }
}

#[test]
fn retries_are_at_most_a_fifth_of_the_requests() {
    let mut limits = settings();
    limits.retry_budget.reserve = 0;
    limits.ejection_failures = u32::MAX;
    let mut queue = queue_with(&[("a", 1_000), ("b", 1_000)], limits);
    let ids: Vec<_> = (0..100).map(|at| enqueue(&mut queue, at).0).collect();
    let spent: Vec<_> =
        ids.iter().filter(|id| sent_to(&queue.fail(ms(100), **id, Failure::Error)).is_empty()).collect();
    assert_eq!((spent.len(), queue.counters().retried), (80, 20));
}

#[test]
fn what_is_inside_a_replica_when_it_is_ejected_comes_back_without_the_retry_budget() {
    let mut limits = settings();
    limits.retry_budget.share = 0.0;
    limits.retry_budget.reserve = 5;
    let mut queue = queue_with(&[("silent", 50)], limits);
    let ids: Vec<_> = (0..50).map(|at| enqueue(&mut queue, at).0).collect();
    assert_eq!(queue.add_replica(ms(60), "good", 99), []);
    for id in ids {
        assert_eq!(sent_to(&queue.fail(ms(60_000), id, Failure::TimedOut)), ["good"]);
    }
    let silent = queue.replica(&"silent").unwrap();
    assert_eq!((silent.failed_in_a_row, silent.failed_probes), (50, 0), "they were inside it");
    assert_eq!(queue.counters().failed, 0);
}

#[test]
fn a_dead_replica_gives_its_requests_back_in_their_old_order_and_free_of_charge() {
    let mut limits = settings();
    limits.retry_budget.reserve = 0;
    limits.retry_budget.share = 0.0;
    let mut queue = queue_with(&[("a", 3)], limits);
    let ids: Vec<_> = (0..5).map(|at| enqueue(&mut queue, at).0).collect();
    assert_eq!(queue.drain_replica(ms(9), &"a"), []);
    for id in [ids[2], ids[0], ids[1]] {
        assert_eq!(sent_to(&queue.fail(ms(10), id, Failure::Broke)), [""; 0]);
    }
    assert_eq!(queue.remove_replica(ms(11), &"a"), []);
    let order: Vec<_> = queue.add_replica(ms(12), "b", 9).into_iter().collect();
    let dispatched = |(id, attempt): (&RequestId, u32)| Action::Dispatch { request: *id, replica: "b", attempt };
    assert_eq!(order, ids.iter().zip([2, 2, 2, 1, 1]).map(dispatched).collect::<Vec<_>>());
    assert_eq!((queue.counters().returned, queue.counters().retried), (3, 0));
}

#[test]
fn a_request_that_breaks_every_replica_it_meets_is_stopped() {
    let mut queue = queue(&[("a", 1), ("b", 1)]);
    let (id, _) = enqueue(&mut queue, 0);
    let mut broken = 0;
    while queue.in_flight() > 0 {
        broken += 1;
        drop(queue.fail(ms(broken), id, Failure::Broke));
    }
    assert_eq!(broken, 3 + 3, "three free returns, then three tries");
    assert_eq!(queue.counters().failed, 1);
}

#[test]
fn the_only_replica_is_left_alone_while_it_cannot_be_reached_and_its_requests_wait() {
    let mut queue = queue(&[("a", 4)]);
    let (id, _) = enqueue(&mut queue, 0);
    assert_eq!(queue.fail(ms(0), id, Failure::Unreached), []);
    let (second, _) = enqueue(&mut queue, 50);
    assert_eq!(queue.next_event(), Some(ms(100)));
    let probe = queue.advance(ms(100));
    assert_eq!(probe, [Action::Dispatch { request: id, replica: "a", attempt: 2 }], "one request tries");
    assert_eq!(queue.fail(ms(100), id, Failure::Unreached), []);
    assert_eq!(queue.next_event(), Some(ms(300)), "the pause doubles");
    assert_eq!(sent_to(&queue.advance(ms(300))), ["a"]);
    let rest = queue.first_byte(ms(310), id);
    assert_eq!(rest, [Action::Dispatch { request: second, replica: "a", attempt: 1 }], "it is back");
}

#[test]
fn a_request_that_reaches_no_replica_is_returned_freely_only_so_often() {
    let mut limits = settings();
    limits.max_unreached = 2;
    let mut queue = queue_with(&[("a", 4)], limits);
    let (id, _) = enqueue(&mut queue, 0);
    let mut charged = Vec::new();
    for _ in 0..5 {
        drop(queue.fail(queue.next_event().unwrap_or(ms(0)), id, Failure::Unreached));
        charged.push(queue.counters().retried);
        drop(queue.advance(queue.next_event().unwrap_or(ms(0))));
    }
    assert_eq!(queue.counters().failed, 1);
    assert_eq!(charged, [0, 0, 1, 2, 2], "two free returns, then the tries: two retries, and the third is the last");
}

#[test]
fn while_a_replica_is_probed_nothing_but_the_probe_restores_it() {
    let mut queue = queue(&[("a", 4)]);
    let (unreached, _) = enqueue(&mut queue, 0);
    let (long_under_way, _) = enqueue(&mut queue, 0);
    enqueue(&mut queue, 0);
    assert_eq!(queue.fail(ms(0), unreached, Failure::Unreached), []);
    assert_eq!(sent_to(&queue.advance(ms(100))), ["a"], "the probe");
    assert_eq!(enqueue(&mut queue, 110).1, [""; 0]);
    assert_eq!(queue.complete(ms(120), long_under_way), []);
    assert!(queue.replica(&"a").unwrap().ejected);
    assert_eq!(sent_to(&queue.first_byte(ms(130), unreached)), ["a"]);
}

#[test]
fn attempts_to_reach_a_replica_do_not_prolong_the_hold() {
    let mut queue = queue(&[("a", 4)]);
    let (id, _) = enqueue(&mut queue, 0);
    assert_eq!(queue.fail(ms(0), id, Failure::Unreached), []);
    let mut last = Vec::new();
    while let Some(next) = queue.next_event().filter(|next| *next <= ms(60_000)) {
        last = queue.advance(next);
        if !sent_to(&last).is_empty() {
            last = queue.fail(next, id, Failure::Unreached);
        }
        if queue.queued() == 0 {
            break;
        }
    }
    assert_eq!(last, rejected(id, Rejection::HeldTooLong));
}

#[test]
fn a_fast_failing_replica_is_ejected_and_probed_by_a_single_request() {
    let mut queue = queue(&[("bad", 99), ("good", 99)]);
    let busy: Vec<_> = (0..6).map(|_| enqueue(&mut queue, 0)).filter(|(_, to)| to == &["good"]).collect();
    assert_eq!(busy.len(), 3);
    let mut failed = 0;
    // The failing one is always emptier, so it draws every new request, until it has failed five in a row.
    while !queue.replica(&"bad").unwrap().ejected {
        let (id, to) = enqueue(&mut queue, 10 + failed);
        if to == ["bad"] {
            failed += 1;
            assert_eq!(sent_to(&queue.fail(ms(10 + failed), id, Failure::Error)), ["good"]);
        }
        assert!(failed <= 5);
    }
    assert_eq!(enqueue(&mut queue, 20).1, ["good"]);
    let back = queue.next_event().unwrap();
    assert_eq!(back, ms(10 + 5 + 1_000));
    assert_eq!(queue.advance(back), []);
    let (probe, to) = enqueue(&mut queue, 1_015);
    assert_eq!(to, ["bad"], "it has less outstanding");
    assert_eq!(enqueue(&mut queue, 1_016).1, ["good"], "one probe at a time");
    assert_eq!(queue.next_event(), None);
    drop(queue.complete(ms(1_020), probe));
    assert!(!queue.replica(&"bad").unwrap().ejected);
}

#[test]
fn what_an_ejected_replica_still_answers_ends_its_row_of_failures_and_not_the_doubt() {
    let mut queue = queue(&[("a", 99)]);
    let ids: Vec<_> = (0..20).map(|at| enqueue(&mut queue, at).0).collect();
    drop(queue.add_replica(ms(20), "b", 99));
    for id in &ids[..7] {
        drop(queue.fail(ms(21), *id, Failure::Error));
    }
    let view = |queue: &Queue| {
        let view = queue.replica(&"a").unwrap();
        (view.ejected, view.failed_in_a_row, view.served)
    };
    assert_eq!(view(&queue), (true, 7, 0));
    drop(queue.complete(ms(22), ids[7]));
    assert_eq!(view(&queue), (true, 0, 1));
    for id in &ids[8..11] {
        drop(queue.fail(ms(23), *id, Failure::Error));
    }
    assert_eq!(view(&queue), (true, 3, 1));
}

#[test]
fn a_failed_probe_doubles_the_ejection_up_to_its_limit() {
    let mut limits = settings();
    limits.ejection_failures = 1;
    limits.retry_budget.reserve = 100;
    let mut queue = queue_with(&[("bad", 1), ("good", 9)], limits);
    let mut now = 0;
    let mut pauses = Vec::new();
    while pauses.len() < 7 {
        let (id, to) = enqueue(&mut queue, now);
        if to == ["bad"] {
            drop(queue.fail(ms(now), id, Failure::Error));
            let until = queue.next_event().unwrap();
            pauses.push(until.since(ms(now)).as_micros() / 1_000_000);
            now = until.as_micros() / 1_000;
        }
        drop(queue.complete(ms(now), id));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(queue.replica(&"bad").unwrap().failed_probes, 6);
}

#[test]
fn when_all_fail_none_is_ejected() {
    let mut limits = settings();
    limits.ejection_failures = 2;
    limits.max_tries = 1;
    let mut queue = queue_with(&[("a", 9), ("b", 9)], limits);
    for at in 0..20 {
        let (id, to) = enqueue(&mut queue, at);
        assert_eq!(to.len(), 1, "each request still has somewhere to go");
        drop(queue.fail(ms(at), id, Failure::Error));
    }
    assert!(
        ["a", "b"].iter().all(|name| queue.replica(name).unwrap().failed_in_a_row > 0),
        "which is told all the same"
    );
}

#[test]
fn a_tiers_only_replica_goes_on_and_is_told_as_failing_until_it_serves() {
    let mut queue = queue(&[("only", 9)]);
    for at in 0..4 {
        let (id, _) = enqueue(&mut queue, at);
        drop(queue.fail(ms(at), id, Failure::Error));
    }
    assert_eq!(queue.replica(&"only").unwrap().failed_in_a_row, 0, "four failures may be by chance");
    let (fifth, _) = enqueue(&mut queue, 4);
    drop(queue.fail(ms(4), fifth, Failure::Error));
    let view = queue.replica(&"only").unwrap();
    assert_eq!((view.failed_in_a_row, view.ejected), (5, false));
    let (served, to) = enqueue(&mut queue, 5);
    assert_eq!(to, ["only"]);
    drop(queue.complete(ms(6), served));
    assert_eq!(queue.replica(&"only").unwrap().failed_in_a_row, 0);
}

#[test]
fn losing_the_last_trusted_replica_readmits_the_ejected_ones() {
    let mut limits = settings();
    limits.ejection_failures = 1;
    let mut queue = queue_with(&[("bad", 9), ("good", 9)], limits);
    let (id, _) = enqueue(&mut queue, 0);
    assert_eq!(sent_to(&queue.fail(ms(0), id, Failure::Error)), ["good"]);
    assert!(queue.replica(&"bad").unwrap().ejected);
    assert_eq!(queue.drain_replica(ms(1), &"good"), []);
    assert_eq!(enqueue(&mut queue, 2).1, ["bad"]);
}

#[test]
fn a_probe_whose_client_leaves_frees_the_replica_for_the_next_probe() {
    let mut queue = queue(&[("a", 4)]);
    let (first, _) = enqueue(&mut queue, 0);
    let (second, _) = enqueue(&mut queue, 0);
    assert_eq!(queue.fail(ms(0), first, Failure::Unreached), []);
    assert_eq!(queue.complete(ms(10), second), [], "what began before tells nothing of new connections");
    let (third, _) = enqueue(&mut queue, 20);
    assert_eq!(sent_to(&queue.advance(ms(100))), ["a"]);
    let next = queue.cancel(ms(110), first);
    assert_eq!(next, [Action::Dispatch { request: third, replica: "a", attempt: 1 }]);
}

#[test]
fn a_client_that_leaves_frees_its_place_wherever_it_was() {
    let mut queue = queue(&[("a", 1)]);
    let (in_flight, _) = enqueue(&mut queue, 0);
    let (waiting, _) = enqueue(&mut queue, 0);
    let (last, _) = enqueue(&mut queue, 0);
    assert_eq!(queue.cancel(ms(1), waiting), []);
    assert_eq!(queue.queued(), 1);
    let next = queue.cancel(ms(2), in_flight);
    assert_eq!(next, [Action::Dispatch { request: last, replica: "a", attempt: 1 }]);
    assert_eq!(queue.cancel(ms(3), in_flight), [], "gone already");
    assert_eq!(queue.counters().cancelled, 2);
}

#[test]
fn ten_thousand_can_wait() {
    let mut queue = queue_with(&[("a", 1)], QueueSettings::new(10_000, Span::from_secs(60)));
    let ids: Vec<_> = (0..10_001).map(|at| enqueue(&mut queue, at).0).collect();
    assert_eq!(queue.queued(), 10_000);
    for pair in ids.windows(2) {
        let next = queue.complete(ms(20_000), pair[0]);
        assert_eq!(next, [Action::Dispatch { request: pair[1], replica: "a", attempt: 1 }]);
    }
}

#[test]
fn only_a_probe_after_failures_counts_as_one_that_failed() {
    let mut limits = settings();
    limits.retry_budget.reserve = 100;
    let mut queue = queue_with(&[("a", 99)], limits);
    let ids: Vec<_> = (0..9).map(|at| enqueue(&mut queue, at).0).collect();
    drop(queue.add_replica(ms(20), "b", 99));
    // A connection is refused, what was inside fails, and so does the first request that tries it: it may be one cause.
    drop(queue.fail(ms(21), ids[0], Failure::Unreached));
    for id in &ids[1..] {
        drop(queue.fail(ms(22), *id, Failure::Error));
    }
    let mut probe = |from| {
        let mut tries = (from..).map(|at| (at, enqueue(&mut queue, at)));
        let (at, (id, _)) = tries.find(|(_, (_, to))| to == &["a"]).unwrap();
        drop(tries);
        drop(queue.fail(ms(at), id, Failure::Error));
        let view = queue.replica(&"a").unwrap();
        (view.failed_in_a_row, view.failed_probes)
    };
    assert_eq!(probe(200), (9, 0));
    assert_eq!(probe(5_000), (10, 1));
}
