//! What N pooled replicas carry inside the SLO, and its inverse: demand in replicas.
//!
//! Pooling makes N replicas carry more than N times what one carries (from 1 to 20 about half as much again with a bound
//! on the pace, twice as much with a tight one on the first token), so the figure is computed for the fleet as a whole by a
//! birth-death chain over the number of requests in it. The chain is the one that llm-d's workload-variant-autoscaler uses,
//! here with quantiles in place of means, and with a first token that meets the prompts of others (`first_token`).

mod chain;
mod first_token;
mod latency;

use crate::profile::Profile;
use crate::spec::{LatencyMetric, Objective, RequestShape};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

pub use chain::Service;

/// Fleet sizes at which the chain is solved; between them the rate is interpolated, beyond the last it is proportional.
const SIZES: [u32; 10] = [1, 2, 3, 5, 8, 12, 20, 30, 50, 80];
/// Slow-downs are rounded to steps of five percent, so that one table serves many ticks.
const SLOWDOWN_STEP: f64 = 1.05;
/// An objective that leaves a fleet less than this share of its full batches' rate counts as unachievable.
const LEAST_USEFUL_SHARE: f64 = 0.05;
const SLOWEST_STEP: i32 = 28;
const FASTEST_STEP: i32 = -5;

/// Rates that the fleet sizes carry, by slow-down; filled in when first asked for. It holds nothing that the profile, the
/// request shape and the objectives do not give, so it may be dropped at any time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capacity {
    tables: BTreeMap<i32, Table>,
}

/// One slow-down's rates.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Fleet size and the largest offered rate, requests a second, that it carries inside every objective.
    pub points: Vec<(u32, f64)>,
    /// The objective that not even an idle replica meets, if there is one; `points` then are what full batches carry.
    pub unachievable: Option<LatencyMetric>,
}

impl Capacity {
    /// The table for replicas that are `slowdown` times slower than `profile` declares.
    pub fn table(
        &mut self,
        profile: &Profile,
        requests: &RequestShape,
        objectives: &[Objective],
        largest: u32,
        slowdown: f64,
    ) -> &Table {
        let step = slowdown_step(slowdown);
        self.tables.entry(step).or_insert_with(|| {
            let slowed = profile.slowed(libm::pow(SLOWDOWN_STEP, f64::from(step)));
            Table::solve(&slowed, requests, objectives, largest)
        })
    }
}

fn slowdown_step(slowdown: f64) -> i32 {
    let step = libm::round(libm::log(slowdown) / libm::log(SLOWDOWN_STEP));
    if step.is_finite() { (step as i32).clamp(FASTEST_STEP, SLOWEST_STEP) } else { 0 }
}

impl Table {
    /// Solves the chain for each fleet size up to the first that is not below `largest`.
    pub fn solve(profile: &Profile, requests: &RequestShape, objectives: &[Objective], largest: u32) -> Self {
        let service = Service::new(profile, requests);
        let last = SIZES.iter().position(|&size| size >= largest).unwrap_or(SIZES.len() - 1);
        let sizes = &SIZES[..=last];
        let unachievable = objectives.iter().find(|it| !achievable(&service, it, SIZES[last])).map(|it| it.metric);
        let bounding = if unachievable.is_some() { &[][..] } else { objectives };
        let mut points: Vec<(u32, f64)> =
            sizes.iter().map(|&size| (size, latency::largest_rate(&service, bounding, size))).collect();
        keep_growing(&mut points);
        Self { points, unachievable }
    }

    /// The largest offered rate, requests a second, that `replicas` carry inside the SLO.
    pub fn rate(&self, replicas: f64) -> f64 {
        let mut below = (0.0, 0.0);
        for &(size, rate) in &self.points {
            let size = f64::from(size);
            if replicas <= size {
                return below.1 + (rate - below.1) * (replicas - below.0) / (size - below.0);
            }
            below = (size, rate);
        }
        below.1 * replicas / below.0
    }

    /// Demand in replicas: the inverse of [`Table::rate`], real-valued. Zero for no demand.
    pub fn demand(&self, requests_per_second: f64) -> f64 {
        if requests_per_second <= 0.0 {
            return 0.0;
        }
        let mut below = (0.0, 0.0);
        for &(size, rate) in &self.points {
            let size = f64::from(size);
            if requests_per_second <= rate {
                return below.0 + (size - below.0) * (requests_per_second - below.1) / (rate - below.1);
            }
            below = (size, rate);
        }
        below.0 * requests_per_second / below.1
    }
}

/// The latency in ms that `objective` sees on a replica with nothing else to do: no number of replicas does better.
pub fn idle_latency_ms(profile: &Profile, requests: &RequestShape, objective: &Objective) -> f64 {
    latency::idle_ms(&Service::new(profile, requests), objective)
}

/// Engine time, ms, that a request costs in a full batch of `requests`: prompt tokens that must be computed, and output
/// tokens.
pub fn work_ms(profile: &Profile, requests: &RequestShape, computed_tokens: f64, output_tokens: f64) -> f64 {
    let batch = full_batch(profile);
    let context = requests.prompt_tokens.mean + requests.output_tokens.mean / 2.0;
    profile.per_prefill_token_ms * computed_tokens
        + output_tokens * profile.decode_iteration_ms(batch, batch * context) / batch
}

