//! How long a first token takes: the wait for a place in a batch, the iteration under way, the prompts of others, and the
//! prompt itself.
//!
//! A replica computes in each iteration the prompts that came during the one before it: a queue with gated service, whose
//! mean iteration is D/(1 - r) for a decoding time D and a share r of prompts. What others cost depends on how requests
//! come to a replica. **By chance** (one replica): a request meets long iterations more often than short ones, and has the
//! delay of Pollaczek and Khinchine, a geometric number of prompts under way. **By turn** (many replicas, least outstanding
//! first): a request takes the place of one that has just finished, whose last token came at an iteration's boundary, so it
//! meets ordinary iterations: one it waits for and its own. Of N replicas' requests one in N counts as coming by chance.
//! That share is an observation, not a theorem: against the engine, 1 to 20 replicas, the rates so found are right within
//! 12 % (`crates/engine/tests/capacity_meets_engine.rs`), and up to 20 % too low where the token budget of an iteration is
//! much smaller than a prompt.

use super::chain::Service;
use crate::spec::Lengths;
use alloc::vec::Vec;

/// Distributions are kept in this many cells from zero to the bound.
const CELLS: usize = 100;

/// What a prompt meets on its way.
pub(super) struct Traffic {
    /// Replicas.
    pub(super) replicas: f64,
    /// Requests a second, all replicas together.
    pub(super) arrivals: f64,
    /// Requests inside each replica.
    pub(super) inside: f64,
    /// Share of requests that find every batch full, and what full batches carry, requests a second.
    pub(super) queued: f64,
    pub(super) full_rate: f64,
}

/// Share of requests whose first token takes longer than `bound` ms.
pub(super) fn above(service: &Service, traffic: &Traffic, bound: f64) -> f64 {
    let decode = service.decode_only_ms(traffic.inside);
    let prompts = Prompts::new(service, traffic.inside, bound);
    let rate = traffic.arrivals / traffic.replicas / 1e3;
    if rate * prompts.mean >= 1.0 {
        return 1.0;
    }
    let (by_chance, by_turn) = (prompts.met_by_chance(rate, decode), prompts.met_by_turn(rate, decode));
    let chance = 1.0 / traffic.replicas;
    // Behind full batches departures come at the full rate, so a wait is exponential.
    let drain = (traffic.full_rate - traffic.arrivals).max(0.0) / 1e3;
    let late = |(cell, share): (usize, &f64)| {
        let left = bound - service.first_token_ms(traffic.inside, prompts.tokens(prompts.step * cell as f64));
        let met = chance * prompts.beyond(&by_chance, left - decode / 2.0)
            + (1.0 - chance) * prompts.beyond(&by_turn, left - decode);
        let waited = if left > 0.0 { traffic.queued * libm::exp(-drain * left) } else { 1.0 };
        share * (met + waited).min(1.0)
    };
    let within: f64 = prompts.whole.iter().sum();
    prompts.whole.iter().enumerate().map(late).sum::<f64>() + 1.0 - within
}

/// Prompts as work: the time that each adds to the iterations it is in. Cell i stands for i steps; what lies between two
/// is shared by them so that the mean stays.
struct Prompts {
    step: f64,
    /// Cost of a prompt, ms: fixed, and linear and quadratic in its tokens. A prompt that fills iterations pays for their
    /// decoding and for a chunk in each too.
    fixed: f64,
    linear: f64,
    quadratic: f64,
    /// Mean work, and that of its square.
    mean: f64,
    square: f64,
    /// Share of prompts in each cell.
    whole: Vec<f64>,
    /// The same for what is left of a prompt under way, which is more often a long one.
    under_way: Vec<f64>,
}

