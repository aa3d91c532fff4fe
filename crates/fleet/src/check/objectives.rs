//! Objectives that no number of replicas meets, or that nobody could measure.

use crate::file::Draft;
use crate::file::tier::TierDraft;
use crate::report::Report;
use crate::unit::quantile_name;
use evenkeel_core::capacity::idle_latency_ms;
use evenkeel_core::spec::{LatencyMetric, Objective};

/// The quantile of prompt lengths to which an idle replica must begin an answer in time.
const LONG_PROMPT: f64 = 0.95;

pub(super) fn check(tier: &TierDraft, report: &mut Report) {
    for (index, (path, objective)) in tier.slo.objectives.iter().enumerate() {
        let twin = |(_, earlier): &&(String, Objective)| {
            (earlier.metric, quantile_name(earlier.quantile)) == (objective.metric, quantile_name(objective.quantile))
        };
        if tier.slo.objectives[..index].iter().any(|earlier| twin(&earlier)) {
            let message = format!("{} has two bounds", name(objective));
            report.problem(path, message, "keep the stricter one");
        }
        if tier.is_asynchronous && !measured_when_asynchronous(objective.metric) {
            let message = format!(
                "nobody waits for the tokens of an asynchronous tier, so `{}` is not measured",
                objective.metric.name()
            );
            report.problem(path, message, "promise `queue_time` or `e2e` instead");
        } else {
            idle(tier, path, objective, report);
        }
    }
}

/// A replica that is late only now and then must not count as one that hangs, and an idle one never.
pub(super) fn first_byte(tier: &TierDraft, draft: &Draft, report: &mut Report) {
    let limit = draft.gateway.as_ref().map(|gateway| gateway.first_byte).filter(|_| !tier.is_asynchronous);
    let Some(first_byte) = limit else { return };
    let idle = Objective { metric: LatencyMetric::Ttft, quantile: LONG_PROMPT, bound: first_byte };
    let idle = idle_latency_ms(&tier.profile.fastest(), &tier.requests.shortest(), &idle);
    if idle >= first_byte.as_millis_f64() {
        let message = format!(
            "an idle replica of {} takes {idle:.1} ms to the first token of a long prompt ({} of its lengths), and would be \
             given up for it after {first_byte}",
            tier.name,
            quantile_name(LONG_PROMPT)
        );
        return report.problem(
            "gateway.first_byte",
            message,
            "write what shows an engine that hangs, for example `10s`",
        );
    }
    if 2.0 * idle > first_byte.as_millis_f64() {
        let message = format!(
            "{first_byte} are less than twice what an idle replica of {} takes to the first token of a long prompt, {idle:.1} ms",
            tier.name
        );
        return report.warning("gateway.first_byte", message, "write ten times as much");
    }
    let objectives = tier.slo.objectives.iter().map(|(_, objective)| objective);
    let bound = objectives.filter(|it| it.metric == LatencyMetric::Ttft).map(|it| it.bound).max();
    if let Some(bound) = bound.filter(|&bound| first_byte < bound + bound) {
        let message = format!(
            "a replica of {} that is late now and then would count as one that hangs: its first tokens may take {bound}",
            tier.name
        );
        report.warning("gateway.first_byte", message, "write twice the bound at least, better ten times");
    }
}

/// What a client of an asynchronous tier can tell.
pub(super) const fn measured_when_asynchronous(metric: LatencyMetric) -> bool {
    matches!(metric, LatencyMetric::QueueTime | LatencyMetric::E2e)
}

fn idle(tier: &TierDraft, path: &str, objective: &Objective, report: &mut Report) {
    let idle = idle_latency_ms(&tier.profile.fastest(), &tier.requests.shortest(), objective);
    if idle < objective.bound.as_millis_f64() {
        return;
    }
    let quantile = quantile_name(objective.quantile);
    let message = format!(
        "{} is {idle:.1} ms even on an idle replica (its {quantile} of request lengths), so no number of replicas keeps {}",
        name(objective),
        objective.bound
    );
    report.problem(path, message, "raise the bound, shorten the prompts, or correct `profile`");
}

fn name(objective: &Objective) -> String {
    format!("{} {}", objective.metric.name(), quantile_name(objective.quantile))
}
