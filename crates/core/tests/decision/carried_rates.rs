//! What fleets carry inside an objective: against Erlang's formula where there is one, and written down for the rest, so
//! that every change of a figure shows. How near the figures are to the engine is tested in the crate `engine`.

use crate::specs::{gold, seconds};
use core::fmt::Write;
use evenkeel_core::capacity::{Table, idle_latency_ms};
use evenkeel_core::profile::{DecodeStep, Profile};
use evenkeel_core::spec::{LatencyMetric, Lengths, Objective, RequestShape};
use evenkeel_core::units::Span;

const fn objective(metric: LatencyMetric, quantile: f64, bound: Span) -> Objective {
    Objective { metric, quantile, bound }
}

/// One request at a time, a second each: the fleet is a queue of M/M/N.
fn one_at_a_time() -> (Profile, RequestShape) {
    let tier = gold();
    let profile = Profile {
        iteration_ms: 10.0,
        per_sequence_ms: 0.0,
        per_cached_token_ms: 0.0,
        per_prefill_token_ms: 0.0,
        max_batched_tokens: 2_048,
        max_sequences: 1,
        ..tier.profile
    };
    (profile, RequestShape { output_tokens: Lengths { mean: 100.0, sigma: 0.0 }, ..tier.requests })
}

/// Erlang's share of requests that wait at all, by the recursion of his loss formula.
fn erlang_c(servers: u32, load: f64) -> f64 {
    let lost = (1..=servers).fold(1.0, |lost, n| load * lost / (f64::from(n) + load * lost));
    let servers = f64::from(servers);
    servers * lost / (servers - load * (1.0 - lost))
}

#[test]
fn replicas_that_serve_one_request_at_a_time_wait_as_erlang_says() {
    let (profile, requests) = one_at_a_time();
    for bound in [seconds(1), seconds(4)] {
        let table = Table::solve(&profile, &requests, &[objective(LatencyMetric::QueueTime, 0.95, bound)], 20);
        for &(replicas, rate) in &table.points {
            let drain = f64::from(replicas) - rate;
            let late = erlang_c(replicas, rate) * (-drain * bound.as_secs_f64()).exp();
            // Many replicas hold the bound up to the nine tenths that leave queues finite.
            let full = rate > f64::from(replicas) * 0.9 - 1e-9;
            assert!(if full { late < 0.05 } else { (late - 0.05).abs() < 2e-4 }, "{replicas}: {rate} 1/s, {late}");
        }
        assert!(table.points[0].1 < 0.9, "one replica does not reach them");
    }
}

/// Two requests at once, 11 ms a token for one and 12 ms for two, and prompts for nothing.
fn two_at_a_time() -> (Profile, RequestShape) {
    let (profile, requests) = one_at_a_time();
    (Profile { per_sequence_ms: 1.0, max_sequences: 2, ..profile }, requests)
}

#[test]
fn a_pace_that_just_meets_the_bound_is_inside_it_and_gaps_weigh_by_tokens() {
    let (profile, requests) = two_at_a_time();
    let carries = |objectives: &[Objective]| {
        let table = Table::solve(&profile, &requests, objectives, 1);
        assert_eq!(table.unachievable, None);
        table.points[0].1
    };
    let bounded = |metric, quantile, us| carries(&[objective(metric, quantile, Span::from_micros(us))]);
    for metric in [LatencyMetric::Tpot, LatencyMetric::Itl] {
        assert!((bounded(metric, 0.99, 12_000) - carries(&[])).abs() < 1e-12, "12 ms are not more than 12 ms");
    }
    // With x = r / (1 - r) for a load of r by the rate of two, 5/3 a second, gaps of 12 ms are (x / 6) / (1 / 11 + x / 6) of
    // all: half of them at r = 6/17.
    let rate = bounded(LatencyMetric::Itl, 0.5, 11_500);
    assert!((rate / (6.0 / 17.0 * 5.0 / 3.0) - 1.0).abs() < 1e-5, "{rate}");
}

/// Silver of `examples/game.yaml` without a bound on its batch.
fn silver() -> (Profile, RequestShape) {
    let tier = gold();
    let profile = Profile {
        iteration_ms: 10.0,
        per_sequence_ms: 0.12,
        per_cached_token_ms: 1.1e-4,
        per_prefill_token_ms: 0.2035,
        max_batched_tokens: 2_048,
        max_sequences: 32,
        ..tier.profile
    };
    (profile, RequestShape { output_tokens: Lengths { mean: 100.0, sigma: 0.8 }, ..tier.requests })
}

/// Every constant at work: steps, chunks, attention, a prefix cache, an overhead, few tokens in an iteration.
fn everything() -> (Profile, RequestShape) {
    let (profile, requests) = silver();
    let step = |sequences, added_ms| DecodeStep { sequences, added_ms };
    let profile = Profile {
        decode_steps: vec![step(1, 1.0), step(4, 2.0), step(8, 6.0)],
        per_prefill_chunk_ms: 1.5,
        per_prefill_token_squared_ms: 1e-4,
        max_batched_tokens: 256,
        prefix_hit_share: 0.3,
        overhead_ms: 4.0,
        ..profile
    };
    (profile, requests)
}

