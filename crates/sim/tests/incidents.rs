//! Incidents of autoscalers that were made public (theory.md), each as a fleet and a schedule of faults that do the same to
//! Evenkeel's decision, and what must hold in it, besides what is judged in every run.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_core::decision::Reason;
use evenkeel_core::spec::{Behavior, FleetSpec, Pace, Per, PolicySpec, Signal, StepLimit, TierSpec};
use evenkeel_core::units::Span;
use evenkeel_sim::faults::load::Load;
use evenkeel_sim::faults::setting::plain;
use evenkeel_sim::faults::{Report, Setting, TICK_SPAN, run};

/// One tick of one tier.
#[derive(Clone, Copy, Debug)]
struct Line {
    second: u32,
    tier: usize,
    desired: u32,
    victims: usize,
    ready: u32,
    /// Ready and starting, after the decision was carried out.
    living: u32,
    reason: Reason,
}

struct Told {
    lines: Vec<Line>,
    report: Report,
}

impl Told {
    fn between(&self, from: u32, until: u32) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |it| from <= it.second && it.second < until)
    }

    fn of(&self, tier: usize, second: u32) -> Line {
        *self.lines.iter().find(|it| it.tier == tier && it.second == second).unwrap()
    }

    fn least(&self, from: u32, until: u32) -> u32 {
        self.between(from, until).map(|it| it.living).min().unwrap()
    }

    fn most(&self, from: u32, until: u32) -> u32 {
        self.between(from, until).map(|it| it.living).max().unwrap()
    }
}

fn lived_through(tiers: Vec<TierSpec>, loads: Vec<Load>, schedule: &str) -> Told {
    let healed = tiers.iter().map(|_| 70).collect();
    let spec = FleetSpec { name: "incident".into(), tick: TICK_SPAN, shared_maximum: None, tiers };
    let setting = Setting { spec, loads, healed };
    let mut lines = Vec::new();
    let report = run(&setting, 1, &schedule.parse().unwrap(), &mut |moment| {
        for (tier, decision) in moment.decisions.iter().enumerate() {
            lines.push(Line {
                second: moment.second,
                tier,
                desired: decision.desired,
                victims: decision.victims.len(),
                ready: decision.supply.ready,
                living: moment.tiers[tier].living(),
                reason: decision.reason,
            });
        }
    });
    Told { lines, report: report.unwrap_or_else(|broken| panic!("{broken}")) }
}

fn seconds(seconds: i64) -> Span {
    Span::from_secs(seconds)
}

fn capacity() -> PolicySpec {
    PolicySpec::Capacity { window: seconds(60), hold: seconds(300) }
}

fn tracking(signal: Signal, target: f64) -> PolicySpec {
    PolicySpec::TargetTracking { signal, target, per: Per::Replica, window: seconds(30) }
}

/// One replica a minute.
fn one_a_minute() -> Pace {
    Pace { step: Some(StepLimit { replicas: 1, percent: 0, period: seconds(60) }), ..Pace::default() }
}

/// 2016-08-11: a paused autoscaler was re-enabled by a package manager, read half-migrated state and killed servers in 16 s.
/// That the pause outlives a restart is the controller's (its tests `operator` and `days`); here the pause is the world's, and
/// what is the decision's own has to hold: with half of what it needs it lets nothing go, and later no more than its rate.
#[test]
fn reddit_2016_a_paused_fleet_that_is_restarted_on_half_a_state_ends_nothing_and_later_only_step_by_step() {
    let behavior = Behavior { scale_in: one_a_minute(), ..Behavior::default() };
    let policies = vec![capacity(), PolicySpec::PlayersPerReplica { players: 560.0 }];
    let tier = TierSpec { behavior, ..plain("web", 1, 12, policies) };
    let load = Load { jumps: vec![(1_000, 0.2)], ..Load::steady(300.0) };
    let schedule = "lasts 7200\n900 2400 all paused\n1500 1516 all restart\n1500 3600 all missing counters\n";
    let told = lived_through(vec![tier], vec![load], schedule);
    let before = told.of(0, 895).living;
    assert!(before >= 9, "{before}");
    assert_eq!(
        (told.least(895, 3_900), told.most(895, 3_900)),
        (before, before),
        "paused, blind, and its windows filling"
    );
    assert!(told.of(0, 7_195).living <= 3, "it does shrink in the end: {:?}", told.of(0, 7_195));
    for minute in 65..119 {
        let (from, until) = (told.of(0, minute * 60).living, told.of(0, minute * 60 + 60).living);
        assert!(from <= until + 1, "{from} to {until} in a minute");
    }
}

