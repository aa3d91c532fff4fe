//! How much of Gamma noise lies above a bound, and by how much: what a replica misses on average where only the mean of
//! demand is known.
//!
//! For noise G of mean 1, `share(u)` is P(G > u) and `excess(u)` is E[(G - u)+], whose slope is -share(u). Both come from
//! Gauss's quadrature of the density over narrow cells, once; between the cells' borders the excess is the cubic that has
//! its values and slopes there (Hermite). For shapes from 1 on it is right to 1e-8.

/// Cells for each standard deviation.
const CELLS: f64 = 64.0;
/// The density, of its value at the mean, that the table's ends are at: beyond, noise is taken to be impossible.
const NEGLIGIBLE: f64 = 1e-17;
/// Points and weights of Gauss and Legendre's rule of three points on -1 to 1.
const GAUSS: [(f64, f64); 3] = [(-0.774_596_669_241_483_4, 5.0), (0.0, 8.0), (0.774_596_669_241_483_4, 5.0)];
const GAUSS_WEIGHTS: f64 = 18.0;

/// Gamma noise with mean 1.
#[derive(Clone, Debug)]
pub(super) struct Noise {
    /// Width of a cell; 1 lies on a border.
    cell: f64,
    /// The lowest border, less 1 and in cells.
    lowest: f64,
    borders: Vec<Border>,
}

#[derive(Clone, Copy, Debug)]
struct Border {
    share: f64,
    excess: f64,
}

impl Noise {
    /// Noise of this deviation, above 0 and at most 1.
    pub(super) fn new(cv: f64) -> Self {
        let cells_to_mean = libm::ceil(CELLS / cv);
        let cell = 1.0 / cells_to_mean;
        let density = |offset: f64| density(1.0 / (cv * cv), offset);
        let mut lowest = 0.0;
        while -lowest < cells_to_mean && density(lowest * cell) >= NEGLIGIBLE {
            lowest -= 1.0;
        }
        let mut highest = 0.0;
        while density(highest * cell) >= NEGLIGIBLE {
            highest += 1.0;
        }
        let masses: Vec<Mass> =
            (lowest as i64..highest as i64).map(|index| Mass::of_cell(index as f64, cell, density)).collect();
        Self { cell, lowest, borders: borders(&masses, lowest, cell) }
    }

    /// E[(G - u)+] and P(G > u).
    #[inline]
    pub(super) fn beyond(&self, u: f64) -> (f64, f64) {
        let place = (u - 1.0) / self.cell - self.lowest;
        if place < 0.0 {
            return (1.0 - u, 1.0);
        }
        let index = place as usize;
        let (Some(left), Some(right)) = (self.borders.get(index), self.borders.get(index + 1)) else {
            return (0.0, 0.0);
        };
        let t = place - index as f64;
        // The excess falls by `share` for each unit: slopes by the cell.
        let (left_slope, right_slope) = (-left.share * self.cell, -right.share * self.cell);
        let rise = right.excess - left.excess;
        let (square, cube) = (3.0 * rise - 2.0 * left_slope - right_slope, left_slope + right_slope - 2.0 * rise);
        let excess = left.excess + t * (left_slope + t * (square + t * cube));
        let slope = left_slope + t * (2.0 * square + t * 3.0 * cube);
        (excess, -slope / self.cell)
    }

    /// Above this nothing is.
    pub(super) fn highest(&self) -> f64 {
        1.0 + self.cell * (self.lowest + self.borders.len() as f64)
    }
}

/// The density of Gamma noise with this shape at 1 + `offset`, over that at 1: unlike the density itself, it needs no
/// function that loses digits for large shapes.
fn density(shape: f64, offset: f64) -> f64 {
    libm::exp((shape - 1.0) * libm::log1p(offset) - shape * offset)
}

/// Of a cell or of all from there on: how much noise is there, and the sum of what it lies above 1.
#[derive(Clone, Copy, Debug, Default)]
struct Mass {
    share: f64,
    moment: f64,
}

