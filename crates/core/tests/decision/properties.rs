//! Whatever is observed and whatever happens to the fleet: the checker finds nothing, nothing panics, a start or a reload
//! removes nothing by itself, and the journal decides again to the same bits.

use crate::repeatable::repeatable;
use crate::specs::{capacity, fleet, gold, minutes, seconds};
use crate::timeline::{FRESHNESS, START, Timeline};
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel, FleetInputs};
use evenkeel_core::decision::{ActiveSchedule, Decision, Forecast, Override};
use evenkeel_core::observe::{Cause, Finished, Latency, Mean, Offered, Portion, Reading, Signals};
use evenkeel_core::spec::{
    Behavior, Blind, FleetSpec, LatencyMetric, Objective, Pace, Per, PolicySpec, Signal, StepLimit, TierSpec,
};
use evenkeel_core::units::{MicroUsd, Span, Time};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// The longest window that a generated spec has.
const LONGEST: i64 = 40;

fn policy() -> impl Strategy<Value = PolicySpec> {
    let window = (2..LONGEST).prop_map(seconds);
    prop_oneof![
        3 => (2..20_i64, 2..LONGEST)
            .prop_map(|(window, hold)| PolicySpec::Capacity { window: seconds(window), hold: seconds(hold) }),
        3 => (select(&Signal::ALL[..]), 0.2..40.0_f64, any::<bool>(), window.clone()).prop_map(
            |(signal, target, each, window)| PolicySpec::TargetTracking {
                signal,
                target,
                per: if each { Per::Replica } else { Per::Tier },
                window,
            }
        ),
        1 => (1.0..50.0_f64).prop_map(|target| PolicySpec::BacklogPerReplica { target }),
        2 => window.prop_map(|window| PolicySpec::Latency { objective: 0, window }),
        1 => (1.0..300.0_f64).prop_map(|players| PolicySpec::PlayersPerReplica { players }),
        1 => Just(PolicySpec::Schedule),
    ]
}

fn pace() -> impl Strategy<Value = Pace> {
    let step = proptest::option::of((0..4_u32, 0..150_u32, 1..30_i64))
        .prop_map(|it| it.map(|(replicas, percent, period)| StepLimit { replicas, percent, period: seconds(period) }));
    let some = (0..LONGEST, 0..LONGEST, step).prop_map(|(window, cooldown, step)| Pace {
        window: seconds(window),
        cooldown: seconds(cooldown),
        step,
    });
    prop_oneof![Just(Pace::default()), some]
}

fn blind() -> impl Strategy<Value = Blind> {
    let at_least =
        (0..12_u32, 0..20_i64).prop_map(|(replicas, after)| Blind::AtLeast { replicas, after: seconds(after) });
    prop_oneof![Just(Blind::Hold), at_least]
}

fn tier() -> impl Strategy<Value = TierSpec> {
    let limits = (0..4_u32, 0..7_u32, 0..3_u32, 0..3_i64);
    let objective = (select(&LatencyMetric::ALL[..]), 4..400_i64);
    (limits, objective, 0.9..0.9999_f64, vec(policy(), 1..4), pace(), pace(), blind(), 0..8_i64).prop_map(
        |((minimum, more, priority, dollars), (metric, bound), attainment, policies, out, back, blind, start_up)| {
            let mut tier = gold();
            tier.minimum = minimum;
            tier.maximum = minimum + more + 1;
            tier.priority = priority;
            tier.price_per_hour = MicroUsd::from_micros(dollars * 1_000_000);
            tier.slo.objectives = vec![Objective { metric, quantile: 0.95, bound: Span::from_millis(bound) }];
            tier.attainment = attainment;
            // Small batches keep the chain short.
            tier.profile.max_sequences = 4;
            tier.policies = policies;
            tier.behavior = Behavior { scale_out: out, scale_in: back };
            tier.blind = blind;
            tier.start_up = seconds(start_up);
            tier
        },
    )
}

fn spec() -> impl Strategy<Value = FleetSpec> {
    (vec(tier(), 1..4), proptest::option::of(1..16_u32)).prop_map(|(mut tiers, shared_maximum)| {
        for (index, tier) in tiers.iter_mut().enumerate() {
            tier.name = format!("tier{index}");
        }
        fleet(tiers, shared_maximum)
    })
}

/// A reading before the door: mostly recent, now and then old, dated ahead, counted in part, or missing.
fn reading<T: Copy + std::fmt::Debug + 'static>(
    value: impl Strategy<Value = T> + 'static,
) -> impl Strategy<Value = (Option<(T, i64)>, Cause)> {
    let cause = select(
        &[
            Cause::Unreachable,
            Cause::NoRequest,
            Cause::Partial,
            Cause::LowerBound,
            Cause::CounterReset,
            Cause::NoReplica,
        ][..],
    );
    let age = prop_oneof![12 => Just(0_i64), 1 => 1..12_i64, 1 => Just(-1_i64)];
    (proptest::option::weighted(0.9, (value, age)), cause)
}

