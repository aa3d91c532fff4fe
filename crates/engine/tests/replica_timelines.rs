//! One replica, told as timelines. Its iterations last 10 ms, 1 ms for each decoding sequence and 0.1 ms for each prompt
//! token, unless a test says otherwise.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use evenkeel_core::profile::{DecodeStep, Profile};
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::replica::{Event, Finished, InvalidProfile, Phase, Refused, Replica};
use rand_pcg::{Pcg64, rand_core::Rng};

fn profile() -> Profile {
    Profile {
        iteration_ms: 10.0,
        per_sequence_ms: 1.0,
        decode_steps: Vec::new(),
        per_cached_token_ms: 0.0,
        per_prefill_token_ms: 0.1,
        per_prefill_chunk_ms: 0.0,
        per_prefill_token_squared_ms: 0.0,
        max_batched_tokens: 1_000,
        max_sequences: 16,
        kv_tokens: 10_000,
        max_model_tokens: 4_096,
        prefix_hit_share: 0.0,
        overhead_ms: 0.0,
    }
}

fn replica(profile: &Profile) -> Replica {
    Replica::new(profile, ms(0)).unwrap()
}

fn ms(millis: i64) -> Time {
    Time::from_micros(millis * 1_000)
}

fn run_to_end(replica: &mut Replica) -> Vec<Finished> {
    while let Some(next) = replica.next_event() {
        replica.advance(next);
    }
    let finished = |event| if let Event::Finished(finished) = event { Some(finished) } else { None };
    replica.drain_events().filter_map(finished).collect()
}

#[test]
fn a_lone_request_takes_its_prefill_then_a_token_per_iteration() {
    let mut replica = replica(&profile());
    let id = replica.submit(ms(0), 100, 3).unwrap();
    assert_eq!(replica.next_token_time(id), Some(ms(20)), "10 ms and 100 prompt tokens of 0.1 ms");
    let finished = run_to_end(&mut replica);
    assert_eq!(finished[0].first_token, ms(20));
    assert_eq!(finished[0].finished, ms(42), "two more tokens, 11 ms each");
    assert_eq!(finished[0].tpot_seconds(), Some(0.011));
    assert_eq!(replica.next_event(), None);
    assert_eq!(replica.progress(id), None);
}

#[test]
fn whoever_streams_sees_each_token_at_its_boundary() {
    let mut replica = replica(&profile());
    let id = replica.submit(ms(0), 100, 5).unwrap();
    let mut seen = Vec::new();
    while let Some(boundary) = replica.next_boundary() {
        replica.advance(boundary);
        seen.extend(replica.tokens_of(id).map(|tokens| (boundary, tokens)));
    }
    assert_eq!(seen, [(ms(20), 1), (ms(31), 2), (ms(42), 3), (ms(53), 4)]);
    assert!(replica.drain_events().any(|event| matches!(event, Event::Finished(f) if f.finished == ms(64))));
}

#[test]
fn a_stretch_of_decoding_is_one_event_however_long() {
    let mut replica = replica(&profile());
    replica.submit(ms(0), 100, 1_001).unwrap();
    replica.advance(ms(20));
    assert_eq!(replica.next_event(), Some(ms(20 + 11_000)));
}

#[test]
fn a_prompt_longer_than_the_token_budget_is_computed_in_chunks() {
    let mut replica = replica(&Profile { max_batched_tokens: 100, ..profile() });
    let id = replica.submit(ms(0), 250, 1).unwrap();
    assert_eq!(replica.next_token_time(id), None, "the first chunk yields no token");
    replica.advance(ms(40));
    assert_eq!(replica.next_token_time(id), Some(ms(55)), "20 + 20 + 15 ms");
}

#[test]
fn later_chunks_pay_for_attention_over_what_is_already_there() {
    let squared = Profile { per_prefill_token_squared_ms: 0.001, max_batched_tokens: 100, ..profile() };
    let mut replica = replica(&squared);
    replica.submit(ms(0), 200, 1).unwrap();
    // 10 + 10 + 0.001*100*50 = 25 ms, then 10 + 10 + 0.001*100*150 = 35 ms.
    assert_eq!(run_to_end(&mut replica)[0].first_token, ms(60));
}

