//! Evenkeel's own decision code in virtual time: the very code that runs live, and its check.

use crate::autoscaler::{Autoscaler, Seen};
use crate::cloud::{OnItsWay, Pipeline};
use evenkeel_core::autoscaler::{Autoscaler as _, Evenkeel, FleetInputs};
use evenkeel_core::capacity::Table;
use evenkeel_core::check::check;
use evenkeel_core::decision::Reason;
use evenkeel_core::observe::{Observation, Offered, Reading, Replica, ReplicaId, ReplicaState, Signals};
use evenkeel_core::propose::TierInputs;
use evenkeel_core::spec::{FleetSpec, PolicySpec, TierSpec};
use evenkeel_core::units::{Span, Time};

/// One tier decided by Evenkeel.
#[derive(Debug)]
pub struct Ours {
    evenkeel: Evenkeel,
    table: Table,
    inputs: FleetInputs,
    /// Offered requests below one, carried to the next slot.
    carried: f64,
    named: u64,
    /// Offered demand between the model and the decision.
    way: OnItsWay,
    freshness: Option<Span>,
    reason: Option<Reason>,
}

impl Ours {
    /// The first of the tier's policies that goes by signals which a fluid model does not have.
    pub fn needs_requests(tier: &TierSpec) -> Option<&'static str> {
        tier.policies.iter().find(|policy| !matches!(policy, PolicySpec::Capacity { .. })).map(PolicySpec::name)
    }

    /// Decides over `tier` from `start` on, once each `tick`.
    pub fn new(tier: TierSpec, tick: Span, start: Time) -> Self {
        let table = Table::solve(&tier.profile, &tier.requests, &tier.slo.objectives, tier.maximum);
        let signals = Signals::default();
        let observation = Observation { signals, replicas: Reading::Fresh { value: Vec::new(), at: start } };
        let inputs = TierInputs { observation, forecast: None, schedule: None, operator: None };
        let spec = FleetSpec { name: "simulated".into(), tick, shared_maximum: None, tiers: vec![tier] };
        let inputs = FleetInputs { now: start, tiers: vec![inputs] };
        Self {
            evenkeel: Evenkeel::new(spec, start),
            table,
            inputs,
            carried: 0.0,
            named: 0,
            way: OnItsWay::default(),
            freshness: None,
            reason: None,
        }
    }

    /// Reads what is offered through `pipeline`, and takes a reading older than `freshness` for stale. All other signals are
    /// read directly.
    #[must_use]
    pub fn through(self, pipeline: Pipeline, freshness: Option<Span>) -> Self {
        Self { way: OnItsWay::through(pipeline), freshness, ..self }
    }

    /// What the model measured, or what follows from the last slot's demand.
    fn observe(&mut self, seen: &Seen<'_>) {
        if let Some(measured) = seen.measured {
            let replicas = Reading::Fresh { value: measured.replicas.clone(), at: seen.now };
            self.inputs.tiers[0].observation = Observation { signals: measured.signals.clone(), replicas };
        } else {
            self.list(seen);
            self.inputs.tiers[0].observation.signals.offered = self.offered(seen);
        }
        let offered = &mut self.inputs.tiers[0].observation.signals.offered;
        let readable = self.way.pass(*offered, seen.now);
        *offered = self.freshness.map_or(readable, |limit| readable.aged(seen.now, limit));
    }

    /// The last slot's demand as a count of requests that were offered.
    fn offered(&mut self, seen: &Seen<'_>) -> Reading<Offered> {
        let Some(&demand) = seen.demand.last() else { return Reading::default() };
        let requests = self.table.rate(demand) * seen.slot.as_secs_f64() + self.carried;
        let whole = libm::floor(requests);
        self.carried = requests - whole;
        let value = Offered { requests: whole as u64, prompt_tokens: 0, over: seen.slot };
        Reading::Fresh { value, at: seen.now }
    }

    /// Keeps names and order: who is ready was there first. Rates do not tell which one was lost, so the newest of its state is.
    fn list(&mut self, seen: &Seen<'_>) {
        let Reading::Fresh { value: replicas, at } = &mut self.inputs.tiers[0].observation.replicas else { return };
        *at = seen.now;
        let mut ready = 0;
        replicas.retain(|replica| {
            ready += u32::from(replica.state == ReplicaState::Ready);
            replica.state != ReplicaState::Ready || ready <= seen.ready
        });
        replicas.truncate(seen.current() as usize);
        while replicas.len() < seen.current() as usize {
            let id = ReplicaId(format!("replica-{}", self.named));
            self.named += 1;
            replicas.push(Replica { id, state: ReplicaState::Starting, since: seen.now, in_flight: None });
        }
        for (index, replica) in replicas.iter_mut().enumerate() {
            let ready = index < seen.ready as usize;
            if ready && replica.state == ReplicaState::Starting {
                (replica.state, replica.since) = (ReplicaState::Ready, seen.now);
            }
        }
    }
}

impl Autoscaler for Ours {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        self.inputs.now = seen.now;
        self.observe(seen);
        let decisions = self.evenkeel.decide(&self.inputs);
        let broken = check(self.evenkeel.spec(), &self.inputs, &decisions);
        assert!(broken.is_empty(), "a decision breaks an invariant: {broken:?}");
        let Some(decision) = decisions.first() else { return seen.current() };
        self.reason = Some(decision.reason);
        decision.desired
    }

    fn reason(&self) -> Option<&'static str> {
        self.reason.map(Reason::name)
    }
}
