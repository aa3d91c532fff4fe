//! One tick as a function: what was gathered goes in, decisions, orders and routes come out. No I/O and no clock, so the
//! same code runs in virtual time.

use crate::actuation::{Actuation, Deadlines, FailingReplica};
use crate::gateway_view::GatewayView;
use crate::operator::{Mode, OperatorOrders};
use crate::ports::{BackendError, BackendReplica, Order};
use crate::routes::{Router, routes_of};
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel, FleetInputs};
use evenkeel_core::check::{Violation, check};
use evenkeel_core::decision::{ActiveSchedule, Decision, Forecast};
use evenkeel_core::observe::{Cause, Observation, Reading, Replica, ReplicaId, Signals};
use evenkeel_core::propose::TierInputs;
use evenkeel_core::units::Time;
use evenkeel_fleet::model::{BackendSettings, Fleet, TierSettings};
use evenkeel_wire::routes::{RouteTable, TierRoutes};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one tick gathered about one tier.
#[derive(Debug)]
pub struct TierGathered {
    /// Signals of all sources, the better reading of each.
    pub signals: Signals,
    /// Requests inside each replica, where a source knows.
    pub load: BTreeMap<ReplicaId, u32>,
    /// The backend's list, or why there is none.
    pub listed: Result<Vec<BackendReplica>, BackendError>,
    /// The schedule entry that is active.
    pub schedule: Option<ActiveSchedule>,
    /// A forecast, where one is made.
    pub forecast: Option<Forecast>,
}

/// What one tick gathered.
#[derive(Debug)]
pub struct Gathered {
    /// The moment of the tick.
    pub now: Time,
    /// The tiers, in the fleet's order.
    pub tiers: Vec<TierGathered>,
    /// What the gateway obeys.
    pub gateway: GatewayView,
}

/// What one tick comes to.
#[derive(Debug)]
pub struct Outcome {
    /// The inputs as decided on: journalled, they replay to the same decisions.
    pub inputs: FleetInputs,
    /// A decision for each tier.
    pub decisions: Vec<Decision>,
    /// Invariants that a decision breaks; its tier, or for one of the fleet as a whole every tier, does not act on it.
    pub violations: Vec<Violation>,
    /// Replicas that were newly found to fail their requests, and those that are replaced for it from now on.
    pub failing: Vec<FailingReplica>,
    /// How far a stop is.
    pub stopping: Option<Stopping>,
    /// What the backends shall do.
    pub orders: Vec<Order>,
    /// The route table in force.
    pub routes: RouteTable,
}

/// How far the draining before a stop is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stopping {
    /// Replicas still have work, or a backend cannot tell.
    Draining,
    /// Every replica is empty, or its drain deadline has passed.
    Drained,
}

/// The controller without its surroundings.
pub struct Controller {
    fleet: Arc<Fleet>,
    autoscaler: Evenkeel,
    tiers: Vec<Actuation>,
    router: Router,
    epoch: u64,
    stopping: bool,
}

impl Controller {
    /// A controller of epoch `epoch` that begins at `now`.
    pub fn new(fleet: Arc<Fleet>, epoch: u64, now: Time) -> Self {
        let autoscaler = Evenkeel::new(fleet.spec.clone(), now);
        let tiers = fleet.tiers.iter().map(|_| Actuation::default()).collect();
        let router = Router::new(&fleet.spec.name, epoch);
        Self { fleet, autoscaler, tiers, router, epoch, stopping: false }
    }

    /// The fleet in force.
    pub const fn fleet(&self) -> &Arc<Fleet> {
        &self.fleet
    }

    /// The decision's state, to be saved with the journal.
    pub const fn autoscaler(&self) -> &Evenkeel {
        &self.autoscaler
    }

    /// Why each tier's last order was refused, or hangs.
    pub fn refused(&self, now: Time) -> Vec<Option<String>> {
        let tiers = self.tiers.iter().zip(&self.fleet.tiers);
        tiers.map(|(actuation, settings)| actuation.refused(now, &deadlines(settings))).collect()
    }

    /// Whether the fleet is being stopped: then every replica drains and nothing is launched.
    pub fn stop(&mut self, stopping: bool) {
        if self.stopping && !stopping {
            self.tiers.iter_mut().for_each(Actuation::serve_on);
        }
        self.stopping = stopping;
    }

