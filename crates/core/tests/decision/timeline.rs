//! A world with the least in it that makes decisions have consequences: replicas take a while to start, leave when they
//! are told to, and crash when the test says so. The checker sees every tick; a violation ends the test.

use crate::specs::fleet;
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel, FleetInputs};
use evenkeel_core::capacity::Table;
use evenkeel_core::check::check;
use evenkeel_core::decision::{ActiveSchedule, Decision, Forecast, Override, Reason};
use evenkeel_core::observe::{
    Cause, Finished, Latency, Mean, Observation, Offered, Reading, Replica, ReplicaId, ReplicaState, Signals, Supply,
};
use evenkeel_core::propose::TierInputs;
use evenkeel_core::spec::{FleetSpec, TierSpec};
use evenkeel_core::units::{Span, Time};

/// Readings older than this are stale, as in the controller.
pub(crate) const FRESHNESS: Span = Span::from_secs(5);
/// The moment from which timelines count.
pub(crate) const START: Time = Time::from_micros(1_700_000_000_000_000);

/// What the sources of one tier say. `None` is a missing reading, never a zero.
#[derive(Clone, Debug, Default)]
pub(crate) struct Feed {
    pub(crate) requests_per_second: Option<f64>,
    pub(crate) queue_depth: Option<u64>,
    pub(crate) in_flight: Option<u64>,
    pub(crate) players: Option<u64>,
    /// GPU utilization added up over replicas: load that does not depend on how many carry it.
    pub(crate) gpu_load: Option<f64>,
    /// How many replicas report it; all that are ready unless said.
    pub(crate) gpu_reporting: Option<u64>,
    /// Of the first objective.
    pub(crate) latency: Option<Latency>,
    pub(crate) pace: Option<Mean>,
    pub(crate) finished: Option<Finished>,
    /// No source answers, for this cause.
    pub(crate) dark: Option<Cause>,
    /// Readings are this old.
    pub(crate) lag: Span,
    /// Readings are dated this far ahead of the controller's clock.
    pub(crate) ahead: Span,
    /// Requests offered since the start, so that whole requests add up to the rate.
    offered: f64,
}

impl Feed {
    fn signals(&mut self, now: Time, tick: Span, supply: Supply) -> Signals {
        let cause = self.dark.unwrap_or(Cause::NoRequest);
        let at = now - self.lag + self.ahead;
        let before = self.offered;
        self.offered += self.requests_per_second.unwrap_or(0.0) * tick.as_secs_f64();
        let requests = (self.offered.floor() - before.floor()) as u64;
        let gpu = self.gpu_load.filter(|_| supply.ready > 0);
        let no_gpu = if supply.ready == 0 { Cause::NoReplica } else { cause };
        Signals {
            offered: said(
                self.requests_per_second.map(|_| Offered { requests, prompt_tokens: 300 * requests, over: tick }),
                at,
                cause,
            ),
            queue_depth: said(self.queue_depth, at, cause),
            in_flight: said(self.in_flight, at, cause),
            finished: said(self.finished, at, cause),
            latency: vec![said(self.latency, at, cause)],
            pace: said(self.pace, at, cause),
            gpu_utilization: said(
                gpu.map(|load| Mean {
                    sum: load.min(f64::from(supply.ready)),
                    count: self.gpu_reporting.unwrap_or(u64::from(supply.ready)),
                }),
                at,
                no_gpu,
            ),
            players: said(self.players, at, cause),
            error_share: said(None, at, cause),
            ..Signals::default()
        }
        .dark(self.dark)
        .aged(now, FRESHNESS)
    }
}

fn said<T>(value: Option<T>, at: Time, cause: Cause) -> Reading<T> {
    value.map_or(Reading::Missing { cause }, |value| Reading::Fresh { value, at })
}

trait Dark {
    fn dark(self, cause: Option<Cause>) -> Self;
}

impl Dark for Signals {
    fn dark(self, cause: Option<Cause>) -> Self {
        match cause {
            Some(cause) => Signals::missing(&evenkeel_core::spec::Signal::ALL, self.latency.len(), cause),
            None => self,
        }
    }
}

/// One tier's replicas and what is said about it.
pub(crate) struct Tier {
    pub(crate) feed: Feed,
    pub(crate) replicas: Vec<Replica>,
    /// Whether the backend lists the replicas.
    pub(crate) listed: bool,
    /// Whether the backend obeys.
    pub(crate) obeys: bool,
    pub(crate) forecast: Option<Forecast>,
    pub(crate) schedule: Option<ActiveSchedule>,
    pub(crate) operator: Option<Override>,
    start_up: Span,
    born: u32,
}

