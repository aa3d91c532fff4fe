//! The engine jumps over whole stretches; a plain replica goes token by token. Both must tell the same story.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs, unreachable_pub)]

mod plain;

use evenkeel_core::profile::{DecodeStep, Profile};
use evenkeel_core::units::Time;
use evenkeel_engine::replica::{Event, Replica, RequestId};
use plain::{Input, Outcome};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn at(micros: i64) -> Time {
    Time::from_micros(micros)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Call {
    Submit,
    Cancel,
    Look,
}

/// What the engine said of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    first: Option<i64>,
    finished: Option<i64>,
    preemptions: Option<u32>,
}

/// Drives the engine as a consumer does, by its calls in order of time; at each `look` token counts are compared with
/// the reference.
fn drive(profile: &Profile, inputs: &[Input], looks: &[i64], expected: &[Outcome]) -> (Vec<Told>, Replica) {
    let mut calls: Vec<(i64, Call, usize)> = Vec::new();
    for (index, input) in inputs.iter().enumerate() {
        calls.push((input.arrives, Call::Submit, index));
        calls.extend(input.cancelled.map(|at| (at, Call::Cancel, index)));
    }
    calls.extend(looks.iter().map(|look| (*look, Call::Look, 0)));
    calls.sort_unstable();
    let mut replica = Replica::new(profile, at(0)).unwrap();
    let mut ids: BTreeMap<RequestId, usize> = BTreeMap::new();
    for (now, call, index) in calls {
        match call {
            Call::Submit => {
                let id = replica.submit(at(now), inputs[index].prompt, inputs[index].output).unwrap();
                ids.insert(id, index);
            }
            Call::Cancel => {
                let id = *ids.iter().find(|(_, known)| **known == index).unwrap().0;
                replica.cancel(at(now), id);
            }
            Call::Look => {
                replica.advance(at(now));
                for (id, index) in &ids {
                    compare_progress(&replica, *id, &expected[*index], now);
                }
            }
        }
    }
    while let Some(next) = replica.next_event() {
        assert!(next >= replica.now());
        replica.advance(next);
    }
    let told = listen(&mut replica, &ids, inputs.len());
    (told, replica)
}

fn compare_progress(replica: &Replica, id: RequestId, expected: &Outcome, now: i64) {
    let Some(progress) = replica.progress(id) else { return };
    assert_eq!(progress.tokens as usize, expected.tokens.iter().filter(|token| **token <= now).count());
    if let Some(next) = progress.next_token {
        // A cancellation still to come may take this token away.
        if let Some(token) = expected.tokens.iter().find(|token| **token > now) {
            assert_eq!(next.as_micros(), *token);
        }
    }
}

fn listen(replica: &mut Replica, ids: &BTreeMap<RequestId, usize>, requests: usize) -> Vec<Told> {
    let mut told = vec![Told::default(); requests];
    for event in replica.drain_events() {
        match event {
            Event::FirstToken { id, at } => told[ids[&id]].first = Some(at.as_micros()),
            Event::Finished(finished) => {
                let told = &mut told[ids[&finished.id]];
                assert_eq!(told.first, Some(finished.first_token.as_micros()));
                told.finished = Some(finished.finished.as_micros());
                told.preemptions = Some(finished.preemptions);
            }
            Event::Iterations(_) | Event::Resumed { .. } => {}
        }
    }
    told
}

fn as_told(outcome: &Outcome) -> Told {
    let last = outcome.tokens.last().copied().filter(|_| outcome.finished);
    Told { first: outcome.tokens.first().copied(), finished: last, preemptions: last.map(|_| outcome.preemptions) }
}

/// Mostly none; else up to three, which may end before the largest batch or go beyond it.
fn decode_steps() -> impl Strategy<Value = Vec<DecodeStep>> {
    let steps = proptest::collection::vec((1_u32..4, 0.0..5.0), 1..4).prop_map(|rises| {
        let (mut sequences, mut added_ms) = (0, 0.0);
        let step = |(more, longer)| {
            sequences += more;
            added_ms += longer;
            DecodeStep { sequences, added_ms }
        };
        rises.into_iter().map(step).collect()
    });
    prop_oneof![Just(Vec::new()), steps]
}