/// The KV cache holds fewer requests than the batch has places.
fn small_cache() -> (Profile, RequestShape) {
    let (profile, requests) = silver();
    (Profile { kv_tokens: 3_000, ..profile }, requests)
}

fn without_spread() -> (Profile, RequestShape) {
    let (profile, requests) = silver();
    let even = |mean| Lengths { mean, sigma: 0.0 };
    (profile, RequestShape { prompt_tokens: even(300.0), output_tokens: even(100.0), ..requests })
}

type Case = (&'static str, (Profile, RequestShape));

fn cases() -> [Case; 5] {
    let tier = gold();
    [
        ("gold", (tier.profile, tier.requests)),
        ("silver", silver()),
        ("everything", everything()),
        ("small cache", small_cache()),
        ("without spread", without_spread()),
    ]
}

#[test]
fn what_fleets_of_each_size_carry_inside_each_objective() {
    let ms = Span::from_millis;
    let objectives = [
        ("none", vec![]),
        ("tpot p95 16ms", vec![objective(LatencyMetric::Tpot, 0.95, ms(16))]),
        ("tpot p99 25ms", vec![objective(LatencyMetric::Tpot, 0.99, ms(25))]),
        ("itl p70 15ms", vec![objective(LatencyMetric::Itl, 0.7, ms(15))]),
        ("itl p95 22ms", vec![objective(LatencyMetric::Itl, 0.95, ms(22))]),
        ("itl p98 75ms", vec![objective(LatencyMetric::Itl, 0.98, ms(75))]),
        ("ttft p95 250ms", vec![objective(LatencyMetric::Ttft, 0.95, ms(250))]),
        ("ttft p50 150ms", vec![objective(LatencyMetric::Ttft, 0.5, ms(150))]),
        ("ttft p99 2s", vec![objective(LatencyMetric::Ttft, 0.99, ms(2_000))]),
        ("e2e p95 3.5s", vec![objective(LatencyMetric::E2e, 0.95, ms(3_500))]),
        ("e2e p50 800ms", vec![objective(LatencyMetric::E2e, 0.5, ms(800))]),
        ("queue_time p99 20ms", vec![objective(LatencyMetric::QueueTime, 0.99, ms(20))]),
        (
            "tpot p95 16ms, ttft p90 300ms",
            vec![objective(LatencyMetric::Tpot, 0.95, ms(16)), objective(LatencyMetric::Ttft, 0.9, ms(300))],
        ),
    ];
    let mut text = String::from("requests/s that so many replicas carry together\n");
    for (name, (profile, requests)) in cases() {
        writeln!(text, "\n{name}").unwrap();
        for (words, objectives) in &objectives {
            let table = Table::solve(&profile, &requests, objectives, 80);
            let rates: Vec<String> =
                table.points.iter().map(|(replicas, rate)| format!("{replicas}: {rate:.4}")).collect();
            let unachievable = table.unachievable.map_or("", |_| "  (unachievable)");
            writeln!(text, "  {words:<30} {}{unachievable}", rates.join("  ")).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_an_idle_replica_takes_for_each_latency() {
    let mut text = String::from("ms on an idle replica, at p95 and p50 of lengths\n");
    for (name, (profile, requests)) in cases() {
        for metric in LatencyMetric::ALL {
            let idle = |quantile| idle_latency_ms(&profile, &requests, &objective(metric, quantile, seconds(1)));
            writeln!(text, "{name:<15} {:<11} {:10.4} {:10.4}", metric.name(), idle(0.95), idle(0.5)).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn a_bound_that_only_an_idle_fleet_keeps_is_unachievable() {
    let unachievable = |(profile, requests): (Profile, RequestShape), bound| {
        Table::solve(&profile, &requests, &[bound], 80).unachievable
    };
    // 175.4 ms on an idle replica. Up to 187 ms a fleet that does a twentieth of its work is late already.
    let first_token = |ms| objective(LatencyMetric::Ttft, 0.95, Span::from_millis(ms));
    assert_eq!(unachievable(silver(), first_token(170)), Some(LatencyMetric::Ttft));
    assert_eq!(unachievable(silver(), first_token(180)), Some(LatencyMetric::Ttft));
    assert_eq!(unachievable(silver(), first_token(190)), None);
    // Ten milliseconds on an idle replica, and on every other.
    let pace = |ms| objective(LatencyMetric::Tpot, 0.95, Span::from_millis(ms));
    assert_eq!(unachievable(one_at_a_time(), pace(10)), Some(LatencyMetric::Tpot));
    assert_eq!(unachievable(one_at_a_time(), pace(11)), None);
}