impl Prompts {
    fn new(service: &Service, inside: f64, bound: f64) -> Self {
        let (profile, lengths) = (&service.profile, &service.requests.prompt_tokens);
        // An engine computes one token at least, even of a prompt that it knows.
        let computed = (1.0 - profile.prefix_hit_share).max(1.0 / lengths.mean.max(1.0));
        let filled = (service.decode_only_ms(inside) + profile.per_prefill_chunk_ms) / service.prefill_room(inside);
        let mut prompts = Self {
            step: bound / CELLS as f64,
            fixed: profile.per_prefill_chunk_ms,
            linear: (profile.per_prefill_token_ms + filled) * computed,
            quadratic: profile.per_prefill_token_squared_ms * computed * computed / 2.0,
            mean: 0.0,
            square: 0.0,
            whole: Vec::new(),
            under_way: Vec::new(),
        };
        (prompts.mean, prompts.square) = prompts.moments_upto(lengths, f64::INFINITY);
        let (whole, under_way) = prompts.limited(lengths);
        (prompts.whole, prompts.under_way) = (shares(&whole, prompts.step), shares(&under_way, prompts.step));
        prompts
    }

    /// What prompts of at most so many tokens add to the mean of the work and to that of its square.
    fn moments_upto(&self, lengths: &Lengths, tokens: f64) -> (f64, f64) {
        let [all, first, second, third, fourth] = [0.0, 1.0, 2.0, 3.0, 4.0].map(|it| moment_upto(lengths, it, tokens));
        let (fixed, linear, quadratic) = (self.fixed, self.linear, self.quadratic);
        let mean = fixed * all + linear * first + quadratic * second;
        let square = fixed * fixed * all
            + 2.0 * fixed * linear * first
            + (linear * linear + 2.0 * fixed * quadratic) * second
            + 2.0 * linear * quadratic * third
            + quadratic * quadratic * fourth;
        (mean, square)
    }

    /// Mean of the lesser of a bound and the work, and of what is left of a prompt under way, for bounds of 0, 1, 2, ...
    /// steps. What is left has the density P(work > t) / mean.
    fn limited(&self, lengths: &Lengths) -> (Vec<f64>, Vec<f64>) {
        let limited = |cell: usize| {
            let bound = self.step * cell as f64;
            let tokens = self.tokens(bound);
            let (mean, square) = self.moments_upto(lengths, tokens);
            let beyond = 1.0 - moment_upto(lengths, 0.0, tokens);
            let integral = bound * mean - square / 2.0 + bound * bound / 2.0 * beyond;
            (mean + bound * beyond, bound - integral / self.mean)
        };
        (0..=CELLS).map(limited).unzip()
    }

    /// Tokens of a prompt of so much work; 0 where no prompt has so little.
    fn tokens(&self, work: f64) -> f64 {
        let work = (work - self.fixed).max(0.0);
        let root = libm::sqrt(self.linear * self.linear + 4.0 * self.quadratic * work);
        2.0 * work / (self.linear + root)
    }

    /// Work of others met by a request that comes at a moment of its own: the rest of the iteration under way, and the
    /// prompts that came in it. Its mean is that of gated service, its shape Pollaczek and Khinchine's.
    fn met_by_chance(&self, rate: f64, decode: f64) -> Vec<f64> {
        let load = rate * self.mean;
        let iteration = decode / (1.0 - load);
        let variance = rate * iteration * self.square / (1.0 - load * load);
        let residual = (iteration * iteration + variance) / (2.0 * iteration);
        let mean = residual * (1.0 + 2.0 * load) - decode / 2.0;
        let more = mean / (mean + self.square / (2.0 * self.mean));
        compound(&self.under_way, (more, 0.0), (1.0 - more) / (1.0 - more * self.under_way[0]))
    }

    /// Work of others met by a request that comes at a boundary: a Poisson number of prompts in each of two iterations.
    fn met_by_turn(&self, rate: f64, decode: f64) -> Vec<f64> {
        let prompts = 2.0 * rate * decode / (1.0 - rate * self.mean);
        compound(&self.whole, (0.0, prompts), libm::exp(-prompts * (1.0 - self.whole[0])))
    }

