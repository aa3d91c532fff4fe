//! What the controller tells people and other programs: decisions in words, events, times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_controller::clock::AnchoredClock;
use evenkeel_controller::events::Happening;
use evenkeel_controller::explain::{cause_in_words, clamp, figures, sentence};
use evenkeel_controller::operator::{Mode, OperatorOrder};
use evenkeel_controller::ports::Clock;
use evenkeel_controller::view::{Stray, TierView};
use evenkeel_core::check::{Invariant, Violation};
use evenkeel_core::decision::{Clamp, Decision, Guard, Reason, Recommendation, Why};
use evenkeel_core::observe::{Cause, Reading, ReplicaId, Signals, Supply};
use evenkeel_core::spec::{LatencyMetric, Signal};
use evenkeel_core::units::Time;

const NOW: Time = Time::from_micros(1_790_000_000_000_000);

fn by(why: Why) -> Recommendation {
    Recommendation { policy: "capacity".to_owned(), desired: Some(5), why }
}

/// From two to five replicas.
fn decision(reason: Reason, recommendations: Vec<Recommendation>) -> Decision {
    Decision {
        tier: "gold".to_owned(),
        at: NOW,
        supply: Supply { ready: 2, ..Supply::default() },
        desired: 5,
        victims: Vec::new(),
        winner: (!recommendations.is_empty()).then_some(0),
        recommendations,
        clamps: Vec::new(),
        reason,
        look_again: NOW,
    }
}

#[test]
fn every_reason_is_a_sentence_of_its_own_that_tells_the_count() {
    let mut told = Vec::new();
    for reason in Reason::ALL {
        let words = sentence(&decision(reason, Vec::new()));
        let begins = if reason.name().starts_with("grew") {
            "grew 2 -> 5"
        } else if reason.name().starts_with("shrank") {
            "shrank 2 -> 5"
        } else {
            "held 2"
        };
        assert!(words.starts_with(begins), "{reason:?}: {words}");
        assert!(!told.contains(&words), "{reason:?} reads as another: {words}");
        told.push(words);
    }
}

#[test]
fn a_tier_that_is_held_blind_tells_what_it_cannot_see_before_what_would_be_wanted() {
    let players = by(Why::Players { players: 900, per_replica: 235.0 });
    let blind =
        Recommendation { desired: None, ..by(Why::Blind { signal: Signal::GpuUtilization, cause: Cause::Partial }) };
    let words = |reason| sentence(&decision(reason, vec![players.clone(), blind.clone()]));
    let cannot = "capacity cannot tell: gpu_utilization is missing from some replicas";
    assert_eq!(words(Reason::HeldBlind), format!("held 2: it cannot see, and missing data removes nothing. {cannot}"));
    let wants = "capacity wants 5: 900 players, 235 a replica";
    assert_eq!(words(Reason::GrewForDemand), format!("grew 2 -> 5. {wants}"));
}

#[test]
fn every_policys_figures_are_told_with_what_they_are_compared_to() {
    let demand = |peak, slowdown, forecast| Why::Demand {
        requests_per_second: 52.25,
        demand_replicas: 3.5,
        peak_demand_replicas: peak,
        staffing_gain: 1.063,
        slowdown,
        forecast_replicas: forecast,
    };
    let staffed = "capacity wants 5: 52.25 requests/s are 3.50 replicas of demand inside the SLO, staffed x 1.063";
    let more =
        "; within the hold it was 4.25; replicas measure 1.25 x the declared time per token; the forecast is 6.00";
    let unachievable = Why::Unachievable {
        metric: LatencyMetric::Ttft,
        requests_per_second: 52.25,
        throughput_replicas: 2.5,
        slowdown: 1.0,
    };
    for (why, words) in [
        (demand(3.5, 1.0, None), staffed.to_owned()),
        (demand(4.25, 1.25, Some(6.0)), format!("{staffed}{more}")),
        (
            unachievable,
            "capacity wants 5, for throughput alone: 52.25 requests/s fill 2.50 replicas, and ttft cannot be met at \
             1.00 x the declared time per token even on an idle replica"
                .to_owned(),
        ),
        (
            Why::Target { signal: Signal::GpuUtilization, value: 0.82, target: 0.75 },
            "capacity wants 5: gpu_utilization is 0.820, the target 0.75".to_owned(),
        ),
        (
            Why::Backlog { waiting: 1_500, target: 100.0 },
            "capacity wants 5: 1500 requests wait, 100 a replica may".to_owned(),
        ),
        (
            Why::Objective { metric: LatencyMetric::Tpot, above_share: 0.08, allowed_share: 0.05 },
            "capacity wants 5: 8.0 % of tpot are above the bound, 5.0 % may be".to_owned(),
        ),
        (Why::Scheduled { entry: Some("friday".to_owned()) }, "capacity wants 5: 'friday' is active".to_owned()),
        (Why::Scheduled { entry: None }, "capacity wants 5: no entry is active".to_owned()),
    ] {
        assert_eq!(figures(&by(why)), words);
    }
}

