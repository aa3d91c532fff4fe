//! `slo:` and the objectives that it and the criteria are made of.

use crate::form::{Form, List, Named, OneOf, Variant};
use crate::section::Section;
use crate::unit::{self, Duration, Share};
use evenkeel_core::spec::{LatencyMetric, Objective};
use evenkeel_core::units::Span;

/// What an SLO says, as far as it could be read.
#[derive(Default)]
pub(crate) struct SloDraft {
    pub(crate) attainment: Option<f64>,
    /// Each with the path of its bound.
    pub(crate) objectives: Vec<(String, Objective)>,
}

pub(crate) fn read(slo: &mut Section<'_>) -> Option<SloDraft> {
    let attainment = slo.required(
        "attainment",
        "Share of demand, counted in replicas, that must be met by ready replicas; above 0 %, below 100 %.",
        Share::INSIDE,
    );
    let objectives = slo.required(
        "objectives",
        "Latency objectives; all must hold. At least one.",
        List { form: metrics(), least: 1 },
    );
    Some(SloDraft { attainment, objectives: flatten(objectives.unwrap_or_default()) })
}

type OneMetric = (LatencyMetric, Vec<(String, f64, Span)>);

/// `tpot: {p95: 16ms}`, several quantiles allowed.
fn metrics() -> OneOf<OneMetric> {
    OneOf { what: "a latency metric", variants: LatencyMetric::ALL.map(metric).into() }
}

fn metric(metric: LatencyMetric) -> Variant<OneMetric> {
    Variant::new(metric.name(), about(metric), WithMetric(metric))
}

/// Quantiles and bounds of one metric.
pub(crate) fn quantiles() -> Named<f64, Duration> {
    Named { key: unit::quantile, pattern: unit::QUANTILE_PATTERN, what: "a quantile", form: Duration::POSITIVE }
}

pub(crate) const fn about(metric: LatencyMetric) -> &'static str {
    match metric {
        LatencyMetric::Ttft => "Time to the first token, from arrival at the gateway: quantile and bound.",
        LatencyMetric::Tpot => "A request's mean time per output token after the first: quantile and bound.",
        LatencyMetric::Itl => "Each gap between two output tokens: quantile and bound.",
        LatencyMetric::E2e => "From arrival to the last token: quantile and bound.",
        LatencyMetric::QueueTime => "From arrival to the hand-over to a replica: quantile and bound.",
    }
}

struct WithMetric(LatencyMetric);

impl Form for WithMetric {
    type Value = OneMetric;

    fn read(&self, node: &crate::yaml::Node, path: &str, report: &mut crate::report::Report) -> Option<OneMetric> {
        quantiles().read(node, path, report).map(|bounds| (self.0, bounds))
    }

    fn schema(&self) -> serde_json::Value {
        quantiles().schema()
    }
}

fn flatten(list: Vec<(String, OneMetric)>) -> Vec<(String, Objective)> {
    list.into_iter()
        .flat_map(|(_, (metric, bounds))| {
            bounds.into_iter().map(move |(path, quantile, bound)| (path, Objective { metric, quantile, bound }))
        })
        .collect()
}
