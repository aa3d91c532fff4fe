//! The live loop: gather inside the tick, step, journal, publish, hand the orders to the backends.

use crate::actuation::GatewayView;
use crate::attainment::ObjectiveAttainment;
use crate::events::{CloudEvent, Happening};
use crate::gather::{self, Told};
use crate::journal::{Journal, TickRecord};
use crate::operator::{Mode, OperatorOrder, OperatorOrders};
use crate::ports::{Backend, BackendError, Clock, Order, Source};
use crate::step::{Controller, Outcome, duration};
use crate::view::{FleetView, TierView};
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

/// How often the decision's state is saved, so that a replay can begin there.
const STATE_EVERY: Span = Span::from_secs(3_600);
/// A launch waits this long for its intent to reach the disk; then it goes on without, for players are waiting.
const INTENT_ON_DISK_WITHIN: Duration = Duration::from_millis(250);

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

/// What can be asked of the loop.
pub enum Command {
    /// Take an operator's order; answers whether it is durable.
    Order(OperatorOrder, oneshot::Sender<bool>),
    /// Take over a changed fleet file; the words say what changed.
    Reload(Arc<Fleet>, Vec<String>),
    /// The changed fleet file cannot be used.
    ReloadRefused(String),
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
    outcomes: (mpsc::UnboundedSender<Done>, mpsc::UnboundedReceiver<Done>),
    workers: BTreeMap<String, mpsc::UnboundedSender<Order>>,
    attainment: BTreeMap<String, ObjectiveAttainment>,
    states: BTreeMap<ReplicaId, ReplicaState>,
    /// Each tier's count, desired count and reason at the last tick.
    changes: BTreeMap<String, (u32, u32, Reason)>,
    events_sent: u64,
    last_state: Option<Time>,
    lost_before: u64,
    journal_was_writable: bool,
}

type Done = (Order, Result<(), BackendError>);

