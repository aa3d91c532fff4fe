//! Two ways to the same figure, the largest rate that N replicas carry inside the objective: the chain that the capacity
//! policy decides by, and the engine itself behind the gateway's queue, in virtual time. A little below the chain's rate
//! the engine must hold the objective, a little above it must not.
//!
//! Everything is seeded and uses `libm`, so a figure is the same on every machine; none lies close to its bound by luck.
//! The whole comparison as a table takes a minute:
//!
//! ```text
//! cargo test --release -p evenkeel-engine --test capacity_meets_engine -- --ignored --nocapture
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod tier;

use evenkeel_core::capacity::Table;
use evenkeel_core::spec::LatencyMetric;
use tier::{Outcome, Run, Tier};

const SIZES: [u32; 5] = [1, 2, 5, 10, 20];
const INSIDE: f64 = 0.9;
const OUTSIDE: f64 = 1.15;
const SEED: u64 = 7;

/// What the chain takes for the largest rate, requests a second.
fn chain(tier: &Tier, replicas: u32) -> f64 {
    let spec = &tier.spec;
    Table::solve(&spec.profile, &spec.requests, &spec.slo.objectives, 20).rate(f64::from(replicas))
}

fn run(tier: &Tier, replicas: u32, rate: f64) -> Outcome {
    tier.run(Run { replicas, rate, requests: 5_000, seed: SEED })
}

fn holds(tier: &Tier, outcome: &Outcome) -> bool {
    tier.spec
        .slo
        .objectives
        .iter()
        .all(|objective| outcome.quantile(objective.metric, objective.quantile) <= objective.bound.as_millis_f64())
}

/// Whether a backlog is the rule: the median request has waited for a place on a replica.
fn waits(outcome: &Outcome) -> bool {
    outcome.quantile(LatencyMetric::QueueTime, 0.5) > 0.0
}

/// The engine holds the objective below the chain's rate, and does not at `outside` times that rate.
fn check(tier: &Tier, replicas: u32, outside: f64) {
    let rate = chain(tier, replicas);
    let (below, above) = (run(tier, replicas, INSIDE * rate), run(tier, replicas, outside * rate));
    let name = &tier.spec.name;
    assert!(holds(tier, &below) && !waits(&below), "{name}: {replicas} replicas do not carry {INSIDE} of {rate}/s");
    assert!(!holds(tier, &above), "{name}: {replicas} replicas carry {outside} times {rate}/s");
}

/// Gold with an engine's usual batch, as theory has it: the pace bounds it, not the batch.
fn gold_with_large_batches() -> Tier {
    let mut tier = Tier::of_the_game("gold");
    tier.spec.profile.max_sequences = 64;
    tier
}

/// Silver with an engine's usual batch: the first token bounds it, not the batch.
fn silver_with_large_batches() -> Tier {
    let mut tier = Tier::of_the_game("silver");
    tier.spec.profile.max_sequences = 32;
    tier
}

/// Silver on an engine that spends much on each prompt, however short: 24 ms beside some 30 for its tokens.
fn silver_with_costly_chunks() -> Tier {
    let mut tier = Tier::of_the_game("silver");
    let profile = &mut tier.spec.profile;
    (profile.per_prefill_chunk_ms, profile.per_prefill_token_ms) = (24.0, 0.1);
    tier
}

#[test]
fn the_pace_of_large_batches_is_lost_where_the_chain_says() {
    let gold = gold_with_large_batches();
    for replicas in SIZES {
        // Alone, a replica carries 15 % more: its requests' mean pace evens out what the chain sees as they come.
        check(&gold, replicas, if replicas == 1 { 1.25 } else { OUTSIDE });
    }
}

#[test]
fn golds_small_batches_keep_its_pace_and_are_full_where_the_chain_says() {
    let gold = Tier::of_the_game("gold");
    for replicas in SIZES {
        let rate = chain(&gold, replicas);
        let (below, above) = (run(&gold, replicas, INSIDE * rate), run(&gold, replicas, OUTSIDE * rate));
        assert!(holds(&gold, &below) && !waits(&below), "{replicas} replicas do not carry {INSIDE} of {rate}/s");
        // Overload waits at the gateway and slows no token.
        assert!(holds(&gold, &above) && waits(&above), "{replicas} replicas carry {OUTSIDE} times {rate}/s");
    }
}

#[test]
fn silvers_first_tokens_are_late_where_the_chain_says() {
    let silver = Tier::of_the_game("silver");
    SIZES.into_iter().for_each(|replicas| check(&silver, replicas, OUTSIDE));
}

#[test]
fn what_each_prompt_costs_besides_its_tokens_is_paid_where_the_chain_says() {
    let silver = silver_with_costly_chunks();
    SIZES.into_iter().for_each(|replicas| check(&silver, replicas, OUTSIDE));
}

#[test]
fn bronzes_queue_is_too_long_where_the_chain_says() {
    let bronze = Tier::of_the_game("bronze");
    SIZES.into_iter().for_each(|replicas| check(&bronze, replicas, OUTSIDE));
}

/// The largest rate at which the engine holds the objective and has no backlog, by bisection.
fn carried(tier: &Tier, replicas: u32) -> f64 {
    let (mut low, mut high) = (0.0, 3.0 * chain(tier, replicas));
    for _ in 0..12 {
        let rate = f64::midpoint(low, high);
        let outcome = tier.run(Run { replicas, rate, requests: 40_000, seed: SEED });
        if holds(tier, &outcome) && !waits(&outcome) { low = rate } else { high = rate }
    }
    low
}

#[test]
#[ignore = "takes a minute in a release build; for whoever changes the chain or the engine"]
fn a_table_of_both_rates() {
    let tiers = [
        ("gold", Tier::of_the_game("gold")),
        ("gold, batches of 64", gold_with_large_batches()),
        ("silver", Tier::of_the_game("silver")),
        ("silver, batches of 32", silver_with_large_batches()),
        ("silver, costly chunks", silver_with_costly_chunks()),
        ("bronze", Tier::of_the_game("bronze")),
    ];
    println!("{:<22} replicas     chain    engine  chain/engine", "requests/s");
    for (name, tier) in tiers {
        for replicas in SIZES {
            let (chain, engine) = (chain(&tier, replicas), carried(&tier, replicas));
            println!("{name:<22} {replicas:>8} {chain:>9.3} {engine:>9.3} {:>13.2}", chain / engine);
            // The tests above are the narrow ones; this one covers what they leave out.
            assert!((0.8..1.15).contains(&(chain / engine)), "{name}: {replicas} replicas");
        }
    }
}
