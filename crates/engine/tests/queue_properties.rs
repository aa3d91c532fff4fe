//! What holds of the tier queue whatever happens, in whatever order.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use evenkeel_core::units::{Span, Time};
use evenkeel_engine::queue::{Action, Failure, QueueCounters, QueueSettings, RequestId, Standing, TierQueue};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Replicas by number; requests in flight are picked by position.
#[derive(Clone, Debug)]
enum Call {
    Enqueue,
    Add(u8, u32),
    Drain(u8),
    Remove(u8),
    FirstByte(usize),
    Complete(usize),
    Fail(usize, Failure),
    CancelInFlight(usize),
    CancelWaiting(usize),
    Wait(i64),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let failure =
        prop_oneof![Just(Failure::Error), Just(Failure::TimedOut), Just(Failure::Broke), Just(Failure::Unreached)];
    let call = prop_oneof![
        10 => Just(Call::Enqueue),
        3 => (0_u8..4, 0_u32..4).prop_map(|(replica, max)| Call::Add(replica, max)),
        1 => (0_u8..4).prop_map(Call::Drain),
        1 => (0_u8..4).prop_map(Call::Remove),
        2 => any::<usize>().prop_map(Call::FirstByte),
        4 => any::<usize>().prop_map(Call::Complete),
        5 => (any::<usize>(), failure).prop_map(|(at, failure)| Call::Fail(at, failure)),
        1 => any::<usize>().prop_map(Call::CancelInFlight),
        1 => any::<usize>().prop_map(Call::CancelWaiting),
        3 => (0_i64..2_000).prop_map(Call::Wait),
    ];
    proptest::collection::vec(call, 1..300)
}

fn settings() -> QueueSettings {
    let mut settings = QueueSettings::new(12, Span::from_secs(5));
    settings.ejection_failures = 3;
    settings
}

/// The queue, and what an observer who only sees calls and actions knows of it.
struct Observed {
    queue: TierQueue<u8>,
    now: i64,
    in_flight: BTreeMap<RequestId, u8>,
    waiting: BTreeSet<RequestId>,
    ended: BTreeSet<RequestId>,
    /// Those that have failed at least once: they may have to wait for another replica.
    failed: BTreeSet<RequestId>,
    last_first_dispatch: Option<RequestId>,
    transcript: Vec<Action<u8>>,
}

impl Observed {
    fn new() -> Self {
        Self {
            queue: TierQueue::new(settings(), Time::from_micros(0)),
            now: 0,
            in_flight: BTreeMap::new(),
            waiting: BTreeSet::new(),
            ended: BTreeSet::new(),
            failed: BTreeSet::new(),
            last_first_dispatch: None,
            transcript: Vec::new(),
        }
    }

    fn pick(&self, at: usize) -> Option<RequestId> {
        self.in_flight.keys().nth(at % self.in_flight.len().max(1)).copied()
    }

    fn call(&mut self, call: &Call) {
        let now = Time::from_micros(self.now * 1_000);
        let actions = match call {
            Call::Enqueue => {
                let (id, actions) = self.queue.enqueue(now);
                self.waiting.insert(id);
                actions
            }
            Call::Add(replica, max) => self.queue.add_replica(now, *replica, *max),
            Call::Drain(replica) => self.queue.drain_replica(now, replica),
            Call::Remove(replica) => self.queue.remove_replica(now, replica),
            Call::FirstByte(at) => self.pick(*at).map(|id| self.queue.first_byte(now, id)).unwrap_or_default(),
            Call::Complete(at) => {
                let Some(id) = self.pick(*at) else { return };
                self.leaves(id);
                self.queue.complete(now, id)
            }
            Call::Fail(at, failure) => {
                let Some(id) = self.pick(*at) else { return };
                self.in_flight.remove(&id);
                self.waiting.insert(id);
                self.failed.insert(id);
                self.queue.fail(now, id, *failure)
            }
            Call::CancelInFlight(at) => {
                let Some(id) = self.pick(*at) else { return };
                self.leaves(id);
                self.queue.cancel(now, id)
            }
            Call::CancelWaiting(at) => {
                let Some(id) = self.waiting.iter().nth(at % self.waiting.len().max(1)).copied() else { return };
                self.leaves(id);
                self.queue.cancel(now, id)
            }
            Call::Wait(millis) => {
                self.now += millis;
                self.queue.advance(Time::from_micros(self.now * 1_000))
            }
        };
        self.obey(actions);
    }

