//! What a tier's lock protects: the queue, who waits for its word, and when its timer rings.

use crate::upstream::Replica;
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::queue::{Action, Failure, QueueSettings, Rejection, RequestId, Standing, TierQueue};
use evenkeel_fleet::model::GatewaySettings;
use evenkeel_wire::report::ReplicaLoad;
use evenkeel_wire::routes::{Route, RouteState};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

/// A replica as the queue names it: two routes with one id and different addresses are different replicas.
#[derive(Clone, Debug)]
pub(super) struct Named(pub(super) Arc<Replica>);

impl Ord for Named {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.identity().cmp(&other.0.identity())
    }
}

impl PartialOrd for Named {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Named {}

/// The queue's word on a request that waits.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It goes to this replica.
    Go(Arc<Replica>),
    /// It will not be served.
    Refused(Rejection),
}

/// A word that may be yet to come.
#[derive(Debug)]
pub(super) enum Word {
    /// It was said.
    Said(Verdict),
    /// It will be.
    Later(oneshot::Receiver<Verdict>),
}

/// The state.
#[derive(Debug)]
pub(super) struct State {
    /// Changed only in here, where every action that a change returns is carried out: one that is lost leaves a client
    /// without a word for ever.
    queue: TierQueue<Named>,
    waiting: BTreeMap<RequestId, oneshot::Sender<Verdict>>,
    /// When the timer rings; `None` when it does not.
    timer: Option<Time>,
}

impl State {
    pub(super) fn new(settings: &GatewaySettings, now: Time) -> Self {
        let queue = TierQueue::new(QueueSettings::new(max_held(settings), settings.hold), now);
        Self { queue, waiting: BTreeMap::new(), timer: None }
    }

    /// The queue, to look at.
    pub(super) fn queue(&self) -> &TierQueue<Named> {
        &self.queue
    }

    /// Changes how much may wait, and how long.
    pub(super) fn set_limits(&mut self, now: Time, settings: &GatewaySettings) {
        let actions = self.queue.set_limits(now, max_held(settings), settings.hold);
        self.carry_out(actions, None);
    }

    /// Whether no request is left; then none may wait any more either, since nobody would look after it.
    pub(super) fn close_if_empty(&mut self, now: Time) -> bool {
        let empty = self.queue.queued() == 0 && self.queue.in_flight() == 0;
        if empty {
            let actions = self.queue.set_limits(now, 0, Span::ZERO);
            self.carry_out(actions, None);
        }
        empty
    }

    /// Takes a new request.
    pub(super) fn enqueue(&mut self, now: Time) -> (RequestId, Word) {
        let (id, actions) = self.queue.enqueue(now);
        (id, self.word_on(id, actions))
    }

    /// A request failed.
    pub(super) fn fail(&mut self, now: Time, id: RequestId, failure: Failure) -> Word {
        let actions = self.queue.fail(now, id, failure);
        self.word_on(id, actions)
    }

    /// A request's answer has begun. A replica on probation is trusted again by this, and gets what waited for it.
    pub(super) fn first_byte(&mut self, now: Time, id: RequestId) {
        let actions = self.queue.first_byte(now, id);
        self.carry_out(actions, None);
    }

    /// A request was answered wholly.
    pub(super) fn complete(&mut self, now: Time, id: RequestId) {
        let actions = self.queue.complete(now, id);
        self.carry_out(actions, None);
    }

    /// A request's client left.
    pub(super) fn cancel(&mut self, now: Time, id: RequestId) {
        self.waiting.remove(&id);
        let actions = self.queue.cancel(now, id);
        self.carry_out(actions, None);
    }

    /// Does what is due and tells, and remembers for the timer, when to come again.
    pub(super) fn advance(&mut self, now: Time) -> Option<Time> {
        let actions = self.queue.advance(now);
        self.carry_out(actions, None);
        self.timer = self.queue.next_event();
        self.timer
    }

    /// Whether the queue wants to be looked at before the timer rings.
    pub(super) fn is_due_earlier(&self) -> bool {
        let Some(due) = self.queue.next_event() else { return false };
        self.timer.is_none_or(|timer| due < timer)
    }

