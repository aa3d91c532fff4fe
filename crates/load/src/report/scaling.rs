//! How fast it scaled: times by tier, and demand against supply over the run.

use super::chart::{Chart, Series, Style};
use super::timeline::{moments, sampled};
use crate::scaling::{Basis, Shortage, ShortageEnd, Times};
use crate::summary::{FleetPoint, Summary, TierFleet};
use evenkeel_report::axis::moment;
use evenkeel_report::markup::{Cell, note, section as html_section, table};
use evenkeel_report::words::{self, count};

const DEFINITION: &str = "Scale-up time counts from the first sample in which demand exceeds the ready replicas until the \
     first one in which ready replicas cover it again: deciding, starting and loading all lie in it. What players feel may \
     last longer, since demand is measured over a window and a backlog takes its time: requests waited is the longest time \
     on end with a request waiting. Scale-down time counts from the last sample in which demand needed a replica until that \
     replica takes no more requests, or from its becoming ready where demand never did. Order to ready counts from the \
     order of a replica, however early, until it serves. Demand is in replicas, as the capacity policy tells it; a tier \
     marked \u{201c}by orders\u{201d} has no such policy, and what was ordered stands for it.";

pub(super) fn section(summary: &Summary) -> String {
    let heading = "How fast it scaled";
    if summary.fleet.is_empty() {
        let why = "No controller was asked, or none answered, so replicas were not seen. Only latencies tell how the service kept up.";
        return html_section("scaling", heading, &note(why));
    }
    let queue_where_told = |tier: &TierFleet| tier.waiting.map_or_else(String::new, |_| queue(summary, tier).html());
    let of_tier = |tier| format!("{}{}", supply_or_why_not(summary, tier), queue_where_told(tier));
    let charts: String = summary.fleet.iter().map(of_tier).collect();
    let body = format!("{}{}{charts}{}", times(summary), note(DEFINITION), shortages(summary));
    html_section("scaling", heading, &body)
}

/// A time read off samples a second apart: a tenth is as fine as it goes.
pub(super) fn seconds(value: f64) -> String {
    words::seconds((value * 10.0).round() / 10.0)
}

/// Scale-up times of all tiers together.
pub(super) fn fleet_scale_up(summary: &Summary) -> Option<Times> {
    let scaling = summary.fleet.iter().filter_map(|tier| tier.scaling.as_ref());
    Times::of(scaling.flat_map(|it| it.scale_up_seconds()))
}

/// Times from order to ready of all tiers together.
pub(super) fn fleet_order_to_ready(summary: &Summary) -> Option<Times> {
    let scaling = summary.fleet.iter().filter_map(|tier| tier.scaling.as_ref());
    Times::of(scaling.flat_map(|it| it.starts.iter().map(|start| start.seconds)))
}

/// Scale-down times of all tiers together.
pub(super) fn fleet_scale_down(summary: &Summary) -> Option<Times> {
    let scaling = summary.fleet.iter().filter_map(|tier| tier.scaling.as_ref());
    Times::of(scaling.flat_map(|it| it.scale_down_seconds()))
}

fn times(summary: &Summary) -> String {
    let header = [
        "tier",
        "requests waited",
        "most waiting",
        "scale-ups",
        "median",
        "longest",
        "order to ready",
        "longest",
        "scale-downs",
        "median",
        "longest",
        "short of replicas for",
        "most missing",
        "replicas lost",
    ];
    let rows: Vec<Vec<Cell>> = summary.fleet.iter().map(row).collect();
    table("Scale-up and scale-down times", &header, &rows)
}

