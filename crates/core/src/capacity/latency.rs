//! Whether a fleet at an offered rate meets an objective, and the largest rate at which it meets all.

use super::chain::{Service, stationary};
use super::first_token::{self, Traffic};
use crate::spec::{LatencyMetric, Lengths, Objective};
use alloc::vec::Vec;

/// Output lengths are taken at the middles of this many equally likely classes.
const LENGTH_CLASSES: usize = 12;
/// Without an objective to bound it, a fleet is filled to this share of what full batches carry: queues stay finite.
const THROUGHPUT_SHARE: f64 = 0.9;
/// Halvings of the interval in which the rate is sought: a relative error below 1e-6.
const HALVINGS: usize = 20;
/// Chain states at most; beyond them the tail is cut off.
const LONGEST_CHAIN: usize = 8_192;

/// The latency in ms that `objective` sees on a replica with nothing else to do, at the objective's own quantile of prompt
/// (or output) lengths.
pub(super) fn idle_ms(service: &Service, objective: &Objective) -> f64 {
    let long = |lengths: &Lengths| quantile(lengths, objective.quantile);
    match objective.metric {
        LatencyMetric::QueueTime => 0.0,
        LatencyMetric::Tpot | LatencyMetric::Itl => service.decode_only_ms(1.0),
        LatencyMetric::Ttft => service.first_token_ms(1.0, long(&service.requests.prompt_tokens)),
        LatencyMetric::E2e => {
            service.first_token_ms(1.0, service.requests.prompt_tokens.mean)
                + (long(&service.requests.output_tokens) - 1.0).max(0.0) * service.decode_only_ms(1.0)
        }
    }
}

/// The largest offered rate, requests a second, at which `replicas` meet every objective.
pub(super) fn largest_rate(service: &Service, objectives: &[Objective], replicas: u32) -> f64 {
    let fleet = Fleet::new(service, objectives, f64::from(replicas));
    let (mut low, mut high) = (0.0, fleet.full_rate * THROUGHPUT_SHARE);
    if fleet.meets_all(high, objectives) {
        return high;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if fleet.meets_all(middle, objectives) { low = middle } else { high = middle }
    }
    // Never quite zero, so that demand stays finite where an objective holds only on an idle replica.
    low.max(fleet.full_rate * 1e-3)
}

struct Fleet<'a> {
    service: &'a Service,
    replicas: f64,
    /// Finished requests a second in each state.
    rates: Vec<f64>,
    /// The first state in which a request waits for a place.
    full: usize,
    full_rate: f64,
    outputs: Vec<f64>,
}

impl<'a> Fleet<'a> {
    fn new(service: &'a Service, objectives: &[Objective], replicas: f64) -> Self {
        let full = libm::floor(service.batch * replicas) as usize;
        let full_rate = service.fleet_rate(full as f64, replicas);
        let longest = objectives.iter().map(|it| it.bound.as_secs_f64()).fold(0.0, f64::max);
        // Waits beyond twice the longest bound need not be told apart.
        let queue = libm::ceil(full_rate * longest * 2.0) as usize + full + 16;
        let states = (full + queue + 1).min(LONGEST_CHAIN.max(full + 64));
        let rates = (0..states).map(|n| service.fleet_rate(n as f64, replicas)).collect();
        let outputs = classes(&service.requests.output_tokens);
        Self { service, replicas, rates, full, full_rate, outputs }
    }

    fn meets_all(&self, arrivals: f64, objectives: &[Objective]) -> bool {
        let states = stationary(arrivals, &self.rates);
        objectives.iter().all(|objective| self.above(arrivals, &states, objective) <= 1.0 - objective.quantile)
    }

    /// Requests inside each replica in state `n`, as the request that makes it `n` sees them.
    fn inside(&self, n: usize) -> f64 {
        (n as f64 / self.replicas).clamp(1.0, self.service.batch)
    }

    /// Share of requests (of gaps for `itl`) above the objective's bound.
    fn above(&self, arrivals: f64, states: &[f64], objective: &Objective) -> f64 {
        let bound = objective.bound.as_millis_f64();
        match objective.metric {
            LatencyMetric::Tpot => self.pace_above(states, bound),
            LatencyMetric::Itl => self.gaps_above(arrivals, states, bound),
            LatencyMetric::QueueTime => self.wait_above(states, bound),
            LatencyMetric::Ttft => self.first_token_above(arrivals, states, bound),
            LatencyMetric::E2e => self.whole_above(states, bound),
        }
    }

