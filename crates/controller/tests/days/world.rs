//! What surrounds the controller on a made-up day, and what must hold at every tick of it.

use crate::day::{Answers, Event, Gateway, TIERS, Tells, seconds};
use evenkeel_controller::actuation::FailingReplica;
use evenkeel_controller::gateway_view::{Failures, GatewayView};
use evenkeel_controller::operator::{Mode, OperatorOrder, OperatorOrders};
use evenkeel_controller::ports::{BackendError, BackendReplica, Order};
use evenkeel_controller::step::{Controller, Gathered, Outcome, TierGathered};
use evenkeel_core::autoscaler::Evenkeel;
use evenkeel_core::decision::{Decision, Override};
use evenkeel_core::observe::{Cause, Mean, Offered, Reading, ReplicaId, ReplicaState, Signals};
use evenkeel_core::spec::{PolicySpec, Signal, TierSpec};
use evenkeel_core::units::{Span, Time};
use evenkeel_fleet::model::Fleet;
use evenkeel_wire::routes::{RouteState, RouteTable};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// From a launch that is carried out to a replica that serves.
const START_UP: Span = seconds(2);
/// From being told to end, or from failing, to being gone.
const LEAVES_AFTER: Span = seconds(2);

struct Replica {
    id: ReplicaId,
    state: ReplicaState,
    since: Time,
}

/// Requests in a row that a failing replica fails.
const FAILED: Failures = Failures { in_a_row: 8, probes: 1 };
/// The fixture's: a replica that drains ends after it, whatever is inside.
const DRAIN_DEADLINE: Span = seconds(30);
/// No replica is replaced for failing before this.
const FAILS_FOR: Span = seconds(10);

/// An order at the backend.
struct Waiting {
    order: Order,
    given: usize,
    withdrawn: bool,
}

/// One tier as it truly is.
struct Truth {
    replicas: Vec<Replica>,
    tells: Tells,
    answers: Answers,
    listed: bool,
    /// Fail their requests.
    failing: BTreeSet<ReplicaId>,
    waiting: VecDeque<Waiting>,
    /// Launches of which the backend did not know whether it carried them out. They come to be at this tick.
    unknown: Vec<(usize, ReplicaId)>,
}

impl Truth {
    fn carry_out(&mut self, order: &Order, now: Time, launches: bool) {
        let living = |it: &&mut Replica| matches!(it.state, ReplicaState::Starting | ReplicaState::Ready);
        for replica in self.replicas.iter_mut().filter(|it| order.end.contains(&it.id)).filter(living) {
            (replica.state, replica.since) = (ReplicaState::Draining, now);
        }
        for id in order.launch.iter().filter(|_| launches) {
            self.begin(id.clone(), now);
        }
    }

    fn begin(&mut self, id: ReplicaId, now: Time) {
        self.replicas.push(Replica { id, state: ReplicaState::Starting, since: now });
    }

    fn carry_out_unknown(&mut self, until: usize, now: Time) {
        for (_, id) in self.unknown.extract_if(.., |(at, _)| *at <= until).collect::<Vec<_>>() {
            self.begin(id, now);
        }
    }

    fn grow_older(&mut self, now: Time) {
        self.replicas.retain(|it| {
            let leaves = matches!(it.state, ReplicaState::Draining | ReplicaState::Failed);
            !leaves || now.since(it.since) < LEAVES_AFTER
        });
        for it in &mut self.replicas {
            if it.state == ReplicaState::Starting && now.since(it.since) >= START_UP {
                (it.state, it.since) = (ReplicaState::Ready, now);
            }
        }
    }

    fn list(&self) -> Result<Vec<BackendReplica>, BackendError> {
        if !self.listed {
            return Err(BackendError::Unknown("a test".to_owned()));
        }
        let shown = |it: &Replica| BackendReplica {
            id: it.id.clone(),
            state: it.state,
            since: it.since,
            url: Some(format!("http://127.0.0.1/{}", it.id)),
            note: None,
        };
        Ok(self.replicas.iter().map(shown).collect())
    }