    /// Takes over a changed fleet file. Tiers that stay keep what is under way.
    pub fn reload(&mut self, fleet: Arc<Fleet>, now: Time) {
        self.autoscaler.reload(fleet.spec.clone(), now);
        let mut known: BTreeMap<&str, Actuation> =
            self.fleet.spec.tiers.iter().map(|tier| tier.name.as_str()).zip(std::mem::take(&mut self.tiers)).collect();
        let tiers = fleet.spec.tiers.iter().map(|tier| known.remove(tier.name.as_str()).unwrap_or_default()).collect();
        self.tiers = tiers;
        self.fleet = fleet;
    }

    /// One tick. `may_shrink` is false while the journal cannot be written: then nothing is drained or ended, while
    /// deciding and growing go on. `new_intent` makes names for replicas to launch.
    pub fn step(
        &mut self,
        gathered: &Gathered,
        operator: &OperatorOrders,
        may_shrink: bool,
        new_intent: &mut dyn FnMut() -> ReplicaId,
    ) -> Outcome {
        let now = gathered.now;
        let may_act = !self.stopping && self.permitted(operator, now);
        let failing = self.doubt(gathered, may_act && may_shrink);
        let replicas: Vec<Option<Vec<Replica>>> = self.observe(gathered);
        let inputs = self.inputs(gathered, &replicas, operator);
        let decisions = self.autoscaler.decide(&inputs);
        let violations = check(&self.fleet.spec, &inputs, &decisions);
        let mut orders = Vec::new();
        if self.stopping {
            self.drain_all(gathered);
        } else if may_act {
            for (index, decision) in decisions.iter().enumerate() {
                let sound = !violations.iter().any(|violation| concerns(violation, &decision.tier));
                if sound && replicas[index].is_some() {
                    orders.extend(self.order(index, decision, &gathered.gateway, may_shrink, new_intent));
                }
            }
        } else {
            self.tiers.iter_mut().for_each(Actuation::take_back);
        }
        let routes = self.publish(gathered);
        let stopping = self.stopping.then(|| self.stopped(gathered));
        Outcome { inputs, decisions, violations, failing, stopping, orders, routes }
    }

    fn drain_all(&mut self, gathered: &Gathered) {
        for (actuation, tier) in self.tiers.iter_mut().zip(&gathered.tiers) {
            actuation.drain_all(tier.listed.as_deref().unwrap_or_default(), gathered.now);
        }
    }

    fn stopped(&self, gathered: &Gathered) -> Stopping {
        let mut tiers = self.tiers.iter().zip(&self.fleet.tiers).zip(&gathered.tiers);
        let drained = tiers.all(|((actuation, settings), tier)| {
            tier.listed.is_ok() && actuation.is_drained(&gathered.gateway, gathered.now, &deadlines(settings))
        });
        if drained { Stopping::Drained } else { Stopping::Draining }
    }

    /// How an order went at `now`.
    pub fn outcome(&mut self, order: &Order, outcome: Result<(), BackendError>, now: Time) {
        if let Some(actuation) = self.actuation(&order.tier) {
            actuation.outcome(order, outcome, now);
        }
    }

    /// An order was withdrawn before it was carried out.
    pub fn withdrawn(&mut self, order: &Order) {
        if let Some(actuation) = self.actuation(&order.tier) {
            actuation.withdrawn(order);
        }
    }

    /// The replicas `ids` of `tier` were not told to end, because the order is not on disk.
    pub fn not_ended(&mut self, tier: &str, ids: &[ReplicaId]) {
        if let Some(actuation) = self.actuation(tier) {
            actuation.not_ended(ids);
        }
    }

    fn actuation(&mut self, tier: &str) -> Option<&mut Actuation> {
        let index = self.fleet.spec.tiers.iter().position(|it| it.name == tier)?;
        self.tiers.get_mut(index)
    }

    /// The mode in force.
    pub fn mode(&self, operator: &OperatorOrders) -> Mode {
        operator.mode.unwrap_or_else(|| self.fleet.controller.mode.into())
    }

    /// Whether anything may be done now, by us or by a backend of itself.
    pub fn permitted(&self, operator: &OperatorOrders, now: Time) -> bool {
        self.mode(operator) == Mode::Act && !operator.paused(now)
    }

    fn doubt(&mut self, gathered: &Gathered, may_replace: bool) -> Vec<FailingReplica> {
        let mut failing = Vec::new();
        for (index, tier) in gathered.tiers.iter().enumerate() {
            let Ok(listed) = &tier.listed else { continue };
            let deadlines = deadlines(&self.fleet.tiers[index]);
            let may = may_replace && !self.autoscaler.is_blind(index);
            let told = self.tiers[index].doubt(listed, &gathered.gateway, gathered.now, &deadlines, may);
            let name = &self.fleet.spec.tiers[index].name;
            let found = told.into_iter();
            failing.extend(found.map(|(replica, replaced)| FailingReplica { tier: name.clone(), replica, replaced }));
        }
        failing
    }