/// 2021-01-04: network-blocked threads lowered CPU, so the web tier was scaled in during the outage.
#[test]
fn slack_2021_replicas_that_idle_because_they_are_blocked_are_not_let_go_while_latency_burns() {
    let policies =
        vec![tracking(Signal::GpuUtilization, 0.75), PolicySpec::Latency { objective: 0, window: seconds(60) }];
    let blocked = "lasts 5400\n1800 3600 tier-0 blocked 10\n";
    let told = lived_through(vec![plain("web", 1, 20, policies)], vec![Load::steady(200.0)], blocked);
    let before = told.of(0, 1_795).living;
    assert!(told.least(1_800, 3_600) >= before && told.of(0, 3_595).living > before);
    // By utilization alone it would have happened here as well.
    let alone = vec![tracking(Signal::GpuUtilization, 0.75)];
    let told = lived_through(vec![plain("web", 1, 20, alone)], vec![Load::steady(200.0)], blocked);
    assert!(told.least(1_800, 3_600) < told.of(0, 1_795).living);
}

/// 2021-12-07: an automated capacity change triggered a connection surge. The decision's part is the ramp; clients' jitter is
/// the gateway's.
#[test]
fn aws_2021_a_large_change_is_made_in_steps() {
    let step = StepLimit { replicas: 2, percent: 0, period: seconds(60) };
    let behavior = Behavior { scale_out: Pace { step: Some(step), ..Pace::default() }, ..Behavior::default() };
    let tier = TierSpec { behavior, ..plain("internal", 2, 60, vec![capacity()]) };
    let load = Load { jumps: vec![(1_800, 40.0)], ..Load::steady(40.0) };
    // What could not be launched for half an hour does not come all at once either.
    let told = lived_through(vec![tier], vec![load], "lasts 7200\n1800 3600 tier-0 launch-outage\n");
    assert_eq!(told.most(1_800, 3_600), 2);
    for from in (0..7_100).step_by(5) {
        let ordered = |second| told.of(0, second).desired;
        let until = (from + 55).min(7_195);
        assert!(ordered(until) <= ordered(from) + 2, "{} to {} at {from} s", ordered(from), ordered(until));
    }
    assert!(told.of(0, 7_195).living > 40);
}

/// 2025-10-19: a delayed worker applied a stale plan; launches failed for 8 h.
#[test]
fn aws_2025_a_stale_plan_is_refused_and_eight_hours_without_launches_are_survived() {
    let tier = plain("dns", 2, 12, vec![capacity()]);
    let load = Load { jumps: vec![(3_600, 3.0)], ..Load::steady(80.0) };
    let schedule = "lasts 43200\n1800 2400 all two-controllers\n3000 31800 all launch-outage\n\
                    7200 7230 all crash 1\n20000 20060 all restart\n";
    let told = lived_through(vec![tier], vec![load], schedule);
    // Each tick of ten minutes, and the plan from before they began.
    assert_eq!(told.report.refused, 121);
    let before = told.of(0, 2_995).living;
    assert_eq!(told.least(3_000, 31_800), before - 1, "nothing went but the one that crashed");
    assert!(told.between(3_000, 31_800).all(|it| it.victims == 0));
    assert!(told.of(0, 31_800 + 120).ready > before, "launched as soon as that is possible");
    assert!(told.of(0, 43_195).ready >= 7);
}