fn said<T>((value, cause): (Option<(T, i64)>, Cause), now: Time) -> Reading<T> {
    let Some((value, age)) = value else { return Reading::Missing { cause } };
    let at = if age < 0 { now + seconds(-age) } else { now - seconds(age) };
    if cause == Cause::LowerBound { Reading::AtLeast { value, at } } else { Reading::Fresh { value, at } }
}

fn figure() -> impl Strategy<Value = f64> {
    prop_oneof![
        20 => 0.0..60.0_f64,
        2 => Just(0.0),
        1 => select(&[f64::NAN, f64::INFINITY, -3.0, 1e300][..]),
    ]
}

fn mean() -> impl Strategy<Value = Mean> {
    (figure(), 0..9_u64).prop_map(|(sum, count)| Mean { sum, count })
}

fn portion() -> impl Strategy<Value = Portion> {
    (0..20_u64, 0..20_u64).prop_map(|(part, rest)| Portion { part, whole: part + rest })
}

/// What the sources of one tier say, in the order of `Signals`' fields, before it is dated and aged.
fn signals() -> impl Strategy<Value = Raw> {
    let counted = || prop_oneof![Just(0_u64), 0..9_u64, 0..5_000_u64];
    let totals = (
        reading((0..400_u64, 0..3_i64)),
        reading(counted()),
        reading(0..90_i64),
        reading(counted()),
        reading((0..50_u64, 0..50_u64, 0..20_000_u64)),
        reading(counted()),
        reading(counted()),
    );
    let shares = (
        reading((0..60_u64, 0..60_u64)),
        reading(mean()),
        reading(mean()),
        reading(mean()),
        reading(portion()),
        reading(portion()),
    );
    (totals, shares).prop_map(|(totals, shares)| Raw { totals, shares })
}

type Said<T> = (Option<(T, i64)>, Cause);
/// Offered (requests, seconds), waiting, the oldest's age, in flight, finished (well, badly, tokens), in engines, players.
type Totals = (Said<(u64, i64)>, Said<u64>, Said<i64>, Said<u64>, Said<(u64, u64, u64)>, Said<u64>, Said<u64>);
/// Latency (above the bound, below it), pace, GPU, KV cache, prefix misses, errors.
type Shares = (Said<(u64, u64)>, Said<Mean>, Said<Mean>, Said<Mean>, Said<Portion>, Said<Portion>);

#[derive(Clone, Debug)]
struct Raw {
    totals: Totals,
    shares: Shares,
}

fn map<T, U>((value, cause): Said<T>, change: impl FnOnce(T) -> U) -> Said<U> {
    (value.map(|(value, age)| (change(value), age)), cause)
}

impl Raw {
    /// Through the door at `now`.
    fn at(self, now: Time) -> Signals {
        let (offered, queue_depth, oldest, in_flight, finished, engine_waiting, players) = self.totals;
        let (latency, pace, gpu, kv, miss, errors) = self.shares;
        let offered = map(offered, |(requests, over)| Offered { requests, prompt_tokens: 0, over: seconds(over) });
        let finished = map(finished, |(succeeded, failed, tokens)| Finished {
            succeeded,
            failed,
            prompt_tokens: tokens,
            output_tokens: tokens / 7,
            over: seconds(1),
        });
        let latency = map(latency, |(above, rest)| Latency { count: above + rest, above, ..Latency::default() });
        Signals {
            offered: said(offered, now),
            queue_depth: said(queue_depth, now),
            oldest_queued: said(map(oldest, seconds), now),
            in_flight: said(in_flight, now),
            finished: said(finished, now),
            latency: vec![said(latency, now)],
            pace: said(pace, now),
            gpu_utilization: said(gpu, now),
            kv_utilization: said(kv, now),
            engine_waiting: said(engine_waiting, now),
            prefix_cache_miss: said(miss, now),
            error_share: said(errors, now),
            players: said(players, now),
        }
        .aged(now, FRESHNESS)
    }
}

/// What happens to one tier, or to the controller, before a tick.
#[derive(Clone, Debug)]
enum Event {
    Nothing,
    Crash(usize),
    Listed(bool),
    Obeys(bool),
    Order(Option<u32>, Option<u32>, i64),
    Forecast(Option<f64>),
    Scheduled(Option<u32>),
    Restart,
    Reload(Box<TierSpec>, Option<u32>),
}

