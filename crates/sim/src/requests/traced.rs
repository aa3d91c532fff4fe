//! What a trace demands: its requests have lengths of their own, and a tier's demand in replicas is measured by them and not
//! by those that its fleet file states.

use super::longest::{longest_request, takes};
use evenkeel_core::capacity::work_ms;
use evenkeel_core::profile::Profile;
use evenkeel_core::spec::{Lengths, RequestShape, TierSpec};
use evenkeel_core::units::Span;
use evenkeel_workload::{RequestTrace, TraceRequest};

/// The tier with the lengths of the trace's requests and, where the trace tells, the share of their prompts that a prefix cache
/// finds. Requests that no engine of the tier takes are refused at the door and left out; `None` if those are all.
pub fn as_traced(tier: &TierSpec, trace: &RequestTrace) -> Option<TierSpec> {
    let taken = || taken(&tier.profile, trace);
    let prompt_tokens = lengths(taken().map(|it| it.prompt_tokens))?;
    let output_tokens = lengths(taken().map(|it| it.output_tokens))?;
    let requests = RequestShape { prompt_tokens, output_tokens, ..tier.requests };
    let cached = || taken().map(|it| u64::from(it.cached_tokens)).sum::<u64>() as f64;
    let prompts = || taken().map(|it| u64::from(it.prompt_tokens)).sum::<u64>() as f64;
    let stated = tier.profile.prefix_hit_share;
    let prefix_hit_share = if trace.tells_cached() { cached() / prompts() } else { stated };
    Some(TierSpec { requests, profile: Profile { prefix_hit_share, ..tier.profile.clone() }, ..tier.clone() })
}

/// What each request weighs in demand.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    profile: Profile,
    requests: RequestShape,
    /// Engine time of a mean request.
    mean_ms: f64,
    tells_cached: bool,
}

impl Weights {
    /// `tier` is [`as_traced`].
    pub(super) fn of(tier: &TierSpec, trace: &RequestTrace) -> Self {
        let (profile, requests) = (tier.profile.clone(), tier.requests);
        let computed = (1.0 - profile.prefix_hit_share) * requests.prompt_tokens.mean;
        let mean_ms = work_ms(&profile, &requests, computed, requests.output_tokens.mean);
        Self { profile, requests, mean_ms, tells_cached: trace.tells_cached() }
    }

    /// The engine time that its tokens cost over the mean's.
    pub(super) fn weight(&self, request: &TraceRequest) -> f64 {
        let prompt = f64::from(request.prompt_tokens);
        let computed = match self.tells_cached {
            true => prompt - f64::from(request.cached_tokens),
            false => (1.0 - self.profile.prefix_hit_share) * prompt,
        };
        work_ms(&self.profile, &self.requests, computed, f64::from(request.output_tokens)) / self.mean_ms
    }
}

/// Requests a second in each of the first `slots` slots, each by its weight; `tier` is [`as_traced`].
pub fn rates(tier: &TierSpec, trace: &RequestTrace, slot: Span, slots: usize) -> Vec<f64> {
    let weights = Weights::of(tier, trace);
    let mut rates = vec![0.0; slots];
    for request in taken(&tier.profile, trace) {
        let index = (request.at.as_micros() / slot.as_micros()) as usize;
        if let Some(rate) = rates.get_mut(index) {
            *rate += weights.weight(request) / slot.as_secs_f64();
        }
    }
    rates
}

/// How many requests of the trace no engine of this profile takes.
pub fn refused(profile: &Profile, trace: &RequestTrace) -> usize {
    trace.requests().len() - taken(profile, trace).count()
}

fn taken<'a>(profile: &Profile, trace: &'a RequestTrace) -> impl Iterator<Item = &'a TraceRequest> {
    let longest = longest_request(profile);
    trace.requests().iter().filter(move |it| takes(longest, it.prompt_tokens, it.output_tokens))
}