    fn ready(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(|it| it.state == ReplicaState::Ready)
    }

    /// Where the gateway's `counts` are not whole, it tells half of each level as a lower bound.
    fn signals(&self, now: Time, counts: bool) -> Signals {
        let (load, at, gpu) = match self.tells {
            Tells::Nothing => {
                return Signals::missing(&Signal::ALL, 1, Cause::Unreachable);
            }
            Tells::Load(load) => (load, now, load as f64 / 20.0),
            Tells::Stale(load) => (load, now - seconds(9), load as f64 / 20.0),
            Tells::NotANumber(load) => (load, now, f64::NAN),
        };
        let fresh = |value| Reading::Fresh { value, at };
        let level = |value| if counts { fresh(value) } else { Reading::AtLeast { value: value / 2, at } };
        Signals {
            offered: Reading::Fresh { value: Offered { requests: load, prompt_tokens: 0, over: seconds(1) }, at },
            queue_depth: level(load / 2),
            in_flight: level(load),
            players: fresh(load),
            gpu_utilization: Reading::Fresh { value: Mean { sum: gpu, count: self.ready().count() as u64 }, at },
            ..Signals::default()
        }
    }

    /// Whether anything that a policy goes by may not be used, by what was told and not by what became of it.
    fn is_blind(&self, spec: &TierSpec, counts: bool) -> bool {
        let nobody = matches!(self.tells, Tells::Load(0));
        let by_level = |it: &PolicySpec| match it {
            PolicySpec::BacklogPerReplica { .. } => true,
            PolicySpec::TargetTracking { signal, .. } => *signal == Signal::InFlight,
            PolicySpec::PlayersPerReplica { .. } => nobody,
            _ => false,
        };
        if !counts && spec.policies.iter().any(by_level) {
            return true;
        }
        let by_gpu = |it: &PolicySpec| matches!(it, PolicySpec::TargetTracking { signal: Signal::GpuUtilization, .. });
        let by_gpu = spec.policies.iter().any(by_gpu);
        let dark = match self.tells {
            Tells::Load(_) => by_gpu && self.ready().next().is_none(),
            Tells::NotANumber(_) => by_gpu,
            Tells::Stale(_) | Tells::Nothing => true,
        };
        dark || !self.listed
    }
}

/// A line of the journal, in the form that it has on disk.
pub(crate) enum Line {
    /// The state that the ticks after it begin from.
    State(Box<Evenkeel>),
    /// Inputs and decisions.
    Tick(String, Vec<Decision>),
}

/// What one tick came to for a tier, for comparison.
pub(crate) type Seen = (Decision, Vec<Order>);

pub(crate) struct World {
    controller: Controller,
    epoch: u64,
    now: Time,
    ticks: usize,
    operator: OperatorOrders,
    may_shrink: bool,
    stopping: bool,
    gateway: Gateway,
    applied: GatewayView,
    /// Since when the gateway has said, at each tick, that it finds a replica failing.
    failing_since: BTreeMap<ReplicaId, Time>,
    /// When the gateway last told that a replica had answered one more request.
    served_at: BTreeMap<ReplicaId, Time>,
    /// Which tiers could not be seen at the tick before.
    were_blind: Vec<bool>,
    table: RouteTable,
    tiers: Vec<Truth>,
    /// Until then each tier may not shrink by itself: its windows are not full.
    quiet: Vec<Time>,
    launched: BTreeSet<ReplicaId>,
    /// What was to leave, and since when.
    victims: BTreeMap<ReplicaId, Time>,
    /// Seen ready by the controller, so they may have work whatever their state is now.
    served: BTreeSet<ReplicaId>,
    /// Told to end, by an order that was not refused.
    ended: BTreeSet<ReplicaId>,
    pub(crate) journal: Vec<Line>,
    pub(crate) seen: Vec<Vec<Seen>>,
}

