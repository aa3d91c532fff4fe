//! What the journal keeps: it reads back to the same bits, and its names are stable.

use crate::specs::{by_players, capacity, fleet, gold, minutes, seconds, silver, tracking};
use crate::timeline::{START, Timeline, order};
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel, FleetInputs};
use evenkeel_core::decision::{ActiveSchedule, Decision, Forecast, Guard, Override, Reason, Why};
use evenkeel_core::observe::{
    Cause, Finished, Latency, Mean, Observation, Offered, Portion, Reading, Replica, ReplicaId, ReplicaState, Signals,
};
use evenkeel_core::propose::TierInputs;
use evenkeel_core::spec::{
    Behavior, Blind, FleetSpec, LatencyMetric, Objective, Pace, Per, PolicySpec, Signal, StepLimit, TierSpec,
};
use evenkeel_core::units::Span;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// There and back gives the same value and the same text.
#[track_caller]
fn returns<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let text = serde_json::to_string(value).unwrap();
    let back: T = serde_json::from_str(&text).unwrap();
    assert_eq!(*value, back);
    assert_eq!(text, serde_json::to_string(&back).unwrap());
}

/// Sums of floats whose shortest decimal form has all its digits.
const AWKWARD: [f64; 6] = [0.1 + 0.2, 1.0 / 3.0, 5e-324, f64::MAX, -0.0, 1e23];

fn every_cause() -> [Cause; 15] {
    [
        Cause::NotConfigured,
        Cause::Unreachable,
        Cause::TimedOut,
        Cause::Refused,
        Cause::Malformed,
        Cause::NotANumber,
        Cause::FirstReading,
        Cause::CounterReset,
        Cause::Partial,
        Cause::LowerBound,
        Cause::NoReplica,
        Cause::NoRequest,
        Cause::Contradicted,
        Cause::FutureDated,
        Cause::Stale,
    ]
}

fn every_signal() -> Signals {
    let at = START;
    Signals {
        offered: Reading::Fresh { value: Offered { requests: 13, prompt_tokens: 3_900, over: seconds(1) }, at },
        queue_depth: Reading::Fresh { value: u64::MAX, at },
        oldest_queued: Reading::Fresh { value: Span::from_millis(250), at },
        in_flight: Reading::Stale { value: 7, at: at - minutes(1) },
        finished: Reading::Fresh {
            value: Finished { succeeded: 9, failed: 1, prompt_tokens: 2_700, output_tokens: 360, over: seconds(1) },
            at,
        },
        latency: vec![
            Reading::Fresh {
                value: Latency {
                    count: 9,
                    above: 1,
                    quantile_low: Span::from_millis(10),
                    quantile_high: Span::from_millis(25),
                },
                at,
            },
            Reading::Missing { cause: Cause::NoRequest },
        ],
        pace: Reading::Fresh { value: Mean { sum: AWKWARD[0], count: 9 }, at },
        gpu_utilization: Reading::Stale { value: Mean { sum: AWKWARD[1], count: 3 }, at },
        kv_utilization: Reading::Missing { cause: Cause::Partial },
        engine_waiting: Reading::Fresh { value: 0, at },
        prefix_cache_miss: Reading::Fresh { value: Portion { part: 1, whole: 3 }, at },
        error_share: Reading::Fresh { value: Portion { part: 1, whole: 10 }, at },
        players: Reading::default(),
    }
}

fn every_input() -> FleetInputs {
    let states = [ReplicaState::Starting, ReplicaState::Ready, ReplicaState::Draining, ReplicaState::Failed];
    let replicas = states.into_iter().zip([None, Some(3), Some(1), None]).map(|(state, in_flight)| Replica {
        id: ReplicaId(format!("{state:?}")),
        state,
        since: START,
        in_flight,
    });
    let listed = TierInputs {
        observation: Observation {
            signals: every_signal(),
            replicas: Reading::Fresh { value: replicas.collect(), at: START },
        },
        forecast: Some(Forecast { requests_per_second: AWKWARD[2], horizon: minutes(1) }),
        schedule: Some(ActiveSchedule { entry: "Freitag, 20 Uhr \"Raid\"".into(), at_least: 6 }),
        operator: Some(Override { at_least: Some(2), at_most: None, until: START, because: "maintenance".into() }),
    };
    let unlisted = TierInputs {
        observation: Observation {
            signals: Signals::missing(&Signal::ALL, 1, Cause::Unreachable),
            replicas: Reading::Missing { cause: Cause::Refused },
        },
        forecast: None,
        schedule: None,
        operator: None,
    };
    FleetInputs { now: START, tiers: vec![listed, unlisted] }
}

