//! What it cost.

use super::chart::{Chart, Series, Style};
use super::timeline::{moments, sampled};
use crate::summary::{Summary, TierFleet};
use evenkeel_report::markup::{Cell, note, section as html_section, table};
use evenkeel_report::words::{count, money, seconds};

pub(super) fn section(summary: &Summary) -> String {
    let heading = "What it cost";
    if summary.fleet.iter().all(|tier| tier.cost.is_none()) {
        return html_section(
            "cost",
            heading,
            &note("No controller told what its replicas cost. That is not nothing: it is not known."),
        );
    }
    let body = format!("{}{}{}", by_tier(summary), note(&definition(summary)), chart(summary).html());
    html_section("cost", heading, &body)
}

fn definition(summary: &Summary) -> String {
    let known =
        summary.fleet.iter().filter_map(|tier| tier.cost).map(|cost| cost.known_seconds).fold(f64::INFINITY, f64::min);
    let whole = summary.elapsed_seconds;
    // The first and the last sample lie up to a moment inside.
    let gaps = if known + 3.0 < whole * 0.99 {
        format!(" Prices are known for {} of {}; the rest is not counted.", seconds(known), seconds(whole))
    } else {
        String::new()
    };
    format!(
        "All replicas that were ordered and not yet gone, at the fleet file\u{2019}s prices per hour, from the start to the \
         last answer, in real time.{gaps}"
    )
}

fn by_tier(summary: &Summary) -> String {
    let header = ["tier", "cost", "answered requests", "per 1,000 answered"];
    let answered = |name: &str| summary.tiers.iter().find(|tier| tier.tier == name).map(|tier| tier.succeeded_requests);
    let row = |tier: &TierFleet| {
        let answered = answered(&tier.tier);
        let each = tier.cost.zip(answered).and_then(|(cost, answered)| cost.per_thousand(answered));
        vec![
            Cell::text(&tier.tier),
            Cell::maybe(tier.cost.map(|cost| money(cost.usd))),
            Cell::maybe(answered.map(count)),
            Cell::maybe(each.map(money)),
        ]
    };
    let all: u64 = summary.tiers.iter().map(|tier| tier.succeeded_requests).sum();
    let total = vec![
        Cell::text("all"),
        Cell::maybe(summary.cost.map(|cost| money(cost.usd))),
        Cell::figure(count(all)),
        Cell::maybe(summary.cost_usd_per_1000_requests.map(money)),
    ];
    let rows: Vec<Vec<Cell>> = summary.fleet.iter().map(row).chain([total]).collect();
    table("Cost by tier", &header, &rows)
}

fn chart(summary: &Summary) -> Chart {
    let series = summary.fleet.iter().enumerate().map(|(index, tier)| Series {
        name: tier.tier.clone(),
        color: format!("c{}", index % super::COLORS),
        style: Style::Stacked,
        values: sampled(summary, tier).iter().map(|point| point.as_ref()?.cost_usd_per_hour).collect(),
    });
    Chart {
        title: "Cost per hour, by tier".to_owned(),
        moments: moments(summary),
        end_seconds: summary.elapsed_seconds,
        series: series.collect(),
        bounds: Vec::new(),
        whole: false,
        show: |value| format!("${value:.2}"),
    }
}