#[test]
fn a_prompt_joins_at_the_next_boundary_and_slows_the_others_there() {
    let mut replica = replica(&profile());
    let decoding = replica.submit(ms(0), 100, 10).unwrap();
    let joining = replica.submit(ms(25), 200, 2).unwrap();
    assert_eq!(replica.progress(joining).unwrap().phase, Phase::Waiting);
    replica.advance(ms(31));
    assert_eq!(replica.progress(joining).unwrap().phase, Phase::Prefilling);
    let mixed = ms(31 + 10 + 1 + 20);
    assert_eq!(replica.next_token_time(decoding), Some(mixed));
    assert_eq!(replica.next_token_time(joining), Some(mixed));
    replica.advance(mixed);
    assert_eq!(replica.next_token_time(decoding), Some(ms(62 + 12)), "now two decode");
}

#[test]
fn a_longer_context_makes_each_iteration_longer() {
    let mut replica = replica(&Profile { per_cached_token_ms: 0.01, ..profile() });
    let id = replica.submit(ms(0), 99, 4).unwrap();
    let finished = run_to_end(&mut replica);
    // 19.9 ms, then 11 ms plus 1.00, 1.01 and 1.02 ms over 100, 101 and 102 cached tokens.
    assert_eq!((finished[0].id, finished[0].finished.as_micros()), (id, 19_900 + 33_000 + 3_030));
}

#[test]
fn cached_prefix_tokens_cost_neither_time_nor_budget() {
    let mut replica = replica(&Profile { prefix_hit_share: 0.8, max_batched_tokens: 50, ..profile() });
    replica.submit(ms(0), 200, 1).unwrap();
    assert_eq!(run_to_end(&mut replica)[0].first_token, ms(14), "40 of 200 tokens are computed, in one iteration");
    assert_eq!(replica.counters().prefix_queried_tokens, 200);
    assert_eq!(replica.counters().prefix_hit_tokens, 160);
    assert_eq!(replica.counters().prompt_tokens, 200);
}

#[test]
fn a_wholly_cached_prompt_still_computes_its_last_token() {
    let mut replica = replica(&Profile { prefix_hit_share: 1.0, ..profile() });
    replica.submit(ms(0), 100, 1).unwrap();
    assert_eq!(run_to_end(&mut replica)[0].first_token, Time::from_micros(10_100));
}

#[test]
fn the_overhead_delays_a_request_and_is_no_queue_time() {
    let mut replica = replica(&Profile { overhead_ms: 7.0, ..profile() });
    replica.submit(ms(0), 100, 1).unwrap();
    assert_eq!(replica.next_event(), Some(ms(7)));
    let finished = run_to_end(&mut replica);
    assert_eq!(finished[0].ttft(), Span::from_millis(27));
    assert_eq!(finished[0].queue_time(), Span::ZERO);
    assert_eq!(replica.busy(), Span::from_millis(20), "outside the batch the engine is idle");
}

#[test]
fn beyond_the_largest_batch_requests_wait_in_order() {
    let mut replica = replica(&Profile { max_sequences: 1, ..profile() });
    for _ in 0..3 {
        replica.submit(ms(0), 100, 2).unwrap();
    }
    assert_eq!((replica.running(), replica.waiting()), (1, 2));
    let finished: Vec<_> =
        run_to_end(&mut replica).iter().map(|f| (f.id.number(), f.finished, f.queue_time())).collect();
    let expected = [(0, 31, 0), (1, 62, 31), (2, 93, 62)];
    assert_eq!(finished, expected.map(|(id, at, queued)| (id, ms(at), Span::from_millis(queued))));
}

#[test]
fn a_full_cache_preempts_the_newest_and_recomputes_it_later() {
    let mut replica = replica(&Profile { kv_tokens: 210, max_sequences: 2, ..profile() });
    let oldest = replica.submit(ms(0), 100, 10).unwrap();
    let newest = replica.submit(ms(0), 100, 10).unwrap();
    // 20 ms: the oldest has a token and the newest starts; 41 ms: 102 and 101 tokens are held; 12 ms bring 2 more.
    replica.advance(ms(41 + 4 * 12));
    assert_eq!(replica.progress(newest).unwrap().phase, Phase::Waiting, "211 tokens do not fit 210");
    assert_eq!(replica.tokens_of(newest), Some(5), "what it generated stays");
    assert_eq!(replica.tokens_of(oldest), Some(6));
    // The oldest goes on alone and ends at 89 + 4 * 11 = 133 ms; then 105 tokens are recomputed in 20.5 ms.
    let finished = run_to_end(&mut replica);
    assert_eq!((finished[0].id, finished[0].finished), (oldest, ms(133)));
    assert_eq!((finished[1].id, finished[1].preemptions), (newest, 1));
    assert_eq!(finished[1].finished.as_micros(), 133_000 + 20_500 + 4 * 11_000);
    assert_eq!(replica.counters().preemptions, 1);
    assert_eq!(replica.counters().prompt_tokens, 200, "a recomputed prompt is not counted twice");
}