impl World {
    pub(crate) fn new(fleet: &Arc<Fleet>) -> Self {
        let now = Time::from_micros(1_000_000_000_000_000);
        let truth = || Truth {
            replicas: Vec::new(),
            tells: Tells::Load(20),
            answers: Answers::Done(0),
            listed: true,
            failing: BTreeSet::new(),
            waiting: VecDeque::new(),
            unknown: Vec::new(),
        };
        let controller = Controller::new(fleet.clone(), 1, now);
        Self {
            journal: vec![Line::State(Box::new(controller.autoscaler().clone()))],
            quiet: fleet.spec.tiers.iter().map(|tier| now + longest(tier)).collect(),
            controller,
            epoch: 1,
            now,
            ticks: 0,
            operator: OperatorOrders::default(),
            may_shrink: true,
            stopping: false,
            gateway: Gateway::Follows(false),
            applied: GatewayView::default(),
            failing_since: BTreeMap::new(),
            served_at: BTreeMap::new(),
            were_blind: vec![true; TIERS.len()],
            table: RouteTable::default(),
            tiers: TIERS.iter().map(|_| truth()).collect(),
            launched: BTreeSet::new(),
            victims: BTreeMap::new(),
            served: BTreeSet::new(),
            ended: BTreeSet::new(),
            seen: Vec::new(),
        }
    }

    pub(crate) fn live(&mut self, day: Vec<Event>) {
        for event in day {
            self.happen(event);
            self.tick();
        }
    }

    /// Everything is well again, and stays so.
    pub(crate) fn heal(&mut self) {
        for tier in 0..TIERS.len() {
            for event in [
                Event::Tells(tier, Tells::Load(30)),
                Event::Answers(tier, Answers::Done(0)),
                Event::Listed(tier, true),
                Event::Fails(tier, 0),
                Event::Override(tier, None, None, 0),
            ] {
                self.happen(event);
            }
        }
        for event in [
            Event::Mode(Mode::Act),
            Event::Pause(-1),
            Event::Journal(true),
            Event::Stop(false),
            Event::Gateway(Gateway::Follows(false)),
        ] {
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Nothing => {}
            Event::Tells(tier, tells) => self.tiers[tier].tells = tells,
            Event::Answers(tier, answers) => self.tiers[tier].answers = answers,
            Event::Listed(tier, listed) => self.tiers[tier].listed = listed,
            Event::Crash(tier, count) => {
                let ready = self.tiers[tier].replicas.iter_mut().filter(|it| it.state == ReplicaState::Ready);
                ready.take(count).for_each(|it| (it.state, it.since) = (ReplicaState::Failed, now));
            }
            Event::Late(tier) => {
                let mut replicas = self.tiers[tier].replicas.iter_mut();
                if let Some(it) = replicas.find(|it| it.state == ReplicaState::Ready) {
                    (it.state, it.since) = (ReplicaState::Starting, now + seconds(1));
                }
            }
            Event::Fails(tier, count) => {
                let failing = self.tiers[tier].ready().take(count).map(|it| it.id.clone()).collect();
                self.tiers[tier].failing = failing;
            }
            Event::Override(tier, at_least, at_most, long) => {
                let order = Override { at_least, at_most, until: now + seconds(long), because: "a test".to_owned() };
                self.operator.take(OperatorOrder::Override { tier: TIERS[tier].to_owned(), order: Some(order) });
            }
            Event::Mode(mode) => {
                self.operator.take(OperatorOrder::Mode(mode));
                self.withdraw();
            }
            Event::Pause(long) => {
                self.operator.take(OperatorOrder::Pause(now + seconds(long)));
                self.withdraw();
            }
            Event::Journal(writable) => self.may_shrink = writable,
            Event::Gateway(gateway) => self.gateway = gateway,
            Event::Stop(stopping) => {
                if stopping && !self.stopping {
                    self.withdraw();
                }
                self.stopping = stopping;
            }
            Event::Reload(fleet) => self.reload(fleet.0),
            Event::Restart(carried_out) => self.restart(carried_out),
        }
    }

    /// What has not begun is not carried out any more.
    fn withdraw(&mut self) {
        for tier in &mut self.tiers {
            tier.waiting.iter_mut().skip(1).for_each(|it| it.withdrawn = true);
        }
    }

