//! What came of it: the verdict, the figures that everybody asks for, and each criterion.

use super::About;
use super::scaling::{self, fleet_order_to_ready, fleet_scale_down, fleet_scale_up};
use crate::remarks;
use crate::render::{outcome, outcome_in_words};
use crate::scaling::Times;
use crate::summary::{CriterionResult, Ended, Outcome, Summary, TierSummary, Verdict};
use crate::waiting::Waiting;
use evenkeel_report::markup::{NO_DATA, escaped, note};
use evenkeel_report::words::{count, money, percent, seconds};

pub(super) fn section(summary: &Summary, about: &About) -> String {
    let (class, word) = match summary.outcome {
        Outcome::Held => ("passed", "Passed"),
        Outcome::NoCriteria => ("open", "Not judged"),
        Outcome::Failed => ("failed", "Failed"),
        Outcome::NothingSent | Outcome::NothingAnswered | Outcome::NothingJudged | Outcome::NeverRead => {
            ("open", "Not passed")
        }
    };
    format!(
        "<header class=\"verdict {class}\">\n<h1>Load test of {}</h1>\n<p class=\"when\">{}</p>\n\
         <p class=\"outcome\"><strong id=\"verdict\">{word}</strong> {}</p>\n</header>\n{}{}{}",
        escaped(&about.name),
        escaped(&when(summary, about)),
        escaped(&in_words(summary)),
        tiles(summary),
        remarks(summary),
        criteria(&summary.criteria),
    )
}

/// The outcome, and which criteria failed with what was seen.
fn in_words(summary: &Summary) -> String {
    if summary.outcome != Outcome::Failed {
        return outcome_in_words(summary.outcome).to_owned();
    }
    let failed = summary.criteria.iter().filter(|criterion| criterion.verdict == Verdict::Failed);
    let failed: Vec<String> = failed
        .map(|it| format!("{} {}: {}", it.tier.as_deref().unwrap_or("fleet"), it.statement, outcome(it)))
        .collect();
    format!("{} of {} criteria: {}.", failed.len(), summary.criteria.len(), failed.join("; "))
}

fn when(summary: &Summary, about: &About) -> String {
    let how = match summary.ended {
        Ended::Completed => "",
        Ended::RequestLimit => ", ended at the limit of requests",
        Ended::Interrupted => ", interrupted",
    };
    let (sent, planned) = (seconds(summary.sent_seconds), seconds(summary.planned_seconds));
    format!("{}: {}. Sent for {sent} of {planned}{how}.", about.started, about.traffic)
}

/// A figure with what it rests on.
struct Tile {
    name: &'static str,
    figure: String,
    note: String,
}

fn tiles(summary: &Summary) -> String {
    let tiles = [
        requests(summary),
        goodput(summary),
        scale_up(summary),
        order_to_ready(summary),
        scale_down(summary),
        waiting(summary),
        cost(summary),
    ];
    let html = tiles.iter().map(|Tile { name, figure, note }| {
        let missing = if figure == NO_DATA { " missing" } else { "" };
        let (figure, note) = (escaped(figure), escaped(note));
        format!("<div class=\"tile\"><dt>{name}</dt><dd class=\"value{missing}\">{figure}</dd><dd>{note}</dd></div>\n")
    });
    format!("<dl class=\"tiles\" id=\"figures\">\n{}</dl>\n", html.collect::<String>())
}

fn requests(summary: &Summary) -> Tile {
    let offered: u64 = summary.tiers.iter().map(|tier| tier.offered_requests).sum();
    let note = format!("of {} requests", count(offered));
    Tile { name: "failed", figure: count(summary.failed_requests()), note }
}

fn goodput(summary: &Summary) -> Tile {
    let name = "goodput";
    let sent = || summary.tiers.iter().filter(|tier| tier.offered_requests > 0);
    let known = || sent().filter(|tier| tier.within_slo_requests.is_some());
    let offered: u64 = known().map(|tier| tier.offered_requests).sum();
    if offered == 0 {
        return Tile { name, figure: NO_DATA.to_owned(), note: "no objectives, or not all were measured".to_owned() };
    }
    let within: u64 = known().filter_map(|tier| tier.within_slo_requests).sum();
    let rate: f64 = known().filter_map(|tier| tier.goodput_per_second).sum();
    // A tier of which it is not known is left out, and that is said.
    let names: Vec<&str> = known().map(|tier| tier.tier.as_str()).collect();
    let of = if names.len() == sent().count() { String::new() } else { format!(" (of {})", names.join(", ")) };
    let note = format!("inside the whole SLO, {rate:.1} requests/s{of}");
    Tile { name, figure: percent(within as f64 / offered as f64), note }
}

