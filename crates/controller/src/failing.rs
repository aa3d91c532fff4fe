//! Replicas that are well by their health check and fail their requests: only the gateway, which has taken them out of
//! rotation, can tell. They cost money and serve nobody, so one that does not recover is replaced.

use crate::gateway_view::{Failures, GatewayView};
use evenkeel_core::observe::ReplicaId;
use evenkeel_core::units::{Span, Time};
use std::collections::BTreeMap;

/// One that fails for as long as a start may take is replaced, after this long at most and at least.
const PATIENCE: (Span, Span) = (Span::from_secs(10), Span::from_secs(60));
/// Requests in a row that it must have failed to be replaced before the longest patience is over: one that fails fast soon
/// has them, and one that never answers takes the gateway's patience for each.
const PROOF: u32 = 8;

/// One tier's failing replicas.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    known: BTreeMap<ReplicaId, Doubted>,
    served: BTreeMap<ReplicaId, Served>,
}

#[derive(Clone, Copy, Debug)]
struct Doubted {
    since: Time,
    failures: Failures,
}

impl Doubted {
    /// What was inside it when the gateway took it out may have had one cause that is over, so it must have failed a
    /// probe since. Quiet proves nothing.
    fn is_proved(&self, now: Time) -> bool {
        self.failures.probes > 0 && (self.failures.in_a_row >= PROOF || now.since(self.since) >= PATIENCE.1)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Served {
    count: u64,
    /// When the count was last seen to have changed.
    last: Option<Time>,
}

impl Failing {
    /// Takes in what the gateway says of the `ready` replicas; gives those it did not say it of before. While it cannot be
    /// asked nothing is known, and the patience begins anew; so it does while one before it fills the replicas, too.
    pub(crate) fn take(&mut self, ready: &[ReplicaId], gateway: &GatewayView, now: Time) -> Vec<ReplicaId> {
        self.watch(ready, gateway, now);
        let known = gateway.applied.is_some() && !gateway.earlier_answers;
        let fails = gateway.failing.iter().filter(|(id, _)| known && ready.contains(id));
        let before = std::mem::take(&mut self.known);
        for (id, &failures) in fails {
            let since = before.get(id).map_or(now, |doubted| doubted.since);
            self.known.insert(id.clone(), Doubted { since, failures });
        }
        self.known.keys().filter(|id| !before.contains_key(*id)).cloned().collect()
    }

    /// When each of the `ready` replicas last answered a request, as far as the gateway can be asked.
    fn watch(&mut self, ready: &[ReplicaId], gateway: &GatewayView, now: Time) {
        self.served.retain(|id, _| ready.contains(id));
        for (id, &count) in gateway.served.iter().filter(|(id, _)| ready.contains(id)) {
            let served = self.served.entry(id.clone()).or_insert(Served { count, last: None });
            if served.count != count {
                // Where the gateway began anew, at 0, nothing was served by it yet.
                *served = Served { count, last: if count > 0 { Some(now) } else { served.last } };
            }
        }
    }

    /// The replica to replace now: the one that fails for longest, if its time is up and another of the `ready` ones, in
    /// which the gateway finds no fault, has answered a request since. Where all fail, the fault is likely not theirs; and of
    /// one that has only just become ready nobody knows yet whether it serves.
    pub(crate) fn due(&self, ready: &[ReplicaId], start: Span, now: Time) -> Option<ReplicaId> {
        let proved = self.known.iter().filter(|(_, doubted)| doubted.is_proved(now));
        let (id, doubted) = proved.min_by_key(|(id, doubted)| (doubted.since, *id))?;
        let is_sound = |id: &&ReplicaId| !self.known.contains_key(*id);
        let last = ready.iter().filter(is_sound).filter_map(|id| self.served.get(id)?.last).max();
        let others_serve = last.is_some_and(|last| last > doubted.since);
        (others_serve && now.since(doubted.since) >= start.clamp(PATIENCE.0, PATIENCE.1)).then(|| id.clone())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use evenkeel_wire::routes::RouteVersion;

    const START: Span = Span::from_secs(20);
    const PROVED: Failures = Failures { in_a_row: PROOF, probes: 1 };

    fn at(secs: i64) -> Time {
        Time::from_micros(0) + Span::from_secs(secs)
    }

    fn ids(names: &[&str]) -> Vec<ReplicaId> {
        names.iter().map(|name| ReplicaId((*name).to_owned())).collect()
    }

    /// It finds these failing; each of the other ones of a and b has served `served` requests.
    fn gateway(failing: &[&str], served: u64) -> GatewayView {
        let failing: BTreeMap<_, _> = ids(failing).into_iter().map(|id| (id, PROVED)).collect();
        let served =
            ids(&["a", "b"]).into_iter().map(|id| (id.clone(), if failing.contains_key(&id) { 1 } else { served }));
        let (applied, served) = (Some(RouteVersion::default()), served.collect());
        GatewayView { applied, failing, served, ..GatewayView::default() }
    }

    #[test]
    fn one_that_never_answers_is_due_with_the_first_probe_that_fails_after_a_minute_of_doubt() {
        let (mut failing, ready) = (Failing::default(), ids(&["a", "b"]));
        let silent = |in_a_row, probes, served| {
            let mut view = gateway(&["a"], served);
            view.failing.insert(ready[0].clone(), Failures { in_a_row, probes });
            view
        };
        failing.take(&ready, &silent(5, 0, 1), at(0));
        failing.take(&ready, &silent(50, 0, 2), at(61));
        assert_eq!(failing.due(&ready, START, at(61)), None, "what was inside it may have had one cause");
        failing.take(&ready, &silent(6, 1, 3), at(62));
        assert_eq!(failing.due(&ready, START, at(62)), Some(ready[0].clone()));
        // Sooner than that more is asked for.
        let mut failing = Failing::default();
        failing.take(&ready, &silent(5, 0, 4), at(100));
        failing.take(&ready, &silent(6, 1, 5), at(159));
        assert_eq!(failing.due(&ready, START, at(159)), None);
        failing.take(&ready, &silent(8, 2, 6), at(159));
        assert_eq!(failing.due(&ready, START, at(159)), Some(ready[0].clone()));
    }

    #[test]
    fn one_that_fails_for_longer_than_a_start_may_take_is_due_and_one_that_recovers_is_not() {
        let (mut failing, ready) = (Failing::default(), ids(&["a", "b"]));
        assert_eq!(failing.take(&ready, &gateway(&["a"], 1), at(0)), ids(&["a"]));
        assert_eq!(failing.take(&ready, &gateway(&["a"], 2), at(19)), [], "it is told once");
        assert_eq!(failing.due(&ready, START, at(19)), None);
        assert_eq!(failing.due(&ready, START, at(20)), Some(ready[0].clone()));
        for (start, due) in [(600, 60), (1, 10)] {
            assert_eq!(failing.due(&ready, Span::from_secs(start), at(due - 1)), None);
            assert_eq!(failing.due(&ready, Span::from_secs(start), at(due)), Some(ready[0].clone()));
        }
        failing.take(&ready, &gateway(&[], 3), at(21));
        assert_eq!(failing.take(&ready, &gateway(&["a"], 4), at(22)), ids(&["a"]));
        failing.take(&ready, &gateway(&["a"], 5), at(23));
        assert_eq!(failing.due(&ready, START, at(30)), None);
    }

    #[test]
    fn where_all_fail_none_is_due() {
        let (mut failing, ready) = (Failing::default(), ids(&["a", "b"]));
        failing.take(&ready, &gateway(&["a", "b"], 0), at(0));
        assert_eq!(failing.due(&ready, START, at(100)), None);
    }

    #[test]
    fn none_is_due_until_another_has_answered_a_request_since_it_fails() {
        let (mut failing, ready) = (Failing::default(), ids(&["a", "b"]));
        // 0 s: b has served 7, all of them before.
        failing.take(&ready, &gateway(&["a"], 7), at(0));
        failing.take(&ready, &gateway(&["a"], 7), at(30));
        assert_eq!(failing.due(&ready, START, at(30)), None, "b is quiet");
        // 31 s: the gateway was started again. 32 s: b has served one.
        failing.take(&ready, &gateway(&["a"], 0), at(31));
        assert_eq!(failing.due(&ready, START, at(31)), None, "b is quiet");
        failing.take(&ready, &gateway(&["a"], 1), at(32));
        assert_eq!(failing.due(&ready, START, at(32)), Some(ready[0].clone()));
        // 33 s: b fails, too, and c is new.
        let (ready, all) = (ids(&["a", "b", "c"]), gateway(&["a", "b"], 1));
        failing.take(&ready, &GatewayView { served: [(ready[2].clone(), 0)].into(), ..all }, at(33));
        assert_eq!(failing.due(&ready, START, at(1_000)), None, "nobody knows whether c serves");
    }

    #[test]
    fn a_gateway_that_cannot_be_asked_begins_the_patience_anew() {
        let (mut failing, ready) = (Failing::default(), ids(&["a", "b"]));
        failing.take(&ready, &gateway(&["a"], 1), at(0));
        failing.take(&ready, &GatewayView { applied: None, ..gateway(&["a"], 2) }, at(10));
        failing.take(&ready, &gateway(&["a"], 3), at(11));
        failing.take(&ready, &gateway(&["a"], 4), at(12));
        assert_eq!(failing.due(&ready, START, at(25)), None);
        assert_eq!(failing.due(&ready, START, at(31)), Some(ready[0].clone()));
    }

    #[test]
    fn nobody_is_condemned_while_an_earlier_gateway_fills_the_replicas() {
        let (mut failing, ready) = (Failing::default(), ids(&["a", "b"]));
        for second in 0..100 {
            let view = GatewayView { earlier_answers: true, ..gateway(&["a"], second) };
            assert_eq!(failing.take(&ready, &view, at(second as i64)), []);
        }
        assert_eq!(failing.due(&ready, START, at(100)), None);
        assert_eq!(failing.take(&ready, &gateway(&["a"], 100), at(100)), ids(&["a"]));
        failing.take(&ready, &gateway(&["a"], 101), at(101));
        assert_eq!(failing.due(&ready, START, at(119)), None, "its patience begins with the earlier one's end");
        assert_eq!(failing.due(&ready, START, at(120)), Some(ready[0].clone()));
    }

    #[test]
    fn one_that_failed_no_request_since_it_was_taken_out_is_not_due() {
        let (mut failing, ready) = (Failing::default(), ids(&["a", "b"]));
        let failed = |probes, served| {
            let failures = Failures { in_a_row: 8, probes };
            GatewayView { failing: [(ready[0].clone(), failures)].into(), ..gateway(&[], served) }
        };
        assert_eq!(failing.take(&ready, &failed(0, 1), at(0)), ids(&["a"]));
        failing.take(&ready, &failed(0, 2), at(1));
        assert_eq!(failing.due(&ready, START, at(1_000)), None);
        assert_eq!(failing.take(&ready, &failed(1, 3), at(1_001)), []);
        assert_eq!(failing.due(&ready, START, at(1_001)), Some(ready[0].clone()));
    }
}
