//! Draws of whole numbers and choices from a stream.

use evenkeel_workload::random::Stream;

/// A stream that is asked for choices.
#[derive(Clone, Debug)]
pub(super) struct Dice(Stream);

impl Dice {
    pub(super) fn named(seed: u64, owner: &str, concern: &str) -> Self {
        Self(Stream::named(seed, owner, concern))
    }

    /// Uniform in (0, 1].
    pub(super) fn uniform(&mut self) -> f64 {
        self.0.uniform()
    }

    /// From 0 to `count - 1`.
    pub(super) fn below(&mut self, count: u32) -> u32 {
        ((self.0.uniform() * f64::from(count)) as u32).min(count.saturating_sub(1))
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    pub(super) fn percent(&mut self, chance: u32) -> bool {
        self.below(100) < chance
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u32) as usize]
    }

    /// Exponential around `mean`, from `least` to `most`.
    pub(super) fn about(&mut self, mean: u32, least: u32, most: u32) -> u32 {
        ((self.0.exponential() * f64::from(mean)) as u32).clamp(least, most.max(least))
    }
}