    /// Share of a distribution beyond `work`.
    fn beyond(&self, upto: &[f64], work: f64) -> f64 {
        if work < 0.0 { 1.0 } else { 1.0 - upto[((work / self.step) as usize).min(CELLS - 1)] }
    }
}

/// Distribution function of a sum of so many independent jumps, their number of Panjer's class (1981):
/// p(n) = p(n - 1) (a + b/n). Geometric has b = 0, Poisson a = 0. `none` is the sum's share in the first cell.
fn compound(jumps: &[f64], (a, b): (f64, f64), none: f64) -> Vec<f64> {
    let mut sums = Vec::with_capacity(jumps.len());
    sums.push(none);
    for cell in 1..jumps.len() {
        let term = |jump: usize| (a + b * jump as f64 / cell as f64) * jumps[jump] * sums[cell - jump];
        let sum: f64 = (1..=cell).map(term).sum();
        sums.push(sum / (1.0 - a * jumps[0]));
    }
    let mut upto = 0.0;
    for sum in &mut sums {
        upto += *sum;
        *sum = upto;
    }
    sums
}

/// Shares of the cells from a distribution's limited means: local moment matching, which keeps the mean whatever the step.
fn shares(limited: &[f64], step: f64) -> Vec<f64> {
    let slope = |cell: usize| (limited[cell + 1] - limited[cell]) / step;
    let share = |cell: usize| if cell == 0 { 1.0 - slope(0) } else { slope(cell - 1) - slope(cell) };
    (0..limited.len() - 1).map(|cell| share(cell).max(0.0)).collect()
}

