//! From decisions to orders: which replicas to launch, to drain and to end. It remembers what was ordered and is not seen
//! yet, and what is draining.

use crate::failing::Failing;
use crate::gateway_view::GatewayView;
use crate::ports::{BackendError, BackendReplica, Order};
use evenkeel_core::decision::Decision;
use evenkeel_core::observe::{Replica, ReplicaId, ReplicaState};
use evenkeel_core::units::{Span, Time};
use evenkeel_wire::routes::RouteVersion;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// One tier's actuation.
#[derive(Debug, Default)]
pub struct Actuation {
    launched: BTreeMap<ReplicaId, Launch>,
    draining: BTreeMap<ReplicaId, Drain>,
    /// Replicas that were seen ready, and so may have work whatever their state is now.
    served: BTreeSet<ReplicaId>,
    failing: Failing,
    refused: Option<String>,
}

/// A replica that fails its requests although it is well by its health check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailingReplica {
    /// Its tier.
    pub tier: String,
    /// Its name.
    pub replica: ReplicaId,
    /// It has failed for too long: it drains and ends, and the decision may launch another.
    pub replaced: bool,
}

/// A launch that is ordered and not listed yet.
#[derive(Clone, Copy, Debug)]
struct Launch {
    ordered: Time,
    /// When the backend said that it was carried out. Until then the order may still wait somewhere, however long, and
    /// be carried out after all; so it counts.
    answered: Option<Time>,
}

#[derive(Clone, Copy, Debug)]
struct Drain {
    since: Time,
    /// The first route table that says so; set once the table is made.
    told_in: Option<RouteVersion>,
    ending: bool,
    /// It drains for a stop of the fleet, which may be broken off. For decisions it is there as before: a stop is none.
    for_stop: bool,
    /// It fails its requests, so growth does not take it back.
    for_failing: bool,
}

impl Drain {
    const fn since(since: Time) -> Self {
        Self { since, told_in: None, ending: false, for_stop: false, for_failing: false }
    }

    /// Whether the gateway obeys the table that says so and has nothing in flight there (or knows the replica no more) and
    /// no gateway before it has, or the deadline has passed.
    fn is_over(&self, id: &ReplicaId, gateway: &GatewayView, now: Time, deadlines: &Deadlines) -> bool {
        let obeyed = self.told_in.is_some_and(|told| gateway.applied.is_some_and(|applied| applied >= told));
        (obeyed && gateway.has_nothing_in(id)) || now.since(self.since) >= deadlines.drain
    }
}

/// How long a tier's replicas may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// A launch that the backend carried out and that is not listed after this long is given up.
    pub start: Span,
    /// A draining replica is ended after this long.
    pub drain: Span,
    /// From asking to killing.
    pub grace: Duration,
}

impl Actuation {
    /// The replicas as the decision shall see them: those of the backend, those ordered and not listed yet as starting,
    /// those that drain as draining.
    pub fn observe(
        &mut self,
        listed: &[BackendReplica],
        load: &BTreeMap<ReplicaId, u32>,
        now: Time,
        deadlines: &Deadlines,
    ) -> Vec<Replica> {
        self.launched.retain(|id, launch| {
            let awaited = launch.answered.is_none_or(|at| now.since(at) < deadlines.start);
            awaited && !listed.iter().any(|it| it.id == *id)
        });
        self.draining.retain(|id, drain| {
            let found = listed.iter().find(|it| it.id == *id && it.state != ReplicaState::Failed);
            // A refused order may have ended some of its replicas before it failed.
            drain.ending |= found.is_some_and(|it| it.state == ReplicaState::Draining);
            found.is_some()
        });
        self.served.retain(|id| listed.iter().any(|it| it.id == *id));
        self.served.extend(listed.iter().filter(|it| it.state == ReplicaState::Ready).map(|it| it.id.clone()));
        let leaves = |id: &ReplicaId| self.draining.get(id).is_some_and(|drain| !drain.for_stop || drain.ending);
        let seen = listed.iter().map(|it| Replica {
            id: it.id.clone(),
            state: if leaves(&it.id) { ReplicaState::Draining } else { it.state },
            since: it.since,
            in_flight: load.get(&it.id).copied(),
        });
        let ordered = self.launched.iter().map(|(id, launch)| Replica {
            id: id.clone(),
            state: ReplicaState::Starting,
            since: launch.ordered,
            in_flight: None,
        });
        seen.chain(ordered).collect()
    }