    fn pace_above(&self, states: &[f64], bound: f64) -> f64 {
        let slow = |n: usize| self.service.iteration_ms(self.inside(n + 1)) > bound;
        states.iter().enumerate().filter(|&(n, _)| slow(n)).map(|(_, p)| p).sum()
    }

    /// Gaps weigh by tokens; in each state a share of them holds a prefill chunk besides.
    fn gaps_above(&self, arrivals: f64, states: &[f64], bound: f64) -> f64 {
        let (mut above, mut all) = (0.0, 0.0);
        for (n, p) in states.iter().enumerate().skip(1) {
            let k = self.inside(n);
            let mean = self.service.iteration_ms(k);
            let (chunk_ms, chunks) = self.service.chunk(k);
            let mixed = (arrivals / self.replicas * chunks * mean / 1e3).min(1.0);
            let decode = self.service.decode_only_ms(k);
            let weight = p * k / mean;
            all += weight;
            if decode > bound {
                above += weight;
            } else if decode + chunk_ms > bound {
                above += weight * mixed;
            }
        }
        // Something arrives, so no state is without its share.
        above / all
    }

    /// P(W > t) = sum over n >= full of p(n) * P(at most n - full of a Poisson stream of the full rate end within t).
    /// The bound is above zero, as that of every objective that an idle replica meets.
    fn wait_above(&self, states: &[f64], bound_ms: f64) -> f64 {
        let mean = self.full_rate * bound_ms / 1e3;
        let (mut within, mut above) = (0.0, 0.0);
        for (waiting, p) in states.iter().skip(self.full).enumerate() {
            let count = waiting as f64;
            within += libm::exp(count * libm::log(mean) - mean - libm::lgamma(count + 1.0));
            above += p * within;
        }
        above
    }

    /// A first token waits for a place in a batch and for other prompts, then for its own prefill.
    fn first_token_above(&self, arrivals: f64, states: &[f64], bound: f64) -> f64 {
        let inside = states.iter().enumerate().map(|(n, p)| p * self.inside(n + 1)).sum();
        let queued = states.iter().skip(self.full).sum();
        let traffic = Traffic { replicas: self.replicas, arrivals, inside, queued, full_rate: self.full_rate };
        first_token::above(self.service, &traffic, bound)
    }

    fn whole_above(&self, states: &[f64], bound: f64) -> f64 {
        let busy: f64 = states.iter().enumerate().map(|(n, p)| p * self.inside(n + 1)).sum();
        let first = self.service.first_token_ms(busy, self.service.requests.prompt_tokens.mean);
        let pace = self.service.iteration_ms(busy);
        let share: f64 = self
            .outputs
            .iter()
            .map(|&tokens| {
                let left = bound - first - (tokens - 1.0).max(0.0) * pace;
                if left <= 0.0 { 1.0 } else { self.wait_above(states, left) }
            })
            .sum();
        share / self.outputs.len() as f64
    }
}

/// Lengths at the middles of equally likely classes.
fn classes(lengths: &Lengths) -> Vec<f64> {
    (0..LENGTH_CLASSES).map(|i| quantile(lengths, (i as f64 + 0.5) / LENGTH_CLASSES as f64)).collect()
}

/// The `share` quantile of log-normal lengths, tokens.
pub(super) fn quantile(lengths: &Lengths, share: f64) -> f64 {
    let location = libm::log(lengths.mean) - lengths.sigma * lengths.sigma / 2.0;
    libm::exp(location + lengths.sigma * normal_quantile(share))
}

/// The standard normal quantile, by bisection of the error function: slow, exact to 1e-12, the same everywhere.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-9.0, 9.0);
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        if 0.5 * libm::erfc(-middle / core::f64::consts::SQRT_2) < share { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_of_mean_500_and_sigma_08_have_their_p95_at_1354_tokens() {
        let lengths = Lengths { mean: 500.0, sigma: 0.8 };
        assert!((quantile(&lengths, 0.95) - 1354.0).abs() < 1.0);
    }
}
