//! How fast a replica works with k requests in it, and the stationary distribution of the requests in a pooled fleet.

use crate::profile::Profile;
use crate::spec::RequestShape;
use alloc::vec::Vec;

/// A profile and a request shape reduced to what the chain needs. All times in ms.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    pub(super) profile: Profile,
    pub(super) requests: RequestShape,
    /// Prompt tokens that must be computed, on average.
    prefill_tokens: f64,
    /// Most requests that fit into one replica at once.
    pub batch: f64,
}

impl Service {
    /// The largest batch is bounded by `max_sequences` and by the KV cache at the requests' mean residence.
    pub fn new(profile: &Profile, requests: &RequestShape) -> Self {
        let resident = requests.prompt_tokens.mean + requests.output_tokens.mean / 2.0;
        let by_cache = libm::floor(f64::from(profile.kv_tokens) / resident.max(1.0));
        Self {
            profile: profile.clone(),
            requests: *requests,
            prefill_tokens: requests.prompt_tokens.mean * (1.0 - profile.prefix_hit_share),
            batch: f64::from(profile.max_sequences).min(by_cache).max(1.0),
        }
    }

    /// Batch room left for prefill when `k` requests decode; never less than one token.
    pub(super) fn prefill_room(&self, k: f64) -> f64 {
        (f64::from(self.profile.max_batched_tokens) - k).max(1.0)
    }

    /// Iterations that a request stays for: one for each output token, the first of which comes with its last prefill
    /// chunk.
    fn iterations(&self, k: f64) -> f64 {
        self.requests.output_tokens.mean.max(1.0) - 1.0 + self.chunks(k)
    }

    /// Chunks that a request's prompt is computed in.
    fn chunks(&self, k: f64) -> f64 {
        (self.prefill_tokens / self.prefill_room(k)).max(1.0)
    }

    /// Mean length in ms of an iteration while `k` requests are inside: decoding, and the prefill that keeps `k` there
    /// (theory.md: `a + n(b + g(I + O/2) + c*I/O)`).
    pub fn iteration_ms(&self, k: f64) -> f64 {
        let context = self.requests.prompt_tokens.mean + self.requests.output_tokens.mean / 2.0;
        self.profile.decode_iteration_ms(k, k * context)
            + k * self.profile.prefill_ms(self.prefill_tokens, self.chunks(k)) / self.iterations(k)
    }

    /// Length in ms of an iteration in which `k` requests only decode.
    pub(super) fn decode_only_ms(&self, k: f64) -> f64 {
        let context = self.requests.prompt_tokens.mean + self.requests.output_tokens.mean / 2.0;
        self.profile.decode_iteration_ms(k, k * context)
    }

    /// What one prefill chunk adds to an iteration with `k` requests, ms, and how many chunks a request needs.
    pub(super) fn chunk(&self, k: f64) -> (f64, f64) {
        let tokens = self.prefill_tokens.min(self.prefill_room(k));
        (self.profile.prefill_ms(tokens, 1.0), self.chunks(k))
    }

    /// From the start of its prefill to the first token of a prompt of `tokens`, ms, while `k` others decode.
    pub(super) fn first_token_ms(&self, k: f64, tokens: f64) -> f64 {
        let computed = tokens * (1.0 - self.profile.prefix_hit_share);
        let chunks = libm::ceil(computed / self.prefill_room(k)).max(1.0);
        self.profile.overhead_ms + self.profile.prefill_ms(computed, chunks) + chunks * self.decode_only_ms(k)
    }

    /// Requests a second that one replica finishes with `k` inside.
    pub fn rate(&self, k: f64) -> f64 {
        1e3 * k / (self.iterations(k) * self.iteration_ms(k) + self.profile.overhead_ms)
    }

    /// Requests a second that `replicas` finish with `n` in the fleet, spread evenly.
    pub(super) fn fleet_rate(&self, n: f64, replicas: f64) -> f64 {
        if n < replicas { n * self.rate(1.0) } else { replicas * self.rate((n / replicas).min(self.batch)) }
    }
}

/// Stationary probabilities of n = 0..=limit requests in the fleet: `p(n+1) = p(n) * lambda / mu(n+1)`, as arrivals see
/// them (Poisson arrivals see time averages).
pub(super) fn stationary(arrivals: f64, fleet_rates: &[f64]) -> Vec<f64> {
    let mut weights = Vec::with_capacity(fleet_rates.len());
    let mut weight = 1.0;
    for (n, &rate) in fleet_rates.iter().enumerate() {
        if n > 0 {
            weight *= arrivals / rate;
        }
        weights.push(weight);
        if weight > 1e200 {
            weights.iter_mut().for_each(|it| *it *= 1e-200);
            weight *= 1e-200;
        }
    }
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|it| *it /= total);
    weights
}
