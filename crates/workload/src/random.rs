//! Random numbers: one named stream for each concern, so that a new draw in one does not disturb another.

use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;

/// A stream of random numbers that depends on a seed and on names only.
#[derive(Clone, Debug)]
pub struct Stream(Pcg64);

impl Stream {
    /// The stream that `owner` (a tier, or the whole fleet) uses for `concern`.
    ///
    /// Names go into both the state and the stream number of the generator, so two streams share neither.
    pub fn named(seed: u64, owner: &str, concern: &str) -> Self {
        let name = hash_name(owner, concern);
        let state = (u128::from(mix(seed ^ name)) << 64) | u128::from(mix(seed.wrapping_add(name.rotate_left(32))));
        Self(Pcg64::new(state, u128::from(name)))
    }

    /// Uniform in (0, 1]: never zero, so that its logarithm is finite.
    pub fn uniform(&mut self) -> f64 {
        ((self.0.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// Exponential with mean 1.
    pub fn exponential(&mut self) -> f64 {
        -libm::log(self.uniform())
    }

    /// Normal with mean 0 and standard deviation 1, by Box and Muller's transform (1958). The second value of each
    /// pair is not kept: every call then takes the same two draws, whatever was called before.
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(2.0 * self.exponential());
        radius * libm::cos(core::f64::consts::TAU * self.uniform())
    }

    /// Gamma with this shape, at least 1, and scale 1, by Marsaglia and Tsang's method (2000): its mean and its variance
    /// are the shape.
    pub fn gamma(&mut self, shape: f64) -> f64 {
        debug_assert!(shape >= 1.0);
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / libm::sqrt(9.0 * d);
        loop {
            let normal = self.normal();
            let root = 1.0 + c * normal;
            let uniform = self.uniform();
            if root > 0.0 {
                let cube = root * root * root;
                if libm::log(uniform) < 0.5 * normal * normal + d - d * cube + d * libm::log(cube) {
                    return d * cube;
                }
            }
        }
    }
}

/// FNV-1a over both names with a byte between that no UTF-8 text holds.
fn hash_name(owner: &str, concern: &str) -> u64 {
    let bytes = owner.bytes().chain([0xff]).chain(concern.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, 2014): near inputs give far outputs.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(count: usize, mut draw: impl FnMut() -> f64) -> f64 {
        (0..count).map(|_| draw()).sum::<f64>() / count as f64
    }

    #[test]
    fn the_first_draws_of_a_stream_never_change() {
        // Recorded runs are reproduced by their seed, so these values are part of the format.
        let mut stream = Stream::named(1, "gold", "arrival times");
        let drawn: Vec<u64> = (0..3).map(|_| stream.uniform().to_bits()).collect();
        assert_eq!(drawn, FIRST_DRAWS);
    }

    const FIRST_DRAWS: [u64; 3] = [4599355464779816814, 4601634463198604878, 4581671235919178752];

    #[test]
    fn streams_differ_by_seed_by_owner_and_by_concern() {
        let base = Stream::named(1, "gold", "prompt lengths").uniform();
        for (seed, owner, concern) in
            [(2, "gold", "prompt lengths"), (1, "silver", "prompt lengths"), (1, "gold", "output lengths")]
        {
            assert!(base != Stream::named(seed, owner, concern).uniform(), "{seed} {owner} {concern}");
        }
        // The border between the two names counts.
        assert!(Stream::named(1, "ab", "c").uniform() != Stream::named(1, "a", "bc").uniform());
    }

    #[test]
    fn samplers_have_the_moments_they_promise() {
        let mut stream = Stream::named(7, "any", "moments");
        // Six standard errors of each mean over 100,000 draws.
        assert!((mean(100_000, || stream.uniform()) - 0.5).abs() < 0.006);
        assert!((mean(100_000, || stream.exponential()) - 1.0).abs() < 0.019);
        assert!(mean(100_000, || stream.normal()).abs() < 0.019);
        assert!((mean(100_000, || libm::pow(stream.normal(), 2.0)) - 1.0).abs() < 0.027);
        assert!((mean(100_000, || stream.gamma(4.0)) - 4.0).abs() < 0.038);
        assert!((mean(100_000, || libm::pow(stream.gamma(4.0) - 4.0, 2.0)) - 4.0).abs() < 0.15);
    }
}