/// What log-normal lengths of at most `tokens` add to the mean of a power of them; with power 0 their share.
fn moment_upto(lengths: &Lengths, power: f64, tokens: f64) -> f64 {
    let (location, variance) = (libm::log(lengths.mean), lengths.sigma * lengths.sigma);
    let whole = libm::pow(lengths.mean, power) * libm::exp(power * (power - 1.0) / 2.0 * variance);
    let above = location + (power - 0.5) * variance - libm::log(tokens);
    if lengths.sigma > 0.0 {
        whole * 0.5 * libm::erfc(above / (lengths.sigma * core::f64::consts::SQRT_2))
    } else if above <= 0.0 {
        whole
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;
    use crate::spec::RequestShape;
    use alloc::vec;

    /// Silver of `examples/game.yaml` without a bound on its batch, at an engine's usual token budget.
    fn silver(quadratic: f64, sigma: f64) -> Service {
        let profile = Profile {
            iteration_ms: 10.0,
            per_sequence_ms: 0.12,
            decode_steps: Vec::new(),
            per_cached_token_ms: 1.1e-4,
            per_prefill_chunk_ms: 0.0,
            per_prefill_token_ms: 0.2035,
            per_prefill_token_squared_ms: quadratic,
            max_batched_tokens: 2_048,
            max_sequences: 32,
            kv_tokens: 200_000,
            max_model_tokens: 4_096,
            prefix_hit_share: 0.0,
            overhead_ms: 0.0,
        };
        let requests = RequestShape {
            prompt_tokens: Lengths { mean: 300.0, sigma },
            output_tokens: Lengths { mean: 100.0, sigma: 0.8 },
            per_player_per_minute: 1.0,
        };
        Service::new(&profile, &requests)
    }

    #[test]
    fn a_poisson_number_of_jumps_of_one_cell_is_poisson() {
        let mut jumps = vec![0.0; 5];
        jumps[1] = 1.0;
        let upto = compound(&jumps, (0.0, 2.0), libm::exp(-2.0));
        // e^-2 (1 + 2 + 2 + 4/3 + 2/3)
        assert!((upto[4] - 7.0 * libm::exp(-2.0)).abs() < 1e-12, "{upto:?}");
    }

    #[test]
    fn a_geometric_number_of_jumps_counts_those_of_no_length_too() {
        // Each of a geometric number of jumps is nothing or one cell, by half: again geometric, with 1/3 instead of 1/2.
        let mut jumps = vec![0.0; 4];
        (jumps[0], jumps[1]) = (0.5, 0.5);
        let upto = compound(&jumps, (0.5, 0.0), 0.5 / (1.0 - 0.25));
        assert!((upto[0] - 2.0 / 3.0).abs() < 1e-12 && (upto[3] - (1.0 - 1.0 / 81.0)).abs() < 1e-12, "{upto:?}");
    }

    #[test]
    fn prompts_keep_their_mean_in_cells_and_work_its_tokens() {
        // In the second a whole prompt of 40 tokens is a small part of a cell.
        for (bound, mean_tokens, chunk) in [(2_000.0, 300.0, 0.0), (60_000.0, 40.0, 0.0), (2_000.0, 300.0, 20.0)] {
            let mut service = silver(1e-4, 0.5);
            service.profile.per_prefill_chunk_ms = chunk;
            service.requests.prompt_tokens.mean = mean_tokens;
            let prompts = Prompts::new(&service, 5.0, bound);
            let mean = |cells: &[f64]| -> f64 {
                cells.iter().enumerate().map(|(cell, share)| share * cell as f64 * prompts.step).sum()
            };
            assert!((mean(&prompts.whole) / prompts.mean - 1.0).abs() < 1e-3, "{bound}");
            let left = prompts.square / (2.0 * prompts.mean);
            assert!((mean(&prompts.under_way) / left - 1.0).abs() < 1e-3, "{bound}");
            for cells in [&prompts.whole, &prompts.under_way] {
                assert!((cells.iter().sum::<f64>() - 1.0).abs() < 1e-3, "{bound}");
            }
            assert_eq!(prompts.tokens(chunk), 0.0, "a prompt of no tokens takes its fixed time");
            let work = chunk + prompts.linear * 400.0 + prompts.quadratic * 160_000.0;
            assert!((prompts.tokens(work) - 400.0).abs() < 1e-9);
        }
    }

    #[test]
    fn beyond_the_last_cell_there_is_what_no_cell_holds() {
        let prompts = Prompts::new(&silver(0.0, 0.8), 5.0, 250.0);
        let mut upto = vec![0.5; CELLS];
        (upto[0], upto[CELLS - 1]) = (0.25, 0.75);
        let beyond = [-1.0, 0.0, 1.5 * prompts.step, 250.0, 1_000.0].map(|work| prompts.beyond(&upto, work));
        assert_eq!(beyond, [1.0, 0.75, 0.5, 0.25, 0.25]);
    }

    #[test]
    fn lengths_without_spread_are_all_of_at_most_the_mean() {
        let lengths = Lengths { mean: 300.0, sigma: 0.0 };
        assert_eq!([299.0, 300.0, 301.0].map(|tokens| moment_upto(&lengths, 0.0, tokens)), [0.0, 1.0, 1.0]);
    }

    #[test]
    fn a_prompt_meets_others_more_often_by_chance_than_by_turn() {
        let prompts = Prompts::new(&silver(0.0, 0.8), 5.0, 250.0);
        let (rate, decode) = (0.004, 11.0);
        let (by_chance, by_turn) = (prompts.met_by_chance(rate, decode), prompts.met_by_turn(rate, decode));
        assert!(prompts.beyond(&by_chance, 100.0) > 1.5 * prompts.beyond(&by_turn, 100.0));
    }

    #[test]
    fn without_spread_a_prompt_above_the_bound_is_always_late_and_one_below_it_never_on_an_idle_fleet() {
        let traffic = Traffic { replicas: 4.0, arrivals: 0.01, inside: 1.0, queued: 0.0, full_rate: 40.0 };
        let service = silver(0.0, 0.0);
        assert!(above(&service, &traffic, 60.0) > 0.99);
        assert!(above(&service, &traffic, 120.0) < 0.01);
    }
}