impl Tier {
    pub(crate) fn with_ready(mut self, count: u32) -> Self {
        for _ in 0..count {
            self.add(ReplicaState::Ready, START);
        }
        self
    }

    fn add(&mut self, state: ReplicaState, since: Time) {
        let id = ReplicaId(format!("r{:03}", self.born));
        self.born += 1;
        self.replicas.push(Replica { id, state, since, in_flight: Some(0) });
    }

    pub(crate) fn supply(&self) -> Supply {
        Supply::of(&self.replicas)
    }

    /// `count` ready replicas end without being told.
    pub(crate) fn crash(&mut self, count: usize) {
        let ready = self.replicas.iter_mut().filter(|it| it.state == ReplicaState::Ready);
        ready.take(count).for_each(|it| it.state = ReplicaState::Failed);
    }

    fn inputs(&self, signals: Signals, now: Time) -> TierInputs {
        let replicas = if self.listed {
            Reading::Fresh { value: self.replicas.clone(), at: now }
        } else {
            Reading::Missing { cause: Cause::Unreachable }
        };
        TierInputs {
            observation: Observation { signals, replicas },
            forecast: self.forecast,
            schedule: self.schedule.clone(),
            operator: self.operator.clone(),
        }
    }

    fn obey(&mut self, decision: &Decision) {
        for _ in self.supply().current()..decision.desired {
            self.add(ReplicaState::Starting, decision.at);
        }
        self.replicas.retain(|it| !decision.victims.contains(&it.id));
    }

    fn grow_up(&mut self, now: Time) {
        for replica in &mut self.replicas {
            if replica.state == ReplicaState::Starting && now.since(replica.since) >= self.start_up {
                (replica.state, replica.since) = (ReplicaState::Ready, now);
            }
        }
    }
}

/// A fleet over time.
pub(crate) struct Timeline {
    pub(crate) autoscaler: Evenkeel,
    pub(crate) tiers: Vec<Tier>,
    /// The newest decisions.
    pub(crate) decisions: Vec<Decision>,
    /// The newest inputs.
    pub(crate) inputs: FleetInputs,
    /// The moment of the next tick.
    next: Time,
    /// Lowest count of each tier since the last `watch`.
    lowest: Vec<u32>,
}

impl Timeline {
    /// One tier, with one replica ready unless its minimum says otherwise.
    pub(crate) fn of(tier: TierSpec) -> Self {
        Self::over(fleet(vec![tier], None))
    }

    pub(crate) fn over(spec: FleetSpec) -> Self {
        let tiers: Vec<Tier> = spec
            .tiers
            .iter()
            .map(|tier| {
                let bare = Tier {
                    feed: Feed::default(),
                    replicas: Vec::new(),
                    listed: true,
                    obeys: true,
                    forecast: None,
                    schedule: None,
                    operator: None,
                    start_up: tier.start_up,
                    born: 0,
                };
                bare.with_ready(tier.minimum)
            })
            .collect();
        let lowest = vec![u32::MAX; tiers.len()];
        let inputs = FleetInputs { now: START, tiers: Vec::new() };
        Self { autoscaler: Evenkeel::new(spec, START), tiers, decisions: Vec::new(), inputs, next: START, lowest }
    }

    /// The same with `count` replicas of the first tier ready from the start.
    pub(crate) fn with_ready(mut self, count: u32) -> Self {
        let tier = self.tiers.remove(0);
        let missing = count - tier.supply().ready;
        self.tiers.insert(0, tier.with_ready(missing));
        self
    }

    pub(crate) fn spec(&self) -> &FleetSpec {
        self.autoscaler.spec()
    }

    /// The moment of the next tick.
    pub(crate) const fn moment(&self) -> Time {
        self.next
    }

    pub(crate) fn feed(&mut self) -> &mut Feed {
        &mut self.tiers[0].feed
    }

    /// Offers what `replicas` pooled replicas of the first tier just carry inside the SLO.
    pub(crate) fn demand(&mut self, replicas: f64) {
        self.tiers[0].feed.requests_per_second = Some(rate_for(&self.spec().tiers[0], replicas));
    }

