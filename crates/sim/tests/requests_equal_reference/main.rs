//! The requests model jumps from event to event; beside it runs the same fleet token by token. Every figure must be equal.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

#[path = "../../../engine/tests/plain/mod.rs"]
#[allow(dead_code, reason = "the engine's tests run it alone")]
mod plain;
mod plain_fleet;

use evenkeel_core::profile::Profile;
use evenkeel_core::spec::{Behavior, Blind, LatencyMetric, Lengths, Objective, RequestShape, Slo, TierSpec};
use evenkeel_core::units::{MicroUsd, Span, Time};
use evenkeel_sim::autoscaler::{Autoscaler, Seen};
use evenkeel_sim::oracle::Violation;
use evenkeel_sim::requests::{Drawn, Gateway, Outcome, RequestCounts, Traffic, run};
use evenkeel_sim::setting::Setting;
use evenkeel_workload::TraceRequest;
use hdrhistogram::Histogram;
use plain_fleet::{PlainFleet, Request, SLOT_US};

const SLOTS: usize = 36;
const WINDOW_US: i64 = 60_000_000;

/// Wants what a list says, slot by slot, over and over.
struct Script(&'static [u32]);

impl Autoscaler for Script {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        self.0[seen.served_by.len() % self.0.len()]
    }
}

fn quantile(values: impl Iterator<Item = i64>, quantile: f64) -> Option<f64> {
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 10 * 86_400 * 1_000_000, 3).unwrap();
    values.for_each(|value| histogram.record(value as u64).unwrap());
    (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile) as f64 / 1e6)
}

/// Time for each token after the first, and all gaps between tokens, microseconds.
fn tpot(request: &Request) -> Option<i64> {
    let gaps = request.output.checked_sub(1).filter(|gaps| *gaps > 0)?;
    let spent = (request.tokens[request.tokens.len() - 1] - request.tokens[0]) as f64 / 1e6;
    Some((spent / f64::from(gaps) * 1e6).round() as i64)
}

fn latency(request: &Request, metric: LatencyMetric) -> Option<i64> {
    match metric {
        LatencyMetric::Ttft => Some(request.tokens[0] - request.arrived),
        LatencyMetric::Tpot => tpot(request),
        LatencyMetric::QueueTime => Some(request.dispatched - request.arrived),
        LatencyMetric::E2e => Some(request.tokens[request.tokens.len() - 1] - request.arrived),
        LatencyMetric::Itl => panic!("gaps are no request's"),
    }
}

fn objective_attainment(fleet: &PlainFleet<'_>, scored: &[&Request], objectives: &[Objective]) -> Option<f64> {
    let window = |request: &Request| (request.arrived - fleet.scored_from()) / WINDOW_US;
    let last = scored.iter().map(|request| window(request)).max()?;
    let mut held = 0;
    for index in 0..=last {
        let inside: Vec<&&Request> = scored.iter().filter(|request| window(request) == index).collect();
        let holds = |objective: &Objective| {
            let answered = inside.iter().filter(|request| !request.refused);
            let values: Vec<i64> = answered.filter_map(|request| latency(request, objective.metric)).collect();
            let within = values.iter().filter(|value| **value <= objective.bound.as_micros()).count();
            within as f64 + 1e-9 >= objective.quantile * values.len() as f64
        };
        if inside.iter().all(|request| !request.refused) && objectives.iter().all(holds) {
            held += inside.len();
        }
    }
    Some(held as f64 / scored.len() as f64)
}

fn compare(outcome: &Outcome, fleet: &PlainFleet<'_>, objectives: &[Objective]) {
    assert_eq!(outcome.run.ready, fleet.ready);
    assert_eq!((outcome.run.billed_slots * SLOT_US as f64).round() as i64, fleet.billed);
    let scored: Vec<&Request> = fleet.requests.iter().filter(|it| it.arrived >= fleet.scored_from()).collect();
    let answered: Vec<&Request> = scored.iter().copied().filter(|it| !it.refused).collect();
    assert!(answered.iter().all(|it| it.tokens.len() == it.output as usize));
    let counts = RequestCounts {
        offered: scored.len() as u64,
        answered: answered.len() as u64,
        failed: (scored.len() - answered.len()) as u64,
        cancelled: 0,
        most_queued: fleet.most_queued as u64,
    };
    let served = &outcome.served;
    assert_eq!(served.requests, Some(counts));
    let of = |metric, at| quantile(answered.iter().filter_map(|it| latency(it, metric)), at);
    assert_eq!(served.ttft_p50_seconds, of(LatencyMetric::Ttft, 0.5));
    assert_eq!(served.ttft_p95_seconds, of(LatencyMetric::Ttft, 0.95));
    assert_eq!(served.ttft_p99_seconds, of(LatencyMetric::Ttft, 0.99));
    assert_eq!(served.tpot_p50_seconds, of(LatencyMetric::Tpot, 0.5));
    assert_eq!(served.tpot_p95_seconds, of(LatencyMetric::Tpot, 0.95));
    // Gaps are told as lengths of iterations, to the nearest microsecond; tokens to the next one. Where all are scored the
    // two may differ by a microsecond, which the histogram's three digits show only below two milliseconds.
    if fleet.scored_from() == 0 {
        let gaps = || answered.iter().flat_map(|it| it.tokens.windows(2).map(|pair| pair[1] - pair[0]));
        for (told, at) in [(served.itl_p50_seconds, 0.5), (served.itl_p95_seconds, 0.95)] {
            let (told, counted) = (told.unwrap(), quantile(gaps(), at).unwrap());
            assert!((told - counted).abs() <= 2e-3 * counted, "{told} {counted}");
        }
    }
    assert_eq!(served.objective_attainment, objective_attainment(fleet, &scored, objectives));
}

