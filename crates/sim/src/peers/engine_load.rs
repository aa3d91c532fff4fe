//! What a peer that goes by the engine's own figures sees of a replica.
//!
//! The fluid model has demand and ready replicas. From these follow the figures by the engine's steady state: a
//! replica's requests stay as long as the iterations they need, which are the longer the more are inside, so that by
//! Little's law as many are inside as the rate times their stay (theory.md, 'one replica of a continuous-batching
//! engine'). Beyond the largest batch they wait; a slot's excess is turned away at its end. [`SteadyState::loads`] is
//! the only place where the figures come from [`Seen`]; a model that has engines measures them there.

use crate::autoscaler::{EngineLoad, Seen};
use evenkeel_core::capacity::{Service, Table};
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::Span;

/// A tier's engine under steady load. Made once: it solves the tier's capacity.
#[derive(Clone, Debug)]
pub struct SteadyState {
    tier: TierSpec,
    table: Table,
    /// With 1, 2, 3, ... requests inside: finished requests a second, always more, and seconds of an iteration.
    batches: Vec<(f64, f64)>,
}

impl SteadyState {
    /// The engine of `tier`.
    pub fn new(tier: &TierSpec) -> Self {
        let service = Service::new(&tier.profile, &tier.requests);
        let table = Table::solve(&tier.profile, &tier.requests, &tier.slo.objectives, tier.maximum);
        let mut batches: Vec<(f64, f64)> = Vec::new();
        for batch in (1..=service.batch as u32).map(f64::from) {
            // A batch that leaves next to no room for prompts finishes less than a smaller one: it is not sought.
            if batches.last().is_none_or(|&(rate, _)| service.rate(batch) > rate) {
                batches.push((service.rate(batch), service.iteration_ms(batch) / 1e3));
            }
        }
        Self { tier: tier.clone(), table, batches }
    }

    /// The tier.
    pub(super) const fn tier(&self) -> &TierSpec {
        &self.tier
    }

    /// Most requests that run at once.
    pub(super) fn largest_batch(&self) -> f64 {
        self.batches.len() as f64
    }

    /// Offered requests a second, all replicas together, that are `demand` replicas' work.
    pub(super) fn requests_per_second(&self, demand: f64) -> f64 {
        self.table.rate(demand)
    }

    /// A ready replica's figures in each slot of the last `span`, oldest first; none for slots without one.
    pub(super) fn loads<'a>(&'a self, seen: &Seen<'a>, span: Span) -> impl Iterator<Item = EngineLoad> + 'a {
        let from = seen.demand.len().saturating_sub(seen.slots(span));
        let (engines, seconds) = (seen.engines, seen.slot.as_secs_f64());
        let (demand, served_by) = (seen.demand, seen.served_by);
        (from..demand.len()).filter(|&slot| served_by[slot] > 0).map(move |slot| {
            let (demand, ready) = (demand[slot], served_by[slot]);
            let measured = engines.and_then(|engines| engines.get(slot).copied());
            measured.unwrap_or_else(|| self.load(self.requests_per_second(demand) / f64::from(ready), seconds))
        })
    }

    /// The figures of a replica to which so many requests a second come for so many seconds.
    fn load(&self, requests_per_second: f64, seconds: f64) -> EngineLoad {
        let (running, itl_seconds) = self.inside(requests_per_second);
        let full_rate = self.batches.last().map_or(0.0, |&(rate, _)| rate);
        let waiting = (requests_per_second - full_rate).max(0.0) * seconds;
        let context = self.tier.requests.prompt_tokens.mean + self.tier.requests.output_tokens.mean / 2.0;
        let kv_share = (running * context / f64::from(self.tier.profile.kv_tokens)).min(1.0);
        EngineLoad { running, waiting, kv_share, itl_seconds, requests_per_second }
    }

