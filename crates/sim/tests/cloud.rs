//! What the cloud refuses, takes away and bills, as both models of a fleet and Evenkeel's own policy meet it.
#![allow(clippy::unwrap_used, missing_docs)]

use evenkeel_core::profile::Profile;
use evenkeel_core::spec::{
    Behavior, Blind, LatencyMetric, Lengths, Objective, PolicySpec, RequestShape, Slo, TierSpec,
};
use evenkeel_core::units::{MicroUsd, Span, Time};
use evenkeel_sim::autoscaler::{Autoscaler, Seen};
use evenkeel_sim::cloud::{self, Cloud, Losses, Pipeline, Preset, Pricing, Spot, StartUp, Weather};
use evenkeel_sim::compare::{Cell, Model, World};
use evenkeel_sim::fluid::{Run, run_on};
use evenkeel_sim::hindsight::Hindsight;
use evenkeel_sim::oracle::Violation;
use evenkeel_sim::ours::Ours;
use evenkeel_sim::peers::SteadyState;
use evenkeel_sim::requests::{self, Drawn, Gateway, Outcome, Traffic};
use evenkeel_sim::score::Terms;
use evenkeel_sim::setting::Setting;
use evenkeel_workload::{Availability, RequestTrace};
use proptest::prelude::*;

const MINUTE: Span = Span::from_secs(60);

/// Wants what a list says, slot by slot, over and over.
struct Script(Vec<u32>);

impl Autoscaler for Script {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        self.0[seen.served_by.len() % self.0.len()]
    }
}

fn minutes(minutes: i64) -> Span {
    Span::from_secs(60 * minutes)
}

fn at(second: i64) -> Time {
    Time::default() + Span::from_secs(second)
}

fn setting(slot: Span, start_up_slots: u32) -> Setting {
    let violation = Violation::Excess;
    Setting { slot, start_up_slots, minimum: 1, maximum: 9, scored_from: 0, start: Time::default(), violation }
}

/// Slots of a minute.
fn by_minutes(weather: Weather, start_up_slots: u32, script: &[u32]) -> Run {
    let cloud = Cloud { weather, ..Cloud::default() };
    run_on(&cloud, &vec![1.0; script.len()], &setting(MINUTE, start_up_slots), &mut Script(script.to_vec()))
}

fn spot(text: &str) -> Spot {
    Spot::of(Availability::from_bytes(text.as_bytes()).unwrap())
}

/// A token a second and replica, whatever the batch: slow enough to watch.
fn slow_tier() -> TierSpec {
    let length = Lengths { mean: 20.0, sigma: 0.5 };
    TierSpec {
        name: "slow".into(),
        minimum: 1,
        maximum: 9,
        priority: 1,
        price_per_hour: MicroUsd::from_micros(1_000_000),
        slo: Slo {
            objectives: vec![Objective { metric: LatencyMetric::Ttft, quantile: 0.9, bound: Span::from_secs(30) }],
        },
        attainment: 0.9,
        requests: RequestShape { prompt_tokens: length, output_tokens: length, per_player_per_minute: 1.0 },
        profile: Profile {
            iteration_ms: 1_000.0,
            per_sequence_ms: 0.0,
            decode_steps: Vec::new(),
            per_cached_token_ms: 0.0,
            per_prefill_token_ms: 0.0,
            per_prefill_chunk_ms: 0.0,
            per_prefill_token_squared_ms: 0.0,
            max_batched_tokens: 512,
            max_sequences: 4,
            kv_tokens: 100_000,
            max_model_tokens: 4_096,
            prefix_hit_share: 0.0,
            overhead_ms: 0.0,
        },
        start_up: MINUTE,
        policies: vec![PolicySpec::Capacity { window: MINUTE, hold: minutes(5) }],
        behavior: Behavior::default(),
        blind: Blind::Hold,
    }
}

fn gateway() -> Gateway {
    Gateway::new(1_000, minutes(30), 6)
}

fn served(cloud: &Cloud, traffic: Traffic<'_>, setting: &Setting, script: &[u32], slots: usize) -> Outcome {
    let tier = slow_tier();
    let script = &mut Script(script.to_vec());
    requests::run_on(cloud, traffic, &vec![1.0; slots], setting, (&tier, &gateway()), script).unwrap()
}