    fn reload(&mut self, fleet: Arc<Fleet>) {
        let before = self.controller.fleet().clone();
        let apart = before.spec.shared_maximum.is_none() && fleet.spec.shared_maximum.is_none();
        for (index, tier) in fleet.spec.tiers.iter().enumerate() {
            if !apart || before.spec.tiers[index] != *tier {
                self.quiet[index] = self.now + longest(tier);
            }
        }
        self.controller.reload(fleet, self.now);
        self.journal.push(Line::State(Box::new(self.controller.autoscaler().clone())));
    }

    fn restart(&mut self, carried_out: bool) {
        for tier in &mut self.tiers {
            let first = tier.waiting.pop_front().filter(|_| carried_out);
            if let Some(Waiting { order, .. }) = first {
                tier.carry_out(&order, self.now, true);
            }
            tier.waiting.clear();
            tier.carry_out_unknown(usize::MAX, self.now);
        }
        self.ended.clear();
        self.victims.clear();
        self.served.clear();
        self.epoch += 1;
        let fleet = self.controller.fleet().clone();
        self.quiet = fleet.spec.tiers.iter().map(|tier| self.now + longest(tier)).collect();
        self.controller = Controller::new(fleet, self.epoch, self.now);
        self.journal.push(Line::State(Box::new(self.controller.autoscaler().clone())));
    }

    /// One second and one tick.
    pub(crate) fn tick(&mut self) {
        self.now = self.now + seconds(1);
        self.ticks += 1;
        let now = self.now;
        for tier in &mut self.tiers {
            tier.grow_older(now);
            tier.carry_out_unknown(self.ticks, now);
        }
        self.take_answers();
        let gathered = self.gather();
        let (mut names, launched) = (0, &mut self.launched);
        let mut new_intent = || {
            names += 1;
            let id = ReplicaId(format!("{}-{names}", now.as_micros() / 1_000_000));
            launched.insert(id.clone());
            id
        };
        self.controller.stop(self.stopping);
        let outcome = self.controller.step(&gathered, &self.operator, self.may_shrink, &mut new_intent);
        self.judge(&outcome);
        let specs = &self.controller.fleet().spec.tiers;
        let counts = self.gateway_counts();
        self.were_blind = self.tiers.iter().zip(specs).map(|(tier, spec)| tier.is_blind(spec, counts)).collect();
        let inputs = serde_json::to_string(&outcome.inputs).unwrap();
        self.journal.push(Line::Tick(inputs, outcome.decisions.clone()));
        let of = |tier: &str| outcome.orders.iter().filter(|it| it.tier == tier).cloned().collect();
        self.seen.push(outcome.decisions.iter().map(|it| (it.clone(), of(&it.tier))).collect());
        self.table = outcome.routes.clone();
        for order in outcome.orders {
            let tier = TIERS.iter().position(|name| *name == order.tier).unwrap();
            self.tiers[tier].waiting.push_back(Waiting { order, given: self.ticks, withdrawn: false });
        }
    }

    /// The orders that the backend is through with.
    fn take_answers(&mut self) {
        for index in 0..self.tiers.len() {
            while let Some(answer) = self.answer(index) {
                let (order, outcome) = answer;
                if outcome.is_err() {
                    order.end.iter().for_each(|id| {
                        self.ended.remove(id);
                    });
                }
                self.controller.outcome(&order, outcome, self.now);
            }
        }
    }