impl Mass {
    fn of_cell(index: f64, cell: f64, density: impl Fn(f64) -> f64) -> Self {
        GAUSS.iter().fold(Self::default(), |sum, (point, weight)| {
            let offset = (index + 0.5 + 0.5 * point) * cell;
            let mass = weight / GAUSS_WEIGHTS * cell * density(offset);
            sum.and(Self { share: mass, moment: mass * offset })
        })
    }

    fn and(self, other: Self) -> Self {
        Self { share: self.share + other.share, moment: self.moment + other.moment }
    }
}

/// From the top down, scaled so that all noise is a share of 1.
fn borders(masses: &[Mass], lowest: f64, cell: f64) -> Vec<Border> {
    let all = masses.iter().rev().copied().fold(Mass::default(), Mass::and).share;
    let mut above = Mass::default();
    let mut borders = vec![Border { share: 0.0, excess: 0.0 }];
    for (index, &mass) in masses.iter().enumerate().rev() {
        above = above.and(mass);
        let offset = (lowest + index as f64) * cell;
        borders.push(Border { share: above.share / all, excess: (above.moment - offset * above.share) / all });
    }
    borders.reverse();
    borders
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_workload::random::Stream;

    #[test]
    fn the_tails_of_shapes_one_and_two_are_those_of_their_formulas() {
        let (exponential, two) = (Noise::new(1.0), Noise::new(libm::sqrt(0.5)));
        for step in 0..400 {
            let u = f64::from(step) * 0.037;
            let (excess, share) = exponential.beyond(u);
            assert!(
                (excess - libm::exp(-u)).abs() < 1e-8 && (share - libm::exp(-u)).abs() < 1e-6,
                "{u}: {excess} {share}"
            );
            // P(G > u) = exp(-2u) (1 + 2u), and its integral from u on is exp(-2u) (1 + u).
            let (excess, share) = two.beyond(u);
            let tail = libm::exp(-2.0 * u);
            assert!((excess - tail * (1.0 + u)).abs() < 1e-8 && (share - tail * (1.0 + 2.0 * u)).abs() < 1e-6, "{u}");
        }
    }

    #[test]
    fn the_parts_are_those_that_draws_have_on_average() {
        for cv in [0.02, 0.1, 0.37, 0.8] {
            let shape = 1.0 / (cv * cv);
            let mut stream = Stream::named(1, "oracle", "draws of noise");
            let drawn: Vec<f64> = (0..100_000).map(|_| stream.gamma(shape) / shape).collect();
            for u in [0.0, 0.5, 1.0 - cv, 1.0, 1.0 + cv, 1.0 + 3.0 * cv] {
                let mean = |of: &dyn Fn(f64) -> f64| drawn.iter().map(|&noise| of(noise)).sum::<f64>() / 1e5;
                let (excess, share) = Noise::new(cv).beyond(u);
                // Six standard errors: the excess varies by no more than the noise, a share by no more than a half.
                assert!((excess - mean(&|noise| (noise - u).max(0.0))).abs() < 0.019 * cv, "{cv} {u}");
                assert!((share - mean(&|noise| f64::from(u8::from(noise > u)))).abs() < 0.0095, "{cv} {u}");
            }
        }
    }

    #[test]
    fn far_below_all_noise_is_above_and_far_above_none_however_narrow_it_is() {
        for cv in [1e-6, 0.1, 1.0] {
            let noise = Noise::new(cv);
            assert_eq!(noise.beyond(-1.0), (2.0, 1.0));
            let (excess, share) = noise.beyond(0.0);
            assert!((excess - 1.0).abs() < 1e-8 && (share - 1.0).abs() < 1e-8, "{cv}: {excess} {share}");
            assert_eq!(noise.beyond(noise.highest()), (0.0, 0.0));
        }
    }
}