#[test]
fn without_capacity_nothing_is_launched_until_its_end_and_what_is_refused_is_not_billed() {
    let weather = Weather { without_capacity: vec![minutes(1)..minutes(3)], ..Weather::default() };
    let run = by_minutes(weather, 1, &[1, 3, 3, 3, 3, 3]);
    assert_eq!(run.ready, [1, 1, 1, 1, 3, 3]);
    assert_eq!((run.billed_slots, run.launches), (6.0 + 2.0 * 3.0, 2));
    assert_eq!(run.losses, Losses { launches_refused: 2 + 2, ..Losses::default() });
    let changes: Vec<_> = run.changes.iter().map(|change| (change.slot, change.from, change.to)).collect();
    assert_eq!(changes, [(3, 1, 3)], "an order that was refused changed nothing");
}

#[test]
fn no_more_launches_are_granted_than_in_any_minute_may_be() {
    let weather = Weather { launches_per_minute: Some(2), ..Weather::default() };
    let cloud = Cloud { weather, ..Cloud::default() };
    let run = run_on(&cloud, &[1.0; 7], &setting(Span::from_secs(20), 0), &mut Script(vec![6]));
    assert_eq!(run.ready, [3, 3, 3, 5, 5, 5, 6]);
    assert_eq!(run.losses.launches_refused, 3 + 3 + 3 + 1 + 1 + 1);
}

#[test]
fn a_launch_that_is_not_healthy_is_billed_until_its_start_up_is_over_and_may_be_ordered_anew() {
    let weather = Weather { failed_share: 1.0, ..Weather::default() };
    let run = by_minutes(weather, 2, &[2, 2, 2, 2]);
    assert_eq!((run.ready, run.billed_slots, run.launches), (vec![1; 4], 2.0 * 4.0, 2));
    // The second one would be noticed when the run is over.
    assert_eq!(run.losses.launches_failed, 1);
}

#[test]
fn a_pool_that_shrinks_takes_its_share_and_gives_it_back_when_it_is_asked() {
    let trace = "# gap_seconds=60\navailable_instances\n4\n4\n2\n0\n0\n4\n";
    let weather = Weather { spot: Some(Spot { pool: Some(3), on_demand: 1, ..spot(trace) }), ..Weather::default() };
    let run = by_minutes(weather, 0, &[4; 6]);
    // One on demand and three on spot, of a pool of three: two quarters of it are one.
    assert_eq!(run.ready, [4, 4, 2, 1, 1, 4]);
    assert_eq!((run.losses.interrupted, run.launches, run.losses.launches_refused), (3, 3 + 3, 2 + 3 + 3));
    assert_eq!(run.lives.iter().filter(|life| life.interrupted).count(), 3);
    assert!(run.lives.iter().filter(|life| !life.spot).all(|life| life.until == at(6 * 60)), "the first stays");
}

#[test]
fn at_two_minutes_the_pool_is_gone_and_at_four_the_last_one_is() {
    let trace = "# gap_seconds=120\navailable_instances\n1\n0\n0\n0\n0\n";
    let weather = Weather { spot: Some(Spot { on_demand: 1, ..spot(trace) }), ..Weather::default() };
    let cloud = Cloud { weather, ..Cloud::default() };
    // The first two arrive before the second replica does, which then gets the third.
    let requests = RequestTrace::from_bytes(b"0,5,500\n0,5,20\n90,5,500\n90,5,20\n").unwrap();
    let outcome = served(&cloud, Traffic::traced(&requests), &setting(MINUTE, 0), &[2], 10);
    // The short ones were answered. Of the long ones one sat on the replica that went, in the middle of its answer.
    let counts = outcome.served.requests.unwrap();
    assert_eq!((counts.answered, counts.failed), (3, 1));
    assert_eq!(outcome.run.ready, [2, 2, 1, 1, 1, 1, 1, 1, 1, 1]);
    let spot: Vec<_> = outcome.run.lives.iter().filter(|life| life.spot).collect();
    assert_eq!((spot.len(), spot[0].until, spot[0].interrupted), (1, at(240), true));
    assert_eq!(outcome.run.losses, Losses { interrupted: 1, launches_refused: 8, ..Losses::default() });
}

#[test]
fn who_is_told_to_go_with_nothing_inside_is_gone_at_once() {
    let trace = "# gap_seconds=120\navailable_instances\n1\n0\n0\n0\n0\n";
    let weather = Weather { spot: Some(Spot { on_demand: 1, ..spot(trace) }), ..Weather::default() };
    let cloud = Cloud { weather, ..Cloud::default() };
    let outcome = served(&cloud, Traffic::Drawn(none(&[0.0; 10])), &setting(MINUTE, 0), &[2], 10);
    assert!(outcome.run.lives.iter().any(|life| life.spot && life.until == at(120)));
}