#[test]
fn the_gap_that_a_preemption_makes_is_told_apart() {
    let mut replica = replica(&Profile { kv_tokens: 210, max_sequences: 2, ..profile() });
    replica.submit(ms(0), 100, 10).unwrap();
    let newest = replica.submit(ms(0), 100, 10).unwrap();
    replica.advance(ms(1_000));
    let resumed = Event::Resumed { id: newest, gap: Span::from_micros(133_000 + 20_500 - 89_000) };
    assert!(replica.drain_events().any(|event| event == resumed));
}

#[test]
fn a_cancelled_sequence_leaves_at_the_boundary_and_frees_its_place() {
    let mut replica = replica(&Profile { max_sequences: 1, ..profile() });
    let first = replica.submit(ms(0), 100, 1_000).unwrap();
    let second = replica.submit(ms(0), 100, 1).unwrap();
    let left = replica.cancel(ms(25), first).unwrap();
    assert_eq!((left.phase, left.tokens), (Phase::Decoding, 1));
    assert_eq!(replica.progress(first), None);
    assert_eq!(replica.cancel(ms(26), first), None, "it is gone already");
    let finished = run_to_end(&mut replica);
    assert_eq!((finished[0].id, finished[0].finished), (second, ms(31 + 20)));
    assert_eq!(replica.counters().cancelled, 1);
    assert_eq!(replica.counters().generation_tokens, 2);
    assert_eq!(replica.kv_usage(), 0.0);
}

#[test]
fn a_prompt_cancelled_between_two_chunks_is_computed_no_further() {
    let mut replica = replica(&Profile { max_batched_tokens: 100, ..profile() });
    let id = replica.submit(ms(0), 1_000, 5).unwrap();
    assert_eq!(replica.cancel(ms(5), id).unwrap().phase, Phase::Prefilling);
    assert_eq!(replica.next_event(), Some(ms(20)));
    replica.advance(ms(20));
    assert_eq!((replica.next_event(), replica.running(), replica.busy()), (None, 0, Span::from_millis(20)));
}

#[test]
fn a_waiting_request_can_be_cancelled_without_a_trace() {
    let mut replica = replica(&Profile { max_sequences: 1, ..profile() });
    replica.submit(ms(0), 100, 2).unwrap();
    let waiting = replica.submit(ms(0), 100, 2).unwrap();
    assert_eq!(replica.cancel(ms(1), waiting).unwrap().phase, Phase::Waiting);
    assert_eq!(replica.waiting(), 0);
    assert_eq!(run_to_end(&mut replica).len(), 1);
}

#[test]
fn busy_time_and_cache_share_are_those_of_the_moment_asked() {
    let mut replica = replica(&Profile { kv_tokens: 200, ..profile() });
    replica.submit(ms(100), 100, 3).unwrap();
    replica.advance(ms(110));
    assert_eq!(replica.busy(), Span::from_millis(10), "idle before 100 ms");
    assert_eq!(replica.kv_usage(), 0.5);
    replica.advance(ms(125));
    assert_eq!(replica.kv_usage(), 101.0 / 200.0, "one token more at 120 ms, none yet at 131");
    replica.advance(ms(1_000));
    assert_eq!((replica.busy(), replica.kv_usage()), (Span::from_millis(42), 0.0));
}

