//! What the simulator says of requests that were really sent: one replica, request by request, as `evenkeel simulate --model
//! requests` has it.

use super::CalibrationError;
use super::latencies::Figure;
use evenkeel_core::profile::Profile;
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use evenkeel_sim::requests::{Distributions, alone};
use evenkeel_workload::{RequestTrace, TraceRequest};

/// A request as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// Since the start of the run.
    pub(super) at: Span,
    /// As the engine counted them.
    pub(super) prompt_tokens: u32,
    pub(super) output_tokens: u32,
}

/// Latencies of the same requests, sent at the same moments, on a replica of this profile.
pub(super) fn latencies(profile: &Profile, sent: &[Sent]) -> Result<Distributions, CalibrationError> {
    let request = |it: &Sent| {
        let Sent { at, prompt_tokens, output_tokens } = *it;
        TraceRequest { at, prompt_tokens, output_tokens, cached_tokens: 0 }
    };
    let trace = RequestTrace::from_requests(sent.iter().map(request).collect());
    let unusable = |why: String| CalibrationError::NoModel(why);
    alone(profile, &trace).map_err(|error| unusable(error.to_string()))
}

/// A figure of them, as it is measured; not a number where there is nothing to tell it by.
pub(super) fn figure(of: &Distributions, figure: Figure, itl_bound_ms: f64) -> f64 {
    let quantile = |metric, quantile| of.quantile_seconds(metric, quantile).map(|seconds| 1e3 * seconds);
    let bound = Span::from_secs_f64(itl_bound_ms / 1e3);
    let told = match figure {
        Figure::TtftP50 => quantile(LatencyMetric::Ttft, 0.5),
        Figure::TtftP95 => quantile(LatencyMetric::Ttft, 0.95),
        Figure::TpotP50 => quantile(LatencyMetric::Tpot, 0.5),
        Figure::TpotP95 => quantile(LatencyMetric::Tpot, 0.95),
        Figure::ItlMean => of.mean_seconds(LatencyMetric::Itl).map(|seconds| 1e3 * seconds),
        Figure::ItlAbove => of.share_above(LatencyMetric::Itl, bound),
    };
    told.unwrap_or(f64::NAN)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_model_tells_what_its_profile_says() {
        let profile = Profile {
            iteration_ms: 10.0,
            per_sequence_ms: 1.0,
            decode_steps: Vec::new(),
            per_cached_token_ms: 0.0,
            per_prefill_token_ms: 0.5,
            per_prefill_chunk_ms: 0.0,
            per_prefill_token_squared_ms: 0.0,
            max_batched_tokens: 512,
            max_sequences: 8,
            kv_tokens: 10_000,
            max_model_tokens: 1_000,
            prefix_hit_share: 0.0,
            overhead_ms: 5.0,
        };
        let request = |millis, output_tokens| Sent { at: Span::from_millis(millis), prompt_tokens: 100, output_tokens };
        // The second one comes when the first has its first token, and holds its second one up by its prompt.
        let latencies = latencies(&profile, &[request(65, 1), request(0, 3)]).unwrap();
        let near = |told: Figure, ms: f64| {
            let said = figure(&latencies, told, 50.0);
            assert!((said - ms).abs() <= 1e-3 * ms, "{told:?}: {said}, and not {ms}");
        };
        near(Figure::TtftP50, 65.0);
        near(Figure::TtftP95, 72.0);
        near(Figure::TpotP50, f64::midpoint(11.0, 61.0));
        near(Figure::ItlMean, 36.0);
        near(Figure::ItlAbove, 0.5);
    }
}