fn none(rates: &[f64]) -> Drawn<'_> {
    Drawn::new("slow", rates, MINUTE, &slow_tier().requests, 100, 1)
}

#[test]
fn a_request_whose_replica_crashed_before_its_first_token_is_answered_by_another() {
    let weather = Weather { mean_time_between_crashes: Some(Span::from_secs(100)), ..Weather::default() };
    let cloud = Cloud { weather, seed: 3, ..Cloud::default() };
    // Answers of one token: what was not begun is begun anew, and nothing breaks off.
    let lines: String = (0..400).map(|request| format!("{},5,1\n", request)).collect();
    let requests = RequestTrace::from_bytes(lines.as_bytes()).unwrap();
    let outcome = served(&cloud, Traffic::traced(&requests), &setting(MINUTE, 0), &[4], 10);
    let counts = outcome.served.requests.unwrap();
    assert!(outcome.run.losses.crashed > 10, "{:?}", outcome.run.losses);
    assert_eq!((counts.offered, counts.answered, counts.failed), (400, 400, 0));
}

#[test]
fn the_weather_is_the_same_whatever_was_ordered_before() {
    let weather = Weather {
        failed_share: 0.3,
        mean_time_between_crashes: Some(minutes(8)),
        spot: Some(Spot { pool: Some(6), ..spot("# gap_seconds=60\n6\n6\n6\n6\n6\n6\n6\n4\n5\n3\n6\n2\n") }),
        ..Weather::default()
    };
    let cloud = Cloud { weather, start_up: Some(StartUp::Staged(Preset::Process)), seed: 5, ..Cloud::default() };
    let run = |script: &[u32]| {
        let none = Setting { minimum: 0, ..setting(MINUTE, 0) };
        run_on(&cloud, &[1.0; 12], &none, &mut Script(script.to_vec()))
    };
    let (calm, busy) = (run(&[0, 0, 0, 5, 5, 5, 5, 5, 5, 5, 5, 5]), run(&[9, 4, 0, 5, 5, 5, 5, 5, 5, 5, 5, 5]));
    let from_slot_three =
        |run: &Run| run.lives.iter().filter(|life| life.ordered >= at(180)).copied().collect::<Vec<_>>();
    assert_eq!(from_slot_three(&calm), from_slot_three(&busy));
    assert_eq!(calm.ready[3..], busy.ready[3..]);
    assert!(
        busy.launches > calm.launches && calm.losses.crashed > 0 && calm.losses.interrupted > 0,
        "{:?}",
        calm.losses
    );
}

