//! The live loop: gather inside the tick, step, journal, publish, hand the orders to the backends.

use crate::attainment::ObjectiveAttainment;
use crate::dispatch::{Answer, Dispatch};
use crate::events::{CloudEvent, Happening};
use crate::gateway_view::GatewayView;
use crate::gather::{self, Told};
use crate::journal::{self, Journal, TickRecord};
use crate::operator::{Mode, OperatorOrder, OperatorOrders};
use crate::ports::{Backend, BackendError, BackendReplica, Clock, Order, Source};
use crate::step::{Controller, Outcome};
use crate::view::{FleetView, Stray, TierView};
use evenkeel_core::decision::Reason;
use evenkeel_core::observe::{ReplicaId, ReplicaState};
use evenkeel_core::units::{Span, Time};
use evenkeel_fleet::model::Fleet;
use evenkeel_wire::routes::RouteTable;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};

/// The decision's state is saved this often at least, so that a replay can begin there.
const STATE_EVERY: Span = Span::from_secs(3_600);
/// A launch waits this long for its intent to reach the disk; then it goes on without, for players are waiting.
const INTENT_ON_DISK_WITHIN: Duration = Duration::from_millis(250);

/// A stop drains for this long; whoever stops the fleet asks again before. If nobody does, the fleet serves on.
const STOP_LASTS: Span = Span::from_secs(10);
/// An operator's answer waits this long for the disk.
const ORDER_ON_DISK_WITHIN: Duration = Duration::from_secs(2);

/// What the loop works with.
pub struct Surroundings {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where signals come from.
    pub sources: Vec<Box<dyn Source>>,
    /// Who runs the replicas.
    pub backend: Arc<dyn Backend>,
    /// What the gateway obeys, as last read.
    pub gateway: Arc<dyn Fn() -> GatewayView + Send + Sync>,
    /// The journal; `None` for a controller that only observes because another holds the fleet.
    pub journal: Option<Journal>,
    /// The operator's orders in force at the start.
    pub operator: OperatorOrders,
    /// Makes names for replicas.
    pub new_intent: Box<dyn FnMut() -> ReplicaId + Send>,
    /// Where events go.
    pub events: mpsc::Sender<CloudEvent>,
}

/// What the loop publishes.
#[derive(Clone)]
pub struct Published {
    /// The newest view; `None` before the first tick.
    pub view: watch::Receiver<Option<Arc<FleetView>>>,
    /// The newest route table.
    pub routes: watch::Receiver<Arc<RouteTable>>,
    /// Takes commands.
    pub commands: mpsc::Sender<Command>,
}

/// What became of an operator's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// In force, and on disk.
    Durable,
    /// In force, and not on disk: it is written once that is possible, and a restart before then forgets it.
    NotDurable,
    /// Not in force: another controller holds the fleet.
    NotOurs,
}

/// What can be asked of the loop.
pub enum Command {
    /// Take an operator's order.
    Order(OperatorOrder, oneshot::Sender<Taken>),
    /// Drain every replica and launch none, for the fleet is being stopped. Holds for ten seconds.
    Drain,
    /// Take over a changed fleet file; the words say what changed.
    Reload(Arc<Fleet>, Vec<String>),
    /// The changed fleet file cannot be used.
    ReloadRefused(String),
    /// The fleet file says again what is in force.
    FileInForce,
}

/// The loop and its ends.
pub struct Live {
    controller: Controller,
    around: Surroundings,
    epoch: u64,
    holds_fleet: bool,
    view: watch::Sender<Option<Arc<FleetView>>>,
    routes: watch::Sender<Arc<RouteTable>>,
    commands: mpsc::Receiver<Command>,
    dispatch: Dispatch,
    stopping_until: Option<Time>,
    attainment: BTreeMap<String, ObjectiveAttainment>,
    /// Each replica's state when its tier was last listed.
    states: BTreeMap<String, BTreeMap<ReplicaId, ReplicaState>>,
    strays: BTreeSet<Stray>,
    /// The kind of each tier's last refusal, until an order is carried out.
    refusals: BTreeMap<String, std::mem::Discriminant<BackendError>>,
    /// Why the fleet file as it stands is not in force.
    reload_refused: Option<String>,
    /// Each tier's count, desired count and reason at the last tick.
    changes: BTreeMap<String, (u32, u32, Reason)>,
    events_sent: u64,
    last_state: Option<Time>,
    lost_before: u64,
    journal_was_writable: bool,
}