    fn answer(&mut self, index: usize) -> Option<(Order, Result<(), BackendError>)> {
        let (now, ticks) = (self.now, self.ticks);
        let tier = &mut self.tiers[index];
        while let Some(Waiting { order, .. }) = tier.waiting.pop_front_if(|it| it.withdrawn) {
            order.end.iter().for_each(|id| {
                self.ended.remove(id);
            });
            self.controller.withdrawn(&order);
        }
        let ready = match tier.answers {
            Answers::Hangs => return None,
            Answers::Done(after) => tier.waiting.front()?.given + after < ticks,
            _ => true,
        };
        let order = if ready { tier.waiting.pop_front()?.order } else { return None };
        let words = || "a test".to_owned();
        let outcome = match tier.answers {
            Answers::Done(_) | Answers::Hangs => {
                tier.carry_out(&order, now, true);
                Ok(())
            }
            Answers::Throttled => Err(BackendError::Throttled(words())),
            Answers::Fenced => Err(BackendError::Fenced { current: u64::MAX }),
            Answers::NoCapacity => {
                tier.carry_out(&order, now, false);
                Err(BackendError::NoCapacity(words()))
            }
            Answers::Unknown(carried_out) => {
                if carried_out {
                    tier.carry_out(&order, now, false);
                    tier.unknown.extend(order.launch.iter().map(|id| (ticks + 2, id.clone())));
                }
                Err(BackendError::Unknown(words()))
            }
        };
        Some((order, outcome))
    }

    /// Where there is load, every replica that serves answers one more request: how many each has by now.
    fn serve(&mut self) -> BTreeMap<ReplicaId, u64> {
        let mut served = std::mem::take(&mut self.applied.served);
        for tier in self.tiers.iter().filter(|it| matches!(it.tells, Tells::Load(load) if load > 0)) {
            for replica in tier.ready().filter(|it| !tier.failing.contains(&it.id)) {
                *served.entry(replica.id.clone()).or_insert(0) += 1;
                self.served_at.insert(replica.id.clone(), self.now);
            }
        }
        served
    }

    /// Whether the gateway counts all that is inside replicas.
    fn gateway_counts(&self) -> bool {
        !self.applied.earlier_answers
    }

    fn gather(&mut self) -> Gathered {
        let draining =
            || self.table.tiers.iter().flat_map(|it| &it.replicas).filter(|it| it.state == RouteState::Draining);
        match self.gateway {
            Gateway::Follows(busy) => {
                let in_flight = draining().map(|it| (it.id.clone(), u32::from(busy))).collect();
                let failing = self.tiers.iter().flat_map(|it| &it.failing).map(|id| (id.clone(), FAILED)).collect();
                let served = self.serve();
                let applied = Some(self.table.version);
                self.applied = GatewayView { applied, in_flight, failing, served, ..GatewayView::default() };
            }
            Gateway::Restarted => {
                let failing = self.tiers.iter().flat_map(|it| &it.failing).map(|id| (id.clone(), FAILED)).collect();
                let (applied, served) = (Some(self.table.version), self.serve());
                self.applied =
                    GatewayView { applied, earlier_answers: true, failing, served, ..GatewayView::default() };
            }
            Gateway::Lags => {}
            Gateway::Gone => self.applied = GatewayView::default(),
        }
        let counts = self.gateway_counts();
        self.failing_since.retain(|id, _| counts && self.applied.failing.contains_key(id));
        for id in self.applied.failing.keys() {
            self.failing_since.entry(id.clone()).or_insert(self.now);
        }
        let tier = |it: &Truth| TierGathered {
            signals: it.signals(self.now, counts),
            load: BTreeMap::new(),
            listed: it.list(),
            schedule: None,
            forecast: None,
        };
        Gathered { now: self.now, tiers: self.tiers.iter().map(tier).collect(), gateway: self.applied.clone() }
    }