    fn leaves(&mut self, id: RequestId) {
        assert!(self.in_flight.remove(&id).is_some() | self.waiting.remove(&id));
        assert!(self.ended.insert(id), "a request ends once");
    }

    fn obey(&mut self, actions: Vec<Action<u8>>) {
        for action in actions {
            match &action {
                Action::Dispatch { request, replica, attempt } => {
                    assert!(self.waiting.remove(request), "only what waits is dispatched");
                    assert_eq!(*attempt == 1, !self.failed.contains(request));
                    if *attempt == 1 {
                        assert!(self.last_first_dispatch < Some(*request), "first come first served");
                        self.last_first_dispatch = Some(*request);
                    }
                    self.in_flight.insert(*request, *replica);
                    let view = self.queue.replica(replica).expect("a replica that exists");
                    assert_eq!(view.standing, Standing::Serving);
                    let given = self.in_flight.values().filter(|name| *name == replica).count();
                    assert!(given <= view.max_outstanding as usize, "never more than its limit");
                }
                Action::Reject { request, .. } => self.leaves(*request),
                Action::Drained { replica } => {
                    let view = self.queue.replica(replica).expect("a replica that exists");
                    assert_eq!((view.standing, view.outstanding), (Standing::Draining, 0));
                }
            }
            self.transcript.push(action);
        }
    }

    /// What must hold between any two calls.
    fn check(&self) {
        assert_eq!((self.queue.queued(), self.queue.in_flight()), (self.waiting.len(), self.in_flight.len()));
        for view in self.queue.replicas() {
            let given = self.in_flight.values().filter(|name| *name == view.replica).count();
            assert_eq!(view.outstanding as usize, given);
            let idle = view.standing == Standing::Serving && !view.ejected && view.outstanding < view.max_outstanding;
            let untried = self.waiting.difference(&self.failed).count();
            assert!(!idle || untried == 0, "nobody waits beside a free place");
        }
        let c: &QueueCounters = self.queue.counters();
        let ended = c.completed + c.cancelled + c.rejected + c.expired + c.failed;
        assert_eq!(ended, self.ended.len() as u64);
        assert_eq!(c.offered, ended + (self.waiting.len() + self.in_flight.len()) as u64);
        let due = self.queue.next_event().map(Time::as_micros);
        assert!(due.is_none_or(|due| due > self.now * 1_000), "what is due has been done");
    }

    /// Ends everything: with a replica that works, no request is left behind.
    fn finish(&mut self) {
        self.call(&Call::Add(99, 100));
        while !self.in_flight.is_empty() {
            self.call(&Call::Complete(0));
        }
        for _ in 0..50 {
            self.call(&Call::Wait(1_000));
            self.call(&Call::Complete(0));
        }
    }
}

fn observe(calls: &[Call]) -> Observed {
    let mut observed = Observed::new();
    for call in calls {
        observed.call(call);
        observed.check();
    }
    observed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_request_ends_once_and_no_replica_has_more_than_it_may(calls in calls()) {
        let mut observed = observe(&calls);
        observed.finish();
        observed.check();
        prop_assert!(observed.waiting.is_empty() && observed.in_flight.is_empty());
        prop_assert_eq!(observed.ended.len() as u64, observed.queue.counters().offered);
    }

    #[test]
    fn equal_calls_give_equal_actions(calls in calls()) {
        prop_assert_eq!(observe(&calls).transcript, observe(&calls).transcript);
    }

    #[test]
    fn a_request_that_only_fails_comes_to_an_end(
        failures in proptest::collection::vec(0_u8..4, 1..8),
        replicas in 1_u8..4,
    ) {
        let mut observed = Observed::new();
        (0..replicas).for_each(|replica| observed.call(&Call::Add(replica, 2)));
        observed.call(&Call::Enqueue);
        let kinds = [Failure::Error, Failure::TimedOut, Failure::Broke, Failure::Unreached];
        let mut steps = 0;
        while observed.ended.is_empty() {
            let failure = kinds[usize::from(failures[steps % failures.len()])];
            observed.call(&Call::Fail(0, failure));
            observed.call(&Call::Wait(100));
            steps += 1;
            prop_assert!(steps < 2_000);
        }
    }
}