/// No scale-up for 12 h after unexpected data in one target. The alarm on missing decisions is the controller's (`metrics`).
#[test]
fn judoscale_unexpected_data_stops_neither_its_own_tier_for_long_nor_another_at_all() {
    let tiers = || vec![plain("odd", 1, 10, vec![capacity()]), plain("even", 1, 10, vec![capacity()])];
    let load = || Load { jumps: vec![(10_800, 6.0)], ..Load::steady(40.0) };
    let odd = "7200 9000 tier-0 implausible counters\n7200 9000 tier-0 implausible levels\n\
               7200 9000 tier-0 implausible exporter\n7200 9000 tier-0 implausible players\n";
    let told = lived_through(tiers(), vec![load(), load()], &format!("lasts 14400\n{odd}"));
    let calm = lived_through(tiers(), vec![load(), load()], "lasts 14400\n");
    for (odd, calm) in told.between(0, 14_400).zip(calm.between(0, 14_400)).filter(|(it, _)| it.tier == 1) {
        assert_eq!((odd.desired, odd.reason), (calm.desired, calm.reason), "at {} s", odd.second);
    }
    assert!(told.of(0, 10_795).ready <= 2);
    assert!(told.of(0, 10_800 + 180).ready >= 7, "it grows within minutes: {:?}", told.of(0, 10_980));
    // One decision a tick for each, whatever was told.
    assert_eq!(told.between(0, 14_400).count(), 2 * 14_400 / 5);
}

/// 2024-12-11: a telemetry service on each node overloaded the control plane. What publishers do is theirs
/// (`crates/adapters`); the decision's sources are read once a tick however many replicas there are.
#[test]
fn openai_2024_sources_are_read_once_a_tick_however_many_replicas_there_are() {
    let read_each_tick = |demand: f64| {
        let told =
            lived_through(vec![plain("node", 1, 80, vec![capacity()])], vec![Load::steady(demand)], "lasts 3600\n");
        (told.report.reads / told.report.ticks, told.of(0, 3_595).ready)
    };
    let (few, many) = (read_each_tick(20.0), read_each_tick(2_000.0));
    assert!(few.1 == 1 && many.1 > 50, "{few:?} {many:?}");
    assert_eq!((few.0, many.0), (4, 4));
}

/// An instance group launched, timed out and terminated in a loop. That a tier's failed launches are told and slowed down is
/// the backend's; the decision's part is that each has its place until it failed, so the loop is no faster than a start-up.
#[test]
fn instance_group_launches_that_always_fail_are_never_more_than_the_maximum_at_once() {
    let tier = plain("group", 1, 6, vec![capacity()]);
    let told = lived_through(
        vec![tier],
        vec![Load { jumps: vec![(600, 5.0)], ..Load::steady(35.0) }],
        "lasts 10800\n600 7800 tier-0 launches-fail 100\n",
    );
    assert!(told.most(0, 10_800) <= 6);
    assert_eq!(told.least(600, 7_800), told.of(0, 595).living, "those that served go on");
    // 7,200 s of five places, each taken for a minute at least.
    assert!(told.report.launched <= 5 * 7_200 / 60 + 20, "{} launches", told.report.launched);
    assert!(told.of(0, 7_800 + 240).ready >= 5, "it recovers by itself");
}

/// 2026-08: 49 of 138 GPU exporters restarted at once, for lack of memory.
#[test]
fn pytorch_ci_2026_exporters_that_vanish_by_the_dozen_remove_nothing() {
    let tier = plain("runner", 1, 150, vec![tracking(Signal::GpuUtilization, 0.75)]);
    let load = Load { jumps: vec![(4_000, 0.3)], ..Load::steady(4_140.0) };
    let schedule = "lasts 7200\n3600 4800 tier-0 partial exporter\n4800 4860 tier-0 missing exporter\n";
    let told = lived_through(vec![tier], vec![load], schedule);
    let before = told.of(0, 3_595).living;
    assert!((130..=150).contains(&before), "{before}");
    assert_eq!((told.least(3_600, 4_860), told.most(3_600, 4_860)), (before, before));
    assert!(told.between(3_600, 4_860).all(|it| it.reason == Reason::HeldBlind));
    assert!(told.of(0, 7_195).living < before, "seen again, it shrinks");
}
