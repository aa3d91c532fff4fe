//! Load scaling: one replica more where every engine's next latency is above its objective, one less where every engine
//! would still keep it with the load of one engine less.
//!
//! Source: `core/load_scaling.py`, `_advance_load_agg`, `_agg_prefill_scaling`, `_agg_decode_scaling`,
//! `_scale_decision`; `load_scaling_down_sensitivity` 80. Without decoding tokens the rule for the first token is that
//! of a prefill engine (`_prefill_load_decision`), and without queued prompts that for the gaps is a decode engine's
//! (`_decode_load_decision`).

use super::Sla;
use super::regression::Model;

const SENSITIVITY: f64 = 0.8;

/// What an engine tells with a forward pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Engine {
    pub(super) queued_prefill_tokens: f64,
    /// Tokens of the decoding sequences, scheduled and queued ones.
    pub(super) decode_kv_tokens: f64,
}

/// The count by both latencies: more if either wants more, fewer if both allow it. The engines stand for all `workers`.
pub(super) fn by_load(engines: &[Engine], model: &Model, sla: Sla, workers: u32) -> u32 {
    let first_token = by_first_token(engines, model, sla.ttft_ms, workers);
    let gaps = by_gaps(engines, model, sla.itl_ms, workers);
    first_token.max(gaps)
}

/// What is safe to put on the engines that remain is so by `sensitivity` of what is left beside a request's own prompt.
fn by_first_token(engines: &[Engine], model: &Model, ttft_ms: f64, workers: u32) -> u32 {
    let more = consolidation(workers);
    let late = |it: &Engine| model.next_ttft_ms(it.queued_prefill_tokens, it.decode_kv_tokens) > ttft_ms;
    let fits = |it: &Engine| {
        let (queued, decoding) = (whole(it.queued_prefill_tokens * more), whole(it.decode_kv_tokens * more));
        let own = model.next_ttft_ms(0.0, decoding);
        let budget = (ttft_ms - own) * SENSITIVITY;
        budget > 0.0 && model.next_ttft_ms(queued, decoding) - own < budget
    };
    decision(engines, late, fits, workers)
}

/// What waits will decode too, so all of it must fit into the cache and the pace.
fn by_gaps(engines: &[Engine], model: &Model, itl_ms: f64, workers: u32) -> u32 {
    let more = consolidation(workers);
    let late = |it: &Engine| model.next_itl_ms(it.decode_kv_tokens) > itl_ms;
    let fits = |it: &Engine| {
        let tokens = whole((it.decode_kv_tokens + it.queued_prefill_tokens) * more);
        model.kv_tokens.is_none_or(|most| tokens < most) && model.next_itl_ms(tokens) < itl_ms * SENSITIVITY
    };
    decision(engines, late, fits, workers)
}

/// How much more each engine bears once one is gone.
fn consolidation(workers: u32) -> f64 {
    if workers > 1 { f64::from(workers) / f64::from(workers - 1) } else { 1.0 }
}

fn whole(tokens: f64) -> f64 {
    libm::floor(tokens)
}

fn decision(engines: &[Engine], late: impl Fn(&Engine) -> bool, fits: impl Fn(&Engine) -> bool, workers: u32) -> u32 {
    if engines.is_empty() {
        workers
    } else if engines.iter().all(late) {
        workers + 1
    } else if workers > 1 && engines.iter().all(fits) {
        workers - 1
    } else {
        workers
    }
}

#[cfg(test)]
mod tests {
    use super::super::regression::Regression;
    use super::*;

    /// A line of so many ms; the averages are those of the test's training passes together with its tick's.
    fn model((constant_ms, per_prefill_token_ms, per_kv_token_ms): (f64, f64, f64)) -> Model {
        Model {
            regression: Regression { constant_ms, per_prefill_token_ms, per_kv_token_ms },
            batched_tokens: 2_048.0,
            kv_tokens: None,
            prompt_tokens: 0.0,
            prefill_tokens: 0.0,
            context_tokens: 0.0,
        }
    }

    fn alike(count: u32, queued_prefill_tokens: f64, decode_kv_tokens: f64) -> Vec<Engine> {
        vec![Engine { queued_prefill_tokens, decode_kv_tokens }; count as usize]
    }

