//! What a load has that makes figures say something else than they seem to.

use evenkeel_core::spec::{LatencyMetric, TierSpec};
use evenkeel_sim::requests::{self, longest_request};
use evenkeel_workload::RequestTrace;

/// Lengths further from the stated ones than this factor are others.
const ALIKE: f64 = 1.2;

pub(super) fn unachievable(metric: LatencyMetric, spec: &TierSpec) -> String {
    format!(
        "with requests of these lengths not even an idle replica of `{}` keeps the objective on {}, so demand is measured by \
         what full batches carry",
        spec.name,
        metric.name()
    )
}

pub(super) fn too_long(trace: &RequestTrace, spec: &TierSpec) -> Option<String> {
    let (refused, all) = (requests::refused(&spec.profile, trace), trace.requests().len());
    (refused > 0).then(|| {
        format!(
            "{refused} of {all} requests are longer than the {} tokens that an engine of `{}` takes: they fail in any fleet, and \
             are no demand; raise `max_model_tokens` and `kv_tokens` of its profile, or leave them out of the file",
            longest_request(&spec.profile),
            spec.name
        )
    })
}

/// Rates tell nothing of lengths, so in the fluid model Evenkeel is shown demand as it is; live it has to learn them.
pub(super) fn unlike(traced: &TierSpec, spec: &TierSpec) -> Option<String> {
    let (seen, stated) = (traced.requests, spec.requests);
    let differs = |seen: f64, stated: f64| !(1.0 / ALIKE..=ALIKE).contains(&(seen / stated));
    let [prompts, outputs] = [seen.prompt_tokens.mean, seen.output_tokens.mean];
    let [stated_prompts, stated_outputs] = [stated.prompt_tokens.mean, stated.output_tokens.mean];
    (differs(prompts, stated_prompts) || differs(outputs, stated_outputs)).then(|| {
        format!(
            "these requests have {prompts:.0} and {outputs:.0} tokens on average, and the fleet file states {stated_prompts:.0} \
             and {stated_outputs:.0}; the fluid model takes Evenkeel to know it, `--model requests` lets it learn"
        )
    })
}

pub(super) fn above_the_maximum(demand: &[f64], spec: &TierSpec) -> Option<String> {
    let peak = demand.iter().copied().fold(0.0, f64::max);
    let above = demand.iter().filter(|demand| **demand > f64::from(spec.maximum)).count();
    (above > 0).then(|| {
        format!(
            "demand comes to {peak:.1} replicas and is above the maximum of {} for {:.1} % of the time: nobody can carry that \
             part, and the oracle knows no maximum",
            spec.maximum,
            100.0 * above as f64 / demand.len() as f64
        )
    })
}