impl Live {
    /// A loop for `fleet` under `epoch`. Without `holds_fleet` it decides and shows, and never acts.
    pub fn new(fleet: Arc<Fleet>, epoch: u64, holds_fleet: bool, around: Surroundings) -> (Self, Published) {
        let controller = Controller::new(fleet, epoch, around.clock.now());
        let (view, views) = watch::channel(None);
        let (routes, tables) = watch::channel(Arc::new(RouteTable::default()));
        let (sender, commands) = mpsc::channel(64);
        let dispatch = Dispatch::new(around.backend.clone(), around.journal.clone());
        let live = Self {
            controller,
            around,
            epoch,
            holds_fleet,
            view,
            routes,
            commands,
            dispatch,
            stopping_until: None,
            attainment: BTreeMap::new(),
            states: BTreeMap::new(),
            strays: BTreeSet::new(),
            refusals: BTreeMap::new(),
            reload_refused: None,
            changes: BTreeMap::new(),
            events_sent: 0,
            last_state: None,
            lost_before: 0,
            journal_was_writable: true,
        };
        (live, Published { view: views, routes: tables, commands: sender })
    }

    /// Runs until `shutdown`. Replicas go on serving after it; the journal is flushed.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        let mut ticks = tokio::time::interval(self.controller.fleet().spec.tick.to_duration());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(command) = self.commands.recv() => self.command(command),
                _ = ticks.tick() => self.tick().await,
            }
        }
        if let Some(journal) = &self.around.journal {
            journal.settled(Duration::from_secs(2)).await;
        }
    }

    fn command(&mut self, command: Command) {
        let now = self.around.clock.now();
        match command {
            Command::Order(order, done) => self.order(order, done, now),
            Command::Drain => {
                if self.stopping_until.is_none() {
                    self.dispatch.withdraw();
                    self.happened(&Happening::Stopping, now);
                }
                self.stopping_until = Some(now + STOP_LASTS);
            }
            Command::Reload(fleet, changes) => {
                self.controller.reload(fleet, now);
                self.last_state = None;
                self.reload_refused = None;
                self.happened(&Happening::Reloaded(changes), now);
            }
            Command::ReloadRefused(why) => {
                self.reload_refused = Some(why.clone());
                self.happened(&Happening::ReloadRefused(why), now);
            }
            Command::FileInForce => self.reload_refused = None,
        }
    }

    /// Takes an operator's order at once, whatever the disk does: it may be what stops a disaster. The answer waits for the
    /// disk, and no tick waits for the answer.
    fn order(&mut self, order: OperatorOrder, done: oneshot::Sender<Taken>, now: Time) {
        let Some(journal) = self.around.journal.clone().filter(|_| self.holds_fleet) else {
            let _ = done.send(Taken::NotOurs);
            return;
        };
        self.around.operator.take(order.clone());
        self.show_order(now);
        if matches!(order, OperatorOrder::Mode(_) | OperatorOrder::Pause(_)) {
            self.dispatch.withdraw();
        }
        self.happened(&Happening::Ordered(order.clone()), now);
        let written = journal.operator(order, now);
        tokio::spawn(async move {
            let durable = tokio::time::timeout(ORDER_ON_DISK_WITHIN, written).await.unwrap_or(false);
            let _ = done.send(if durable { Taken::Durable } else { Taken::NotDurable });
        });
    }

    /// Shows the operator's orders at once: who has just pulled the kill switch looks whether it holds.
    fn show_order(&self, now: Time) {
        let operator = &self.around.operator;
        let Some(shown) = self.view.borrow().clone() else { return };
        let mut view = FleetView::clone(&shown);
        view.mode = self.controller.mode(operator);
        view.paused_until_us = operator.paused_until.filter(|&until| now < until);
        for tier in &mut view.tiers {
            tier.operator = operator.override_of(&tier.tier, now).cloned();
        }
        if view != *shown {
            self.view.send_replace(Some(Arc::new(view)));
        }
    }

    async fn tick(&mut self) {
        self.take_answers();
        let fleet = self.controller.fleet().clone();
        let started = Instant::now();
        let now = self.around.clock.now();
        let routes = self.routes.borrow().clone();
        let around = &mut self.around;
        let told = gather::gather(&fleet, &mut around.sources, &*around.backend, &routes, &*around.gateway, now).await;
        let state = self.state_to_save(now);
        let may_shrink = self.journal_writable(now);
        let operator = self.operator_in_force();
        self.stopping_until = self.stopping_until.filter(|&until| now < until);
        self.controller.stop(self.stopping_until.is_some());
        self.around.backend.permit(self.controller.permitted(&operator, now) && self.stopping_until.is_none());
        let outcome = self.controller.step(&told.gathered, &operator, may_shrink, &mut *self.around.new_intent);
        tracing::debug!(took_us = started.elapsed().as_micros(), "tick");
        self.report(&outcome, &told, now);
        self.publish(&outcome, told, now);
        self.journal(&outcome, state);
        self.dispatch(outcome.orders).await;
    }

    /// The operator's orders; at most `advise` without the fleet, for an order that nobody carries out would count as a
    /// replica that starts.
    fn operator_in_force(&self) -> OperatorOrders {
        let mut orders = self.around.operator.clone();
        if !self.holds_fleet {
            orders.mode = Some(self.controller.mode(&orders).min(Mode::Advise));
        }
        orders
    }

    fn take_answers(&mut self) {
        let now = self.around.clock.now();
        while let Some(answer) = self.dispatch.answer() {
            let (order, outcome) = match answer {
                Answer::Applied(order, outcome) => (order, outcome),
                Answer::Withdrawn(order) => {
                    self.controller.withdrawn(&order);
                    continue;
                }
            };
            self.tell_refusal(&order.tier, outcome.as_ref().err(), now);
            self.controller.outcome(&order, outcome, now);
        }
    }

    /// A refusal that repeats, such as an open circuit's at each tick, is told once.
    fn tell_refusal(&mut self, tier: &str, error: Option<&BackendError>, now: Time) {
        let Some(error) = error else {
            self.refusals.remove(tier);
            return;
        };
        // Words may count down; the kind is what changed or not.
        let kind = std::mem::discriminant(error);
        if self.refusals.insert(tier.to_owned(), kind) != Some(kind) {
            self.happened(&Happening::Refused(tier.to_owned(), error.to_string()), now);
        }
        if let BackendError::Fenced { current } = error {
            self.fenced(*current, now);
        }
    }

    /// Another controller has taken over: this one orders and writes nothing more, and shows on.
    fn fenced(&mut self, by: u64, now: Time) {
        if self.holds_fleet {
            self.holds_fleet = false;
            self.around.journal = None;
            self.dispatch.withdraw();
            self.happened(&Happening::Fenced(by), now);
        }
    }

    fn state_to_save(&mut self, now: Time) -> Option<evenkeel_core::autoscaler::Evenkeel> {
        let lost = self.around.journal.as_ref().map_or(0, |journal| journal.health().ticks_lost);
        let state_every = journal::share_of(self.controller.fleet().controller.retention, STATE_EVERY);
        let due = self.last_state.is_none_or(|last| now.since(last) >= state_every) || lost != self.lost_before;
        self.lost_before = lost;
        due.then(|| {
            self.last_state = Some(now);
            self.controller.autoscaler().clone()
        })
    }

    /// Whether the journal can be written; says so when that changes.
    fn journal_writable(&mut self, now: Time) -> bool {
        let Some(journal) = &self.around.journal else { return false };
        let health = journal.health();
        if let Some(by) = health.fenced_by {
            self.fenced(by, now);
            return false;
        }
        if health.writable != self.journal_was_writable {
            self.journal_was_writable = health.writable;
            let problem = health.problem.unwrap_or_default();
            let happening =
                if health.writable { Happening::JournalWritable } else { Happening::JournalUnwritable(problem) };
            self.happened(&happening, now);
        }
        health.writable
    }

    fn report(&mut self, outcome: &Outcome, told: &Told, now: Time) {
        for violation in &outcome.violations {
            // uncovered: only a bug in the decision gets here, and every test would be ended by it
            tracing::error!(?violation, "a decision breaks an invariant; it is not acted on");
            self.happened(&Happening::InvariantBroken(violation.clone()), now);
        }
        for failing in &outcome.failing {
            self.happened(&Happening::Failing(failing.clone()), now);
        }
        let observes = self.controller.mode(&self.around.operator) == Mode::Observe;
        let tells = !observes && outcome.stopping.is_none();
        for decision in &outcome.decisions {
            let change = (decision.supply.current(), decision.desired, decision.reason);
            let before = self.changes.insert(decision.tier.clone(), change);
            // A change that is not carried out (advise, a pause, no capacity) is decided anew at each tick and told once.
            if tells && change.0 != change.1 && before != Some(change) {
                self.happened(&Happening::Scaled(Box::new(decision.clone())), now);
            }
        }
        for (tier, listed) in told.listed(&self.controller.fleet().clone()) {
            self.report_replicas(tier, listed, now);
        }
        let strays = self.around.backend.strays().into_iter().map(|(tier, replica)| Stray { tier, replica });
        let before = std::mem::replace(&mut self.strays, strays.collect());
        let new: Vec<Stray> = self.strays.difference(&before).cloned().collect();
        for stray in new {
            self.happened(&Happening::Stray(stray), now);
        }
    }

    /// Tells which replicas of a tier became ready or failed since it was last listed.
    fn report_replicas(&mut self, tier: &str, listed: &[BackendReplica], now: Time) {
        let states = listed.iter().map(|it| (it.id.clone(), it.state)).collect();
        let before = self.states.insert(tier.to_owned(), states);
        for replica in listed {
            let (id, known) = (&replica.id, before.as_ref());
            if known.and_then(|it| it.get(id)) == Some(&replica.state) {
                continue;
            }
            match replica.state {
                // What serves already when a controller begins is no news.
                ReplicaState::Ready if known.is_none() => {}
                ReplicaState::Ready => self.happened(&Happening::Ready(tier.to_owned(), id.clone()), now),
                ReplicaState::Failed => {
                    self.happened(&Happening::Failed(tier.to_owned(), id.clone(), replica.note.clone()), now);
                }
                ReplicaState::Starting | ReplicaState::Draining => {}
            }
        }
    }

    fn happened(&mut self, happening: &Happening, now: Time) {
        self.events_sent += 1;
        let event = happening.event(&self.controller.fleet().spec.name, self.epoch, self.events_sent, now);
        tracing::info!(kind = event.kind, subject = %event.subject, data = %event.data, "event");
        if self.around.events.try_send(event).is_err() {
            tracing::warn!("an event was dropped: its sinks are too slow");
        }
    }

    fn publish(&mut self, outcome: &Outcome, told: Told, now: Time) {
        let fleet = self.controller.fleet().clone();
        let mut tiers = Vec::with_capacity(outcome.decisions.len());
        let refused = self.controller.refused(now);
        for (((spec, decision), inputs), refused) in
            fleet.spec.tiers.iter().zip(&outcome.decisions).zip(&outcome.inputs.tiers).zip(refused)
        {
            let observation = &inputs.observation;
            let attainment = self.attainment.entry(spec.name.clone()).or_default();
            attainment.take(now, &spec.slo, &observation.signals);
            let attained = attainment.attained();
            tiers.push(TierView {
                objective_attainment: attained,
                objective_attainment_share: attained.share(),
                operator: inputs.operator.clone(),
                refused,
                ..TierView::new(spec, decision.clone(), observation.signals.clone(), &observation.replicas)
            });
        }
        let operator = &self.around.operator;
        let view = FleetView {
            fleet: fleet.spec.name.clone(),
            at_us: now,
            epoch: self.epoch,
            holds_fleet: self.holds_fleet,
            mode: self.controller.mode(operator),
            mode_in_file: fleet.controller.mode.into(),
            reload_refused: self.reload_refused.clone(),
            paused_until_us: operator.paused_until.filter(|&until| now < until),
            journal: self.around.journal.as_ref().map(Journal::health).unwrap_or_default(),
            sources: told.sources,
            routes: outcome.routes.version,
            gateway_applied: told.gathered.gateway.applied,
            cost_usd_per_hour: tiers.iter().map(|tier| tier.cost_usd_per_hour).sum(),
            stopping: outcome.stopping,
            strays: self.strays.iter().cloned().collect(),
            tiers,
        };
        self.view.send_replace(Some(Arc::new(view)));
        if self.holds_fleet && **self.routes.borrow() != outcome.routes {
            self.routes.send_replace(Arc::new(outcome.routes.clone()));
        }
    }

    fn journal(&self, outcome: &Outcome, state: Option<evenkeel_core::autoscaler::Evenkeel>) {
        let Some(journal) = &self.around.journal else { return };
        journal.record(TickRecord {
            epoch: self.epoch,
            inputs: outcome.inputs.clone(),
            decisions: outcome.decisions.clone(),
            orders: outcome.orders.clone(),
            state,
        });
    }

    /// Hands each order to its tier's worker, once it is on disk. One that is not there in time launches all the same, for
    /// players are waiting, and ends nothing.
    async fn dispatch(&mut self, orders: Vec<Order>) {
        let Some(journal) = self.around.journal.clone().filter(|_| self.holds_fleet && !orders.is_empty()) else {
            return;
        };
        let on_disk = journal.settled(INTENT_ON_DISK_WITHIN).await;
        if !on_disk {
            tracing::error!("the journal is slow or unwritable: intents go on in the replicas' environment alone");
        }
        for mut order in orders {
            if !on_disk {
                self.controller.not_ended(&order.tier, &std::mem::take(&mut order.end));
            }
            if !order.launch.is_empty() || !order.end.is_empty() {
                self.dispatch.send(order);
            }
        }
    }
}