/// Log-normal lengths of the same mean and deviation; `None` of none.
fn lengths(tokens: impl Iterator<Item = u32>) -> Option<Lengths> {
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for tokens in tokens.map(f64::from) {
        (count, sum, squares) = (count + 1.0, sum + tokens, squares + tokens * tokens);
    }
    let (mean, square) = (sum / count, squares / count);
    // Of a log-normal ln(1 + CV^2) is the square of sigma, and 1 + CV^2 the mean square over the square of the mean.
    (count > 0.0).then(|| Lengths { mean, sigma: libm::sqrt(libm::log(square / (mean * mean)).max(0.0)) })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Drawn, Gateway, Traffic, run};
    use super::*;
    use crate::autoscaler::{Autoscaler, Seen};
    use crate::oracle::Violation;
    use crate::peers::example_tier;
    use crate::setting::Setting;
    use evenkeel_core::capacity::Table;
    use evenkeel_core::units::Time;

    fn trace(requests: &[(i64, u32, u32, u32)]) -> RequestTrace {
        let request = |&(second, prompt_tokens, output_tokens, cached_tokens): &(i64, u32, u32, u32)| TraceRequest {
            at: Span::from_secs(second),
            prompt_tokens,
            output_tokens,
            cached_tokens,
        };
        RequestTrace::from_requests(requests.iter().map(request).collect())
    }

    #[test]
    fn lengths_that_were_drawn_are_found_again() {
        let tier = example_tier();
        let rates = [2_000.0; 10];
        let drawn = Drawn::of(&tier, &rates, Span::from_secs(5), 1).collect();
        let found = as_traced(&tier, &RequestTrace::from_requests(drawn)).unwrap().requests;
        for (found, drawn) in
            [(found.prompt_tokens, tier.requests.prompt_tokens), (found.output_tokens, tier.requests.output_tokens)]
        {
            // Six standard errors of 100,000 lengths are a hundredth of the mean.
            assert!((found.mean / drawn.mean - 1.0).abs() < 0.012, "{found:?}");
            assert!((found.sigma - drawn.sigma).abs() < 0.02, "{found:?}");
        }
    }

    #[test]
    fn a_request_weighs_by_the_engine_time_of_its_tokens() {
        // An iteration of 30 ms with 20 inside is 1.5 ms a token and request, beside 0.1 ms a token of its prompt.
        let trace = trace(&[(0, 100, 20, 0), (5, 400, 40, 0), (11, 100, 20, 0), (11, 100, 20, 0)]);
        let tier = as_traced(&example_tier(), &trace).unwrap();
        let rates = rates(&tier, &trace, Span::from_secs(5), 3);
        let (light, heavy) = (10.0 + 30.0, 40.0 + 60.0);
        let mean = (3.0 * light + heavy) / 4.0;
        let expected = [light, heavy, 2.0 * light].map(|work| work / mean / 5.0);
        assert!(rates.iter().zip(expected).all(|(rate, expected)| (rate - expected).abs() < 1e-12), "{rates:?}");
    }

    /// Keeps what it saw last.
    struct Looks(Vec<f64>);

    impl Autoscaler for Looks {
        fn decide(&mut self, seen: &Seen<'_>) -> u32 {
            self.0 = seen.demand.to_vec();
            4
        }
    }

    #[test]
    fn whoever_goes_by_demand_sees_the_very_demand_that_is_scored() {
        // Requests of the second half are many times as long as those of the first.
        let request = |number: i64| {
            let (prompt_tokens, output_tokens) = if number < 240 { (60, 5) } else { (700, 80) };
            TraceRequest { at: Span::from_millis(250 * number + 125), prompt_tokens, output_tokens, cached_tokens: 0 }
        };
        let trace = RequestTrace::from_requests((0..480).map(request).collect());
        let tier = as_traced(&example_tier(), &trace).unwrap();
        let (slot, start, violation) = (Span::from_secs(5), Time::default(), Violation::Excess);
        let table = Table::solve(&tier.profile, &tier.requests, &tier.slo.objectives, tier.maximum);
        let demand: Vec<f64> = rates(&tier, &trace, slot, 24).iter().map(|&rate| table.demand(rate)).collect();
        let setting = Setting { slot, start_up_slots: 0, minimum: 4, maximum: 4, scored_from: 0, start, violation };
        let gateway = Gateway::new(1_000, Span::from_secs(600), 22);
        let mut looks = Looks(Vec::new());
        run(Traffic::traced(&trace), &demand, &setting, (&tier, &gateway), &mut looks).unwrap();
        assert!(demand[0] * 5.0 < demand[23], "{demand:?}");
        assert_eq!(looks.0.len(), 23);
        assert!(looks.0.iter().zip(&demand).all(|(seen, scored)| (seen - scored).abs() < 1e-9), "{:?}", looks.0);
    }

    #[test]
    fn what_a_prefix_cache_finds_weighs_nothing_and_replaces_the_stated_share() {
        let trace = trace(&[(0, 100, 20, 0), (5, 300, 20, 200), (10, 100, 20, 0)]);
        let tier = as_traced(&example_tier(), &trace).unwrap();
        assert_eq!(tier.profile.prefix_hit_share, 0.4);
        let rates = rates(&tier, &trace, Span::from_secs(5), 3);
        assert!(rates.iter().all(|rate| (rate - 0.2).abs() < 1e-12), "{rates:?}");
    }

    #[test]
    fn what_no_engine_takes_is_no_demand() {
        let long = (5, 4_000, 97, 0);
        let some = trace(&[(0, 100, 20, 0), long]);
        let tier = as_traced(&example_tier(), &some).unwrap();
        assert_eq!(tier.requests.prompt_tokens, Lengths { mean: 100.0, sigma: 0.0 });
        assert_eq!(rates(&tier, &some, Span::from_secs(5), 2), [0.2, 0.0]);
        assert_eq!(refused(&tier.profile, &some), 1);
        assert_eq!(as_traced(&example_tier(), &trace(&[long])), None);
        // What was cached of a prompt that is refused is nobody's share.
        let cached = trace(&[(0, 100, 20, 0), (5, 4_000, 97, 4_000)]);
        assert_eq!(as_traced(&example_tier(), &cached).unwrap().profile.prefix_hit_share, 0.0);
    }
}