fn every_policy() -> Vec<PolicySpec> {
    vec![
        capacity(),
        tracking(Signal::GpuUtilization, 0.75, Per::Replica),
        tracking(Signal::QueueDepth, 50.0, Per::Tier),
        PolicySpec::BacklogPerReplica { target: AWKWARD[1] },
        PolicySpec::Latency { objective: 0, window: minutes(1) },
        PolicySpec::PlayersPerReplica { players: 235.0 },
        PolicySpec::Schedule,
    ]
}

fn every_setting() -> FleetSpec {
    let objective = |metric| Objective { metric, quantile: 0.95, bound: Span::from_millis(250) };
    let pace = Pace {
        window: minutes(5),
        cooldown: seconds(60),
        step: Some(StepLimit { replicas: 4, percent: 100, period: seconds(15) }),
    };
    let mut tier = TierSpec {
        policies: every_policy(),
        behavior: Behavior { scale_out: pace, scale_in: Pace::default() },
        blind: Blind::AtLeast { replicas: 3, after: minutes(3) },
        ..gold()
    };
    tier.slo.objectives = LatencyMetric::ALL.into_iter().map(objective).collect();
    fleet(vec![tier, silver()], Some(40))
}

#[test]
fn inputs_read_back_to_the_same_bits() {
    returns(&every_input());
    for cause in every_cause() {
        returns(&Reading::<u64>::Missing { cause });
    }
    for value in AWKWARD {
        returns(&Mean { sum: value, count: 1 });
        let text = serde_json::to_string(&value).unwrap();
        assert_eq!(serde_json::from_str::<f64>(&text).unwrap().to_bits(), value.to_bits());
    }
}

#[test]
fn the_spec_reads_back_to_the_same_bits() {
    returns(&every_setting());
}

/// One recommendation of each kind.
fn every_why() -> Vec<Why> {
    vec![
        Why::Blind { signal: Signal::Offered, cause: Cause::Stale },
        Why::Demand {
            requests_per_second: 52.25,
            demand_replicas: 3.5,
            peak_demand_replicas: 4.25,
            staffing_gain: 1.063,
            slowdown: 1.25,
            forecast_replicas: None,
        },
        Why::Unachievable {
            metric: LatencyMetric::Ttft,
            requests_per_second: 52.25,
            throughput_replicas: 2.5,
            slowdown: 1.0,
        },
        Why::Target { signal: Signal::GpuUtilization, value: 0.82, target: 0.75 },
        Why::Backlog { waiting: 1_500, target: 100.0 },
        Why::Objective { metric: LatencyMetric::Tpot, above_share: 0.08, allowed_share: 0.05 },
        Why::Players { players: 5_000, per_replica: 235.0 },
        Why::Scheduled { entry: Some("friday evening".into()) },
        Why::Scheduled { entry: None },
    ]
}

#[test]
fn decisions_read_back_to_the_same_bits() {
    let mut decision = through_every_guard();
    returns(&decision);
    for why in every_why() {
        decision.recommendations[0].why = why;
        returns(&decision);
    }
    for reason in Reason::ALL {
        decision.reason = reason;
        returns(&decision);
        assert_eq!(serde_json::to_value(reason).unwrap(), reason.name(), "the name is the form");
    }
}

#[test]
fn names_and_forms_are_one() {
    for signal in Signal::ALL {
        assert_eq!(serde_json::to_value(signal).unwrap(), signal.name());
    }
    for metric in LatencyMetric::ALL {
        assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
    }
    for policy in every_policy() {
        let form = serde_json::to_value(&policy).unwrap();
        let named = form.as_str().unwrap_or_else(|| form.as_object().unwrap().keys().next().unwrap());
        assert_eq!(named, policy.name());
    }
    for guard in [
        Guard::Freshness,
        Guard::Window,
        Guard::Cooldown,
        Guard::StepLimit,
        Guard::Override,
        Guard::Maximum,
        Guard::SharedMaximum,
        Guard::Minimum,
    ] {
        assert_eq!(serde_json::to_value(guard).unwrap(), guard.name());
    }
}