fn scale_up(summary: &Summary) -> Tile {
    times(summary, "scale-up", fleet_scale_up(summary))
}

fn order_to_ready(summary: &Summary) -> Tile {
    times(summary, "order to ready", fleet_order_to_ready(summary))
}

fn scale_down(summary: &Summary) -> Tile {
    times(summary, "scale-down", fleet_scale_down(summary))
}

/// The tier whose requests waited longest on end, of those whose players wait with them: a backlog is what an asynchronous
/// tier is for.
fn waiting(summary: &Summary) -> Tile {
    let name = "requests waited";
    let asynchronous = |name: &str| summary.tiers.iter().any(|tier| tier.tier == name && tier.asynchronous);
    let tiers = summary.fleet.iter().filter(|tier| !asynchronous(&tier.tier));
    let told = tiers.filter_map(|tier| Some((tier.tier.as_str(), tier.waiting?)));
    let order = |it: &Waiting, other: &Waiting| {
        it.longest_seconds.total_cmp(&other.longest_seconds).then(it.most_requests.cmp(&other.most_requests))
    };
    match told.max_by(|(_, it), (_, other)| order(it, other)) {
        Some((_, Waiting { most_requests: 0, .. })) => {
            Tile { name, figure: "never".to_owned(), note: "in no sample of those that told".to_owned() }
        }
        Some((tier, waiting)) => Tile {
            name,
            figure: scaling::seconds(waiting.longest_seconds),
            note: format!("on end at most, in {tier}; {} at once", count(waiting.most_requests)),
        },
        None => Tile { name, figure: NO_DATA.to_owned(), note: "no source told the queue".to_owned() },
    }
}

fn times(summary: &Summary, name: &'static str, times: Option<Times>) -> Tile {
    match times {
        Some(times) => Tile {
            name,
            figure: scaling::seconds(times.median_seconds),
            note: format!("median of {}, longest {}", times.count, scaling::seconds(times.longest_seconds)),
        },
        None => Tile { name, figure: NO_DATA.to_owned(), note: unscaled(summary).to_owned() },
    }
}

fn unscaled(summary: &Summary) -> &'static str {
    if summary.fleet.iter().any(|tier| tier.scaling.is_some()) {
        "it did not happen in this run"
    } else {
        "no controller told its replicas"
    }
}

fn cost(summary: &Summary) -> Tile {
    let name = "cost";
    match (summary.cost, summary.cost_usd_per_1000_requests) {
        (Some(cost), Some(each)) => {
            Tile { name, figure: money(cost.usd), note: format!("{} for 1,000 answered requests", money(each)) }
        }
        (Some(cost), None) => Tile { name, figure: money(cost.usd), note: "no request was answered".to_owned() },
        (None, _) => Tile { name, figure: NO_DATA.to_owned(), note: "no controller told a price".to_owned() },
    }
}

/// What must be known beside the figures.
fn remarks(summary: &Summary) -> String {
    let of = |tier: &TierSummary| {
        remarks::of(tier).iter().map(|it| note(&format!("{}: {it}", tier.tier))).collect::<String>()
    };
    summary.tiers.iter().map(of).collect()
}

fn criteria(criteria: &[CriterionResult]) -> String {
    if criteria.is_empty() {
        return String::new();
    }
    let row = |criterion: &CriterionResult| {
        let (class, mark, word) = match criterion.verdict {
            Verdict::Passed => ("passed", "\u{2713}", "passed"),
            Verdict::Failed => ("failed", "\u{2717}", "failed"),
            Verdict::NotJudged => ("open", "\u{2013}", "not judged"),
        };
        format!(
            "<tr><td class=\"mark-cell {class}\"><span aria-hidden=\"true\">{mark}</span> {word}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
            escaped(criterion.tier.as_deref().unwrap_or("fleet")),
            escaped(&criterion.statement),
            escaped(&outcome(criterion)),
        )
    };
    let rows: String = criteria.iter().map(row).collect();
    format!(
        "<section id=\"criteria\">\n<h2>Criteria</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th scope=\"col\">verdict</th>\
         <th scope=\"col\">tier</th><th scope=\"col\">criterion</th><th scope=\"col\">seen</th></tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table></div>\n</section>\n"
    )
}