fn event() -> impl Strategy<Value = Event> {
    let count = || proptest::option::of(0..14_u32);
    prop_oneof![
        30 => Just(Event::Nothing),
        3 => (1..4_usize).prop_map(Event::Crash),
        3 => any::<bool>().prop_map(Event::Listed),
        3 => any::<bool>().prop_map(Event::Obeys),
        2 => (count(), count(), 0..60_i64).prop_map(|(least, most, long)| Event::Order(least, most, long)),
        2 => proptest::option::of(figure()).prop_map(Event::Forecast),
        2 => count().prop_map(Event::Scheduled),
        1 => Just(Event::Restart),
        1 => (tier(), proptest::option::of(1..16_u32)).prop_map(|(tier, shared)| Event::Reload(Box::new(tier), shared)),
    ]
}

/// One tick of a random day: what happens to which tier, and what each of three tiers' sources say.
type Step = (usize, Event, Vec<Raw>);

fn day() -> impl Strategy<Value = Vec<Step>> {
    vec((0..3_usize, event(), vec(signals(), 3)), 20..120)
}

/// A line of the journal.
enum Line {
    Begun(Box<Evenkeel>),
    Reloaded(FleetSpec, Time),
    Ticked(String, String),
}

struct Day {
    timeline: Timeline,
    journal: Vec<Line>,
    /// Until then each tier, by name, may not shrink.
    quiet: Vec<(String, Time)>,
}

impl Day {
    fn new(spec: FleetSpec) -> Self {
        let quiet = spec.tiers.iter().map(|tier| (tier.name.clone(), START + longest(tier))).collect();
        let timeline = Timeline::over(spec);
        let journal = vec![Line::Begun(Box::new(timeline.autoscaler.clone()))];
        Self { timeline, journal, quiet }
    }

    fn live(mut self, steps: Vec<Step>) -> Self {
        for (index, event, raws) in steps {
            let tiers = self.timeline.tiers.len();
            self.happen(index % tiers, event);
            let now = self.timeline.moment();
            let signals = raws.into_iter().take(tiers).map(|raw| raw.at(now)).collect();
            self.timeline.tick_with(signals);
            self.keeps_quiet();
            self.journal.push(Line::Ticked(text(&self.timeline.inputs), text(&self.timeline.decisions)));
        }
        self
    }

    fn happen(&mut self, index: usize, event: Event) {
        let now = self.timeline.moment();
        let tier = &mut self.timeline.tiers[index];
        match event {
            Event::Nothing => {}
            Event::Crash(count) => tier.crash(count),
            Event::Listed(listed) => tier.listed = listed,
            Event::Obeys(obeys) => tier.obeys = obeys,
            Event::Order(at_least, at_most, long) => {
                tier.operator =
                    Some(Override { at_least, at_most, until: now + seconds(long), because: "a test".into() });
            }
            Event::Forecast(rate) => {
                // What is no number cannot be journalled: forecasts come through their own door.
                let rate = rate.filter(|it| it.is_finite());
                tier.forecast = rate.map(|it| Forecast { requests_per_second: it, horizon: seconds(30) });
            }
            Event::Scheduled(count) => {
                tier.schedule = count.map(|at_least| ActiveSchedule { entry: "evening".into(), at_least });
            }
            Event::Restart => {
                self.timeline.restart();
                self.journal.push(Line::Begun(Box::new(self.timeline.autoscaler.clone())));
                self.hush(now, None);
            }
            Event::Reload(changed, shared_maximum) => {
                let name = self.timeline.spec().tiers[index].name.clone();
                self.timeline.reload(|spec| {
                    spec.tiers[index] = TierSpec { name: name.clone(), ..*changed };
                    spec.shared_maximum = shared_maximum;
                });
                self.journal.push(Line::Reloaded(self.timeline.spec().clone(), now));
                self.hush(now, Some(name));
            }
        }
    }

    /// Nobody, or only the tier named, may shrink before its windows are full again.
    fn hush(&mut self, now: Time, only: Option<String>) {
        for (name, until) in &mut self.quiet {
            let tier = self.timeline.spec().tiers.iter().find(|tier| tier.name == *name).unwrap();
            if only.as_ref().is_none_or(|it| it == name) {
                *until = now + longest(tier);
            }
        }
    }

    fn keeps_quiet(&self) {
        let tiers = self.timeline.decisions.iter().zip(&self.timeline.inputs.tiers).zip(&self.quiet);
        for ((decision, inputs), (name, until)) in tiers {
            let ordered = inputs.operator.as_ref().is_some_and(|it| it.at_most.is_some() && decision.at < it.until);
            let shrinks = decision.desired < decision.supply.current();
            assert!(!shrinks || ordered || decision.at >= *until, "{name} shrank before {until:?}: {decision:#?}");
        }
    }
}

fn longest(tier: &TierSpec) -> Span {
    let policies = tier.policies.iter().map(|policy| match *policy {
        PolicySpec::Capacity { window, hold } => window.max(hold),
        PolicySpec::TargetTracking { window, .. } | PolicySpec::Latency { window, .. } => window,
        _ => Span::ZERO,
    });
    let back = &tier.behavior.scale_in;
    policies.max().unwrap().max(back.window).max(back.cooldown)
}