#[test]
fn another_seed_is_other_weather() {
    let weather = Weather { mean_time_between_crashes: Some(minutes(5)), ..Weather::default() };
    let run = |seed| {
        let cloud = Cloud { weather: weather.clone(), seed, ..Cloud::default() };
        run_on(&cloud, &[1.0; 60], &setting(MINUTE, 1), &mut Script(vec![5])).ready
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

/// Evenkeel on a minute's start-up and a demand that rises from one replica to four after 20 minutes.
fn ours_through(pipeline: Pipeline, freshness: Option<Span>) -> Run {
    let setting = setting(Span::from_secs(5), 12);
    let demand = [vec![0.9; 240], vec![4.0; 120]].concat();
    let mut ours = Ours::new(slow_tier(), setting.slot, setting.start).through(pipeline, freshness);
    run_on(&Cloud::default(), &demand, &setting, &mut ours)
}

#[test]
fn a_metric_that_is_read_late_brings_replicas_later() {
    let first_change = |pipeline| {
        let run = ours_through(pipeline, None);
        run.changes.iter().map(|change| change.slot).find(|slot| *slot >= 240).unwrap()
    };
    let direct = first_change(Pipeline::Direct);
    assert_eq!(first_change(Pipeline::Gateway), direct);
    // The minute that begins with the rise ends 12 slots later, and is read 12 slots after that.
    assert_eq!((direct, first_change(Pipeline::CloudWatch)), (241, 240 + 24));
}

#[test]
fn a_metric_that_is_always_too_old_to_decide_by_leaves_the_fleet_as_it_is() {
    let run = ours_through(Pipeline::CloudWatch, Some(Span::from_secs(15)));
    assert_eq!((run.changes.len(), run.ready.last()), (0, Some(&1)));
}

/// Two replicas for an hour and a half, of which the first half hour is history, on this cloud.
fn judged(cloud: &Cloud) -> (Cell, Hindsight) {
    let demand = [1.5; 90];
    let setting = Setting { minimum: 2, scored_from: 30, ..setting(MINUTE, 3) };
    let terms = Terms { attainment: 0.9, price_per_hour: MicroUsd::from_micros(1_000_000) };
    let engine = SteadyState::new(&slow_tier());
    let model = Model::Fluid;
    let world = World { model, demand: &demand, setting: &setting, cloud, terms: &terms, engine: &engine };
    (world.ours(&slow_tier()).unwrap(), Hindsight::of(&world, None))
}

#[test]
fn a_cloud_without_prices_costs_the_tier_s_and_one_with_them_what_it_bills() {
    let (cell, hindsight) = judged(&Cloud::default());
    assert_eq!((cell.score.cost_usd, cell.score.bill, cell.score.losses), (2.0, None, Losses::default()));
    assert_eq!(hindsight.asked.cost_usd, 2.0);
    let g5 = *cloud::price("g5.xlarge").unwrap();
    let pricing = Some(Pricing { volume_gb: 90.0, ..Pricing::of(g5) });
    let (cell, hindsight) = judged(&Cloud { pricing, ..Cloud::default() });
    // Each volume costs a cent an hour.
    let bill = cell.score.bill.unwrap();
    assert!((bill.instance_usd - 2.012).abs() < 1e-9 && (bill.storage_usd - 0.02).abs() < 1e-9, "{bill:?}");
    assert_eq!(cell.score.cost_usd, bill.usd);
    assert!((hindsight.asked.cost_usd - 2.012).abs() < 1e-9);
}

prop_compose! {
    fn clouds()(
        periods in prop::collection::vec((0i64..900, 1i64..200), 0..3),
        launches_per_minute in prop::option::of(1u32..4),
        failed_share in prop_oneof![Just(0.0), 0.0..0.6],
        looks in prop::option::of(prop::collection::vec(0u32..4, 1..20)),
        (gap, on_demand, pool) in (5u32..90, 0u32..3, prop::option::of(1u32..8)),
        crashes in prop::option::of(20i64..2_000),
        start_up in prop_oneof![
            Just(None),
            (1i64..100_000).prop_map(|millis| Some(StartUp::Fixed(Span::from_millis(millis)))),
            Just(Some(StartUp::Staged(Preset::Process))),
        ],
        seed in 0u64..100,
    ) -> Cloud {
        let period = |(from, length): (i64, i64)| Span::from_secs(from)..Span::from_secs(from + length);
        let trace = looks.map(|looks| {
            let looks: String = looks.iter().map(|look| format!("{look}\n")).collect();
            // The first look finds some, so that there is a whole.
            Spot { pool, on_demand, ..spot(&format!("# gap_seconds={gap}\n3\n{looks}")) }
        });
        let weather = Weather {
            without_capacity: periods.into_iter().map(period).collect(),
            launches_per_minute,
            failed_share,
            spot: trace,
            mean_time_between_crashes: crashes.map(Span::from_secs),
        };
        Cloud { start_up, weather, seed, ..Cloud::default() }
    }
}

const SLOTS: usize = 60;

/// Whoever was granted has a life, and whoever was refused has none.
fn check_granted(run: &Run, setting: &Setting) -> Result<(), TestCaseError> {
    let launched = setting.minimum + run.launches as u32;
    prop_assert_eq!(run.lives.len() as u32, launched);
    prop_assert!(run.ready.iter().all(|&ready| ready <= launched.min(setting.maximum)));
    Ok(())
}

fn check(run: &Run, setting: &Setting) -> Result<(), TestCaseError> {
    check_granted(run, setting)?;
    // Each pays a minute at least, and nothing after the end.
    let end = setting.start + Span::from_micros(setting.slot.as_micros() * run.ready.len() as i64);
    let paid = |life: &cloud::Life| life.until.max(life.ordered + cloud::MINIMUM).min(end).since(life.from);
    let lives: i64 = run.lives.iter().map(|life| paid(life).as_micros()).sum();
    prop_assert!((run.billed_slots * setting.slot.as_micros() as f64 - lives as f64).abs() < 1.0);
    prop_assert!(run.lives.iter().all(|life| life.until >= life.ordered && life.from == life.ordered));
    let interrupted = run.lives.iter().filter(|life| life.interrupted).count();
    prop_assert_eq!(interrupted as u64, run.losses.interrupted);
    prop_assert!(run.changes.iter().all(|change| change.to <= setting.maximum));
    Ok(())
}

proptest! {
    // Each case runs whole fleets, request by request.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn evenkeel_keeps_its_invariants_in_any_weather(cloud in clouds(), seed in 0u64..50) {
        // Each of its decisions is checked as it is made.
        let setting = setting(Span::from_secs(15), 2);
        let ours = || Ours::new(slow_tier(), setting.slot, setting.start);
        let demand: Vec<f64> = (0..SLOTS).map(|slot| 1.0 + (slot / 20 * 2) as f64).collect();
        check(&run_on(&cloud, &demand, &setting, &mut ours()), &setting)?;
        let rates = [0.4; SLOTS];
        let drawn = Traffic::Drawn(Drawn::new("slow", &rates, setting.slot, &slow_tier().requests, 200, seed));
        let tier = slow_tier();
        let outcome = requests::run_on(&cloud, drawn, &demand, &setting, (&tier, &gateway()), &mut ours()).unwrap();
        check_granted(&outcome.run, &setting)?;
    }

    #[test]
    fn without_requests_both_models_are_the_same_fleet(
        cloud in clouds(),
        script in prop::collection::vec(0u32..9, 1..30),
        start_up_slots in 1u32..5,
    ) {
        // With none at all the fluid model serves in the very slot of the order, and the other one an instant later.
        let setting = setting(Span::from_secs(15), start_up_slots);
        let fluid = run_on(&cloud, &[1.0; SLOTS], &setting, &mut Script(script.clone()));
        check(&fluid, &setting)?;
        let again = run_on(&cloud, &[1.0; SLOTS], &setting, &mut Script(script.clone()));
        prop_assert_eq!(&fluid, &again);
        let requests = served(&cloud, Traffic::Drawn(none(&[0.0; SLOTS])), &setting, &script, SLOTS).run;
        prop_assert_eq!(&fluid.ready, &requests.ready);
        prop_assert_eq!(fluid.losses, requests.losses);
        prop_assert_eq!(&fluid.changes, &requests.changes);
        let sorted = |run: &Run| {
            let mut lives = run.lives.clone();
            lives.sort_by_key(|life| (life.ordered, life.until, life.spot, life.interrupted));
            lives
        };
        prop_assert_eq!(sorted(&fluid), sorted(&requests));
    }

    #[test]
    fn every_request_has_an_end_whatever_the_weather_and_however_patient_players_are(
        cloud in clouds(),
        script in prop::collection::vec(0u32..9, 1..30),
        patience in prop::option::of(1i64..60),
        seed in 0u64..50,
    ) {
        let setting = setting(Span::from_secs(15), 2);
        let rates = [0.4; SLOTS];
        let drawn = || Traffic::Drawn(Drawn::new("slow", &rates, setting.slot, &slow_tier().requests, 200, seed));
        let (tier, patience) = (slow_tier(), patience.map(Span::from_secs));
        let gateway = Gateway { patience, ..gateway() };
        let served = || {
            let demand = [1.0; SLOTS];
            let mut script = Script(script.clone());
            requests::run_on(&cloud, drawn(), &demand, &setting, (&tier, &gateway), &mut script).unwrap()
        };
        let outcome = served();
        let counts = outcome.served.requests.unwrap();
        prop_assert_eq!(counts.offered, counts.answered + counts.failed + counts.cancelled);
        check_granted(&outcome.run, &setting)?;
        prop_assert!(patience.is_some() || counts.cancelled == 0);
        prop_assert_eq!(&outcome, &served());
    }

    #[test]
    fn a_fixed_start_up_of_the_cloud_is_that_of_the_setting(
        script in prop::collection::vec(0u32..9, 1..30),
        start_up_slots in 0u32..6,
    ) {
        let setting = setting(Span::from_secs(15), start_up_slots);
        let fixed = Span::from_secs(15 * i64::from(start_up_slots));
        let cloud = Cloud { start_up: Some(StartUp::Fixed(fixed)), ..Cloud::default() };
        let run = |cloud: &Cloud, setting: &Setting| run_on(cloud, &[1.0; SLOTS], setting, &mut Script(script.clone()));
        prop_assert_eq!(run(&cloud, &Setting { start_up_slots: 99, ..setting }), run(&Cloud::default(), &setting));
        prop_assert_eq!(cloud.start_up_slots(&setting), f64::from(start_up_slots));
    }
}