/// Sequences in a full batch: at least one, as in the chain. The reader of fleet files sees to it, but a journal can be
/// written by anybody, and no input may end the decision.
pub(crate) fn full_batch(profile: &Profile) -> f64 {
    f64::from(profile.max_sequences.max(1))
}

/// Whether `replicas` can do useful work inside `objective`: an idle replica meets it, and so does a fleet that is not
/// nearly idle. Without the second, a bound just above the idle latency would staff without end.
fn achievable(service: &Service, objective: &Objective, replicas: u32) -> bool {
    latency::idle_ms(service, objective) < objective.bound.as_millis_f64()
        && latency::largest_rate(service, core::slice::from_ref(objective), replicas)
            >= LEAST_USEFUL_SHARE * latency::largest_rate(service, &[], replicas)
}

/// The chain's rate grows with the fleet; rounding in the bisection must not make it stand still, or there is no inverse.
fn keep_growing(points: &mut [(u32, f64)]) {
    for index in 1..points.len() {
        let (size, rate) = points[index - 1];
        points[index].1 = points[index].1.max(rate * f64::from(points[index].0) / f64::from(size));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Lengths;
    use crate::units::Span;
    use alloc::vec;

    /// Gold as theory.md gives it: Qwen2.5-3B-AWQ on an A10G, an estimate.
    fn gold() -> (Profile, RequestShape, Vec<Objective>) {
        let profile = Profile {
            iteration_ms: 6.5,
            per_sequence_ms: 0.09,
            decode_steps: Vec::new(),
            per_cached_token_ms: 9e-5,
            per_prefill_token_ms: 0.08,
            per_prefill_chunk_ms: 0.0,
            per_prefill_token_squared_ms: 0.0,
            max_batched_tokens: 112,
            max_sequences: 64,
            kv_tokens: 200_000,
            max_model_tokens: 4_096,
            prefix_hit_share: 0.0,
            overhead_ms: 0.0,
        };
        let requests = RequestShape {
            prompt_tokens: Lengths { mean: 300.0, sigma: 0.8 },
            output_tokens: Lengths { mean: 40.0, sigma: 0.8 },
            per_player_per_minute: 3.4,
        };
        let bound = Span::from_millis(16);
        (profile, requests, vec![Objective { metric: LatencyMetric::Tpot, quantile: 0.95, bound }])
    }

    #[test]
    fn gold_carries_about_thirteen_requests_a_second_for_each_of_many_replicas() {
        let (profile, requests, objectives) = gold();
        let table = Table::solve(&profile, &requests, &objectives, 50);
        let each = table.rate(50.0) / 50.0;
        assert!((12.0..22.0).contains(&each), "{each} requests/s, theory.md estimates 13.3");
    }

    #[test]
    fn pooling_makes_twenty_replicas_carry_more_than_twenty_times_one() {
        let (profile, requests, objectives) = gold();
        let table = Table::solve(&profile, &requests, &objectives, 20);
        let gain = table.rate(20.0) / (20.0 * table.rate(1.0));
        assert!((1.1..1.9).contains(&gain), "pooling gain {gain}, measured 1.5 for tpot");
    }

    #[test]
    fn demand_is_the_inverse_of_the_rate() {
        let (profile, requests, objectives) = gold();
        let table = Table::solve(&profile, &requests, &objectives, 50);
        for replicas in [0.3, 1.0, 1.7, 4.4, 20.0, 63.0, 120.0] {
            assert!((table.demand(table.rate(replicas)) - replicas).abs() < 1e-9 * replicas);
        }
        assert!(table.demand(0.0) == 0.0);
    }

    #[test]
    fn a_rate_that_does_not_keep_up_with_the_fleet_is_raised_to_what_the_smaller_fleet_carries_a_replica() {
        let mut points = [(1, 10.0), (2, 15.0), (5, 60.0), (8, 90.0)];
        keep_growing(&mut points);
        assert_eq!(points, [(1, 10.0), (2, 20.0), (5, 60.0), (8, 96.0)]);
    }

    #[test]
    fn fleets_beyond_the_largest_size_carry_as_much_a_replica_as_that() {
        let (profile, requests, objectives) = gold();
        let table = Table::solve(&profile, &requests, &objectives, 1_000);
        assert_eq!(table.points.last().map(|&(size, _)| size), Some(80));
        assert!((table.rate(160.0) - 2.0 * table.rate(80.0)).abs() < 1e-9);
    }

    #[test]
    fn slower_replicas_carry_less() {
        let (profile, requests, objectives) = gold();
        let mut capacity = Capacity::default();
        let declared = capacity.table(&profile, &requests, &objectives, 10, 1.0).rate(10.0);
        let slower = capacity.table(&profile, &requests, &objectives, 10, 1.25).rate(10.0);
        assert!(slower < declared / 1.25, "{slower} of {declared}: the bound does not move with the engine");
    }

    #[test]
    fn a_bound_below_one_iteration_is_unachievable_and_staffed_for_throughput() {
        let (profile, requests, _) = gold();
        let bound = Span::from_millis(5);
        let objectives = [Objective { metric: LatencyMetric::Tpot, quantile: 0.95, bound }];
        let table = Table::solve(&profile, &requests, &objectives, 5);
        assert_eq!(table.unachievable, Some(LatencyMetric::Tpot));
        assert!(table.rate(5.0) > 0.0);
    }
}
