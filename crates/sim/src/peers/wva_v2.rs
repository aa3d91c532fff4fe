//! llm-d's workload-variant-autoscaler with its second analyzer: demand and capacity in tokens.
//!
//! Source: llm-d/llm-d-workload-variant-autoscaler@256df39 `internal/engines/analyzers/saturation_v2/analyzer.go`, the
//! engine's threshold step (`applyUniversalThreshold`), `internal/engines/pipeline/cost_aware_optimizer.go` and
//! `internal/config/saturation_scaling.go`. A replica's demand is the tokens in its KV cache and those that its waiting
//! requests will hold. It carries the lesser of 80 % of the cache and of what its batch computes: the tokens in use
//! when 5 or more last waited (mean of 10 such looks), or before any did, what the engine's limits let be in flight.
//! Demand over 0.85 above what is ready and starting adds replicas; what is ready above demand over 0.70 removes them.
//! It looks each 60 s, at the peaks of the last minute. One variant here, and the same lengths always, so one history.

use super::engine_load::SteadyState;
use super::wva_v1::PERIOD;
use crate::autoscaler::{Autoscaler, EngineLoad, Seen};
use std::collections::VecDeque;

const KV_SHARE: f64 = 0.8;
const WAITING: f64 = 5.0;
const LOOKS: usize = 10;
const GROW_ABOVE: f64 = 0.85;
const SHRINK_BELOW: f64 = 0.7;

/// What one replica reports, and what is known of its engine.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Replica {
    tokens_in_use: f64,
    kv_tokens: f64,
    waiting: f64,
    prompt_tokens: f64,
    output_tokens: f64,
    /// The engine's `max_num_batched_tokens` and `max_num_seqs`, where its arguments are known.
    limits: Option<(f64, f64)>,
}

impl Replica {
    /// Tokens held and to be held.
    fn demand(&self) -> f64 {
        self.tokens_in_use + libm::floor(self.waiting * (self.prompt_tokens + self.output_tokens))
    }

    /// Tokens in flight that the engine's limits allow; `None` where they or the lengths are not known.
    fn in_flight(&self) -> Option<f64> {
        let (batched, sequences) = self.limits?;
        let (prompt, output) = (self.prompt_tokens, self.output_tokens);
        let steady = (batched * output / (prompt + output)).min(sequences);
        let tokens = libm::floor(steady * (prompt + output / 2.0));
        (output > 0.0 && tokens > 0.0).then_some(tokens)
    }
}

/// What was in use whenever too many waited, newest last.
#[derive(Clone, Debug, Default)]
struct Observed(VecDeque<f64>);

impl Observed {
    /// Tokens that such a replica carries.
    fn capacity(&mut self, replica: &Replica) -> f64 {
        let by_cache = libm::floor(replica.kv_tokens * KV_SHARE);
        if replica.waiting >= WAITING && replica.tokens_in_use > 0.0 {
            self.0.push_back(replica.tokens_in_use);
            if self.0.len() > LOOKS {
                self.0.pop_front();
            }
            return by_cache.min(replica.tokens_in_use);
        }
        let mean = || libm::floor(self.0.iter().sum::<f64>() / self.0.len() as f64);
        let by_batch = if self.0.is_empty() { replica.in_flight() } else { Some(mean()) };
        by_batch.map_or(by_cache, |tokens| by_cache.min(tokens))
    }
}

/// Tokens missing and tokens spare.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Balance {
    required: f64,
    spare: f64,
}

impl Balance {
    /// With replicas that carry `each`, at `share` of the shipped thresholds.
    fn of(demand: f64, each: f64, (ready, pending): (u32, u32), share: f64) -> Self {
        Self {
            required: (demand / (GROW_ABOVE * share) - f64::from(ready + pending) * each).max(0.0),
            spare: (f64::from(ready) * each - demand / (SHRINK_BELOW * share)).max(0.0),
        }
    }

    /// The count after it, from `current` that carry `each`.
    fn count(self, current: u32, each: f64) -> u32 {
        if each <= 0.0 {
            current
        } else if self.required > 0.0 {
            current.saturating_add(libm::ceil(self.required / each) as u32)
        } else {
            current.saturating_sub(libm::floor(self.spare / each) as u32).max(1)
        }
    }
}