    /// Requests inside, at most the largest batch, and the seconds of an iteration: straight between whole batches.
    fn inside(&self, requests_per_second: f64) -> (f64, f64) {
        let above = self.batches.partition_point(|&(rate, _)| rate <= requests_per_second);
        match (above.checked_sub(1).map(|below| self.batches[below]), self.batches.get(above)) {
            (Some((below, short)), Some(&(rate, long))) => {
                let part = (requests_per_second - below) / (rate - below);
                (above as f64 + part, short + (long - short) * part)
            }
            // A single request at a time, part of the time.
            (None, Some(&(rate, alone))) => (requests_per_second / rate, alone),
            (last, None) => (self.largest_batch(), last.map_or(0.0, |(_, long)| long)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use evenkeel_core::profile::Profile;
    use evenkeel_core::spec::{Behavior, Blind, LatencyMetric, Lengths, Objective, RequestShape, Slo};
    use evenkeel_core::units::{MicroUsd, Time};
    use proptest::prelude::*;

    /// An engine whose iteration takes 10 ms, 1 ms for each of at most 20 requests and 0.1 ms for each token of a
    /// prompt, with prompts of 100 tokens, outputs of 50, and room for 10,000.
    pub(crate) fn tier() -> TierSpec {
        let profile = Profile {
            iteration_ms: 10.0,
            per_sequence_ms: 1.0,
            decode_steps: Vec::new(),
            per_cached_token_ms: 0.0,
            per_prefill_chunk_ms: 0.0,
            per_prefill_token_ms: 0.1,
            per_prefill_token_squared_ms: 0.0,
            max_batched_tokens: 512,
            max_sequences: 20,
            kv_tokens: 10_000,
            max_model_tokens: 4_096,
            prefix_hit_share: 0.0,
            overhead_ms: 0.0,
        };
        let lengths = |mean| Lengths { mean, sigma: 0.5 };
        let requests =
            RequestShape { prompt_tokens: lengths(100.0), output_tokens: lengths(50.0), per_player_per_minute: 1.0 };
        let objectives = vec![Objective { metric: LatencyMetric::Tpot, quantile: 0.95, bound: Span::from_millis(25) }];
        TierSpec {
            name: "tier".to_owned(),
            minimum: 1,
            maximum: 20,
            priority: 1,
            price_per_hour: MicroUsd::from_micros(1_000_000),
            slo: Slo { objectives },
            attainment: 0.99,
            requests,
            profile,
            start_up: Span::from_secs(60),
            policies: Vec::new(),
            behavior: Behavior::default(),
            blind: Blind::Hold,
        }
    }

    #[test]
    fn by_littles_law_as_many_are_inside_as_the_rate_times_their_stay() {
        let state = SteadyState::new(&tier());
        for rate in [2.0, 5.0, 10.0] {
            let load = state.load(rate, 5.0);
            // 50 iterations, in each of which the batch's share of prompts is computed.
            let stay = 50.0 * load.itl_seconds;
            assert!((load.running / (rate * stay) - 1.0).abs() < 0.02, "{load:?}");
            let iteration = (10.0 + load.running + 0.1 * 100.0 * load.running / 50.0) / 1e3;
            assert!((load.itl_seconds - iteration).abs() < 1e-9, "{load:?}");
            assert!((load.kv_share - load.running * 125.0 / 10_000.0).abs() < 1e-12 && load.waiting == 0.0, "{load:?}");
        }
    }

    proptest! {
        #[test]
        fn more_requests_never_mean_fewer_inside_nor_shorter_iterations(one in 0.0..30.0, other in 0.0..30.0) {
            let state = SteadyState::new(&tier());
            let (few, many) = (state.load(f64::min(one, other), 5.0), state.load(f64::max(one, other), 5.0));
            prop_assert!(few.running <= many.running && few.waiting <= many.waiting);
            prop_assert!(few.itl_seconds <= many.itl_seconds && few.kv_share <= many.kv_share);
        }
    }

    #[test]
    fn beyond_the_largest_batch_requests_wait_and_the_pace_stays() {
        let state = SteadyState::new(&tier());
        // A batch of 20 takes 34 ms an iteration, 1.7 s a request: 11.76 requests/s.
        let full_rate = 20.0 / 1.7;
        let load = state.load(full_rate + 2.0, 5.0);
        assert!((load.waiting - 10.0).abs() < 1e-9 && (load.itl_seconds - 0.034).abs() < 1e-12, "{load:?}");
        assert_eq!((load.running, load.kv_share), (20.0, 0.25));
    }

    #[test]
    fn an_idle_replica_has_nothing_inside_and_the_pace_of_a_single_request() {
        let load = SteadyState::new(&tier()).load(0.0, 5.0);
        assert_eq!((load.running, load.waiting, load.kv_share), (0.0, 0.0, 0.0));
        assert!((load.itl_seconds - 0.0112).abs() < 1e-12, "{load:?}");
    }

    #[test]
    fn the_load_of_a_slot_is_shared_by_those_that_were_ready_in_it_and_slots_without_one_have_none() {
        let state = SteadyState::new(&tier());
        let (demand, served_by) = ([9.0, 4.0, 4.0, 4.0], [9, 4, 0, 2]);
        let (now, slot) = (Time::default(), Span::from_secs(5));
        let seen = Seen {
            now,
            slot,
            demand: &demand,
            served_by: &served_by,
            ready: 4,
            starting: 0,
            measured: None,
            engines: None,
        };
        let rates: Vec<f64> = state.loads(&seen, Span::from_secs(15)).map(|load| load.requests_per_second).collect();
        let all = state.requests_per_second(4.0);
        assert_eq!(rates, [all / 4.0, all / 2.0]);
    }
}
