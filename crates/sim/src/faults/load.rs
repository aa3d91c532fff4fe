//! A tier's demand over time: the shape of a day, noise, and jumps between levels.

use super::TICK;
use super::dice::Dice;

/// Demand of one tier, requests a second.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Halfway between the day's lowest and highest.
    pub middle: f64,
    /// From the middle to the highest; more than the middle makes a part of the day empty.
    pub swing: f64,
    /// Where in the day the run begins, seconds.
    pub phase: u32,
    /// Every tick is multiplied with a number between 1 minus this and 1 plus this.
    pub noise: f64,
    /// From a moment on, seconds, demand is multiplied with a factor. The moments are in order.
    pub jumps: Vec<(u32, f64)>,
}

impl Load {
    /// The same at all times.
    pub const fn steady(requests_per_second: f64) -> Self {
        Self { middle: requests_per_second, swing: 0.0, phase: 0, noise: 0.0, jumps: Vec::new() }
    }

    /// The load that `seed` makes up for `tier`, whose maximum carries `most` requests a second, for a day.
    pub fn drawn(seed: u64, tier: &str, most: f64) -> Self {
        let mut dice = Dice::named(seed, tier, "load");
        let middle = most * dice.pick(&[0.02, 0.2, 0.5, 0.9]) * dice.uniform();
        let mut jumps = Vec::new();
        let mut at = 0;
        while at < 86_400 {
            at += dice.about(1_800, 60, 14_400);
            jumps.push((at, dice.pick(&[0.0, 0.1, 0.5, 1.0, 1.0, 1.0, 2.0, 10.0])));
        }
        Self {
            middle,
            swing: middle * dice.pick(&[0.0, 0.5, 0.9, 1.5]),
            phase: dice.below(86_400),
            noise: dice.pick(&[0.0, 0.05, 0.3]),
            jumps,
        }
    }

    /// The day's shape at `second`, requests a second, without noise and jumps.
    fn shape(&self, second: u32) -> f64 {
        let turn = f64::from((second + self.phase) % 86_400) / 86_400.0;
        (self.middle + self.swing * libm::sin(core::f64::consts::TAU * turn)).max(0.0)
    }
}

/// A load that is asked tick by tick.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    load: Load,
    noise: Dice,
    next_jump: usize,
    factor: f64,
    /// The day's shape, for this minute.
    shape: f64,
}

impl Demand {
    pub(super) fn new(load: Load, seed: u64, tier: &str) -> Self {
        Self { noise: Dice::named(seed, tier, "noise"), load, next_jump: 0, factor: 1.0, shape: 0.0 }
    }

    /// Requests a second at `second`.
    pub(super) fn at(&mut self, second: u32) -> f64 {
        while let Some(&(_, factor)) = self.load.jumps.get(self.next_jump).filter(|&&(at, _)| at <= second) {
            self.factor = factor;
            self.next_jump += 1;
        }
        if second % 60 < TICK {
            self.shape = self.load.shape(second);
        }
        let noise = if self.load.noise > 0.0 { self.load.noise * (2.0 * self.noise.uniform() - 1.0) } else { 0.0 };
        self.shape * self.factor * (1.0 + noise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_load_is_the_same_at_all_times() {
        let mut demand = Demand::new(Load::steady(7.0), 1, "gold");
        assert!((0..100).all(|tick| demand.at(tick * TICK) == 7.0));
    }

    #[test]
    fn a_jump_lasts_until_the_next() {
        let load = Load { jumps: vec![(10, 3.0), (20, 0.0)], ..Load::steady(2.0) };
        let mut demand = Demand::new(load, 1, "gold");
        assert_eq!([0, 5, 10, 15, 20, 25].map(|second| demand.at(second)), [2.0, 2.0, 6.0, 6.0, 0.0, 0.0]);
    }

    #[test]
    fn made_up_demand_goes_from_nothing_to_thousands_and_is_never_negative() {
        let (mut none, mut thousands) = (false, false);
        for seed in 0..50 {
            let mut demand = Demand::new(Load::drawn(seed, "gold", 2_000.0), seed, "gold");
            for tick in 0..86_400 / TICK {
                let now = demand.at(tick * TICK);
                assert!(now >= 0.0);
                none |= now == 0.0;
                thousands |= now > 3_000.0;
            }
        }
        assert!(none && thousands);
    }
}