impl Live {
    /// A loop for `fleet` under `epoch`. Without `holds_fleet` it decides and shows, and never acts.
    pub fn new(fleet: Arc<Fleet>, epoch: u64, holds_fleet: bool, around: Surroundings) -> (Self, Published) {
        let controller = Controller::new(fleet, epoch, around.clock.now());
        let (view, views) = watch::channel(None);
        let (routes, tables) = watch::channel(Arc::new(RouteTable::default()));
        let (sender, commands) = mpsc::channel(64);
        let live = Self {
            controller,
            around,
            epoch,
            holds_fleet,
            view,
            routes,
            commands,
            outcomes: mpsc::unbounded_channel(),
            workers: BTreeMap::new(),
            attainment: BTreeMap::new(),
            states: BTreeMap::new(),
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
        let mut ticks = tokio::time::interval(duration(self.controller.fleet().spec.tick));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(command) = self.commands.recv() => self.command(command).await,
                _ = ticks.tick() => self.tick().await,
            }
        }
        if let Some(journal) = &self.around.journal {
            journal.settled(Duration::from_secs(2)).await;
        }
    }

    async fn command(&mut self, command: Command) {
        let now = self.around.clock.now();
        match command {
            Command::Order(order, done) => {
                let durable = match &self.around.journal {
                    Some(journal) => journal.operator(order.clone(), now).await,
                    None => false,
                };
                if durable {
                    self.around.operator.take(order.clone());
                    self.happened(&Happening::Ordered(order), now);
                }
                let _ = done.send(durable);
            }
            Command::Reload(fleet, changes) => {
                self.controller.reload(fleet, now);
                self.last_state = None;
                self.happened(&Happening::Reloaded(changes), now);
            }
            Command::ReloadRefused(why) => self.happened(&Happening::ReloadRefused(why), now),
        }
    }

    async fn tick(&mut self) {
        self.take_outcomes();
        let fleet = self.controller.fleet().clone();
        let started = Instant::now();
        let now = self.around.clock.now();
        let routes = self.routes.borrow().clone();
        let around = &mut self.around;
        let told = gather::gather(&fleet, &mut around.sources, &*around.backend, &routes, &*around.gateway, now).await;
        let state = self.state_to_save(now);
        let may_shrink = self.journal_writable(now);
        let operator = self.operator_in_force();
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

    fn take_outcomes(&mut self) {
        while let Ok((order, outcome)) = self.outcomes.1.try_recv() {
            let now = self.around.clock.now();
            if let Err(error) = &outcome {
                self.happened(&Happening::Refused(order.tier.clone(), error.to_string()), now);
                if let BackendError::Fenced { current } = error {
                    self.holds_fleet = false;
                    self.happened(&Happening::Fenced(*current), now);
                }
            }
            self.controller.outcome(&order, outcome);
        }
    }

    fn state_to_save(&mut self, now: Time) -> Option<evenkeel_core::autoscaler::Evenkeel> {
        let lost = self.around.journal.as_ref().map_or(0, |journal| journal.health().ticks_lost);
        let due = self.last_state.is_none_or(|last| now.since(last) >= STATE_EVERY) || lost != self.lost_before;
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
            tracing::error!(?violation, "a decision breaks an invariant; this tick is not acted on");
            self.happened(&Happening::InvariantBroken(violation.clone()), now);
        }
        for decision in &outcome.decisions {
            let change = (decision.supply.current(), decision.desired, decision.reason);
            let before = self.changes.insert(decision.tier.clone(), change);
            // A change that is not carried out (advise, a pause, no capacity) is decided anew at each tick and told once.
            if change.0 != change.1 && before != Some(change) {
                self.happened(&Happening::Scaled(Box::new(decision.clone())), now);
            }
        }
        let fleet = self.controller.fleet().clone();
        let mut seen = BTreeSet::new();
        for (tier, replica) in told.replicas(&fleet) {
            seen.insert(replica.id.clone());
            let before = self.states.insert(replica.id.clone(), replica.state);
            if before == Some(replica.state) {
                continue;
            }
            match replica.state {
                ReplicaState::Ready => self.happened(&Happening::Ready(tier.to_owned(), replica.id.clone()), now),
                ReplicaState::Failed => {
                    self.happened(&Happening::Failed(tier.to_owned(), replica.id.clone(), replica.note.clone()), now);
                }
                ReplicaState::Starting | ReplicaState::Draining => {}
            }
        }
        self.states.retain(|id, _| seen.contains(id));
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
        let refused = self.controller.refused();
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
            paused_until_us: operator.paused_until.filter(|&until| now < until),
            journal: self.around.journal.as_ref().map(Journal::health).unwrap_or_default(),
            sources: told.sources,
            routes: outcome.routes.version,
            gateway_applied: told.gathered.gateway.applied,
            cost_usd_per_hour: tiers.iter().map(|tier| tier.cost_usd_per_hour).sum(),
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
    /// players are waiting, and ends nothing. A tier's orders stay in order; a slow one delays no other tier.
    async fn dispatch(&mut self, orders: Vec<Order>) {
        if !self.holds_fleet || orders.is_empty() {
            return;
        }
        let on_disk = match &self.around.journal {
            Some(journal) => journal.settled(INTENT_ON_DISK_WITHIN).await,
            None => false,
        };
        if !on_disk {
            tracing::error!("the journal is slow or unwritable: intents go on in the replicas' environment alone");
        }
        for mut order in orders {
            if !on_disk {
                self.controller.not_ended(&order.tier, &std::mem::take(&mut order.end));
            }
            if order.launch.is_empty() && order.end.is_empty() {
                continue;
            }
            let worker = self.workers.entry(order.tier.clone()).or_insert_with(|| {
                worker(self.around.backend.clone(), self.around.journal.clone(), self.outcomes.0.clone())
            });
            // A worker ends only with the loop.
            let _ = worker.send(order);
        }
    }
}

/// Carries out one tier's orders, one after the other.
fn worker(
    backend: Arc<dyn Backend>,
    journal: Option<Journal>,
    done: mpsc::UnboundedSender<Done>,
) -> mpsc::UnboundedSender<Order> {
    let (sender, mut orders) = mpsc::unbounded_channel::<Order>();
    tokio::spawn(async move {
        while let Some(order) = orders.recv().await {
            let outcome = backend.apply(&order).await;
            if let Some(journal) = &journal {
                let words = outcome.as_ref().map_or_else(ToString::to_string, |()| "done".to_owned());
                journal.outcome(order.clone(), words);
            }
            let _ = done.send((order, outcome));
        }
    });
    sender
}