    /// Cases of `tests/unit/test_state_machine.py` for prefill engines, by their names there. Some only tell the least.
    #[test]
    fn the_published_cases_for_the_first_token_give_the_published_counts() {
        let (steep, slow) = ((2.0, 1.0, 0.0), (1.0, 0.01, 0.0));
        for (name, line, prompt_tokens, ttft_ms, workers, queued, expected) in [
            ("test_scale_up_when_all_above_sla", steep, 1_333.0, 5.0, 1, 10_000.0, 2..=2),
            ("test_n2_refuses_when_post_consolidation_breaks_sla", slow, 1_214.0, 100.0, 2, 30_000.0, 2..=3),
            ("test_n2_permits_when_queue_empty", slow, 1_214.0, 100.0, 2, 0.0, 1..=1),
            ("test_consolidation_only_inflates_queue_not_compute", slow, 833.0, 100.0, 10, 2_000.0, 9..=9),
            ("test_high_own_compute_permits_scale_down", slow, 2_000.0, 50.0, 2, 1_000.0, 1..=1),
            ("test_t_own_above_sla_blocks_scale_down", slow, 2_000.0, 15.0, 2, 0.0, 2..=3),
        ] {
            let model = Model { prompt_tokens, ..model(line) };
            let count = by_first_token(&alike(workers, queued, 0.0), &model, ttft_ms, workers);
            assert!(expected.contains(&count), "{name}: {count}");
        }
    }

    /// Cases of the same file for decode engines.
    #[test]
    fn the_published_cases_for_the_gaps_give_the_published_counts() {
        let cache = Some(100_000.0);
        for (name, context_tokens, kv_tokens, itl_ms, workers, decoding, expected) in [
            ("test_scale_up_when_all_above_sla", 1_000.0, None, 5.0, 1, 50_000.0, 2),
            ("test_post_consolidation_within_sla_permits", 1_143.0, cache, 100.0, 2, 1_500.0, 1),
            ("test_post_consolidation_breaches_sla_refuses", 1_000.0, cache, 100.0, 2, 8_000.0, 2),
            ("test_post_consolidation_exceeds_max_kv_refuses", 1_000.0, cache, 10_000.0, 2, 60_000.0, 2),
            ("test_no_max_kv_falls_through_to_sla_check", 1_143.0, None, 100.0, 2, 1_500.0, 1),
        ] {
            let model = Model { context_tokens, kv_tokens, ..model((1.0, 0.0, 0.01)) };
            let count = by_gaps(&alike(workers, 0.0, decoding), &model, itl_ms, workers);
            assert_eq!(count, expected, "{name}");
        }
    }

    /// Cases of the same file for aggregated engines.
    #[test]
    fn the_published_cases_for_both_give_the_published_counts() {
        for (name, ttft_ms, decoding, context_tokens, expected) in [
            ("test_prefill_refusal_blocks_decode_only_scale_down", 500.0, 30_000.0, 2_643.0, 2),
            ("test_both_sides_safe_permits_scale_down", 2_000.0, 10_000.0, 2_071.0, 1),
        ] {
            let (prompt_tokens, prefill_tokens, kv_tokens) = (271.0, 271.0, Some(100_000.0));
            let line = model((1.0, 0.1, 0.01));
            let model = Model { prompt_tokens, prefill_tokens, context_tokens, kv_tokens, ..line };
            let sla = Sla { ttft_ms, itl_ms: 1_000.0 };
            assert_eq!(by_load(&alike(2, 0.0, decoding), &model, sla, 2), expected, "{name}");
        }
    }

    #[test]
    fn one_engine_that_keeps_its_objective_is_enough_not_to_grow_and_one_that_would_not_not_to_shrink() {
        let model = model((1.0, 0.0, 0.01));
        let engines =
            |tokens: [f64; 2]| tokens.map(|tokens| Engine { queued_prefill_tokens: 0.0, decode_kv_tokens: tokens });
        let counts = [[900.0, 2_000.0], [100.0, 500.0], [100.0, 100.0], [1_000.0, 2_000.0]]
            .map(|tokens| by_gaps(&engines(tokens), &model, 10.5, 2));
        assert_eq!(counts, [2, 2, 1, 3]);
    }
}
