//! The fleet file's criteria against a run in virtual time.

use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use evenkeel_fleet::model::Criterion;
use evenkeel_load::summary::{CriterionResult, NotJudged, Observed, Verdict, describe};
use evenkeel_sim::compare::Cell;
use evenkeel_sim::setting::Setting;

/// Judges those of the criteria that speak of the tier, or of the whole fleet, which here is the tier.
pub(super) fn criteria(criteria: &[Criterion], tier: &str, cell: &Cell, setting: &Setting) -> Vec<CriterionResult> {
    let judged = criteria.iter().filter_map(|criterion| {
        let (kind, whose, statement) = describe(criterion);
        if whose.is_some_and(|whose| whose != tier) {
            return None;
        }
        let (verdict, observed, not_judged, reason) = match judge(criterion, cell, setting) {
            Judgement::Seen(holds, observed) => {
                (if holds { Verdict::Passed } else { Verdict::Failed }, Some(observed), None, None)
            }
            Judgement::Failed(reason) => (Verdict::Failed, None, None, Some(reason)),
            Judgement::Not(cause, reason) => (Verdict::NotJudged, None, Some(cause), Some(reason)),
        };
        let (kind, tier) = (kind.to_owned(), whose.map(str::to_owned));
        Some(CriterionResult { kind, tier, statement, verdict, observed, not_judged, reason })
    });
    judged.collect()
}

/// Whether they hold. Where there are some and none could be judged nothing was shown, and that is no pass.
pub(super) fn hold(criteria: &[CriterionResult]) -> bool {
    let any = |verdict: Verdict| criteria.iter().any(|criterion| criterion.verdict == verdict);
    !any(Verdict::Failed) && (criteria.is_empty() || any(Verdict::Passed))
}

enum Judgement {
    Seen(bool, Observed),
    /// Without a figure.
    Failed(String),
    Not(NotJudged, String),
}

fn judge(criterion: &Criterion, cell: &Cell, setting: &Setting) -> Judgement {
    let served = &cell.score.served;
    let Some(requests) = served.requests.filter(|requests| requests.offered > 0) else {
        return Judgement::Not(NotJudged::NoOccasion, "no request came while the run was scored".to_owned());
    };
    match criterion {
        Criterion::Latency { metric, quantile, at_most, .. } => latency(cell, *metric, *quantile, *at_most),
        Criterion::ObjectiveAttainment { at_least, .. } => {
            let share = served.objective_attainment.unwrap_or(0.0);
            Judgement::Seen(share >= *at_least, Observed::ObjectiveAttainment(share))
        }
        Criterion::FailedRequests { at_most } => {
            Judgement::Seen(requests.unserved() <= *at_most, Observed::FailedRequests(requests.unserved()))
        }
        Criterion::GpuUtilization { while_ready, .. } => utilization(cell, setting, *while_ready),
        Criterion::QueueDepth { at_most, .. } => {
            Judgement::Seen(requests.most_queued <= *at_most, Observed::QueueDepth(requests.most_queued))
        }
        Criterion::QueueDrained { .. } => {
            Judgement::Seen(requests.unserved() == 0, Observed::UnansweredRequests(requests.unserved()))
        }
    }
}

/// A request that failed, or whose player left, counts as above every bound, so the quantile is sought further up among those that were answered.
fn latency(cell: &Cell, metric: LatencyMetric, quantile: f64, at_most: Span) -> Judgement {
    let served = &cell.score.served;
    let (answered, failed) = served.requests.map_or((0, 0), |counts| (counts.answered, counts.unserved()));
    let rank = quantile * (answered + failed) as f64 / answered.max(1) as f64;
    let seen = served.distributions.as_ref().and_then(|all| all.quantile_seconds(metric, rank.min(1.0)));
    match seen {
        Some(seconds) if rank <= 1.0 => {
            Judgement::Seen(seconds <= at_most.as_secs_f64(), Observed::LatencyMs(1e3 * seconds))
        }
        Some(_) => Judgement::Failed(format!("{failed} of {} requests were not answered", answered + failed)),
        None => Judgement::Not(NotJudged::NoOccasion, format!("no answer was long enough for {}", metric.name())),
    }
}

/// An engine's model has no GPU. What it has is the share of time in which it computes, and under any batching engine that is
/// near 100 % long before its batch is full: judged by a band, every good run would fail.
fn utilization(cell: &Cell, setting: &Setting, while_ready: u32) -> Judgement {
    let slots = cell.run.ready.iter().zip(&cell.score.served.busy).skip(setting.scored_from);
    let busy: Vec<f64> = slots.filter(|(ready, _)| **ready >= while_ready).map(|(_, busy)| *busy).collect();
    if busy.is_empty() {
        let most = cell.run.ready.iter().skip(setting.scored_from).max().copied().unwrap_or(0);
        return Judgement::Not(NotJudged::NoOccasion, format!("never {while_ready} ready: {most} at most"));
    }
    let mean = busy.iter().sum::<f64>() / busy.len() as f64;
    let reason = format!("modelled engines have no GPU; they computed for {:.0} % of the time", 100.0 * mean);
    Judgement::Not(NotJudged::NeverRead, reason)
}
