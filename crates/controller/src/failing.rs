//! Replicas that are well by their health check and fail their requests: only the gateway, which has taken them out of
//! rotation, can tell. They cost money and serve nobody, so one that does not recover is replaced.

use crate::gateway_view::GatewayView;
use evenkeel_core::observe::ReplicaId;
use evenkeel_core::units::{Span, Time};
use std::collections::BTreeMap;

/// One that fails for as long as a start may take is replaced, after this long at most and at least.
const PATIENCE: (Span, Span) = (Span::from_secs(10), Span::from_secs(60));
/// Requests in a row that it must have failed. The gateway takes one out after five, which may have one cause that is over;
/// what it fails after those are probes, or requests that were inside it. Quiet proves nothing.
const PROOF: u32 = 8;

/// One tier's failing replicas.
#[derive(Debug, Default)]
pub(crate) struct Failing {
    known: BTreeMap<ReplicaId, Doubted>,
}

#[derive(Clone, Copy, Debug)]
struct Doubted {
    since: Time,
    failed_in_a_row: u32,
}

impl Failing {
    /// Takes in what the gateway says of the `ready` replicas; gives those it did not say it of before. While it cannot be
    /// asked nothing is known, and the patience begins anew.
    pub(crate) fn take(&mut self, ready: &[ReplicaId], gateway: &GatewayView, now: Time) -> Vec<ReplicaId> {
        let fails = gateway.failing.iter().filter(|(id, _)| gateway.applied.is_some() && ready.contains(id));
        let before = std::mem::take(&mut self.known);
        for (id, &failed_in_a_row) in fails {
            let since = before.get(id).map_or(now, |doubted| doubted.since);
            self.known.insert(id.clone(), Doubted { since, failed_in_a_row });
        }
        self.known.keys().filter(|id| !before.contains_key(*id)).cloned().collect()
    }

    /// The replica to replace now: the one that fails for longest, if its time is up and another of the `ready` ones serves.
    /// Where all fail, the fault is likely not theirs.
    pub(crate) fn due(&self, ready: &[ReplicaId], start: Span, now: Time) -> Option<ReplicaId> {
        let others_serve = ready.iter().any(|id| !self.known.contains_key(id));
        let proved = self.known.iter().filter(|(_, doubted)| doubted.failed_in_a_row >= PROOF);
        let (id, doubted) = proved.min_by_key(|(id, doubted)| (doubted.since, *id))?;
        (others_serve && now.since(doubted.since) >= start.clamp(PATIENCE.0, PATIENCE.1)).then(|| id.clone())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use evenkeel_wire::routes::RouteVersion;

    const START: Span = Span::from_secs(20);

    fn at(secs: i64) -> Time {
        Time::from_micros(0) + Span::from_secs(secs)
    }

    fn ids(names: &[&str]) -> Vec<ReplicaId> {
        names.iter().map(|name| ReplicaId((*name).to_owned())).collect()
    }

    fn gateway(failing: &[&str]) -> GatewayView {
        let applied = Some(RouteVersion::default());
        GatewayView {
            applied,
            failing: ids(failing).into_iter().map(|id| (id, PROOF)).collect(),
            ..GatewayView::default()
        }
    }

    #[test]
    fn one_that_fails_for_longer_than_a_start_may_take_is_due_and_one_that_recovers_is_not() {
        let (mut failing, ready) = (Failing::default(), ids(&["a", "b"]));
        assert_eq!(failing.take(&ready, &gateway(&["a"]), at(0)), ids(&["a"]));
        assert_eq!(failing.take(&ready, &gateway(&["a"]), at(19)), [], "it is told once");
        assert_eq!(failing.due(&ready, START, at(19)), None);
        assert_eq!(failing.due(&ready, START, at(20)), Some(ready[0].clone()));
        for (start, due) in [(600, 60), (1, 10)] {
            assert_eq!(failing.due(&ready, Span::from_secs(start), at(due - 1)), None);
            assert_eq!(failing.due(&ready, Span::from_secs(start), at(due)), Some(ready[0].clone()));
        }
        failing.take(&ready, &gateway(&[]), at(21));
        assert_eq!(failing.take(&ready, &gateway(&["a"]), at(22)), ids(&["a"]));
        assert_eq!(failing.due(&ready, START, at(30)), None);
    }

    #[test]
    fn where_all_fail_none_is_due() {
        let (mut failing, ready) = (Failing::default(), ids(&["a", "b"]));
        failing.take(&ready, &gateway(&["a", "b"]), at(0));
        assert_eq!(failing.due(&ready, START, at(100)), None);
    }

    #[test]
    fn a_gateway_that_cannot_be_asked_begins_the_patience_anew() {
        let (mut failing, ready) = (Failing::default(), ids(&["a", "b"]));
        failing.take(&ready, &gateway(&["a"]), at(0));
        let dark = GatewayView { applied: None, ..gateway(&["a"]) };
        failing.take(&ready, &dark, at(10));
        failing.take(&ready, &gateway(&["a"]), at(11));
        assert_eq!(failing.due(&ready, START, at(25)), None);
        assert_eq!(failing.due(&ready, START, at(31)), Some(ready[0].clone()));
    }

    #[test]
    fn one_that_failed_no_request_since_it_was_taken_out_is_not_due() {
        let (mut failing, ready) = (Failing::default(), ids(&["a", "b"]));
        let failed = |count| GatewayView { failing: [(ready[0].clone(), count)].into(), ..gateway(&[]) };
        assert_eq!(failing.take(&ready, &failed(5), at(0)), ids(&["a"]));
        assert_eq!(failing.due(&ready, START, at(1_000)), None);
        assert_eq!(failing.take(&ready, &failed(8), at(1_001)), []);
        assert_eq!(failing.due(&ready, START, at(1_001)), Some(ready[0].clone()));
    }
}
