//! Criteria that could not be judged.

use super::objectives::measured_when_asynchronous;
use crate::file::Draft;
use crate::file::tier::TierDraft;
use crate::model::Criterion;
use crate::report::Report;
use crate::suggest;

pub(super) fn check(draft: &Draft, report: &mut Report) {
    for criterion in &draft.criteria {
        let (path, Some(name)) = (&criterion.path, criterion.tier.as_deref()) else { continue };
        match draft.tiers.iter().find(|tier| tier.name == name) {
            Some(tier) => {
                if let Some(criterion) = &criterion.criterion {
                    of_tier(path, criterion, tier, report);
                }
            }
            None if report.is_clean(&format!("tiers.{name}")) => {
                let known: Vec<_> = draft.tiers.iter().map(|tier| tier.name.as_str()).collect();
                let message = format!("there is no tier `{name}`");
                report.problem(&format!("{path}.tier"), message, suggest::instead(name, &known));
            }
            // It stands in the file but could not be read.
            None => {}
        }
    }
}

fn of_tier(path: &str, criterion: &Criterion, tier: &TierDraft, report: &mut Report) {
    match criterion {
        Criterion::Latency { metric, .. } if tier.is_asynchronous && !measured_when_asynchronous(*metric) => {
            let message =
                format!("nobody waits for the tokens of an asynchronous tier, so `{}` is not measured", metric.name());
            report.problem(&format!("{path}.{}", metric.name()), message, "judge `queue_time` or `e2e` instead");
        }
        Criterion::QueueDrained { .. } if !tier.is_asynchronous => {
            let message = format!("`{}` answers at once and keeps no durable queue", tier.name);
            report.problem(&format!("{path}.tier"), message, "name an asynchronous tier, or judge `queue_depth`");
        }
        Criterion::GpuUtilization { at_least, at_most, .. } if at_least >= at_most => {
            report.problem(&format!("{path}.at_least"), "the band is empty", "write `at_least` below `at_most`");
        }
        Criterion::GpuUtilization { while_ready, .. } => {
            if let Some(maximum) = tier.replicas.maximum.filter(|maximum| while_ready > maximum) {
                let message = format!("{while_ready} replicas are never ready: the tier has {maximum} at most");
                report.problem(&format!("{path}.while_ready"), message, "lower it, or raise the tier's maximum");
            }
        }
        Criterion::Latency { .. }
        | Criterion::ObjectiveAttainment { .. }
        | Criterion::FailedRequests { .. }
        | Criterion::QueueDepth { .. }
        | Criterion::QueueDrained { .. } => {}
    }
}
