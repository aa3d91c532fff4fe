//! From decisions to orders: which replicas to launch, to drain and to end. It remembers what was ordered and is not seen
//! yet, and what is draining.

use crate::ports::{BackendError, BackendReplica, Order};
use evenkeel_core::decision::Decision;
use evenkeel_core::observe::{Replica, ReplicaId, ReplicaState};
use evenkeel_core::units::{Span, Time};
use evenkeel_wire::routes::RouteVersion;
use std::collections::BTreeMap;
use std::time::Duration;

/// One tier's actuation.
#[derive(Debug, Default)]
pub struct Actuation {
    launched: BTreeMap<ReplicaId, Time>,
    draining: BTreeMap<ReplicaId, Drain>,
    /// Why the last launch was refused, until one succeeds.
    pub refused: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct Drain {
    since: Time,
    /// The first route table that says so; set once the table is made.
    told_in: Option<RouteVersion>,
    ending: bool,
}

/// What the gateway says, as far as draining needs it.
#[derive(Clone, Debug, Default)]
pub struct GatewayView {
    /// The route table it obeys; `None` when it cannot be asked.
    pub applied: Option<RouteVersion>,
    /// Requests inside each replica.
    pub in_flight: BTreeMap<ReplicaId, u32>,
}

/// How long a tier's replicas may take.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// A launch that is not seen after this long is given up.
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
        self.launched.retain(|id, at| !listed.iter().any(|it| it.id == *id) && now.since(*at) < deadlines.start);
        self.draining.retain(|id, _| listed.iter().any(|it| it.id == *id && it.state != ReplicaState::Failed));
        let seen = listed.iter().map(|it| Replica {
            id: it.id.clone(),
            state: if self.draining.contains_key(&it.id) { ReplicaState::Draining } else { it.state },
            since: it.since,
            in_flight: load.get(&it.id).copied(),
        });
        let ordered = self.launched.iter().map(|(id, at)| Replica {
            id: id.clone(),
            state: ReplicaState::Starting,
            since: *at,
            in_flight: None,
        });
        seen.chain(ordered).collect()
    }

    /// Whether `id` drains.
    pub fn drains(&self, id: &ReplicaId) -> bool {
        self.draining.contains_key(id)
    }

    /// The order that `decision` asks for. Growing takes back what only drains, then launches new intents; shrinking ends
    /// what serves nothing yet and drains the rest. `new_intent` makes names.
    pub fn act(
        &mut self,
        decision: &Decision,
        replicas: &[Replica],
        new_intent: &mut dyn FnMut() -> ReplicaId,
        may_shrink: bool,
    ) -> (Vec<ReplicaId>, Vec<ReplicaId>) {
        let (mut launch, mut end) = (Vec::new(), Vec::new());
        let missing = decision.desired.saturating_sub(decision.supply.current());
        let revived = self.revive(missing);
        for _ in revived..missing {
            let intent = new_intent();
            self.launched.insert(intent.clone(), decision.at);
            launch.push(intent);
        }
        if may_shrink {
            for victim in &decision.victims {
                let serving = replicas.iter().any(|it| it.id == *victim && it.state == ReplicaState::Ready);
                self.launched.remove(victim);
                self.draining.insert(victim.clone(), Drain { since: decision.at, told_in: None, ending: !serving });
                if !serving {
                    end.push(victim.clone());
                }
            }
        }
        (launch, end)
    }

    /// Takes back up to `count` replicas that drain and were not told to end, the latest first: a warm replica is worth
    /// more than a cold one.
    fn revive(&mut self, count: u32) -> u32 {
        let mut candidates: Vec<(Time, ReplicaId)> = self
            .draining
            .iter()
            .filter(|(_, drain)| !drain.ending)
            .map(|(id, drain)| (drain.since, id.clone()))
            .collect();
        candidates.sort_unstable();
        let chosen: Vec<_> = candidates.into_iter().rev().take(count as usize).collect();
        for (_, id) in &chosen {
            self.draining.remove(id);
        }
        chosen.len() as u32
    }

    /// The route table `version` tells the gateway about every drain so far.
    pub fn told(&mut self, version: RouteVersion) {
        for drain in self.draining.values_mut() {
            drain.told_in.get_or_insert(version);
        }
    }

    /// Drained replicas that may end now: the gateway obeys the table that says so and has nothing in flight there, or
    /// the deadline has passed.
    pub fn drained(&mut self, gateway: &GatewayView, now: Time, deadlines: &Deadlines) -> Vec<ReplicaId> {
        let mut done = Vec::new();
        for (id, drain) in &mut self.draining {
            let obeyed = drain.told_in.is_some_and(|told| gateway.applied.is_some_and(|applied| applied >= told));
            let empty = obeyed && gateway.in_flight.get(id) == Some(&0);
            if !drain.ending && (empty || now.since(drain.since) >= deadlines.drain) {
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

    /// How `order` went. A launch that surely did not happen is forgotten; one that may have happened is waited for.
    pub fn outcome(&mut self, order: &Order, outcome: Result<(), BackendError>) {
        match outcome {
            Ok(()) => {
                if !order.launch.is_empty() {
                    self.refused = None;
                }
            }
            Err(BackendError::Unknown(why)) => self.refused = Some(why),
            Err(error) => {
                for id in &order.launch {
                    self.launched.remove(id);
                }
                self.not_ended(&order.end);
                self.refused = Some(error.to_string());
            }
        }
    }
}