#[test]
fn what_could_never_be_served_is_refused_at_the_door() {
    let mut replica = replica(&Profile { kv_tokens: 5_000, max_model_tokens: 8_000, ..profile() });
    assert_eq!(replica.submit(ms(0), 0, 5), Err(Refused::Empty));
    assert_eq!(replica.submit(ms(0), 5, 0), Err(Refused::Empty));
    assert_eq!(replica.submit(ms(0), 7_999, 2), Err(Refused::AboveModelLength { tokens: 8_001, limit: 8_000 }));
    assert_eq!(replica.submit(ms(0), 4_999, 2), Err(Refused::AboveKvCache { tokens: 5_001, limit: 5_000 }));
    assert!(replica.submit(ms(0), 4_999, 1).is_ok());
}

#[test]
fn a_profile_that_cannot_drive_an_engine_is_refused_with_its_field() {
    let refused = |profile: Profile| Replica::new(&profile, ms(0)).unwrap_err();
    let not_a_number = Profile { per_sequence_ms: f64::NAN, ..profile() };
    assert!(matches!(refused(not_a_number), InvalidProfile::Duration { field: "per_sequence_ms", .. }));
    let step = |sequences, added_ms| DecodeStep { sequences, added_ms };
    for steps in [vec![step(0, 1.0)], vec![step(2, 1.0), step(2, 2.0)], vec![step(2, 3.0), step(4, 2.0)]] {
        let refused = refused(Profile { decode_steps: steps, ..profile() });
        assert!(matches!(refused, InvalidProfile::DecodeSteps { .. }), "{refused:?}");
    }
    let negative = Profile { overhead_ms: -1.0, ..profile() };
    assert_eq!(refused(negative), InvalidProfile::Duration { field: "overhead_ms", value: -1.0 });
    assert_eq!(refused(Profile { iteration_ms: 0.0, ..profile() }), InvalidProfile::NoIterationTime);
    assert_eq!(refused(Profile { kv_tokens: 0, ..profile() }), InvalidProfile::Limit { field: "kv_tokens" });
    assert_eq!(refused(Profile { prefix_hit_share: 1.5, ..profile() }), InvalidProfile::PrefixHitShare(1.5));
}

#[test]
fn a_slower_truth_takes_proportionally_longer() {
    let mut declared = replica(&profile());
    let mut slower = replica(&profile().slowed(1.25));
    declared.submit(ms(0), 100, 9).unwrap();
    slower.submit(ms(0), 100, 9).unwrap();
    let (declared, slower) = (run_to_end(&mut declared), run_to_end(&mut slower));
    assert_eq!(slower[0].finished.as_micros() * 4, declared[0].finished.as_micros() * 5);
}

/// p95 of the mean time per output token under 13.3 Poisson arrivals a second, in seconds.
fn gold_tpot_p95(max_batched_tokens: u32) -> f64 {
    let gold = Profile {
        iteration_ms: 6.5,
        per_sequence_ms: 0.09,
        decode_steps: Vec::new(),
        per_cached_token_ms: 9e-5,
        per_prefill_token_ms: 0.08,
        max_batched_tokens,
        max_sequences: 256,
        kv_tokens: 200_000,
        ..profile()
    };
    let (mut random, mut replica) = (Pcg64::new(7, 11), replica(&gold));
    let mut seconds = 0.0;
    for _ in 0..20_000 {
        let uniform = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        seconds -= libm::log(1.0 - uniform) / 13.3;
        replica.submit(ms(0) + Span::from_secs_f64(seconds), 300, 40).unwrap();
    }
    let mut tpot: Vec<f64> = run_to_end(&mut replica).iter().filter_map(Finished::tpot_seconds).collect();
    tpot.sort_by(f64::total_cmp);
    tpot[tpot.len() * 95 / 100]
}

#[test]
fn a_small_token_budget_keeps_gold_inside_16_ms_per_token_where_a_large_one_does_not() {
    let (small, large) = (gold_tpot_p95(112), gold_tpot_p95(2_048));
    assert!(small < 0.0158, "{small}");
    assert!(large > 0.0160, "{large}");
}

#[test]
fn a_prompt_may_be_in_the_prefix_cache_but_for_its_last_token() {
    let first_token = |cached| {
        let mut replica = replica(&profile());
        replica.submit_cached(ms(0), 100, 1, cached).unwrap();
        run_to_end(&mut replica)[0].ttft()
    };
    assert_eq!([0, 50, 99, 100].map(first_token), [20_000, 15_000, 10_100, 10_100].map(Span::from_micros));
}
