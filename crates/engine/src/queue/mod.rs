//! The one queue of a tier, before its replicas.
//!
//! A request goes to the replica with the fewest requests outstanding, among equals to the one unused longest (so they
//! rotate, and a new one is first). A replica never has more than its limit; the rest wait here in order of arrival, so
//! a new replica helps what already waits and the length of the queue is the backlog.
//!
//! **Failures.** Until its first byte is out a request may be tried elsewhere. An error or a time-out costs one of
//! [`QueueSettings::max_tries`] and a retry from the budget; a connection that broke or was never made costs neither,
//! within bounds of its own, and what an ejected replica still fails costs a try alone. A request that comes back has
//! its old place in the order, and goes to another replica as long as another is trusted.
//!
//! **Doubt.** A replica that fails several times in a row is ejected: no work until its back-off ends, then one request
//! as a probe. All are never ejected: where no trusted one is left, those that merely fail are trusted again. One that
//! cannot be reached is left alone at once, even if it is the only one, and its requests wait.
//!
//! **Holding.** While no replica can be reached, a request waits [`QueueSettings::hold`] at most.
//!
//! Every call takes the time and returns what to do, in order. A time before the last one counts as the last one.

mod action;
mod budget;
mod health;
mod lines;
mod replicas;
mod settings;

pub use action::{Action, Failure, QueueCounters, Rejection, RequestId};
pub use replicas::{ReplicaView, Standing};
pub use settings::{Backoff, QueueSettings, RetryBudgetSettings};

use crate::sequence::Sequence;
use alloc::vec::Vec;
use budget::RetryBudget;
use evenkeel_core::units::{Span, Time};
use health::Sign;
use lines::WaitingLines;
use replicas::{Replicas, Slot};

/// A tier's queue over replicas that the caller names by `R`.
#[derive(Debug)]
pub struct TierQueue<R> {
    settings: QueueSettings,
    now: Time,
    requests: Sequence<Request>,
    waiting: WaitingLines,
    replicas: Replicas<R>,
    budget: RetryBudget,
    /// Since when no replica can be reached; `None` while one can.
    unreachable_since: Option<Time>,
    counters: QueueCounters,
}

#[derive(Debug)]
struct Request {
    arrived: Time,
    /// Dispatches, free ones included.
    attempts: u32,
    /// Tries used up by errors and time-outs.
    tries: u32,
    broken: u32,
    unreached: u32,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Waiting { avoid: Option<Slot> },
    InFlight { slot: Slot, answering: bool },
}

impl<R: Ord + Clone> TierQueue<R> {
    /// An empty queue without replicas.
    pub fn new(settings: QueueSettings, start: Time) -> Self {
        Self {
            now: start,
            requests: Sequence::default(),
            waiting: WaitingLines::default(),
            replicas: Replicas::new(),
            budget: RetryBudget::new(&settings.retry_budget),
            unreachable_since: Some(start),
            counters: QueueCounters::default(),
            settings,
        }
    }

    /// Changes how many may wait, and how long while no replica can be reached.
    #[must_use]
    pub fn set_limits(&mut self, now: Time, max_queued: usize, hold: Span) -> Vec<Action<R>> {
        self.change(now, |queue, _| (queue.settings.max_queued, queue.settings.hold) = (max_queued, hold))
    }

    /// Takes a new request and numbers it. The actions dispatch it, reject it, or leave it waiting.
    #[must_use]
    pub fn enqueue(&mut self, now: Time) -> (RequestId, Vec<Action<R>>) {
        let id = RequestId(self.counters.offered);
        let mut actions = self.change(now, |queue, _| {
            let place = Place::Waiting { avoid: None };
            let request = Request { arrived: queue.now, attempts: 0, tries: 0, broken: 0, unreached: 0, place };
            queue.requests.push(request);
            queue.waiting.push(id);
            queue.counters.offered += 1;
        });
        let waits =
            self.requests.get(id.number()).is_some_and(|request| matches!(request.place, Place::Waiting { .. }));
        if waits && self.waiting.len() > self.settings.max_queued {
            self.waiting.remove(id, None);
            self.reject(id, Rejection::QueueFull, &mut actions);
        }
        (id, actions)
    }

    /// Lets time pass: suspensions end, requests held too long are rejected.
    #[must_use]
    pub fn advance(&mut self, now: Time) -> Vec<Action<R>> {
        self.change(now, |_, _| ())
    }

    /// When to call [`Self::advance`] next, if nothing else happens before.
    pub fn next_event(&self) -> Option<Time> {
        let expiry = self.unreachable_since.zip(self.waiting.first()).and_then(|(since, id)| self.expiry(id, since));
        [expiry, self.replicas.next_wake()].into_iter().flatten().min()
    }

