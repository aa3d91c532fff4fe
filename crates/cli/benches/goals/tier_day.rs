//! A tier of `examples/game.yaml` on a day of players, tick by tick: load that follows the hour, counts that differ from
//! tick to tick as counts do, and replicas that come and go as decided.

use evenkeel_core::autoscaler::FleetInputs;
use evenkeel_core::decision::Decision;
use evenkeel_core::observe::{
    Finished, Latency, Mean, Observation, Offered, Portion, Reading, Replica, ReplicaId, ReplicaState, Signals,
};
use evenkeel_core::propose::TierInputs;
use evenkeel_core::spec::{Behavior, FleetSpec, Pace, Per, PolicySpec, Signal, TierSpec};
use evenkeel_core::units::{Span, Time};
use evenkeel_workload::random::Stream;

pub(crate) const START: Time = Time::from_micros(1_700_000_000_000_000);
pub(crate) const TICK: Span = Span::from_secs(1);

/// The tiers of `examples/game.yaml`.
pub(crate) fn game() -> FleetSpec {
    evenkeel_fleet::read(include_str!("../../../../examples/game.yaml"), "game.yaml").unwrap().spec
}

/// A fleet of one tier.
pub(crate) fn fleet_of(tier: TierSpec) -> FleetSpec {
    FleetSpec { name: "bench".into(), tick: TICK, shared_maximum: None, tiers: vec![tier] }
}

/// The tier `gold`, which follows the capacity policy.
pub(crate) fn capacity_tier() -> TierSpec {
    game().tiers.remove(0)
}

/// The same tier by the first user's rules: GPU utilization 75 %, queue depth 50, cooldowns of 300 s in and 60 s out.
pub(crate) fn classic_tier() -> TierSpec {
    let window = Span::from_secs(60);
    let pace = |cooldown| Pace { cooldown: Span::from_secs(cooldown), ..Pace::default() };
    TierSpec {
        policies: vec![
            PolicySpec::TargetTracking { signal: Signal::GpuUtilization, target: 0.75, per: Per::Replica, window },
            PolicySpec::TargetTracking { signal: Signal::QueueDepth, target: 50.0, per: Per::Replica, window },
            PolicySpec::Latency { objective: 0, window },
        ],
        behavior: Behavior { scale_out: pace(60), scale_in: pace(300) },
        ..capacity_tier()
    }
}

/// One tier on its day.
pub(crate) struct TierDay {
    replicas: Vec<Replica>,
    peak_per_second: f64,
    launched: u64,
    noise: Stream,
}

impl TierDay {
    /// A day with this many requests a second at its peak.
    pub(crate) fn new(tier: &TierSpec, peak_per_second: f64) -> Self {
        let mut day =
            Self { replicas: Vec::new(), peak_per_second, launched: 0, noise: Stream::named(1, &tier.name, "bench") };
        day.grow(tier.minimum.max(1), START);
        day
    }

    /// What is seen at `now`.
    pub(crate) fn inputs(&mut self, now: Time) -> TierInputs {
        let hour = now.since(START).as_secs_f64() / 3_600.0;
        let share = 0.55 - 0.45 * libm::cos(hour / 24.0 * core::f64::consts::TAU);
        let rate = self.peak_per_second * share;
        let requests = (rate + self.noise.normal() * rate.sqrt()).max(0.0).round() as u64;
        for replica in &mut self.replicas {
            replica.in_flight = Some((self.noise.uniform() * 7.0) as u32);
        }
        TierInputs {
            observation: Observation {
                signals: self.signals(requests, now),
                replicas: Reading::Fresh { value: self.replicas.clone(), at: now },
            },
            forecast: None,
            schedule: None,
            operator: None,
        }
    }

    fn signals(&mut self, requests: u64, now: Time) -> Signals {
        let replicas = self.replicas.len() as u64;
        let busy = (requests as f64 / 13.3).min(replicas as f64) * (0.95 + 0.1 * self.noise.uniform());
        let above = (requests as f64 * 0.04 * self.noise.uniform()).round() as u64;
        let (low, high) = (Span::from_millis(12), Span::from_millis(14));
        let latency = Latency { count: requests, above, quantile_low: low, quantile_high: high };
        let finished = Finished {
            succeeded: requests,
            failed: 0,
            prompt_tokens: requests * 300,
            output_tokens: requests * 40,
            over: TICK,
        };
        Signals {
            offered: fresh(Offered { requests, prompt_tokens: requests * 300, over: TICK }, now),
            queue_depth: fresh((self.noise.exponential() * 3.0) as u64, now),
            oldest_queued: fresh(Span::from_millis((self.noise.exponential() * 20.0) as i64), now),
            in_flight: fresh(requests / 2, now),
            finished: fresh(finished, now),
            latency: vec![fresh(latency, now)],
            pace: fresh(Mean { sum: requests as f64 * (11.0 + self.noise.uniform()), count: requests }, now),
            gpu_utilization: fresh(Mean { sum: busy, count: replicas }, now),
            kv_utilization: fresh(Mean { sum: busy * 0.3, count: replicas }, now),
            engine_waiting: fresh(0, now),
            prefix_cache_miss: fresh(Portion { part: requests * 300, whole: requests * 300 }, now),
            error_share: fresh(Portion { part: 0, whole: requests }, now),
            players: fresh(requests * 18, now),
        }
    }

    /// Replicas come and go as decided; they need no time to start.
    pub(crate) fn obey(&mut self, decision: &Decision) {
        self.replicas.retain(|replica| !decision.victims.contains(&replica.id));
        self.grow(decision.desired, decision.at);
    }

    fn grow(&mut self, count: u32, now: Time) {
        while self.replicas.len() < count as usize {
            self.launched += 1;
            // As long as the uuid that a real one is called by.
            let id = ReplicaId(format!("00000000-0000-4000-8000-{:012}", self.launched));
            self.replicas.push(Replica { id, state: ReplicaState::Ready, since: now, in_flight: Some(0) });
        }
    }
}

fn fresh<T>(value: T, at: Time) -> Reading<T> {
    Reading::Fresh { value, at }
}

/// The inputs of a fleet of one tier.
pub(crate) fn alone(inputs: TierInputs, now: Time) -> FleetInputs {
    FleetInputs { now, tiers: vec![inputs] }
}

/// The moment of tick `number`.
pub(crate) fn moment(number: u32) -> Time {
    START + Span::from_micros(TICK.as_micros() * i64::from(number))
}