    fn observe(&mut self, gathered: &Gathered) -> Vec<Option<Vec<Replica>>> {
        let tiers = self.tiers.iter_mut().zip(&self.fleet.tiers).zip(&gathered.tiers);
        tiers
            .map(|((actuation, settings), tier)| {
                let listed = tier.listed.as_ref().ok()?;
                Some(actuation.observe(listed, &tier.load, gathered.now, &deadlines(settings)))
            })
            .collect()
    }

    fn inputs(&self, gathered: &Gathered, replicas: &[Option<Vec<Replica>>], operator: &OperatorOrders) -> FleetInputs {
        let now = gathered.now;
        let freshness = self.fleet.controller.freshness;
        let tiers = self.fleet.spec.tiers.iter().zip(&gathered.tiers).zip(replicas).map(|((spec, tier), replicas)| {
            let listed = match replicas {
                Some(replicas) => Reading::Fresh { value: replicas.clone(), at: now },
                None => Reading::Missing { cause: Cause::Unreachable },
            };
            TierInputs {
                observation: Observation { signals: tier.signals.clone().aged(now, freshness), replicas: listed },
                forecast: tier.forecast,
                schedule: tier.schedule.clone(),
                operator: operator.override_of(&spec.name, now).cloned(),
            }
        });
        FleetInputs { now, tiers: tiers.collect() }
    }

    fn order(
        &mut self,
        index: usize,
        decision: &Decision,
        gateway: &GatewayView,
        may_shrink: bool,
        new_intent: &mut dyn FnMut() -> ReplicaId,
    ) -> Option<Order> {
        let deadlines = deadlines(&self.fleet.tiers[index]);
        let actuation = &mut self.tiers[index];
        let (launch, mut end) = actuation.act(decision, gateway, new_intent, may_shrink);
        if may_shrink {
            end.extend(actuation.drained(gateway, decision.at, &deadlines));
        }
        (!launch.is_empty() || !end.is_empty()).then(|| Order {
            tier: decision.tier.clone(),
            epoch: self.epoch,
            desired: decision.desired,
            launch,
            end,
            grace: deadlines.grace,
        })
    }

    /// Publishes the routes of every tier; one whose backend could not list keeps the routes it had.
    fn publish(&mut self, gathered: &Gathered) -> RouteTable {
        let before = self.router.table().tiers.clone();
        let routes: Vec<TierRoutes> =
            (0..self.tiers.len()).map(|index| self.routes(index, gathered, &before)).collect();
        let table = self.router.publish(routes).clone();
        for actuation in &mut self.tiers {
            actuation.told(table.version);
        }
        table
    }

    fn routes(&self, index: usize, gathered: &Gathered, before: &[TierRoutes]) -> TierRoutes {
        let (spec, settings) = (&self.fleet.spec.tiers[index], &self.fleet.tiers[index]);
        match &gathered.tiers[index].listed {
            Ok(listed) => {
                let most = spec.profile.max_sequences.saturating_add(settings.slack);
                let actuation = &self.tiers[index];
                routes_of(&spec.name, &settings.served_model, most, listed, |id| actuation.drains(id))
            }
            Err(_) => before
                .iter()
                .find(|it| it.tier == spec.name)
                .cloned()
                .unwrap_or_else(|| TierRoutes { tier: spec.name.clone(), replicas: Vec::new() }),
        }
    }
}

/// Whether `tier` must not act because of `violation`: it is its own, or of the fleet as a whole.
fn concerns(violation: &Violation, tier: &str) -> bool {
    violation.tier.is_empty() || violation.tier == tier
}

/// A tier's deadlines, from how its replicas are run.
pub fn deadlines(settings: &TierSettings) -> Deadlines {
    let BackendSettings::Local(local) = &settings.backend;
    Deadlines { start: local.start_deadline, drain: local.drain_deadline, grace: local.grace.to_duration() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::check::Invariant;

    #[test]
    fn a_violation_keeps_its_own_tier_from_acting_and_one_of_the_whole_fleet_keeps_every_tier() {
        let of = |tier: &str| Violation { tier: tier.to_owned(), broken: Invariant::KeepsMinimum };
        assert!(concerns(&of("gold"), "gold") && concerns(&of(""), "gold"));
        assert!(!concerns(&of("silver"), "gold"));
    }
}