prop_compose! {
    fn profiles()(
        iteration_ms in 0.001..20.0,
        per_sequence_ms in 0.0..2.0,
        decode_steps in decode_steps(),
        per_cached_token_ms in prop_oneof![Just(0.0), 0.0..0.01],
        per_prefill_chunk_ms in prop_oneof![Just(0.0), 0.0..3.0],
        per_prefill_token_ms in 0.0..1.0,
        per_prefill_token_squared_ms in prop_oneof![Just(0.0), 0.0..0.001],
        max_batched_tokens in 1_u32..64,
        max_sequences in 1_u32..8,
        kv_tokens in 100_u32..240,
        prefix_hit_share in prop_oneof![Just(0.0), 0.0..=1.0],
        overhead_ms in prop_oneof![Just(0.0), 0.0..30.0],
    ) -> Profile {
        Profile {
            iteration_ms, per_sequence_ms, decode_steps, per_cached_token_ms,
            per_prefill_chunk_ms, per_prefill_token_ms, per_prefill_token_squared_ms,
            max_batched_tokens, max_sequences, kv_tokens, max_model_tokens: 4_096, prefix_hit_share, overhead_ms,
        }
    }
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    // Gaps of zero make simultaneous arrivals; long ones let the replica go idle.
    let gap = prop_oneof![Just(0_i64), 0_i64..20_000, 0_i64..2_000_000];
    let cancel = prop_oneof![3 => Just(None), 1 => (0_i64..300_000).prop_map(Some)];
    proptest::collection::vec((gap, 1_u32..60, 1_u32..40, cancel), 1..40).prop_map(|rows| {
        let mut arrives = 0;
        rows.into_iter()
            .map(|(gap, prompt, output, cancel)| {
                arrives += gap;
                Input { arrives, prompt, output, cancelled: cancel.map(|after| arrives + after) }
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_engine_tells_what_a_token_by_token_replica_tells(
        profile in profiles(),
        inputs in inputs(),
        looks in proptest::collection::vec(0_i64..3_000_000, 0..30),
    ) {
        let expected = plain::run(&profile, &inputs);
        let (told, replica) = drive(&profile, &inputs, &looks, &expected);
        prop_assert_eq!(told, expected.iter().map(as_told).collect::<Vec<_>>());
        let tokens: usize = expected.iter().map(|outcome| outcome.tokens.len()).sum();
        let finished = expected.iter().filter(|outcome| outcome.finished).count();
        prop_assert_eq!(replica.counters().generation_tokens, tokens as u64);
        prop_assert_eq!(replica.counters().finished, finished as u64);
        prop_assert_eq!((replica.running(), replica.waiting(), replica.kv_usage()), (0, 0, 0.0));
    }

    #[test]
    fn looking_often_moves_no_token(profile in profiles(), inputs in inputs()) {
        let expected = plain::run(&profile, &inputs);
        let end = expected.iter().flat_map(|outcome| outcome.tokens.last()).max().copied().unwrap_or(0);
        let every_boundary: Vec<i64> = expected.iter().flat_map(|outcome| outcome.tokens.clone()).collect();
        let (seldom, _) = drive(&profile, &inputs, &[end], &expected);
        let (often, _) = drive(&profile, &inputs, &every_boundary, &expected);
        prop_assert_eq!(seldom, often);
    }

    #[test]
    fn every_gap_between_two_tokens_is_reported_once(profile in profiles(), inputs in inputs()) {
        let mut replica = Replica::new(&profile, at(0)).unwrap();
        for input in &inputs {
            replica.submit(at(input.arrives), input.prompt, input.output).unwrap();
        }
        replica.advance(at(i64::MAX / 2));
        let (mut gaps, mut firsts) = (0, 0);
        for event in replica.drain_events() {
            match event {
                Event::Iterations(run) => gaps += run.gaps,
                Event::Resumed { .. } => gaps += 1,
                Event::FirstToken { .. } => firsts += 1,
                Event::Finished(_) => {}
            }
        }
        let tokens: u64 = inputs.iter().map(|input| u64::from(input.output)).sum();
        prop_assert_eq!(firsts, inputs.len() as u64);
        prop_assert_eq!(gaps, tokens - firsts);
    }
}
