//! Open-loop arrivals: each tier is a Poisson process whose rate follows the players.

use crate::lengths::LengthSampler;
use crate::random::Stream;
use crate::series::PlayersSeries;
use evenkeel_core::spec::{Lengths, RequestShape};
use evenkeel_core::units::Span;
use thiserror::Error;

/// One request to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrival {
    /// When, since the start of the run.
    pub at: Span,
    /// Whose: an index into the tiers.
    pub tier: usize,
    /// Prompt length.
    pub prompt_tokens: u32,
    /// Output length.
    pub output_tokens: u32,
}

/// What one tier's players send. Validated when made.
#[derive(Clone, Debug, PartialEq)]
pub struct TierTraffic {
    name: String,
    players_share: f64,
    shape: RequestShape,
    longest_request_tokens: u32,
    response_cache_share: f64,
}

/// Why a tier's traffic is refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum TrafficError {
    /// The share of players is out of range.
    #[error("tier `{tier}`: a players' share of {share}; expected 0 to 1")]
    Share {
        /// The tier.
        tier: String,
        /// The share.
        share: f64,
    },
    /// The share of requests that a cache of responses answers is out of range.
    #[error("tier `{tier}`: a response cache that answers a share of {share}; expected 0 to 1")]
    ResponseCache {
        /// The tier.
        tier: String,
        /// The share.
        share: f64,
    },
    /// The request rate is out of range.
    #[error("tier `{tier}`: {rate} requests per player and minute; expected a finite number of at least 0")]
    Rate {
        /// The tier.
        tier: String,
        /// The rate.
        rate: f64,
    },
    /// A length distribution is out of range.
    #[error(
        "tier `{tier}`: {which} tokens with mean {mean} and sigma {sigma}; expected a mean of at least 1 and a sigma \
         from 0 to 4"
    )]
    Lengths {
        /// The tier.
        tier: String,
        /// `prompt` or `output`.
        which: &'static str,
        /// The mean.
        mean: f64,
        /// The deviation of the logarithm.
        sigma: f64,
    },
    /// A request holds at least a prompt token and an output token.
    #[error("tier `{tier}`: requests of at most {tokens} tokens; expected at least 2")]
    Longest {
        /// The tier.
        tier: String,
        /// The limit.
        tokens: u32,
    },
}

impl TierTraffic {
    /// Traffic of the tier `name`, which serves `players_share` of all players. The few requests whose lengths would
    /// come to more than `longest_request_tokens` are cut to it, output first, as engines refuse longer ones.
    ///
    /// # Errors
    /// A number out of its range.
    pub fn new(
        name: &str,
        players_share: f64,
        shape: RequestShape,
        longest_request_tokens: u32,
    ) -> Result<Self, TrafficError> {
        let tier = || name.to_owned();
        if !(0.0..=1.0).contains(&players_share) {
            return Err(TrafficError::Share { tier: tier(), share: players_share });
        }
        let rate = shape.per_player_per_minute;
        if !(rate.is_finite() && rate >= 0.0) {
            return Err(TrafficError::Rate { tier: tier(), rate });
        }
        for (which, Lengths { mean, sigma }) in [("prompt", shape.prompt_tokens), ("output", shape.output_tokens)] {
            if !(mean.is_finite() && mean >= 1.0 && (0.0..=4.0).contains(&sigma)) {
                return Err(TrafficError::Lengths { tier: tier(), which, mean, sigma });
            }
        }
        if longest_request_tokens < 2 {
            return Err(TrafficError::Longest { tier: tier(), tokens: longest_request_tokens });
        }
        Ok(Self { name: tier(), players_share, shape, longest_request_tokens, response_cache_share: 0.0 })
    }

    /// The same traffic behind a cache of responses, which answers this share of the requests: those reach no engine,
    /// and are no arrivals. Each request hits or misses by itself, an assumption; a larger share takes more requests
    /// away and changes none of the others.
    ///
    /// This is not the prefix cache of an engine, which saves a part of the prompts of requests that do arrive
    /// (`Profile::prefix_hit_share`).
    ///
    /// # Errors
    /// A share out of its range.
    pub fn behind_response_cache(self, share: f64) -> Result<Self, TrafficError> {
        if (0.0..=1.0).contains(&share) {
            Ok(Self { response_cache_share: share, ..self })
        } else {
            Err(TrafficError::ResponseCache { tier: self.name, share })
        }
    }