    /// Ticks until the moment `after` the start has been decided.
    pub(crate) fn at(&mut self, after: Span) -> &mut Self {
        while self.next <= START + after {
            self.tick();
        }
        self
    }

    /// One tick.
    pub(crate) fn tick(&mut self) {
        let (now, tick) = (self.next, self.spec().tick);
        self.tiers.iter_mut().for_each(|tier| tier.grow_up(now));
        let tiers = self.tiers.iter_mut().map(|tier| {
            let supply = tier.supply();
            let signals = tier.feed.signals(now, tick, supply);
            tier.inputs(signals, now)
        });
        let inputs = FleetInputs { now, tiers: tiers.collect() };
        self.decide(inputs);
    }

    /// One tick in which the sources say `signals`.
    pub(crate) fn tick_with(&mut self, signals: Vec<Signals>) {
        let now = self.next;
        self.tiers.iter_mut().for_each(|tier| tier.grow_up(now));
        let tiers = self.tiers.iter().zip(signals).map(|(tier, signals)| tier.inputs(signals, now));
        let inputs = FleetInputs { now, tiers: tiers.collect() };
        self.decide(inputs);
    }

    fn decide(&mut self, inputs: FleetInputs) {
        let now = inputs.now;
        self.inputs = inputs;
        self.decisions = self.autoscaler.decide(&self.inputs);
        let violations = check(self.spec(), &self.inputs, &self.decisions);
        assert!(violations.is_empty(), "{violations:?} in {:?}", self.decisions);
        for ((tier, decision), lowest) in self.tiers.iter_mut().zip(&self.decisions).zip(&mut self.lowest) {
            if tier.listed && tier.obeys {
                tier.obey(decision);
            }
            *lowest = (*lowest).min(decision.desired);
            assert!(decision.look_again > now, "nothing new can be seen before: {decision:?}");
        }
        self.next = now + self.spec().tick;
    }

    /// Begins to watch for the lowest count anew.
    pub(crate) fn watch(&mut self) -> &mut Self {
        self.lowest.fill(u32::MAX);
        self
    }

    /// The lowest count decided for the first tier since `watch`.
    pub(crate) fn lowest(&self) -> u32 {
        self.lowest[0]
    }

    /// The newest decision of the first tier.
    pub(crate) fn decision(&self) -> &Decision {
        &self.decisions[0]
    }

    /// When the newest decision was taken, after the start.
    pub(crate) fn clock(&self) -> Span {
        self.decision().at.since(START)
    }

    /// Asserts the count decided for the first tier.
    #[track_caller]
    pub(crate) fn expect(&mut self, replicas: u32) -> &mut Self {
        let decision = self.decision();
        assert_eq!(decision.desired, replicas, "at +{}: {decision:#?}", self.clock());
        self
    }

    /// Asserts the counts decided for all tiers.
    #[track_caller]
    pub(crate) fn expect_all(&mut self, replicas: &[u32]) -> &mut Self {
        let desired: Vec<u32> = self.decisions.iter().map(|it| it.desired).collect();
        assert_eq!(desired, replicas, "at +{}: {:#?}", self.clock(), self.decisions);
        self
    }

    /// Asserts the reason given for the first tier.
    #[track_caller]
    pub(crate) fn because(&mut self, reason: Reason) -> &mut Self {
        let decision = self.decision();
        assert_eq!(decision.reason, reason, "at +{}: {decision:#?}", self.clock());
        self
    }

    /// The controller starts again with nothing remembered.
    pub(crate) fn restart(&mut self) {
        self.autoscaler = Evenkeel::new(self.spec().clone(), self.next);
    }

    /// The fleet file changes.
    pub(crate) fn reload(&mut self, change: impl FnOnce(&mut FleetSpec)) {
        let mut spec = self.spec().clone();
        change(&mut spec);
        self.autoscaler.reload(spec, self.next);
    }
}

/// Requests a second that `replicas` pooled replicas of `tier` carry inside its SLO.
pub(crate) fn rate_for(tier: &TierSpec, replicas: f64) -> f64 {
    Table::solve(&tier.profile, &tier.requests, &tier.slo.objectives, tier.maximum).rate(replicas)
}

/// An order to have at least or at most so many, for ten minutes from `START`.
pub(crate) fn order(at_least: Option<u32>, at_most: Option<u32>) -> Option<Override> {
    Some(Override { at_least, at_most, until: START + Span::from_secs(600), because: "a launch party".into() })
}