    /// Adds a replica, or has a known one serve (again) with this limit.
    #[must_use]
    pub fn add_replica(&mut self, now: Time, replica: R, max_outstanding: u32) -> Vec<Action<R>> {
        self.change(now, |queue, _| queue.replicas.add(replica, max_outstanding))
    }

    /// Gives a replica no more work; [`Action::Drained`] follows once it has none left.
    #[must_use]
    pub fn drain_replica(&mut self, now: Time, replica: &R) -> Vec<Action<R>> {
        self.change(now, |queue, actions| {
            if queue.replicas.drain(replica) {
                actions.push(Action::Drained { replica: replica.clone() });
            }
        })
    }

    /// Forgets a replica. Requests still under way on it stay so until the caller says how they ended.
    #[must_use]
    pub fn remove_replica(&mut self, now: Time, replica: &R) -> Vec<Action<R>> {
        self.change(now, |queue, _| queue.replicas.remove(replica))
    }

    /// The first byte of the answer is on its way to the client: from here on there is no other try.
    #[must_use]
    pub fn first_byte(&mut self, now: Time, id: RequestId) -> Vec<Action<R>> {
        self.change(now, |queue, _| {
            let Some(request) = queue.requests.get_mut(id.number()) else { return };
            if let Place::InFlight { slot, answering } = &mut request.place {
                *answering = true;
                queue.replicas.learn(*slot, id, Sign::Served, queue.now, &queue.settings);
            }
        })
    }

    /// A request was answered wholly.
    #[must_use]
    pub fn complete(&mut self, now: Time, id: RequestId) -> Vec<Action<R>> {
        self.change(now, |queue, actions| {
            if let Some((slot, _)) = queue.in_flight_on(id) {
                queue.release(slot, id, Sign::Served, actions);
                queue.requests.take(id.number());
                queue.counters.completed += 1;
            }
        })
    }

    /// A dispatched request failed. It is dispatched elsewhere, waits again, or is rejected.
    #[must_use]
    pub fn fail(&mut self, now: Time, id: RequestId, failure: Failure) -> Vec<Action<R>> {
        self.change(now, |queue, actions| {
            let Some((slot, answering)) = queue.in_flight_on(id) else { return };
            let sign = if failure == Failure::Unreached { Sign::Unreached } else { Sign::Failed };
            let known = queue.replicas.is_failing(slot);
            queue.release(slot, id, sign, actions);
            let again = if answering { Err(Rejection::BrokeOff) } else { queue.another_try(id, failure, known) };
            match again {
                Ok(()) => queue.wait_again(id, slot),
                Err(reason) => queue.reject(id, reason, actions),
            }
        })
    }

    /// The client left; its place is free.
    #[must_use]
    pub fn cancel(&mut self, now: Time, id: RequestId) -> Vec<Action<R>> {
        self.change(now, |queue, actions| {
            let Some(request) = queue.requests.get(id.number()) else { return };
            match request.place {
                Place::Waiting { avoid } => queue.waiting.remove(id, avoid),
                Place::InFlight { slot, .. } => queue.release(slot, id, Sign::Nothing, actions),
            }
            queue.requests.take(id.number());
            queue.counters.cancelled += 1;
        })
    }

    /// Requests that wait.
    pub fn queued(&self) -> usize {
        self.waiting.len()
    }

    /// Requests on replicas, those on removed ones included.
    pub fn in_flight(&self) -> usize {
        self.requests.len() - self.waiting.len()
    }

    /// How long the first in the queue has waited since it arrived; `None` where nobody waits.
    pub fn oldest_waiting(&self, now: Time) -> Option<Span> {
        let first = self.requests.get(self.waiting.first()?.number())?;
        Some(now.since(first.arrived))
    }

    /// Since when no replica can be reached; `None` while one can. Requests are held meanwhile.
    pub fn unreachable_since(&self) -> Option<Time> {
        self.unreachable_since
    }

