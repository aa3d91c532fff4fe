//! `criteria:`

use crate::file::objectives;
use crate::file::words;
use crate::form::{OneOf, Variant};
use crate::model::Criterion;
use crate::scalar::Whole;
use crate::section::{Object, Section};
use crate::unit::Share;
use evenkeel_core::spec::LatencyMetric;

/// A criterion as far as it could be read.
pub(crate) struct CriterionDraft {
    pub(crate) path: String,
    pub(crate) tier: Option<String>,
    pub(crate) criterion: Option<Criterion>,
}

impl CriterionDraft {
    /// About one tier.
    fn about_tier(section: &mut Section<'_>) -> Self {
        let tier = section.required("tier", "The tier.", words::NAME);
        Self { path: section.path(), tier, criterion: None }
    }

    /// With the rest, where nothing of it is missing.
    fn with(mut self, rest: impl FnOnce(String) -> Option<Criterion>) -> Option<Self> {
        self.criterion = self.tier.clone().and_then(rest);
        Some(self)
    }
}

pub(crate) fn form() -> OneOf<CriterionDraft> {
    OneOf {
        what: "a criterion",
        variants: vec![
            Variant::new("latency", "A latency quantile over the whole run, as clients saw it.", Object(latency)),
            Variant::new(
                "objective_attainment",
                "Share of one-minute windows, weighted by requests, in which every objective held and nothing failed.",
                Object(attainment),
            ),
            Variant::new("failed_requests", "Failed requests, of all tiers together.", Object(failed)),
            Variant::new("gpu_utilization", "Mean GPU utilization.", Object(gpu)),
            Variant::new("queue_depth", "Waiting requests.", Object(queue_depth)),
            Variant::new(
                "queue_drained",
                "Everything that an asynchronous tier accepted was answered when the run ended.",
                Object(queue_drained),
            ),
        ],
    }
}

fn latency(criterion: &mut Section<'_>) -> Option<CriterionDraft> {
    let draft = CriterionDraft::about_tier(criterion);
    let bounds = LatencyMetric::ALL
        .map(|metric| (metric, criterion.optional(metric.name(), objectives::about(metric), objectives::quantiles())));
    let written = LatencyMetric::ALL.iter().filter(|metric| !criterion.is_absent(metric.name())).count();
    let mut given: Vec<_> = bounds
        .into_iter()
        .flat_map(|(metric, bounds)| bounds.unwrap_or_default().into_iter().map(move |bound| (metric, bound)))
        .collect();
    if written != 1 || given.len() > 1 {
        criterion.check(|report, path| {
            let help = "write for example `tpot: {p95: 16ms}`, and a criterion for each further bound";
            report.problem_at_key(path, "exactly one metric with one quantile belongs here", help);
        });
        given.clear();
    }
    draft.with(|tier| {
        let (metric, (_, quantile, at_most)) = given.pop()?;
        Some(Criterion::Latency { tier, metric, quantile, at_most })
    })
}

fn attainment(criterion: &mut Section<'_>) -> Option<CriterionDraft> {
    let draft = CriterionDraft::about_tier(criterion);
    let at_least = criterion.required("at_least", "At least this share.", Share::SOME);
    draft.with(|tier| Some(Criterion::ObjectiveAttainment { tier, at_least: at_least? }))
}

const REQUESTS: Whole = Whole { what: "requests", least: 0, most: u32::MAX };

fn failed(criterion: &mut Section<'_>) -> Option<CriterionDraft> {
    let at_most = criterion.required("at_most", "At most so many.", REQUESTS);
    let judged = at_most.map(|at_most| Criterion::FailedRequests { at_most: u64::from(at_most) });
    Some(CriterionDraft { path: criterion.path(), tier: None, criterion: judged })
}

fn gpu(criterion: &mut Section<'_>) -> Option<CriterionDraft> {
    let draft = CriterionDraft::about_tier(criterion);
    let at_least = criterion.or("at_least", "At least.", Share::ANY, "0%");
    let at_most = criterion.or("at_most", "At most.", Share::SOME, "100%");
    let while_ready = criterion.or(
        "while_ready",
        "Judged only while this many replicas are ready: below about five, one step leaves a narrow band.",
        Whole { what: "replicas", least: 1, most: 100_000 },
        "1",
    );
    draft.with(|tier| {
        Some(Criterion::GpuUtilization { tier, at_least: at_least?, at_most: at_most?, while_ready: while_ready? })
    })
}

fn queue_depth(criterion: &mut Section<'_>) -> Option<CriterionDraft> {
    let draft = CriterionDraft::about_tier(criterion);
    let at_most = criterion.required("at_most", "At most so many.", REQUESTS);
    draft.with(|tier| Some(Criterion::QueueDepth { tier, at_most: u64::from(at_most?) }))
}

fn queue_drained(criterion: &mut Section<'_>) -> Option<CriterionDraft> {
    CriterionDraft::about_tier(criterion).with(|tier| Some(Criterion::QueueDrained { tier }))
}