/// Replicas by tokens.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    engine: &'a SteadyState,
    share: f64,
    observed: Observed,
}

impl<'a> Tokens<'a> {
    /// Both utilization thresholds at `share` of what is shipped.
    pub(super) fn new(engine: &'a SteadyState, share: f64) -> Self {
        Self { engine, share, observed: Observed::default() }
    }

    fn replica(&self, load: &EngineLoad) -> Replica {
        let (profile, requests) = (&self.engine.tier().profile, &self.engine.tier().requests);
        let kv_tokens = f64::from(profile.kv_tokens);
        Replica {
            tokens_in_use: libm::floor(load.kv_share * kv_tokens),
            kv_tokens,
            waiting: load.waiting,
            prompt_tokens: requests.prompt_tokens.mean,
            output_tokens: requests.output_tokens.mean,
            limits: Some((f64::from(profile.max_batched_tokens), f64::from(profile.max_sequences))),
        }
    }
}

impl Autoscaler for Tokens<'_> {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        if !seen.is_due(PERIOD) {
            return seen.current();
        }
        let Some(peak) = self.engine.loads(seen, PERIOD).reduce(EngineLoad::peak) else { return seen.current() };
        let replica = self.replica(&peak);
        let each = self.observed.capacity(&replica);
        let demand = replica.demand() * f64::from(seen.ready);
        Balance::of(demand, each, (seen.ready, seen.starting), self.share).count(seen.current(), each)
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine_load::tests::tier;
    use super::*;
    use crate::fluid::run;
    use crate::oracle::Violation;
    use crate::setting::Setting;
    use evenkeel_core::units::{Span, Time};

    /// As `makeReplicaMetrics` of `saturation_v2/analyzer_test.go` has it, with 16,000 tokens of cache.
    fn replica(tokens_in_use: f64, waiting: f64, prompt_tokens: f64, output_tokens: f64) -> Replica {
        Replica { tokens_in_use, kv_tokens: 16_000.0, waiting, prompt_tokens, output_tokens, limits: None }
    }

    /// Cases of `saturation_v2/analyzer_test.go`, by their names there.
    #[test]
    fn the_published_replicas_carry_the_published_tokens() {
        let chunked = Some((2_048.0, 256.0));
        for (name, replicas, expected) in [
            ("should use k1 (memory-bound) when k2 is unknown", vec![replica(5e3, 0.0, 100.0, 50.0)], 12_800.0),
            ("should use k2 (compute-bound) when queue is saturated", vec![replica(8e3, 6.0, 100.0, 50.0)], 8e3),
            ("should detect compute-bound when k2 < k1", vec![replica(4e3, 10.0, 100.0, 50.0)], 4e3),
            (
                "should use historical k2 when queue drops below threshold",
                vec![replica(8e3, 6.0, 100.0, 50.0), replica(6e3, 2.0, 100.0, 50.0)],
                8e3,
            ),
            (
                "should derive k2 from chunked prefill params",
                vec![Replica { limits: chunked, ..replica(5e3, 2.0, 500.0, 100.0) }],
                12_800.0,
            ),
            (
                "should fall back to k1 when no batch/queue/history data exists",
                vec![replica(5e3, 0.0, 0.0, 0.0)],
                12_800.0,
            ),
        ] {
            let mut observed = Observed::default();
            let carried = replicas.iter().map(|replica| observed.capacity(replica)).last();
            assert_eq!(carried, Some(expected), "{name}");
        }
    }

    #[test]
    fn the_published_limits_allow_the_published_tokens_in_flight() {
        let with = |limits, prompt, output| Replica { limits, ..replica(0.0, 0.0, prompt, output) }.in_flight();
        for (name, in_flight, expected) in [
            ("should compute k2 from B, S, I, O", with(Some((4_096.0, 256.0)), 500.0, 100.0), Some(140_800.0)),
            ("should cap N_steady at MaxNumSeqs", with(Some((8_192.0, 64.0)), 100.0, 200.0), Some(12_800.0)),
            ("should return 0 when avgOutput is 0", with(Some((8_192.0, 256.0)), 500.0, 0.0), None),
            ("should return 0 when params is nil", with(None, 500.0, 100.0), None),
        ] {
            assert_eq!(in_flight, expected, "{name}");
        }
    }

    #[test]
    fn the_published_queues_are_charged_the_published_tokens() {
        for (name, replica, expected) in [
            ("charges 'both' replicas for input plus output tokens", replica(0.0, 4.0, 100.0, 50.0), 600.0),
            ("returns zero for an empty queue regardless of role", replica(0.0, 0.0, 100.0, 50.0), 0.0),
            ("returns zero when no token metrics are available", replica(0.0, 10.0, 0.0, 0.0), 0.0),
            ("should not add demand when scheduler queue is nil", replica(5e3, 0.0, 100.0, 50.0), 5e3),
        ] {
            assert_eq!(replica.demand(), expected, "{name}");
        }
    }

    /// "Scaling signals" and "Pending replicas" of the same file; the counts of the signs are the engine's step.
    #[test]
    fn the_published_loads_give_the_published_signals() {
        for (name, tokens, waiting, (ready, pending), grows, shrinks) in [
            ("should signal scale-up when demand exceeds threshold", 11e3, 3.0, (1, 0), true, false),
            ("should signal scale-down when utilization is below boundary", 1e3, 0.0, (2, 0), false, true),
            ("should signal steady state when utilization is between thresholds", 10e3, 0.0, (1, 0), false, false),
            ("should include pending replicas in anticipated supply for scale-up", 10e3, 0.0, (1, 1), false, false),
        ] {
            let demand = replica(tokens, waiting, 100.0, 50.0).demand() * f64::from(ready);
            let balance = Balance::of(demand, 12_800.0, (ready, pending), 1.0);
            assert_eq!((balance.required > 0.0, balance.spare > 0.0), (grows, shrinks), "{name}: {balance:?}");
        }
    }

    /// Cases of `pipeline/cost_aware_optimizer_test.go`, by their names there: the variant that is moved or held.
    #[test]
    fn the_published_balances_give_the_published_counts() {
        let (short, over) = (|required| Balance { required, spare: 0.0 }, |spare| Balance { required: 0.0, spare });
        for (name, balance, current, each, expected) in [
            ("should add replicas to most cost-efficient variant", short(5e3), 2, 1e4, 3),
            ("should not skip variants with pending replicas", short(5e3), 2, 1e4, 3),
            ("should skip variants with zero capacity", short(5e3), 0, 0.0, 0),
            ("should spread across multiple variants when needed", short(25e3), 1, 1e4, 4),
            ("should remove from most expensive variant first", over(15e3), 3, 1e4, 2),
            ("should protect cheapest variant at 1 replica", over(30e3), 1, 1e4, 1),
        ] {
            assert_eq!(balance.count(current, each), expected, "{name}");
        }
    }

    #[test]
    fn the_history_is_the_mean_of_the_last_ten() {
        let mut observed = Observed::default();
        for tokens in 1..=11 {
            observed.capacity(&replica(f64::from(tokens) * 1e3, 5.0, 100.0, 50.0));
        }
        assert_eq!(observed.capacity(&replica(1e3, 0.0, 100.0, 50.0)), 6_500.0, "of 2,000 to 11,000");
    }

    #[test]
    fn it_orders_at_once_what_the_tokens_need_and_counts_what_starts() {
        let engine = SteadyState::new(&tier());
        let mut demand = vec![1.0; 24];
        demand.extend([6.0; 48]);
        let (slot, start, violation) = (Span::from_secs(5), Time::default(), Violation::Excess);
        let setting = Setting { slot, start_up_slots: 30, minimum: 1, maximum: 50, scored_from: 0, start, violation };
        let run = run(&demand, &setting, &mut Tokens::new(&engine, 1.0));
        let last = run.ready.last().copied().unwrap_or(0);
        // One replica turns away what five more would serve, so each look finds a queue until they are there.
        assert!((6..=20).contains(&last) && run.launches == u64::from(last) - 1, "{} {:?}", run.launches, run.ready);
    }
}