fn tier(profile: Profile) -> TierSpec {
    let objective = |metric, quantile, ms| Objective { metric, quantile, bound: Span::from_millis(ms) };
    let objectives = vec![
        objective(LatencyMetric::Tpot, 0.95, 13),
        objective(LatencyMetric::Ttft, 0.9, 250),
        objective(LatencyMetric::QueueTime, 0.99, 100),
        objective(LatencyMetric::E2e, 0.99, 3_000),
    ];
    TierSpec {
        name: "gold".into(),
        minimum: 1,
        maximum: 20,
        priority: 1,
        price_per_hour: MicroUsd::from_micros(1),
        slo: Slo { objectives },
        attainment: 0.99,
        requests: RequestShape {
            prompt_tokens: Lengths { mean: 300.0, sigma: 0.8 },
            output_tokens: Lengths { mean: 40.0, sigma: 0.8 },
            per_player_per_minute: 1.0,
        },
        profile,
        start_up: Span::from_secs(10),
        policies: Vec::new(),
        behavior: Behavior::default(),
        blind: Blind::Hold,
    }
}

fn gold() -> Profile {
    Profile {
        iteration_ms: 6.5,
        per_sequence_ms: 0.09,
        decode_steps: Vec::new(),
        per_cached_token_ms: 9e-5,
        per_prefill_token_ms: 0.08,
        per_prefill_chunk_ms: 0.0,
        per_prefill_token_squared_ms: 0.0,
        max_batched_tokens: 112,
        max_sequences: 7,
        kv_tokens: 400_000,
        max_model_tokens: 4_096,
        prefix_hit_share: 0.0,
        overhead_ms: 0.0,
    }
}

/// Both on three minutes of traffic that comes in waves around `rate`.
fn both(profile: Profile, rate: f64, (most, scored_from): (u32, usize), script: &'static [u32], seed: u64) -> Outcome {
    let tier = tier(profile);
    let rates: Vec<f64> = (0..SLOTS).map(|slot| rate * if slot % 12 < 4 { 2.0 } else { 0.7 }).collect();
    let slot = Span::from_micros(SLOT_US);
    let drawn = || Drawn::new("gold", &rates, slot, &tier.requests, 2_000, seed);
    let gateway = Gateway::new(most, Span::from_secs(600), tier.profile.max_sequences + 2);
    let (start, violation) = (Time::default(), Violation::Excess);
    let setting = Setting { slot, start_up_slots: 2, minimum: 1, maximum: 20, scored_from, start, violation };
    let demand = [1.0; SLOTS];
    let outcome = run(Traffic::Drawn(drawn()), &demand, &setting, (&tier, &gateway), &mut Script(script)).unwrap();
    let traffic: Vec<TraceRequest> = drawn().collect();
    let fleet = plain_fleet::serve(&traffic, SLOTS, (&tier, &setting, &gateway), script);
    compare(&outcome, &fleet, &tier.slo.objectives);
    outcome
}

#[test]
fn a_fleet_that_breathes_is_the_same_token_by_token() {
    for seed in 1..=4 {
        let outcome = both(gold(), 45.0, (1_000, 6), &[3, 3, 5, 5, 6, 4, 4, 2, 2, 7, 1, 3], seed);
        assert!(outcome.served.requests.is_some_and(|counts| counts.offered > 3_000 && counts.most_queued > 20));
        assert!(outcome.served.objective_attainment < Some(1.0), "some minute is late, or the windows show nothing");
    }
}

#[test]
fn an_overload_is_refused_at_the_same_door() {
    let outcome = both(gold(), 60.0, (20, 0), &[2, 2, 3, 1], 7);
    assert!(outcome.served.requests.is_some_and(|counts| counts.failed > 100 && counts.most_queued >= 20));
}

#[test]
fn a_cache_that_overflows_preempts_the_same_requests() {
    let small = Profile { kv_tokens: 2_200, max_sequences: 16, overhead_ms: 3.0, prefix_hit_share: 0.3, ..gold() };
    let outcome = both(small, 25.0, (1_000, 0), &[3], 3);
    assert!(outcome.served.requests.is_some_and(|counts| counts.answered > 3_000));
}