#[test]
fn every_guard_and_every_cause_has_words_of_its_own() {
    let guards = [
        Guard::Freshness,
        Guard::Window,
        Guard::Cooldown,
        Guard::StepLimit,
        Guard::Override,
        Guard::Maximum,
        Guard::SharedMaximum,
        Guard::Minimum,
    ];
    let mut told: Vec<String> = guards.map(|guard| clamp(&Clamp { guard, before: 7, after: 5 })).into();
    assert!(told.iter().all(|words| words.starts_with("7 -> 5 by ")));
    let causes = [
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
    ];
    told.extend(causes.map(|cause| cause_in_words(cause).to_owned()));
    let count = told.len();
    told.sort();
    told.dedup();
    assert_eq!(told.len(), count);
}

#[test]
fn every_happening_is_an_event_about_its_tier_or_the_fleet() {
    let (gold, r1) = (|| "gold".to_owned(), || ReplicaId("r1".to_owned()));
    let violation = |tier: &str| Violation { tier: tier.to_owned(), broken: Invariant::KeepsMinimum };
    let scaled = Happening::Scaled(Box::new(decision(Reason::GrewForDemand, Vec::new())));
    let about_gold = [
        (scaled, "tier.scaled"),
        (Happening::Ready(gold(), r1()), "replica.ready"),
        (Happening::Failed(gold(), r1(), Some("exited".to_owned())), "replica.failed"),
        (Happening::Refused(gold(), "full".to_owned()), "order.refused"),
        (Happening::InvariantBroken(violation("gold")), "alarm.invariant"),
        (Happening::Stray(Stray { tier: gold(), replica: r1() }), "alarm.stray_replica"),
    ];
    let about_all = [
        (Happening::InvariantBroken(violation("")), "alarm.invariant"),
        (Happening::Stopping, "fleet.stopping"),
        (Happening::Ordered(OperatorOrder::Mode(Mode::Observe)), "operator.ordered"),
        (Happening::Reloaded(vec!["tick".to_owned()]), "fleet.reloaded"),
        (Happening::ReloadRefused("line 3".to_owned()), "alarm.reload_refused"),
        (Happening::JournalUnwritable("full".to_owned()), "alarm.journal_unwritable"),
        (Happening::JournalWritable, "journal.writable"),
        (Happening::JournalSetAside("damaged".to_owned()), "alarm.journal_set_aside"),
        (Happening::Fenced(9), "alarm.fenced"),
    ];
    let subjects = about_gold.into_iter().map(|it| (it, "gold")).chain(about_all.into_iter().map(|it| (it, "game")));
    for ((happening, kind), subject) in subjects {
        let event = happening.event("game", 7, 3, NOW);
        assert_eq!((event.kind, event.subject.as_str()), (&*format!("dev.evenkeel.{kind}"), subject));
        assert_eq!((event.id.as_str(), event.source.as_str()), ("7-3", "/evenkeel/game/7"));
        assert_eq!(event.time, "2026-09-21T14:13:20Z");
        assert!(event.data.is_object(), "{happening:?}");
    }
}

#[test]
fn a_tier_whose_objective_cannot_be_met_shows_what_its_throughput_takes() {
    let tier = include_str!("fixtures/tier.yaml").replace("MODEL", "a");
    let fleet = evenkeel_fleet::read(&format!("fleet: one\ntiers:\n  gold:{tier}"), "one.yaml").unwrap();
    let shown = |why| {
        let decision = decision(Reason::HeldSteady, vec![by(why)]);
        TierView::new(&fleet.spec.tiers[0], decision, Signals::default(), &Reading::default()).demand_replicas
    };
    let (metric, requests_per_second) = (LatencyMetric::Tpot, 9.0);
    assert_eq!(
        shown(Why::Unachievable { metric, requests_per_second, throughput_replicas: 2.5, slowdown: 1.0 }),
        Some(2.5)
    );
    assert_eq!(shown(Why::Scheduled { entry: None }), None);
    // A latency policy that finds its bound out of reach tells what is there, and that is no demand.
    let latency = Recommendation {
        policy: "latency".to_owned(),
        ..by(Why::Unachievable { metric, requests_per_second, throughput_replicas: 3.0, slowdown: 1.0 })
    };
    let decision = decision(Reason::HeldSteady, vec![latency]);
    let view = TierView::new(&fleet.spec.tiers[0], decision, Signals::default(), &Reading::default());
    assert_eq!(view.demand_replicas, None);
}

#[test]
fn the_clock_is_the_walls_at_its_start_and_never_goes_back() {
    let clock = AnchoredClock::start();
    let first = clock.now();
    assert!(first > Time::from_micros(1_700_000_000_000_000), "it is later than 2023");
    assert!((0..1_000).all(|_| clock.now() >= first));
}
