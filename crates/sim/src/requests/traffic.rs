//! The requests of a run, drawn as they are asked for or read from a trace.

use super::longest::longest_request;
use super::traced::Weights;
use evenkeel_core::spec::{RequestShape, TierSpec};
use evenkeel_core::units::Span;
use evenkeel_workload::lengths::LengthSampler;
use evenkeel_workload::random::Stream;
use evenkeel_workload::{RequestTrace, TraceRequest};

/// Requests in order of time, none of them after the end of its run.
#[derive(Clone, Debug)]
pub enum Traffic<'a> {
    /// Drawn from rates.
    Drawn(Drawn<'a>),
    /// As they once were sent.
    Traced(&'a RequestTrace, usize),
}

impl<'a> Traffic<'a> {
    /// A trace from its beginning.
    pub const fn traced(trace: &'a RequestTrace) -> Self {
        Self::Traced(trace, 0)
    }

    /// Whether it tells of each request how much of its prompt came before, as traces with hashes of prompts do.
    pub(super) fn tells_cached(&self) -> bool {
        matches!(self, Self::Traced(trace, _) if trace.tells_cached())
    }

    /// What its requests weigh in the demand of `tier`, where they have lengths of their own.
    pub(super) fn weights(&self, tier: &TierSpec) -> Option<Weights> {
        match self {
            Self::Drawn(_) => None,
            Self::Traced(trace, _) => Some(Weights::of(tier, trace)),
        }
    }
}

impl Iterator for Traffic<'_> {
    type Item = TraceRequest;

    fn next(&mut self) -> Option<TraceRequest> {
        match self {
            Self::Drawn(drawn) => drawn.next(),
            Self::Traced(trace, next) => {
                *next += 1;
                trace.requests().get(*next - 1).copied()
            }
        }
    }
}

/// A Poisson process whose rate is another in each slot, by time rescaling: the expected count between two arrivals is
/// exponential with mean 1.
#[derive(Clone, Debug)]
pub struct Drawn<'a> {
    /// Requests a second in each slot.
    rates: &'a [f64],
    slot_s: f64,
    index: usize,
    now_s: f64,
    gaps: Stream,
    prompts: LengthSampler,
    outputs: LengthSampler,
    longest: u32,
}

impl<'a> Drawn<'a> {
    /// What `tier`'s players send, cut to what its engines take.
    pub fn of(tier: &TierSpec, rates: &'a [f64], slot: Span, seed: u64) -> Self {
        Self::new(&tier.name, rates, slot, &tier.requests, longest_request(&tier.profile), seed)
    }

    /// Requests of the tier `name` at so many a second in each slot. Those longer than `longest` tokens are cut to it,
    /// output first, as a gateway's client would have to.
    pub fn new(name: &str, rates: &'a [f64], slot: Span, shape: &RequestShape, longest: u32, seed: u64) -> Self {
        let stream = |concern| Stream::named(seed, name, concern);
        Self {
            rates,
            slot_s: slot.as_secs_f64(),
            index: 0,
            now_s: 0.0,
            gaps: stream("arrival times"),
            prompts: LengthSampler::new(shape.prompt_tokens, stream("prompt lengths")),
            outputs: LengthSampler::new(shape.output_tokens, stream("output lengths")),
            longest: longest.max(2),
        }
    }

    /// Moves on until one more arrival is expected; `None` when the rates end before.
    fn advance(&mut self) -> Option<()> {
        let mut expected = self.gaps.exponential();
        loop {
            let rate = *self.rates.get(self.index)?;
            let until_s = (self.index + 1) as f64 * self.slot_s;
            let in_slot = rate * (until_s - self.now_s);
            if expected < in_slot {
                self.now_s = (self.now_s + expected / rate).min(until_s);
                return Some(());
            }
            expected -= in_slot.max(0.0);
            self.now_s = until_s;
            self.index += 1;
        }
    }
}

impl Iterator for Drawn<'_> {
    type Item = TraceRequest;

    fn next(&mut self) -> Option<TraceRequest> {
        self.advance()?;
        let output_tokens = self.outputs.draw().min(self.longest - 1);
        let prompt_tokens = self.prompts.draw().min(self.longest - output_tokens);
        Some(TraceRequest { at: Span::from_secs_f64(self.now_s), prompt_tokens, output_tokens, cached_tokens: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::spec::Lengths;

    const SHAPE: RequestShape = RequestShape {
        prompt_tokens: Lengths { mean: 300.0, sigma: 0.8 },
        output_tokens: Lengths { mean: 40.0, sigma: 0.8 },
        per_player_per_minute: 1.0,
    };

    fn drawn(rates: &[f64], seed: u64) -> Vec<TraceRequest> {
        Drawn::new("gold", rates, Span::from_secs(5), &SHAPE, 4_096, seed).collect()
    }

    #[test]
    fn each_slot_gets_as_many_requests_as_its_rate_says() {
        let requests = drawn(&[1_000.0, 0.0, 4_000.0], 1);
        let within = |from: i64, to: i64| {
            let inside = Span::from_secs(from)..Span::from_secs(to);
            requests.iter().filter(|request| inside.contains(&request.at)).count()
        };
        // Six standard deviations of a Poisson count.
        assert!(within(0, 5).abs_diff(5_000) < 424 && within(10, 15).abs_diff(20_000) < 849);
        assert_eq!(within(5, 10), 0);
        assert!(requests.is_sorted_by_key(|request| request.at));
    }

    #[test]
    fn the_same_seed_gives_the_same_requests_and_another_seed_others() {
        assert_eq!(drawn(&[100.0], 3), drawn(&[100.0], 3));
        assert!(drawn(&[100.0], 3) != drawn(&[100.0], 4));
    }
}
