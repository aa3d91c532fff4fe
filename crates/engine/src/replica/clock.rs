//! Time finer than a microsecond, so that a jump over many iterations ends exactly where single steps would.
//!
//! Every duration is a whole number of femtoseconds (1 us = 10^9 fs). Sums of integers do not depend on how they are
//! split, which is why a stretch of decode iterations may be cut anywhere without moving a single later token.

use evenkeel_core::units::{Span, Time};

/// Femtoseconds in a microsecond.
pub(super) const FEMTOS_PER_MICRO: u64 = 1_000_000_000;

/// A moment with femtosecond resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    micros: i64,
    /// Below `FEMTOS_PER_MICRO`.
    femtos: u64,
}

impl Moment {
    /// The very beginning of the microsecond `time`.
    pub(super) fn at(time: Time) -> Self {
        Self { micros: time.as_micros(), femtos: 0 }
    }

    /// The first whole microsecond at which this moment has passed.
    pub(super) fn visible(self) -> Time {
        Time::from_micros(self.micros.saturating_add(i64::from(self.femtos > 0)))
    }

    pub(super) fn plus(self, femtos: u128) -> Self {
        let (micros, femtos) = split(femtos + u128::from(self.femtos));
        Self { micros: self.micros.saturating_add(micros), femtos }
    }

    /// Femtoseconds from this moment to `time`; zero when `time` is not after it.
    pub(super) fn until(self, time: Time) -> u128 {
        let micros = time.as_micros().saturating_sub(self.micros);
        let whole = u128::try_from(micros).unwrap_or(0) * u128::from(FEMTOS_PER_MICRO);
        whole.saturating_sub(u128::from(self.femtos))
    }

    /// How long after `earlier` this moment is, to the nearest microsecond.
    pub(super) fn since(self, earlier: Self) -> Span {
        let whole = i128::from(self.micros) - i128::from(earlier.micros);
        let femtos = i128::from(self.femtos) - i128::from(earlier.femtos);
        let elapsed = whole * i128::from(FEMTOS_PER_MICRO) + femtos;
        to_span(u128::try_from(elapsed).unwrap_or(0))
    }
}

/// The nearest whole number of microseconds.
pub(super) fn to_span(femtos: u128) -> Span {
    Span::from_micros(split(femtos + u128::from(FEMTOS_PER_MICRO / 2)).0)
}

/// Whole microseconds and the femtoseconds left over. Durations below five hours fit 64 bits, whose division by a
/// constant is a multiplication; the wide division is an order of magnitude slower and this is the hot path.
fn split(femtos: u128) -> (i64, u64) {
    if let Ok(narrow) = u64::try_from(femtos) {
        return ((narrow / FEMTOS_PER_MICRO) as i64, narrow % FEMTOS_PER_MICRO);
    }
    let wide = u128::from(FEMTOS_PER_MICRO);
    (i64::try_from(femtos / wide).unwrap_or(i64::MAX), (femtos % wide) as u64)
}

/// Consecutive iterations of one composition: the first lasts `first`, each later one `growth` longer, because every
/// iteration adds a cached token to each sequence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) began: Moment,
    /// Length of the first iteration, fs; above zero.
    pub(super) first: u128,
    /// How much longer each further iteration is, fs.
    pub(super) growth: u128,
}

impl Stretch {
    /// Length of `iterations` of them: `k * first + growth * k * (k - 1) / 2`.
    fn lasting(&self, iterations: u64) -> u128 {
        let k = u128::from(iterations);
        k * self.first + self.growth * (k * k.saturating_sub(1) / 2)
    }

    /// When the `iterations`-th of them ends.
    pub(super) fn boundary(&self, iterations: u64) -> Moment {
        self.began.plus(self.lasting(iterations))
    }

    /// Length of the iteration number `index`, counted from zero.
    pub(super) fn length_of(&self, index: u64) -> u128 {
        self.first + self.growth * u128::from(index)
    }

    /// How many have ended by `time`, at most `limit`: the positive root of the quadratic in floating point, then
    /// corrected by whole steps, so the answer is exact whatever the rounding.
    pub(super) fn ended_by(&self, time: Time, limit: u64) -> u64 {
        let elapsed = self.began.until(time);
        if elapsed < self.first {
            return 0;
        }
        let mut ended = (self.root(elapsed) as u64).min(limit);
        while ended > 0 && self.lasting(ended) > elapsed {
            ended -= 1;
        }
        while ended < limit && self.lasting(ended + 1) <= elapsed {
            ended += 1;
        }
        ended
    }

    /// Solves `growth/2 * k^2 + (first - growth/2) * k = elapsed` in the form that stays accurate as growth goes to 0.
    fn root(&self, elapsed: u128) -> f64 {
        let (elapsed, growth) = (elapsed as f64, self.growth as f64);
        let linear = self.first as f64 - growth / 2.0;
        2.0 * elapsed / (linear + libm::sqrt(linear * linear + 2.0 * growth * elapsed))
    }

    /// The rest of the stretch after `iterations` of them.
    pub(super) fn after(&self, iterations: u64) -> Self {
        Self { began: self.boundary(iterations), first: self.length_of(iterations), growth: self.growth }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(first: u128, growth: u128) -> Stretch {
        Stretch { began: Moment::at(Time::from_micros(5)).plus(7), first, growth }
    }

    #[test]
    fn a_moment_is_visible_at_the_first_whole_microsecond_that_is_not_before_it() {
        let moment = Moment::at(Time::from_micros(-3));
        assert_eq!(moment.visible(), Time::from_micros(-3));
        assert_eq!(moment.plus(1).visible(), Time::from_micros(-2));
        assert_eq!(moment.plus(1).since(moment), Span::ZERO);
        assert_eq!(moment.plus(1).until(Time::from_micros(-2)), u128::from(FEMTOS_PER_MICRO) - 1);
    }

    #[test]
    fn a_stretch_cut_anywhere_ends_where_the_uncut_one_does() {
        let whole = stretch(9_000_000_123_456, 1_800_000_777);
        for cut in [0, 1, 17, 99, 100] {
            assert_eq!(whole.after(cut).boundary(100 - cut), whole.boundary(100));
        }
    }

    #[test]
    fn counting_the_iterations_that_ended_is_exact_at_every_boundary() {
        for (first, growth) in [(10_u128.pow(13), 0), (10_u128.pow(9), 10_u128.pow(9)), (3, 1), (10_u128.pow(18), 7)] {
            let stretch = stretch(first, growth);
            for iterations in 1..200 {
                let boundary = stretch.boundary(iterations).visible();
                let before = Time::from_micros(boundary.as_micros() - 1);
                assert!(stretch.ended_by(boundary, 1_000) >= iterations);
                assert!(stretch.ended_by(before, 1_000) < iterations);
                assert!(stretch.ended_by(boundary, 5) <= 5);
            }
        }
    }
}
