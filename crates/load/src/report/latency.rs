//! How long clients waited, against the bounds.

use super::chart::{Chart, Series, Style};
use super::timeline::moments;
use super::traffic::by_slice;
use crate::summary::{Distribution, Quantiles, Summary, TierSummary};
use evenkeel_core::spec::LatencyMetric;
use evenkeel_report::markup::{Cell, note, section as html_section, table};
use evenkeel_report::words::{count, milliseconds, percent, quantile_name};
use std::collections::BTreeSet;

const DEFINITION: &str = "Goodput is the share of all offered requests that were answered and each kept every bound of their \
     tier\u{2019}s objectives; objective attainment is the share, weighted by requests, of windows in which each \
     objective\u{2019}s quantile kept its bound and nothing failed. Latencies count from the moment at which a request was to be sent, whatever became of those before \
     it, so a service that stalls cannot hide the wait by being asked less often. Charts show requests by that moment. A \
     failed request has no latency, and counts as above every bound where a criterion is judged.";

pub(super) fn section(summary: &Summary) -> String {
    let charts: String = summary.tiers.iter().map(|tier| charts(summary, tier)).collect();
    let body = format!("{}{}{}{charts}", inside(summary), percentiles(summary), note(DEFINITION));
    html_section("latency", "How long clients waited", &body)
}

/// How many requests were inside the whole SLO of their tier.
fn inside(summary: &Summary) -> String {
    let header = [
        "tier",
        "requests",
        "answered",
        "inside the whole SLO",
        "goodput",
        "goodput per second",
        "objective attainment",
    ];
    let row = |tier: &TierSummary| {
        vec![
            Cell::text(&tier.tier),
            Cell::figure(count(tier.offered_requests)),
            Cell::figure(count(tier.succeeded_requests)),
            Cell::maybe(tier.within_slo_requests.map(count)),
            Cell::maybe(tier.goodput_share.map(percent)),
            Cell::maybe(tier.goodput_per_second.map(|rate| format!("{rate:.1}"))),
            Cell::maybe(tier.objective_attainment.map(percent)),
        ]
    };
    table("Requests inside the SLO", &header, &summary.tiers.iter().map(row).collect::<Vec<_>>())
}

fn percentiles(summary: &Summary) -> String {
    let header = ["tier", "latency", "p50", "p90", "p95", "p99", "max", "answers", "bound"];
    let rows = summary
        .tiers
        .iter()
        .flat_map(|tier| tier.latency.iter().map(move |(metric, values)| row(tier, *metric, values)));
    let rows: Vec<Vec<Cell>> = rows.collect();
    if rows.is_empty() {
        return note("No request was answered, so there is no latency.");
    }
    table("Latencies over the whole run", &header, &rows)
}

fn row(tier: &TierSummary, metric: LatencyMetric, values: &Distribution) -> Vec<Cell> {
    let ms = |value: f64| Cell::figure(milliseconds(value));
    let bounds: Vec<String> = bounds(tier, metric).into_iter().map(|(name, _)| name).collect();
    vec![
        Cell::text(&tier.tier),
        Cell::text(metric.name()),
        ms(values.p50_ms),
        ms(values.p90_ms),
        ms(values.p95_ms),
        ms(values.p99_ms),
        ms(values.max_ms),
        Cell::figure(count(values.count)),
        Cell::text(bounds.join(", ")),
    ]
}

/// The objectives on a metric, in words and in milliseconds.
fn bounds(tier: &TierSummary, metric: LatencyMetric) -> Vec<(String, f64)> {
    let of_metric = tier.objectives.iter().filter(|objective| objective.metric == metric);
    let named = |it: &crate::summary::ObjectiveBound| {
        (format!("{} \u{2264} {}", quantile_name(it.quantile), milliseconds(it.bound_ms)), it.bound_ms)
    };
    of_metric.map(named).collect()
}

fn charts(summary: &Summary, tier: &TierSummary) -> String {
    let metrics: BTreeSet<LatencyMetric> =
        tier.timeline.iter().flat_map(|slice| slice.latency.keys().copied()).collect();
    metrics.into_iter().map(|metric| chart(summary, tier, metric).html()).collect()
}

fn chart(summary: &Summary, tier: &TierSummary, metric: LatencyMetric) -> Chart {
    let series = |name: &str, of: fn(&Quantiles) -> f64| Series {
        name: name.to_owned(),
        color: name.to_owned(),
        style: Style::Line,
        values: by_slice(summary, tier, |slice| slice.latency.get(&metric).map(of)),
    };
    Chart {
        title: format!("{}: {}", tier.tier, in_words(metric)),
        moments: moments(summary),
        end_seconds: summary.elapsed_seconds,
        series: vec![series("p50", |it| it.p50_ms), series("p95", |it| it.p95_ms), series("p99", |it| it.p99_ms)],
        bounds: bounds(tier, metric),
        whole: false,
        show: milliseconds,
    }
}

const fn in_words(metric: LatencyMetric) -> &'static str {
    match metric {
        LatencyMetric::Ttft => "time to the first token (ttft)",
        LatencyMetric::Tpot => "time per further token (tpot)",
        LatencyMetric::Itl => "gaps between tokens (itl)",
        LatencyMetric::E2e => "whole answer (e2e)",
        LatencyMetric::QueueTime => "wait for a replica (queue_time)",
    }
}