    /// What must hold at every tick.
    fn judge(&mut self, outcome: &Outcome) {
        assert_eq!(outcome.violations, [], "{outcome:#?}");
        let fleet = self.controller.fleet().clone();
        let acts = self.controller.permitted(&self.operator, self.now) && !self.stopping;
        assert!(acts || outcome.orders.is_empty(), "nobody may act: {outcome:#?}");
        for (index, decision) in outcome.decisions.iter().enumerate() {
            self.judge_victims(index, &fleet.spec.tiers[index], decision);
        }
        let before = self.victims.clone();
        for failing in outcome.failing.iter().filter(|it| it.replaced) {
            assert!(acts && self.may_shrink, "nothing may be ended: {outcome:#?}");
            self.judge_replacement(failing);
            self.victims.insert(failing.replica.clone(), self.now);
        }
        let listed = || outcome.decisions.iter().zip(&self.tiers).filter(|(_, tier)| tier.listed);
        if acts && self.may_shrink {
            let now = self.now;
            self.victims.extend(listed().flat_map(|(decision, _)| decision.victims.iter().map(|id| (id.clone(), now))));
        }
        self.served.extend(listed().flat_map(|(_, tier)| tier.ready()).map(|it| it.id.clone()));
        for id in outcome.orders.iter().flat_map(|order| &order.end) {
            assert!(before.contains_key(id) || !self.served.contains(id), "{id} is ended before it was drained");
            let waited = before.get(id).is_some_and(|&since| self.now.since(since) >= DRAIN_DEADLINE);
            let free = self.gateway_counts() || !self.served.contains(id) || waited;
            assert!(free, "{id} is ended under what an earlier gateway may have in it");
        }
        for order in &outcome.orders {
            self.judge_order(order, outcome, &fleet);
        }
        self.judge_sum(outcome, &fleet);
        self.judge_routes(outcome);
    }

    /// Invariant 2, and 4 as far as decisions go.
    fn judge_victims(&self, index: usize, spec: &TierSpec, decision: &Decision) {
        let ordered = self.operator.override_of(&spec.name, self.now).is_some_and(|it| it.at_most.is_some());
        if decision.victims.is_empty() || ordered {
            return;
        }
        assert!(!self.tiers[index].is_blind(spec, self.gateway_counts()), "shrinks while it cannot see: {decision:#?}");
        assert!(self.now >= self.quiet[index], "shrinks before its windows are full: {decision:#?}");
    }

    /// A replica goes for failing only after some time of it, and once another has served since, none starts and the tier
    /// was seen.
    fn judge_replacement(&self, failing: &FailingReplica) {
        let index = TIERS.iter().position(|name| *name == failing.tier).unwrap();
        let tier = &self.tiers[index];
        assert!(tier.listed && self.now.since(self.failing_since[&failing.replica]) >= FAILS_FOR, "{failing:?}");
        let since = self.failing_since[&failing.replica];
        let serves = |id: &ReplicaId| self.served_at.get(id).is_some_and(|&at| at > since);
        let mut others = tier.ready().filter(|it| !self.applied.failing.contains_key(&it.id));
        assert!(others.any(|it| serves(&it.id)), "none is known to serve: {failing:?}");
        assert!(tier.replicas.iter().all(|it| it.state != ReplicaState::Starting), "one starts: {failing:?}");
        assert!(!self.were_blind[index], "the tier cannot be seen: {failing:?}");
        assert!(self.gateway_counts(), "an earlier gateway may fill it: {failing:?}");
    }

    fn judge_order(&mut self, order: &Order, outcome: &Outcome, fleet: &Fleet) {
        assert_eq!(order.epoch, self.epoch);
        let tier = TIERS.iter().position(|name| *name == order.tier).unwrap();
        assert!(self.tiers[tier].listed, "a tier that nobody could list is acted on: {order:?}");
        assert!(self.may_shrink || order.end.is_empty(), "the journal cannot be written: {order:?}");
        for id in &order.end {
            assert!(self.victims.contains_key(id), "{id} was never a victim: {order:?}");
            // Of one whose launch still waits, the list tells nothing yet: it may be told again when it has come.
            if self.tiers[tier].replicas.iter().any(|it| it.id == *id) {
                assert!(self.ended.insert(id.clone()), "{id} is told to end once more: {order:?}");
            }
        }
        for id in &order.launch {
            let known = |it: &Truth| {
                it.replicas.iter().any(|it| it.id == *id) || it.waiting.iter().any(|it| it.order.launch.contains(id))
            };
            assert!(self.launched.contains(id) && !self.tiers.iter().any(known), "{id} is launched once more");
        }
        if !order.launch.is_empty() {
            let (spec, there) = (&fleet.spec.tiers[tier], self.there(tier, outcome));
            let most = order.desired.min(spec.maximum.max(spec.minimum)) as usize;
            assert!(there + order.launch.len() <= most, "{there} are there: {order:?}");
        }
    }