    /// Requests per second that reach this tier for each player.
    pub fn rate_per_player(&self) -> f64 {
        self.sent_per_player() * (1.0 - self.response_cache_share)
    }

    /// Requests per second that one player sends, whoever answers them.
    fn sent_per_player(&self) -> f64 {
        self.players_share * self.shape.per_player_per_minute / 60.0
    }
}

/// The arrivals of all tiers in order of time, drawn as they are asked for. Every tier has its own streams of random
/// numbers, chosen by its name, so that another tier, or another place in the file, changes nothing in it.
#[derive(Clone, Debug)]
pub struct Arrivals {
    tiers: Vec<TierArrivals>,
    next: Vec<Option<Arrival>>,
}

impl Arrivals {
    /// Arrivals from the start of `players` until `duration`.
    pub fn new(players: &PlayersSeries, tiers: &[TierTraffic], duration: Span, seed: u64) -> Self {
        let mut tiers: Vec<TierArrivals> = tiers
            .iter()
            .enumerate()
            .map(|(index, traffic)| TierArrivals::new(index, players.clone(), traffic, duration, seed))
            .collect();
        let next = tiers.iter_mut().map(TierArrivals::draw).collect();
        Self { tiers, next }
    }
}

impl Iterator for Arrivals {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        // Equal moments go by the tier's index, which follows the moment in the order of `Arrival`.
        let first = self.next.iter().flatten().min().copied()?;
        self.next[first.tier] = self.tiers[first.tier].draw();
        Some(first)
    }
}

/// One tier's arrivals by time rescaling: the expected count between two arrivals is exponential with mean 1, so the
/// next one is where the integral of the rate has grown by such a draw. The rate is straight between two points, its
/// integral a parabola, and the moment exact.
#[derive(Clone, Debug)]
struct TierArrivals {
    tier: usize,
    players: PlayersSeries,
    sent_per_player: f64,
    end_s: f64,
    now_s: f64,
    /// Index of the first point after `now_s`.
    segment: usize,
    gaps: Stream,
    prompts: LengthSampler,
    outputs: LengthSampler,
    longest_request_tokens: u32,
    response_cache_share: f64,
    cache_hits: Stream,
}

impl TierArrivals {
    fn new(tier: usize, players: PlayersSeries, traffic: &TierTraffic, duration: Span, seed: u64) -> Self {
        let stream = |concern| Stream::named(seed, &traffic.name, concern);
        Self {
            tier,
            players,
            sent_per_player: traffic.sent_per_player(),
            end_s: duration.as_secs_f64(),
            now_s: 0.0,
            segment: 1,
            gaps: stream("arrival times"),
            prompts: LengthSampler::new(traffic.shape.prompt_tokens, stream("prompt lengths")),
            outputs: LengthSampler::new(traffic.shape.output_tokens, stream("output lengths")),
            longest_request_tokens: traffic.longest_request_tokens,
            response_cache_share: traffic.response_cache_share,
            cache_hits: stream("response cache hits"),
        }
    }

    /// The next request that no cache answers. The others are drawn as well, so that these stay what they are.
    fn draw(&mut self) -> Option<Arrival> {
        loop {
            let sent = self.draw_sent()?;
            if self.response_cache_share == 0.0 || self.cache_hits.uniform() > self.response_cache_share {
                return Some(sent);
            }
        }
    }

    fn draw_sent(&mut self) -> Option<Arrival> {
        let expected = self.gaps.exponential();
        self.advance(expected)?;
        let longest = self.longest_request_tokens;
        let output_tokens = self.outputs.draw().min(longest - 1);
        let prompt_tokens = self.prompts.draw().min(longest - output_tokens);
        Some(Arrival { at: Span::from_secs_f64(self.now_s), tier: self.tier, prompt_tokens, output_tokens })
    }

    /// Moves on until `expected` more arrivals are expected; `None` when the run ends before.
    fn advance(&mut self, mut expected: f64) -> Option<()> {
        while self.now_s < self.end_s {
            let (rate, slope, until_s) = self.straight_stretch();
            let left_s = until_s - self.now_s;
            let in_stretch = left_s * (rate + slope * left_s / 2.0);
            if expected < in_stretch {
                self.now_s = (self.now_s + time_to_expect(expected, rate, slope)).min(until_s);
                return Some(());
            }
            expected -= in_stretch;
            self.now_s = until_s;
            self.segment += 1;
        }
        None
    }

