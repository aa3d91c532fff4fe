//! Demand against supply, a picture for each policy. All share their axes, so that they can be compared at one moment.

use super::columns::{Column, columns};
use super::picture::{COLUMNS, Picture, data, legend};
use super::ranking::Ranked;
use super::{About, Compared};
use evenkeel_report::markup::{escaped, note, section as html_section};
use std::ops::Range;

const HEIGHT: f64 = 170.0;
/// A fleet larger than so many times the peak of demand would make everything else flat.
const MOST_OF_PEAK: f64 = 1.25;

const READ: &str = "Each column of a picture holds all of its steps: demand from its least to its most, the fewest ready \
     replicas and lighter the most, and where any step was short its worst one. A tick up or down stands where the count of \
     replicas changed. A fleet that is larger than the picture is cut off.";

pub(super) fn section(compared: &Compared<'_>, about: &About, ranked: &[Ranked<'_>]) -> String {
    let slots = compared.setting.scored_from..compared.demand.len();
    let of = |policy: &Ranked<'_>| columns(compared.demand, &policy.cell.run.ready, slots.clone(), COLUMNS);
    let drawn: Vec<(&Ranked<'_>, Vec<Column>)> = ranked.iter().map(|policy| (policy, of(policy))).collect();
    let Some((_, first)) = drawn.first() else { return String::new() };
    let picture = picture(compared, about, &slots, &drawn);
    let keys = [
        ("area ready", "ready replicas"),
        ("line fewest", "the fewest of them"),
        ("area demand", "demand"),
        ("area shortage", "demand above the ready replicas"),
    ];
    let figures: String = drawn.iter().map(|(policy, columns)| figure(&picture, policy, columns)).collect();
    let most_demand = data("demand", first.iter().map(|column| format!("{:.1}", column.demand.1)));
    let clock = clock(&picture, &slots);
    let body = format!(
        "{}{}<div{clock}{most_demand}>\n{}{figures}</div>\n",
        legend(&keys),
        note(READ),
        shared_demand(&picture, first)
    );
    html_section("supply", "Demand against supply", &body)
}

fn picture(
    compared: &Compared<'_>,
    about: &About,
    slots: &Range<usize>,
    drawn: &[(&Ranked<'_>, Vec<Column>)],
) -> Picture {
    let all = || drawn.iter().flat_map(|(_, columns)| columns);
    let peak = all().map(|column| column.demand.1).fold(1.0, f64::max);
    let largest = all().map(|column| f64::from(column.ready.1)).fold(peak, f64::max);
    let clock = (about.begins_seconds, compared.setting.slot.as_secs_f64());
    Picture::new(HEIGHT, slots, largest.min(MOST_OF_PEAK * peak), clock)
}

/// First and last moment, for the pointer.
pub(super) fn clock(picture: &Picture, slots: &Range<usize>) -> String {
    format!(" data-from=\"{}\" data-until=\"{}\"", picture.seconds(slots.start), picture.seconds(slots.end))
}

/// Demand is the same for all: it is drawn once, and shown in each picture.
fn shared_demand(picture: &Picture, columns: &[Column]) -> String {
    format!(
        "<svg class=\"shared\" aria-hidden=\"true\"><defs><g id=\"demand\">{}</g></defs></svg>\n",
        picture.demand(columns)
    )
}

fn figure(picture: &Picture, policy: &Ranked<'_>, columns: &[Column]) -> String {
    let name = escaped(&policy.name());
    let drawn = [
        picture.ready(columns),
        "<use href=\"#demand\"/>\n".to_owned(),
        picture.fewest(columns),
        picture.short(columns),
        picture.ticks(columns, &policy.cell.run.changes),
    ];
    let ready = data("ready", columns.iter().map(|column| column.ready.0.to_string()));
    let (number, outcome) = (policy.number, policy.outcome());
    let label = format!("Demand and ready replicas of {name}. The table of policies has the figures.");
    format!(
        "<figure class=\"chart\" id=\"policy-{number}\"{ready}>\n<figcaption><span class=\"number\">{number}</span> {name} \
         <span class=\"outcome-note\">{outcome}</span></figcaption>\n<div class=\"plot\">{}\
         <div class=\"tip\" hidden></div></div>\n</figure>\n",
        picture.svg(&label, &drawn.concat()),
    )
}