fn row(tier: &TierFleet) -> Vec<Cell> {
    let waiting = [
        Cell::maybe(tier.waiting.map(|it| seconds(it.longest_seconds))),
        Cell::maybe(tier.waiting.map(|it| count(it.most_requests))),
    ];
    let Some(scaling) = &tier.scaling else {
        let unknown = (1..12).map(|_| Cell::maybe(None));
        return [Cell::text(&tier.tier)].into_iter().chain(waiting).chain(unknown).collect();
    };
    let (up, start, down) = (scaling.scale_up(), scaling.order_to_ready(), scaling.scale_down());
    let number = |times: Option<Times>| Cell::figure(times.map_or(0, |it| it.count).to_string());
    let time = |times: Option<Times>, of: fn(Times) -> f64| {
        Cell::figure(times.map_or("\u{2013}".to_owned(), |it| seconds(of(it))))
    };
    let most = scaling.shortages.iter().map(|it| it.missing_replicas).fold(0.0, f64::max);
    let basis = if scaling.basis == Basis::Desired { " (by orders)" } else { "" };
    let [waited, most_waiting] = waiting;
    vec![
        Cell::text(format!("{}{basis}", tier.tier)),
        waited,
        most_waiting,
        number(up),
        time(up, |it| it.median_seconds),
        time(up, |it| it.longest_seconds),
        time(start, |it| it.median_seconds),
        time(start, |it| it.longest_seconds),
        number(down),
        time(down, |it| it.median_seconds),
        time(down, |it| it.longest_seconds),
        Cell::figure(seconds(scaling.short_seconds())),
        Cell::figure(format!("{most:.1}")),
        Cell::figure(count(u64::from(scaling.lost_replicas))),
    ]
}

fn supply_or_why_not(summary: &Summary, tier: &TierFleet) -> String {
    if tier.timeline.iter().any(|point| point.ready.is_some()) {
        return supply(summary, tier).html();
    }
    note(&format!("No sample told the replicas of {}.", tier.tier))
}

fn queue(summary: &Summary, tier: &TierFleet) -> Chart {
    let depth = |point: &Option<FleetPoint>| point.as_ref()?.queue_depth.map(|depth| depth as f64);
    Chart {
        title: format!("{}: requests waiting for a replica", tier.tier),
        moments: moments(summary),
        end_seconds: summary.elapsed_seconds,
        series: vec![Series {
            name: "waiting".to_owned(),
            color: "waiting".to_owned(),
            style: Style::Line,
            values: sampled(summary, tier).iter().map(depth).collect(),
        }],
        bounds: Vec::new(),
        whole: true,
        show: |value| if value.fract() == 0.0 { count(value as u64) } else { format!("{value:.1}") },
    }
}

fn supply(summary: &Summary, tier: &TierFleet) -> Chart {
    let points = sampled(summary, tier);
    let values = |of: fn(&FleetPoint) -> Option<f64>| points.iter().map(|point| of(point.as_ref()?)).collect();
    let series =
        |name: &str, style, of| Series { name: name.to_owned(), color: name.to_owned(), style, values: values(of) };
    Chart {
        title: format!("{}: demand against supply, replicas", tier.tier),
        moments: moments(summary),
        end_seconds: summary.elapsed_seconds,
        series: vec![
            series("ready", Style::Stacked, |it| it.ready.map(f64::from)),
            series("starting", Style::Stacked, |it| it.starting.map(f64::from)),
            series("desired", Style::DashedStep, |it| it.desired.map(f64::from)),
            series("demand", Style::Line, |it| it.demand_replicas),
        ],
        bounds: Vec::new(),
        whole: true,
        show: |value| if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") },
    }
}

/// Every shortage, behind a click.
fn shortages(summary: &Summary) -> String {
    let row = |tier: &TierFleet, it: &Shortage| {
        vec![
            Cell::text(&tier.tier),
            Cell::figure(moment(it.at_seconds)),
            Cell::figure(seconds(it.seconds)),
            Cell::figure(format!("{:.1}", it.missing_replicas)),
            Cell::figure(format!("{} \u{2192} {}", it.ready_before, it.ready_after)),
            Cell::text(match it.ended {
                ShortageEnd::Scaled => "new replicas covered it",
                ShortageEnd::DemandFell => "demand fell back by itself",
                ShortageEnd::RunEnded => "the run ended before",
                ShortageEnd::NotSeen => "not seen: samples are missing",
            }),
        ]
    };
    let of_tier = |tier| move |it| row(tier, it);
    let all = summary.fleet.iter().filter_map(|tier| Some((tier, tier.scaling.as_ref()?)));
    let rows: Vec<_> = all.flat_map(|(tier, scaling)| scaling.shortages.iter().map(of_tier(tier))).collect();
    if rows.is_empty() {
        return note("Ready replicas covered demand all the time.");
    }
    let header = ["tier", "at", "lasted", "most missing", "ready", "ended"];
    let table = table("Each time that ready replicas did not cover demand", &header, &rows);
    format!(
        "<details><summary>Each time that ready replicas did not cover demand ({})</summary>\n{table}</details>\n",
        rows.len()
    )
}