    /// Requests per second now, their growth per second, and how long both hold.
    fn straight_stretch(&self) -> (f64, f64, f64) {
        let points = self.players.points();
        let (Some(before), Some(after)) = (points.get(self.segment - 1), points.get(self.segment)) else {
            let last = points.last().map_or(0.0, |point| point.players);
            return (last * self.sent_per_player, 0.0, self.end_s);
        };
        let (from_s, to_s) = (before.at.as_secs_f64(), after.at.as_secs_f64());
        let players_per_s = (after.players - before.players) / (to_s - from_s);
        let players = before.players + players_per_s * (self.now_s - from_s);
        (players.max(0.0) * self.sent_per_player, players_per_s * self.sent_per_player, to_s.min(self.end_s))
    }
}

/// Smallest d with `rate * d + slope * d^2 / 2 = expected`, in the form that loses no digits when the slope is small.
fn time_to_expect(expected: f64, rate: f64, slope: f64) -> f64 {
    let root = libm::sqrt((rate * rate + 2.0 * slope * expected).max(0.0));
    2.0 * expected / (rate + root)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shape() -> RequestShape {
        RequestShape {
            prompt_tokens: Lengths { mean: 300.0, sigma: 0.8 },
            output_tokens: Lengths { mean: 40.0, sigma: 0.4 },
            per_player_per_minute: 6.0,
        }
    }

    fn gold() -> TierTraffic {
        TierTraffic::new("gold", 1.0, shape(), 4_096).unwrap()
    }

    #[test]
    fn on_a_ramp_the_next_arrival_is_where_the_integral_says() {
        // Rate 2/s growing by 1/s each second: after 2 s the integral is 2 * 2 + 4 / 2 = 6.
        assert!((time_to_expect(6.0, 2.0, 1.0) - 2.0).abs() < 1e-12);
        assert!((time_to_expect(6.0, 2.0, 0.0) - 3.0).abs() < 1e-12);
        // Rate 3/s falling by 1/s each second: after 1 s the integral is 2.5.
        assert!((time_to_expect(2.5, 3.0, -1.0) - 1.0).abs() < 1e-12);
        // From a standstill: t^2 / 2 = 8 after 4 s.
        assert!((time_to_expect(8.0, 0.0, 1.0) - 4.0).abs() < 1e-12);
    }

    #[test]
    fn no_players_send_nothing_and_an_arrival_after_them_is_found() {
        let silent = PlayersSeries::constant(0.0, Span::from_secs(60));
        assert_eq!(Arrivals::new(&silent, &[gold()], Span::from_secs(60), 1).count(), 0);
        let late = PlayersSeries::from_bytes(b"0,0\n100,0\n101,1000\n200,1000\n").unwrap();
        let first = Arrivals::new(&late, &[gold()], Span::from_secs(200), 1).next().unwrap();
        assert!((Span::from_secs(100)..Span::from_secs(102)).contains(&first.at), "{first:?}");
    }

    #[test]
    fn a_request_is_cut_to_what_the_engine_takes() {
        let short = TierTraffic::new("gold", 1.0, shape(), 100).unwrap();
        let players = PlayersSeries::constant(500.0, Span::from_secs(60));
        let drawn: Vec<Arrival> = Arrivals::new(&players, &[short], Span::from_secs(60), 1).collect();
        assert!(drawn.iter().all(|a| a.prompt_tokens + a.output_tokens <= 100 && a.prompt_tokens >= 1));
        assert!(drawn.iter().any(|a| a.prompt_tokens + a.output_tokens == 100));
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_the_tier_s_name() {
        let refused = |share, rate, mean, longest| {
            let lengths = Lengths { mean, sigma: 0.8 };
            let shape = RequestShape { per_player_per_minute: rate, prompt_tokens: lengths, ..shape() };
            TierTraffic::new("gold", share, shape, longest).unwrap_err().to_string()
        };
        assert_eq!(refused(1.2, 1.0, 300.0, 4_096), "tier `gold`: a players' share of 1.2; expected 0 to 1");
        assert!(refused(1.0, f64::NAN, 300.0, 4_096).contains("requests per player and minute"));
        assert!(refused(1.0, 1.0, 0.0, 4_096).contains("prompt tokens with mean 0"));
        assert!(refused(1.0, 1.0, 300.0, 1).contains("expected at least 2"));
        let cache = gold().behind_response_cache(1.5).unwrap_err().to_string();
        assert_eq!(cache, "tier `gold`: a response cache that answers a share of 1.5; expected 0 to 1");
    }
}
