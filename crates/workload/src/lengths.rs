//! Token lengths.

use crate::random::Stream;
use evenkeel_core::spec::Lengths;

/// Draws log-normal token lengths in whole tokens, at least 1.
#[derive(Clone, Debug)]
pub struct LengthSampler {
    location: f64,
    sigma: f64,
    stream: Stream,
}

impl LengthSampler {
    /// A log-normal with mean m and logarithmic deviation s has the location ln(m) - s^2 / 2.
    pub fn new(lengths: Lengths, stream: Stream) -> Self {
        let location = libm::log(lengths.mean) - lengths.sigma * lengths.sigma / 2.0;
        Self { location, sigma: lengths.sigma, stream }
    }

    /// The next length, rounded to whole tokens.
    pub fn draw(&mut self) -> u32 {
        let tokens = libm::exp(self.location + self.sigma * self.stream.normal());
        // The nearest whole number of what is positive; a float beyond the range becomes the largest u32.
        ((tokens + 0.5) as u32).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(mean: f64, sigma: f64) -> LengthSampler {
        LengthSampler::new(Lengths { mean, sigma }, Stream::named(3, "silver", "prompt lengths"))
    }

    #[test]
    fn lengths_have_the_stated_mean_and_quantile() {
        let mut prompts = sampler(300.0, 0.8);
        let mut drawn: Vec<u32> = (0..100_000).map(|_| prompts.draw()).collect();
        drawn.sort_unstable();
        let mean = drawn.iter().map(|&tokens| f64::from(tokens)).sum::<f64>() / drawn.len() as f64;
        assert!((mean - 300.0).abs() < 6.0, "mean {mean}");
        // exp(ln 300 - 0.32 + 0.8 * 1.6449) = 812 tokens.
        let p95 = drawn[95_000];
        assert!(p95.abs_diff(812) < 15, "p95 {p95}");
    }

    #[test]
    fn without_spread_every_length_is_the_mean() {
        let mut outputs = sampler(40.0, 0.0);
        assert!((0..100).all(|_| outputs.draw() == 40));
    }

    #[test]
    fn a_length_is_never_below_one_token() {
        let mut tiny = sampler(1.0, 2.0);
        assert!((0..10_000).all(|_| tiny.draw() >= 1));
    }
}