    /// Takes in which replicas the gateway finds failing, and drains one that fails for too long if that `may` be done: one
    /// at a time and none while another starts, so that a fault which takes hold of every new replica cannot empty the tier.
    pub fn doubt(
        &mut self,
        listed: &[BackendReplica],
        gateway: &GatewayView,
        now: Time,
        deadlines: &Deadlines,
        may: bool,
    ) -> Vec<(ReplicaId, bool)> {
        let serves = |it: &&BackendReplica| it.state == ReplicaState::Ready && !self.draining.contains_key(&it.id);
        let ready: Vec<ReplicaId> = listed.iter().filter(serves).map(|it| it.id.clone()).collect();
        let new = self.failing.take(&ready, gateway, now);
        let mut told: Vec<(ReplicaId, bool)> = new.into_iter().map(|id| (id, false)).collect();
        let starts = !self.launched.is_empty() || listed.iter().any(|it| it.state == ReplicaState::Starting);
        let replaces = self.draining.values().any(|drain| drain.for_failing);
        let due = self.failing.due(&ready, deadlines.start, now);
        if let Some(id) = due.filter(|_| may && !starts && !replaces) {
            self.draining.insert(id.clone(), Drain { for_failing: true, ..Drain::since(now) });
            told.push((id, true));
        }
        told
    }

    /// Whether `id` drains.
    pub fn drains(&self, id: &ReplicaId) -> bool {
        self.draining.contains_key(id)
    }

    /// The order that `decision` asks for. Growing takes back what only drains, then launches new intents; shrinking ends
    /// what has no work and drains the rest. `new_intent` makes names. While a launch has no answer there is no further
    /// one, so a backend that hangs gathers no orders.
    pub fn act(
        &mut self,
        decision: &Decision,
        gateway: &GatewayView,
        new_intent: &mut dyn FnMut() -> ReplicaId,
        may_shrink: bool,
    ) -> (Vec<ReplicaId>, Vec<ReplicaId>) {
        let (mut launch, mut end) = (Vec::new(), Vec::new());
        let missing = decision.desired.saturating_sub(decision.supply.current());
        let revived = self.revive(missing);
        if self.launched.values().all(|it| it.answered.is_some()) {
            launch.extend((revived..missing).map(|_| new_intent()));
            let ordered = Launch { ordered: decision.at, answered: None };
            self.launched.extend(launch.iter().map(|intent| (intent.clone(), ordered)));
        }
        if may_shrink {
            for victim in &decision.victims {
                let ending = self.has_no_work(victim, gateway);
                self.launched.remove(victim);
                self.draining.insert(victim.clone(), Drain { ending, ..Drain::since(decision.at) });
                if ending {
                    end.push(victim.clone());
                }
            }
        }
        (launch, end)
    }

    /// A replica that never served. One that did and is not ready just now may still be answering; one that is not even
    /// listed yet is known to no gateway.
    fn has_no_work(&self, id: &ReplicaId, gateway: &GatewayView) -> bool {
        self.launched.contains_key(id) || (!self.served.contains(id) && gateway.has_nothing_in(id))
    }