    /// The replicas, in order of their names.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaView<'_, R>> {
        self.replicas.views()
    }

    /// One replica as it stands.
    pub fn replica(&self, replica: &R) -> Option<ReplicaView<'_, R>> {
        self.replicas.find(replica)
    }

    /// Totals since the queue began.
    pub fn counters(&self) -> &QueueCounters {
        &self.counters
    }

    /// One change, then whatever follows from it and from the time that has passed.
    fn change(&mut self, now: Time, change: impl FnOnce(&mut Self, &mut Vec<Action<R>>)) -> Vec<Action<R>> {
        let mut actions = Vec::new();
        self.now = self.now.max(now);
        change(self, &mut actions);
        self.settle(&mut actions);
        actions
    }

    /// Dispatches before it expires: a request whose replica has just come is served, not rejected.
    fn settle(&mut self, actions: &mut Vec<Action<R>>) {
        self.replicas.wake(self.now);
        self.note_reachability();
        while let Some((id, slot)) = self.next_dispatch() {
            self.dispatch(id, slot, actions);
        }
        while let Some(id) = self.next_expired() {
            self.waiting.remove(id, self.avoids(id));
            self.reject(id, Rejection::HeldTooLong, actions);
        }
    }

    fn note_reachability(&mut self) {
        if self.replicas.any_reachable() {
            self.unreachable_since = None;
        } else {
            self.unreachable_since.get_or_insert(self.now);
        }
    }

    /// The first request for the first replica that may have it.
    fn next_dispatch(&self) -> Option<(RequestId, Slot)> {
        let first = self.waiting.first()?;
        self.replicas.available().find_map(|slot| {
            // A replica that just failed a request is avoided only while there is another worth waiting for.
            let picky = self.replicas.trusts_another(slot);
            let id = if picky { self.waiting.first_for(slot) } else { Some(first) };
            id.map(|id| (id, slot))
        })
    }

    fn dispatch(&mut self, id: RequestId, slot: Slot, actions: &mut Vec<Action<R>>) {
        self.waiting.remove(id, self.avoids(id));
        let Some(request) = self.requests.get_mut(id.number()) else { return };
        request.attempts += 1;
        request.place = Place::InFlight { slot, answering: false };
        if request.attempts == 1 {
            self.budget.deposit(self.now);
        }
        self.counters.dispatched += 1;
        let attempt = request.attempts;
        actions.push(Action::Dispatch { request: id, replica: self.replicas.dispatch(slot, id), attempt });
    }

    fn next_expired(&self) -> Option<RequestId> {
        let (since, id) = self.unreachable_since.zip(self.waiting.first())?;
        self.expiry(id, since).filter(|expiry| *expiry <= self.now).map(|_| id)
    }

    fn expiry(&self, id: RequestId, unreachable_since: Time) -> Option<Time> {
        let request = self.requests.get(id.number())?;
        Some(request.arrived.max(unreachable_since) + self.settings.hold)
    }

    fn avoids(&self, id: RequestId) -> Option<Slot> {
        match self.requests.get(id.number())?.place {
            Place::Waiting { avoid } => avoid,
            Place::InFlight { .. } => None,
        }
    }

    fn in_flight_on(&self, id: RequestId) -> Option<(Slot, bool)> {
        match self.requests.get(id.number())?.place {
            Place::InFlight { slot, answering } => Some((slot, answering)),
            Place::Waiting { .. } => None,
        }
    }

    fn release(&mut self, slot: Slot, id: RequestId, sign: Sign, actions: &mut Vec<Action<R>>) {
        if let Some(replica) = self.replicas.release(slot, id, sign, self.now, &self.settings) {
            actions.push(Action::Drained { replica });
        }
    }

    /// Whether a failed request may try again, and counts it. The budget keeps a tier in trouble from being asked ever more;
    /// it has no say in what comes back from a replica that is `known` to fail, as that gets no more work: what is left
    /// inside it is few, and the fault is not theirs.
    fn another_try(&mut self, id: RequestId, failure: Failure, known: bool) -> Result<(), Rejection> {
        let Some(request) = self.requests.get_mut(id.number()) else { return Err(Rejection::TriesSpent) };
        let free = match failure {
            Failure::Unreached => {
                request.unreached += 1;
                request.unreached <= self.settings.max_unreached
            }
            Failure::Broke => {
                request.broken += 1;
                request.broken <= self.settings.max_broken
            }
            Failure::Error | Failure::TimedOut => false,
        };
        if free {
            self.counters.returned += 1;
            return Ok(());
        }
        request.tries += 1;
        if request.tries >= self.settings.max_tries {
            return Err(Rejection::TriesSpent);
        }
        if !known && !self.budget.withdraw(self.now) {
            return Err(Rejection::RetryBudgetSpent);
        }
        self.counters.retried += 1;
        Ok(())
    }

    fn wait_again(&mut self, id: RequestId, avoid: Slot) {
        if let Some(request) = self.requests.get_mut(id.number()) {
            request.place = Place::Waiting { avoid: Some(avoid) };
            self.waiting.insert(id, avoid);
        }
    }

    fn reject(&mut self, request: RequestId, reason: Rejection, actions: &mut Vec<Action<R>>) {
        self.requests.take(request.number());
        match reason {
            Rejection::QueueFull => self.counters.rejected += 1,
            Rejection::HeldTooLong => self.counters.expired += 1,
            Rejection::TriesSpent | Rejection::RetryBudgetSpent | Rejection::BrokeOff => self.counters.failed += 1,
        }
        actions.push(Action::Reject { request, reason });
    }
}