fn text(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

/// Decides the journal again; at tick `reborn` the state itself goes through its saved form.
fn replays(journal: Vec<Line>, reborn: usize) {
    let mut autoscaler: Option<Evenkeel> = None;
    for (index, line) in journal.into_iter().enumerate() {
        match line {
            Line::Begun(begun) => autoscaler = Some(serde_json::from_str(&text(&begun)).unwrap()),
            Line::Reloaded(spec, at) => autoscaler.as_mut().unwrap().reload(spec, at),
            Line::Ticked(inputs, decisions) => {
                let inputs: FleetInputs = serde_json::from_str(&inputs).unwrap();
                let again: Vec<Decision> = autoscaler.as_mut().unwrap().decide(&inputs);
                assert_eq!(decisions, text(&again), "line {index}");
            }
        }
        if index == reborn {
            let saved = text(autoscaler.as_ref().unwrap());
            autoscaler = Some(serde_json::from_str(&saved).unwrap());
            assert_eq!(saved, text(autoscaler.as_ref().unwrap()));
        }
    }
}

proptest! {
    #![proptest_config(repeatable(64))]

    #[test]
    fn whatever_happens_every_decision_passes_the_checker_and_replays_to_the_same_bits(
        spec in spec(),
        steps in day(),
        reborn in 0..60_usize,
    ) {
        let day = Day::new(spec).live(steps);
        replays(day.journal, reborn);
    }
}

proptest! {
    #![proptest_config(repeatable(40))]

    #[test]
    fn constant_load_settles_and_then_makes_no_change(spec in spec(), raw in vec(constant(), 3)) {
        let mut timeline = Timeline::over(spec);
        let tiers = timeline.tiers.len();
        let tick = |timeline: &mut Timeline| {
            let now = timeline.moment();
            timeline.tick_with(raw.iter().take(tiers).map(|it| it.clone().at(now)).collect());
            timeline.decisions.iter().map(|it| it.desired).collect::<Vec<u32>>()
        };
        for _ in 0..1_200 {
            tick(&mut timeline);
        }
        let settled = tick(&mut timeline);
        for _ in 0..240 {
            prop_assert_eq!(&settled, &tick(&mut timeline));
        }
    }
}

/// Signals that say the same at every tick, of so many requests that what is learned from them is soon learned.
fn constant() -> impl Strategy<Value = Raw> {
    signals().prop_map(|mut raw| {
        if let Some(((_, over), _)) = &mut raw.totals.0.0 {
            *over = 1;
        }
        if let Some(((succeeded, _, tokens), _)) = &mut raw.totals.4.0 {
            (*succeeded, *tokens) = (*succeeded * 100, *tokens * 100);
        }
        // A pace that stays the same while the count changes would be a load that does not.
        raw.shares.1 = (None, Cause::Unreachable);
        raw
    })
}

#[test]
fn the_state_stays_small_over_a_day_of_ticks() {
    let policies = vec![
        capacity(),
        PolicySpec::TargetTracking { signal: Signal::InFlight, target: 20.0, per: Per::Replica, window: minutes(1) },
        PolicySpec::Latency { objective: 0, window: minutes(1) },
        PolicySpec::PlayersPerReplica { players: 235.0 },
    ];
    let pace = |step| Pace { window: minutes(5), cooldown: minutes(1), step: Some(step) };
    let behavior = Behavior {
        scale_out: pace(StepLimit { replicas: 4, percent: 100, period: minutes(10) }),
        scale_in: pace(StepLimit { replicas: 2, percent: 0, period: minutes(10) }),
    };
    let mut tier = Timeline::of(TierSpec { policies, behavior, ..gold() });
    let mut sizes = Vec::new();
    for second in 0..24 * 3_600_i64 {
        // A day's wave with a saw-tooth on it, so that every level is crossed many times.
        let wave = 2_000.0 - 1_800.0 * libm::cos(second as f64 * 7.27e-5) + (second * 97 % 700) as f64;
        let feed = tier.feed();
        feed.requests_per_second = Some(wave / 15.0);
        feed.players = Some(wave as u64);
        feed.in_flight = Some(wave as u64 / 12);
        feed.queue_depth = Some(wave as u64 / 400);
        feed.latency = Some(Latency { count: 100, above: (wave as u64 / 300), ..Latency::default() });
        tier.tick();
        if second % 1_800 == 1_799 {
            sizes.push(text(&tier.autoscaler).len());
        }
    }
    let largest = sizes.iter().max().unwrap();
    assert!(*largest < 24 * 1024, "bytes at every half hour: {sizes:?}");
}
