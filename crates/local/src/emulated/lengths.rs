//! Output lengths of requests that leave them open, drawn from the seed: the n-th request of a replica gets the same
//! length in every run, whatever came between.

use evenkeel_core::spec::Lengths;
use rand_pcg::Pcg32;
use rand_pcg::rand_core::Rng as _;

/// Draws lengths by number.
#[derive(Clone, Debug)]
pub(super) struct OutputLengths {
    pub(super) seed: u64,
    pub(super) shape: Lengths,
}

impl OutputLengths {
    /// Length of the `number`-th request's output: log-normal with the shape's mean, 1 to `limit`.
    pub(super) fn draw(&self, number: u64, limit: u32) -> u32 {
        let mut random = Pcg32::new(self.seed, number);
        // Box-Muller; the first uniform is moved off zero, whose logarithm is infinite.
        let (first, second) = (uniform(&mut random), uniform(&mut random));
        let normal = (-2.0 * (first + f64::EPSILON).ln()).sqrt() * (std::f64::consts::TAU * second).cos();
        let Lengths { mean, sigma } = self.shape;
        // The mean of a log-normal lies sigma^2/2 above its median, in logarithms.
        let length = mean * (sigma * normal - sigma * sigma / 2.0).exp();
        (length.round() as u32).clamp(1, limit.max(1))
    }
}

/// From 0 inclusive to 1 exclusive.
fn uniform(random: &mut Pcg32) -> f64 {
    f64::from(random.next_u32()) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(seed: u64, sigma: f64) -> OutputLengths {
        OutputLengths { seed, shape: Lengths { mean: 100.0, sigma } }
    }

    #[test]
    fn the_same_number_gets_the_same_length_and_another_seed_another() {
        let draws = |seed| -> Vec<u32> { (0..50).map(|number| lengths(seed, 0.8).draw(number, 1_000)).collect() };
        assert_eq!(draws(7), draws(7));
        assert_ne!(draws(7), draws(8));
    }

    #[test]
    fn lengths_have_the_stated_mean_and_stay_inside_the_limit() {
        let all: Vec<u32> = (0..20_000).map(|number| lengths(7, 0.5).draw(number, 10_000)).collect();
        let mean = all.iter().map(|length| f64::from(*length)).sum::<f64>() / all.len() as f64;
        assert!((95.0..105.0).contains(&mean), "mean {mean}");
        assert!((0..1_000).all(|number| (1..=20).contains(&lengths(7, 2.0).draw(number, 20))));
        assert_eq!(lengths(7, 0.0).draw(3, 1_000), 100);
    }
}