#[test]
fn a_saved_state_decides_on_as_if_nothing_had_happened() {
    let mut timeline = Timeline::over(every_setting());
    timeline.tiers[0].feed.queue_depth = Some(12);
    timeline.tiers[0].feed.in_flight = Some(80);
    timeline.demand(4.5);
    timeline.at(minutes(7));
    let saved = serde_json::to_string(&timeline.autoscaler).unwrap();
    let mut restored: Evenkeel = serde_json::from_str(&saved).unwrap();
    assert_eq!(saved, serde_json::to_string(&restored).unwrap());
    while timeline.clock() < minutes(30) {
        timeline.demand(((timeline.clock().as_secs_f64() / 60.0) as u32 % 5).into());
        timeline.tick();
        let inputs = serde_json::to_string(&timeline.inputs).unwrap();
        let decisions = restored.decide(&serde_json::from_str(&inputs).unwrap());
        assert_eq!(timeline.decisions, decisions, "at +{}", timeline.clock());
    }
}

#[test]
fn a_saved_state_of_other_policies_than_its_spec_has_begins_anew_and_removes_nothing() {
    let latency = PolicySpec::Latency { objective: 0, window: minutes(1) };
    let of = |policy: &PolicySpec| Timeline::of(TierSpec { policies: vec![policy.clone()], ..gold() }).with_ready(3);
    let (mut other, mut timeline) = (of(&latency), of(&capacity()));
    other.at(minutes(1));
    timeline.demand(4.5);
    timeline.at(minutes(1));
    let mut saved = serde_json::to_value(&timeline.autoscaler).unwrap();
    saved["states"][0]["policies"] = serde_json::to_value(&other.autoscaler).unwrap()["states"][0]["policies"].take();
    timeline.autoscaler = serde_json::from_value(saved).unwrap();
    timeline.tick();
    timeline.expect(5);
}

/// 45 wanted; a step limit, an override, the maximum and the shared maximum each change it.
fn through_every_guard() -> Decision {
    let step = StepLimit { replicas: 10, percent: 50, period: minutes(1) };
    let gold = TierSpec {
        policies: vec![
            PolicySpec::PlayersPerReplica { players: 100.0 },
            tracking(Signal::GpuUtilization, 0.75, Per::Replica),
            PolicySpec::BacklogPerReplica { target: 100.0 },
            PolicySpec::Schedule,
            capacity(),
        ],
        behavior: Behavior {
            scale_out: Pace { step: Some(step), ..Pace::default() },
            scale_in: Pace { cooldown: minutes(5), ..Pace::default() },
        },
        maximum: 14,
        ..gold()
    };
    let mut both = Timeline::over(fleet(vec![gold, TierSpec { minimum: 2, ..by_players() }], Some(12)));
    both.tiers[1].feed.players = Some(0);
    let feed = both.feed();
    feed.players = Some(4_500);
    feed.gpu_load = Some(0.9);
    feed.queue_depth = Some(320);
    feed.in_flight = Some(64);
    both.tiers[0].schedule = Some(ActiveSchedule { entry: "friday evening".into(), at_least: 6 });
    both.tiers[0].operator = order(Some(20), None);
    both.tick();
    both.decision().clone()
}

#[test]
fn a_decision_tells_its_whole_chain_under_stable_names() {
    let decision = through_every_guard();
    let guards: Vec<Guard> = decision.clamps.iter().map(|it| it.guard).collect();
    assert_eq!(guards, [Guard::StepLimit, Guard::Override, Guard::Maximum, Guard::SharedMaximum]);
    insta::assert_snapshot!("decision", serde_json::to_string_pretty(&decision).unwrap());
}

#[test]
fn every_kind_of_figures_is_told_under_stable_names() {
    let lines: Vec<String> = every_why().iter().map(|it| serde_json::to_string(it).unwrap()).collect();
    insta::assert_snapshot!("figures", lines.join("\n"));
}