    /// The replicas that the queue knows, those that only finish their work included.
    pub(super) fn replicas(&self) -> Vec<Arc<Replica>> {
        self.queue.replicas().map(|view| Arc::clone(&view.replica.0)).collect()
    }

    /// What each replica has of ours, nothing included. One whose route changed its address or model while it had requests
    /// is two in the queue and one in here: it is empty only when both are.
    pub(super) fn loads(&self) -> Vec<ReplicaLoad> {
        let mut loads: Vec<ReplicaLoad> = Vec::new();
        // Those of one name follow each other.
        for view in self.queue.replicas() {
            let id = &view.replica.0.id;
            match loads.last_mut().filter(|last| last.id == *id) {
                Some(same) => {
                    same.in_flight += view.outstanding;
                    same.failed_in_a_row += view.failed_in_a_row;
                    same.failed_probes += view.failed_probes;
                    same.served += view.served;
                }
                None => {
                    loads.push(ReplicaLoad {
                        id: id.clone(),
                        in_flight: view.outstanding,
                        failed_in_a_row: view.failed_in_a_row,
                        failed_probes: view.failed_probes,
                        served: view.served,
                    });
                }
            }
        }
        loads
    }

    /// Brings the queue's replicas in line with `routes`. New ones come first, so that what waits is not refused in
    /// between.
    pub(super) fn set_routes(&mut self, now: Time, routes: &[Route]) {
        let known = self.replicas();
        let mut routed = Vec::with_capacity(routes.len());
        for route in routes {
            let Some(replica) = find_or_make(&known, route) else { continue };
            let name = Named(replica);
            self.set_route(now, route, &name);
            routed.push(name);
        }
        for gone in known.into_iter().map(Named).filter(|name| !routed.contains(name)) {
            let actions = self.queue.remove_replica(now, &gone);
            self.carry_out(actions, None);
        }
    }

    fn set_route(&mut self, now: Time, route: &Route, name: &Named) {
        let mut actions = Vec::new();
        match route.state {
            RouteState::Serving => actions = self.queue.add_replica(now, name.clone(), route.max_outstanding),
            RouteState::Draining => {
                // One that we never saw serving has nothing of ours, and is reported as having nothing. One that had left
                // the table and is back in it stays in the report for as long as it is.
                let known = self.queue.replica(name).map(|view| view.standing);
                if matches!(known, None | Some(Standing::Removed)) {
                    actions = self.queue.add_replica(now, name.clone(), 0);
                }
                actions.extend(self.queue.drain_replica(now, name));
            }
        }
        self.carry_out(actions, None);
    }

    /// Carries `actions` out; the word on `id` is among them or registered for, under the same lock.
    fn word_on(&mut self, id: RequestId, actions: Vec<Action<Named>>) -> Word {
        if let Some(verdict) = self.carry_out(actions, Some(id)) {
            return Word::Said(verdict);
        }
        let (word, later) = oneshot::channel();
        self.waiting.insert(id, word);
        Word::Later(later)
    }

    /// Hands the queue's words to those who wait for them; the word on `own` is returned instead.
    fn carry_out(&mut self, actions: Vec<Action<Named>>, own: Option<RequestId>) -> Option<Verdict> {
        let mut ours = None;
        for action in actions {
            let (id, verdict) = match action {
                Action::Dispatch { request, replica, .. } => (request, Verdict::Go(replica.0)),
                Action::Reject { request, reason } => (request, Verdict::Refused(reason)),
                Action::Drained { replica } => {
                    tracing::info!(replica = %replica.0.id, "drained");
                    continue;
                }
            };
            if own == Some(id) {
                ours = Some(verdict);
            } else if let Some(word) = self.waiting.remove(&id) {
                // Who no longer listens is about to cancel, which frees the place.
                let _ = word.send(verdict);
            }
        }
        ours
    }
}

fn max_held(settings: &GatewaySettings) -> usize {
    usize::try_from(settings.max_held).unwrap_or(usize::MAX)
}

fn find_or_make(known: &[Arc<Replica>], route: &Route) -> Option<Arc<Replica>> {
    if let Some(same) = known.iter().find(|replica| replica.is(route)) {
        return Some(Arc::clone(same));
    }
    Replica::new(route).inspect_err(|error| tracing::error!(%error, "left out a route")).ok().map(Arc::new)
}