    /// Takes back up to `count` replicas that drain and were not told to end, the latest first: a warm replica is worth
    /// more than a cold one.
    fn revive(&mut self, count: u32) -> u32 {
        let mut candidates: Vec<(Time, ReplicaId)> = self
            .draining
            .iter()
            .filter(|(_, drain)| !drain.ending && !drain.for_failing)
            .map(|(id, drain)| (drain.since, id.clone()))
            .collect();
        candidates.sort_unstable();
        let chosen: Vec<_> = candidates.into_iter().rev().take(count as usize).collect();
        for (_, id) in &chosen {
            self.draining.remove(id);
        }
        chosen.len() as u32
    }

    /// Takes back every drain whose replica was not told to end: nobody may act now, so it would stay out of service.
    pub fn take_back(&mut self) {
        self.draining.retain(|_, drain| drain.ending);
    }

    /// Drains whatever serves, for the fleet is being stopped. Nothing is ended by it.
    pub fn drain_all(&mut self, listed: &[BackendReplica], now: Time) {
        for replica in listed.iter().filter(|it| it.state == ReplicaState::Ready) {
            self.draining.entry(replica.id.clone()).or_insert(Drain { for_stop: true, ..Drain::since(now) });
        }
    }

    /// The stop was broken off: what drained for it serves on.
    pub fn serve_on(&mut self) {
        self.draining.retain(|_, drain| !drain.for_stop);
    }

    /// Whether nothing that drains has work left.
    pub fn is_drained(&self, gateway: &GatewayView, now: Time, deadlines: &Deadlines) -> bool {
        self.draining.iter().all(|(id, drain)| drain.is_over(id, gateway, now, deadlines))
    }

    /// The route table `version` tells the gateway about every drain so far.
    pub fn told(&mut self, version: RouteVersion) {
        for drain in self.draining.values_mut() {
            drain.told_in.get_or_insert(version);
        }
    }

    /// Drained replicas that may end now.
    pub fn drained(&mut self, gateway: &GatewayView, now: Time, deadlines: &Deadlines) -> Vec<ReplicaId> {
        let mut done = Vec::new();
        for (id, drain) in &mut self.draining {
            if !drain.ending && drain.is_over(id, gateway, now, deadlines) {
                drain.ending = true;
                done.push(id.clone());
            }
        }
        done
    }

    /// `ids` were not told to end after all: they drain on, and are ended by a later order.
    pub fn not_ended(&mut self, ids: &[ReplicaId]) {
        for id in ids {
            if let Some(drain) = self.draining.get_mut(id) {
                drain.ending = false;
            }
        }
    }

    /// `order` was surely not carried out: what it would have launched is forgotten, what it would have ended drains on.
    pub fn withdrawn(&mut self, order: &Order) {
        for id in &order.launch {
            self.launched.remove(id);
        }
        self.not_ended(&order.end);
    }

    /// How `order` went at `now`. A launch that surely did not happen is forgotten; one that may have happened is waited
    /// for.
    pub fn outcome(&mut self, order: &Order, outcome: Result<(), BackendError>, now: Time) {
        let refused = match outcome {
            Ok(()) => None,
            Err(BackendError::Unknown(why)) => {
                // What was told to end shows as draining at the next look; what was not is told again.
                self.not_ended(&order.end);
                Some(why)
            }
            Err(error) => {
                self.withdrawn(order);
                Some(error.to_string())
            }
        };
        for id in &order.launch {
            self.launched.entry(id.clone()).and_modify(|launch| launch.answered = Some(now));
        }
        if refused.is_some() || !order.launch.is_empty() {
            self.refused = refused;
        }
    }

    /// Why the last order was refused, until a launch succeeds; or that a launch has had no answer for longer than a
    /// start may take.
    pub fn refused(&self, now: Time, deadlines: &Deadlines) -> Option<String> {
        let waits = self.launched.values().filter(|it| it.answered.is_none()).map(|it| now.since(it.ordered)).max();
        let hangs = waits.filter(|&waits| waits >= deadlines.start);
        hangs
            .map(|waits| format!("a launch has had no answer for {:.0} s", waits.as_secs_f64()))
            .or(self.refused.clone())
    }
}