    /// Replicas of a tier that truly serve or start, or will once the backend comes to it, without those that drain.
    fn there(&self, tier: usize, outcome: &Outcome) -> usize {
        let inputs = outcome.inputs.tiers[tier].observation.replicas.fresh();
        let drains = |id: &ReplicaId| match inputs {
            Some(seen) => seen.iter().any(|it| it.id == *id && it.state == ReplicaState::Draining),
            None => self.victims.contains_key(id),
        };
        let truth = &self.tiers[tier];
        let alive = truth.replicas.iter().filter(|it| matches!(it.state, ReplicaState::Starting | ReplicaState::Ready));
        let coming = truth.waiting.iter().filter(|it| !it.withdrawn).map(|it| it.order.launch.len());
        alive.filter(|it| !drains(&it.id)).count() + coming.sum::<usize>() + truth.unknown.len()
    }

    /// Invariant 3 for the shared maximum: only minimums may pass it.
    fn judge_sum(&self, outcome: &Outcome, fleet: &Fleet) {
        let Some(maximum) = fleet.spec.shared_maximum else { return };
        let above_minimum = |order: &&Order| {
            let (spec, _) = fleet.tier(&order.tier).unwrap();
            !order.launch.is_empty() && order.desired > spec.minimum
        };
        if outcome.orders.iter().any(|order| above_minimum(&order)) {
            let there: usize = (0..TIERS.len()).map(|tier| self.there(tier, outcome)).sum();
            let started: usize = outcome.orders.iter().map(|it| it.launch.len()).sum();
            assert!(there + started <= maximum as usize, "{there} there, {started} more: {outcome:#?}");
        }
    }

    /// Nothing is taken out of service but by a decision or a stop, and a tier that nobody could list is served on.
    fn judge_routes(&self, outcome: &Outcome) {
        for (index, routes) in outcome.routes.tiers.iter().enumerate() {
            let before = self.table.tiers.get(index).filter(|it| it.tier == routes.tier);
            if !self.tiers[index].listed && self.table.version.epoch == outcome.routes.version.epoch {
                assert_eq!(before.map_or(&[][..], |it| &it.replicas), routes.replicas);
            }
            for replica in self.tiers[index].ready().filter(|_| self.tiers[index].listed && !self.stopping) {
                let served = routes.replicas.iter().find(|it| it.id == replica.id).map(|it| it.state);
                let left = self.victims.contains_key(&replica.id);
                assert!(left || served == Some(RouteState::Serving), "{} does not serve: {outcome:#?}", replica.id);
            }
        }
    }

    /// As many as were decided, all of them in service, and nothing left to do.
    pub(crate) fn has_converged(&self) {
        let decided = self.seen.last().unwrap();
        for (tier, (decision, orders)) in self.tiers.iter().zip(decided) {
            let states: Vec<ReplicaState> = tier.replicas.iter().map(|it| it.state).collect();
            assert_eq!(states, vec![ReplicaState::Ready; decision.desired as usize], "{decision:#?}");
            assert!(orders.is_empty() && tier.waiting.is_empty());
        }
        let routes = self.table.tiers.iter().flat_map(|it| &it.replicas);
        assert!(routes.clone().all(|it| it.state == RouteState::Serving), "{:#?}", self.table);
        assert_eq!(routes.count(), self.tiers.iter().map(|it| it.replicas.len()).sum::<usize>());
    }
}

/// The longest time for which anything in the tier looks back before it lets a replica go.
fn longest(tier: &TierSpec) -> Span {
    let policies = tier.policies.iter().map(|policy| match *policy {
        PolicySpec::Capacity { window, hold } => window.max(hold),
        PolicySpec::TargetTracking { window, .. } => window,
        _ => Span::ZERO,
    });
    let back = &tier.behavior.scale_in;
    policies.max().unwrap_or(Span::ZERO).max(back.window).max(back.cooldown)
}
