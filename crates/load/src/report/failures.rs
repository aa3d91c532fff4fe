//! What failed, and when.

use super::chart::{Chart, Series, Style};
use super::timeline::moments;
use super::traffic::by_slice;
use crate::summary::{FailureCount, Summary, TierSummary};
use evenkeel_report::axis::moment;
use evenkeel_report::markup::{Cell, note, section as html_section, table};
use evenkeel_report::words::{count, percent};
use std::collections::BTreeMap;

pub(super) fn section(summary: &Summary) -> String {
    let heading = "What failed";
    if summary.tiers.iter().all(|tier| tier.failures.is_empty()) {
        let offered: u64 = summary.tiers.iter().map(|tier| tier.offered_requests).sum();
        let nothing = if offered == 0 {
            "No request was sent.".to_owned()
        } else {
            format!("Nothing: all {} requests were answered.", count(offered))
        };
        return html_section("failures", heading, &note(&nothing));
    }
    let definition = "First and last are the moments at which the first and the last such request were to be sent.";
    let body = format!("{}{}{}", kinds(summary), note(definition), chart(summary).html());
    html_section("failures", heading, &body)
}

fn kinds(summary: &Summary) -> String {
    let header =
        ["tier", "what happened", "requests", "of the tier\u{2019}s", "first", "last", "what the server said first"];
    let rows = summary.tiers.iter().flat_map(|tier| tier.failures.iter().map(move |failure| row(tier, failure)));
    table("Failed requests by kind", &header, &rows.collect::<Vec<_>>())
}

fn row(tier: &TierSummary, failure: &FailureCount) -> Vec<Cell> {
    vec![
        Cell::text(&tier.tier),
        Cell::text(&failure.meaning),
        Cell::figure(count(failure.requests)),
        Cell::maybe(
            (tier.offered_requests > 0).then(|| percent(failure.requests as f64 / tier.offered_requests as f64)),
        ),
        Cell::figure(moment(failure.first_seconds)),
        Cell::figure(moment(failure.last_seconds)),
        Cell::text(failure.message.as_deref().unwrap_or("\u{2013}")),
    ]
}

/// All tiers together, by kind.
fn chart(summary: &Summary) -> Chart {
    let all = summary.tiers.iter().flat_map(|tier| &tier.failures);
    let kinds: BTreeMap<&str, &str> = all.map(|it| (it.kind.as_str(), it.meaning.as_str())).collect();
    let series = kinds.into_iter().enumerate().map(|(index, (kind, meaning))| Series {
        name: meaning.to_owned(),
        color: format!("f{}", index % super::COLORS),
        style: Style::Stacked,
        values: over_tiers(summary, kind),
    });
    Chart {
        title: "Failed requests by kind, by the moment at which they were to be sent".to_owned(),
        moments: moments(summary),
        end_seconds: summary.elapsed_seconds,
        series: series.collect(),
        bounds: Vec::new(),
        whole: true,
        show: |value| if value.fract() == 0.0 { count(value as u64) } else { format!("{value:.1}") },
    }
}

fn over_tiers(summary: &Summary, kind: &str) -> Vec<Option<f64>> {
    let of = |tier| by_slice(summary, tier, |slice| Some(slice.failures.get(kind).copied().unwrap_or(0) as f64));
    let tiers: Vec<Vec<Option<f64>>> = summary.tiers.iter().map(of).collect();
    (0..moments(summary).len()).map(|index| tiers.iter().map(|tier| tier[index]).sum()).collect()
}
