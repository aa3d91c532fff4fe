//! What the engine model says of requests that were really sent.

use super::CalibrationError;
use super::latencies::Latencies;
use evenkeel_core::profile::Profile;
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::replica::{Event, IterationRun, Replica};

/// A request as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// Since the start of the run.
    pub(super) at: Span,
    /// As the engine counted them.
    pub(super) prompt_tokens: u32,
    pub(super) output_tokens: u32,
}

/// Sends the same requests at the same moments to a replica of this profile.
pub(super) fn latencies(profile: &Profile, sent: &[Sent]) -> Result<Latencies, CalibrationError> {
    let unusable = |why: String| CalibrationError::NoModel(why);
    let mut replica = Replica::new(profile, Time::from_micros(0)).map_err(|error| unusable(error.to_string()))?;
    let mut in_order = sent.to_vec();
    in_order.sort_unstable_by_key(|sent| sent.at);
    for sent in &in_order {
        let at = Time::from_micros(0) + sent.at;
        replica.submit(at, sent.prompt_tokens, sent.output_tokens).map_err(|refused| unusable(refused.to_string()))?;
    }
    while let Some(next) = replica.next_event() {
        replica.advance(next);
    }
    let mut latencies = Latencies::default();
    for event in replica.drain_events() {
        match event {
            Event::Finished(finished) => {
                latencies.ttft.push(finished.ttft().as_millis_f64());
                latencies.tpot.extend(finished.tpot_seconds().map(|seconds| seconds * 1e3));
            }
            Event::Iterations(run) => latencies.gaps.extend(gaps(&run)),
            Event::Resumed { gap, .. } => latencies.gaps.push((gap.as_millis_f64(), 1.0)),
            Event::FirstToken { .. } => {}
        }
    }
    Ok(latencies)
}

/// The gaps of iterations whose lengths grow evenly.
fn gaps(run: &IterationRun) -> impl Iterator<Item = (f64, f64)> {
    let (first, last) = (run.first.as_millis_f64(), run.last.as_millis_f64());
    let (count, steps) = (run.iterations, (run.iterations.max(2) - 1) as f64);
    let each = run.gaps as f64 / run.iterations.max(1) as f64;
    (0..count).map(move |index| (first + (last - first) * index as f64 / steps, each)).filter(|(_, each)| *each > 0.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::calibrate::latencies::Figure;

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
        assert_eq!(latencies.ttft, [65.0, 72.0], "{latencies:?}");
        assert_eq!(latencies.tpot, [(11.0 + 61.0) / 2.0]);
        assert_eq!(latencies.figure(Figure::ItlMean, 50.0), 36.0);
        assert_eq!(latencies.figure(Figure::ItlAbove, 50.0), 0.5);
    }
}
