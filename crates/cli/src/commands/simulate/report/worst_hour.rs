//! The hour in which a policy violated most demand, step by step and with every change of its count.

use super::columns::{columns, ordered};
use super::moment::moment;
use super::path::number;
use super::picture::{COLUMNS, Picture, data, is_up, legend, within};
use super::ranking::Ranked;
use super::supply::clock;
use super::{About, Compared};
use evenkeel_report::markup::{Cell, escaped, note, section as html_section, table};
use evenkeel_report::words::percent;
use evenkeel_sim::fluid::Change;
use std::fmt::Write;
use std::ops::Range;

const HEIGHT: f64 = 220.0;
const HOUR_SECONDS: f64 = 3_600.0;
/// A fleet larger than so many times the peak of demand would make everything else flat.
const MOST_OF_PEAK: f64 = 3.0;
/// Changes closer together than so many units share a mark; each is told in its title.
const MARK_UNITS: f64 = 5.0;
/// A mark tells so many changes.
const MOST_TOLD: usize = 4;
/// Lists end after so many changes.
const MOST_ROWS: usize = 40;

const READ: &str = "Rest the pointer on a mark to read why a count changed. Where nothing was short, the hour with the \
     highest demand is shown.";

pub(super) fn section(compared: &Compared<'_>, about: &About, ranked: &[Ranked<'_>]) -> String {
    let keys = [
        ("area ready", "ready replicas"),
        ("dashed desired", "ready and starting"),
        ("line demand", "demand"),
        ("area shortage", "demand above the ready replicas"),
        ("up", "count raised"),
        ("down", "count lowered"),
    ];
    let figures: String = ranked.iter().map(|policy| figure(compared, about, policy)).collect();
    let body = format!("{}{}{figures}", legend(&keys), note(READ));
    html_section("worst", "The worst hour of each", &body)
}

/// The slots of an hour, or of all where that is less, in which most was violated, with that in the middle, and how much it
/// was; where nothing was violated, those around the highest demand.
fn worst(compared: &Compared<'_>, ready: &[u32]) -> (Range<usize>, f64) {
    let (from, until) = (compared.setting.scored_from, compared.demand.len());
    let hour = (HOUR_SECONDS / compared.setting.slot.as_secs_f64()).round().max(1.0) as usize;
    let hour = hour.min(until - from);
    let violated = |slot: usize| compared.setting.violation.of(compared.demand[slot], f64::from(ready[slot]));
    let mut sums = vec![0.0];
    sums.extend((from..until).scan(0.0, |sum, slot| {
        *sum += violated(slot);
        Some(*sum)
    }));
    let within = |begin: usize| sums[begin + hour] - sums[begin];
    let mut begin = 0;
    for later in 1..=until - from - hour {
        if within(later) > within(begin) {
            begin = later;
        }
    }
    if within(begin) > 0.0 {
        let mut short = (from + begin..from + begin + hour).filter(|slot| violated(*slot) > 0.0);
        let first = short.next().unwrap_or(from + begin);
        let middle = usize::midpoint(first, short.next_back().unwrap_or(first));
        let begin = middle.saturating_sub(hour / 2).clamp(from, until - hour);
        return (begin..begin + hour, within(begin - from));
    }
    let peak =
        (from..until).fold(from, |best, slot| if compared.demand[slot] > compared.demand[best] { slot } else { best });
    let begin = peak.saturating_sub(hour / 2).clamp(from, until - hour);
    (begin..begin + hour, 0.0)
}

fn figure(compared: &Compared<'_>, about: &About, policy: &Ranked<'_>) -> String {
    let run = &policy.cell.run;
    let (slots, violated) = worst(compared, &run.ready);
    let columns = columns(compared.demand, &run.ready, slots.clone(), COLUMNS);
    let counts = ordered(&run.changes, &run.ready, slots.clone());
    let changes = within(&run.changes, &slots);
    let peak = columns.iter().map(|column| column.demand.1).fold(1.0, f64::max);
    let largest = counts.iter().copied().map(f64::from).fold(peak, f64::max).min(MOST_OF_PEAK * peak);
    let clock_of = (about.begins_seconds, compared.setting.slot.as_secs_f64());
    let picture = Picture::new(HEIGHT, &slots, largest, clock_of);
    let drawn = [
        picture.ready(&columns),
        picture.ordered(slots.clone(), &counts),
        picture.demand(&columns),
        picture.short(&columns),
        marks(&picture, changes),
    ];
    let told = [
        data("demand", columns.iter().map(|column| format!("{:.2}", column.demand.1))),
        data("ready", columns.iter().map(|column| column.ready.0.to_string())),
    ];
    let name = escaped(&policy.name());
    let label = format!("Demand and ready replicas of {name} in its worst hour, step by step.");
    format!(
        "<figure class=\"chart\"{}{}>\n<figcaption><span class=\"number\">{}</span> {name} \
         <span class=\"outcome-note\">{}</span></figcaption>\n<div class=\"plot\">{}\
         <div class=\"tip\" hidden></div></div>\n{}</figure>\n",
        clock(&picture, &slots),
        told.concat(),
        policy.number,
        in_words(compared, &picture, &slots, violated),
        picture.svg(&label, &drawn.concat()),
        list(&picture, changes),
    )
}

fn in_words(compared: &Compared<'_>, picture: &Picture, slots: &Range<usize>, violated: f64) -> String {
    let when = format!("{} to {}", moment(picture.seconds(slots.start)), moment(picture.seconds(slots.end)));
    if violated <= 0.0 {
        return format!("{when}: nothing was short at any time");
    }
    let offered: f64 = compared.demand[slots.clone()].iter().sum();
    let share = match violated / offered {
        share if share < 1e-4 => "less than 0.01 %".to_owned(),
        share => percent(share),
    };
    format!("{when}: {share} of this hour\u{2019}s demand was violated")
}

/// A triangle for each change, or for several that lie together.
fn marks(picture: &Picture, changes: &[Change]) -> String {
    let place = |change: &Change| (picture.x(change.slot) / MARK_UNITS) as i64;
    let mut out = String::new();
    for together in changes.chunk_by(|one, two| place(one) == place(two) && is_up(one) == is_up(two)) {
        let up = is_up(&together[0]);
        let (class, sign) = if up { ("up", "-") } else { ("down", "") };
        let (x, y) = (number(picture.x(together[0].slot)), number(picture.y_of_changes()));
        let told: Vec<String> = together.iter().take(MOST_TOLD).map(|change| told(picture, change)).collect();
        let rest = together.len().saturating_sub(MOST_TOLD);
        let more = if rest > 0 { format!("\nand {rest} more") } else { String::new() };
        let _ = writeln!(
            out,
            "<path class=\"{class}\" d=\"M{x} {y}m-3 0l3 {sign}7l3 {}7z\"><title>{}{more}</title></path>",
            if up { "" } else { "-" },
            told.join("\n")
        );
    }
    out
}

fn told(picture: &Picture, change: &Change) -> String {
    let why = change.reason.map_or_else(String::new, |reason| format!(": {reason}"));
    let when = moment(picture.seconds(change.slot));
    escaped(&format!("{when}, {} \u{2192} {}{why}", change.from, change.to))
}

/// The changes as a list, for who has no pointer.
fn list(picture: &Picture, changes: &[Change]) -> String {
    if changes.is_empty() {
        return note("The count did not change in this hour.");
    }
    let row = |change: &Change| {
        vec![
            Cell::figure(moment(picture.seconds(change.slot))),
            Cell::figure(format!("{} \u{2192} {}", change.from, change.to)),
            Cell::text(change.reason.unwrap_or("not told")),
        ]
    };
    let rows: Vec<Vec<Cell>> = changes.iter().take(MOST_ROWS).map(row).collect();
    let shown = if rows.len() < changes.len() { format!(", the first {MOST_ROWS}") } else { String::new() };
    let words = if changes.len() == 1 { "The change".to_owned() } else { format!("The {} changes", changes.len()) };
    format!(
        "<details><summary>{words} of this hour{shown}</summary>\n{}</details>\n",
        table("Changes of the count of ready and starting replicas", &["at", "replicas", "why"], &rows)
    )
}

#[cfg(test)]
mod tests {
    use super::super::example::{example, read};
    use super::*;
    use evenkeel_core::units::Span;

    #[test]
    fn the_worst_hour_is_the_one_that_violated_most_and_none_before_scoring_began() {
        let example = example();
        let setting =
            evenkeel_sim::setting::Setting { slot: Span::from_secs(1_200), scored_from: 2, ..example.setting };
        // Short by 9 before scoring, then by 1 in one slot and by 2 in two that lie together.
        let demand = [10.0, 10.0, 2.0, 1.0, 1.0, 1.0, 3.0, 3.0, 1.0];
        let compared = Compared { demand: &demand, setting: &setting, ..example.compared() };
        assert_eq!(worst(&compared, &[1; 9]), (5..8, 4.0));
        assert_eq!(worst(&compared, &[10; 9]), (5..8, 0.0), "around the highest demand");
        let short = Compared { demand: &demand[..4], ..compared };
        assert_eq!(worst(&short, &[1; 4]), (2..4, 1.0), "less than an hour is scored");
    }

    #[test]
    fn a_change_is_told_with_its_reason_and_those_that_lie_together_share_a_mark() {
        let picture = Picture::new(HEIGHT, &(0..720), 4.0, (86_400.0, 5.0));
        let change = |slot, from, to, reason| Change { slot, from, to, reason };
        let changes = [change(1, 1, 2, Some("demand < rose")), change(2, 2, 3, None), change(400, 3, 2, None)];
        let told = marks(&picture, &changes);
        assert_eq!(told.matches("<title>").count(), 2);
        let title = "<title>1d 00:00:05, 1 \u{2192} 2: demand &lt; rose\n1d 00:00:10, 2 \u{2192} 3</title>";
        assert!(told.contains(title), "{told}");
    }

    #[test]
    fn lists_of_changes_end_and_say_so() {
        let picture = Picture::new(HEIGHT, &(0..3_600), 4.0, (0.0, 1.0));
        let many: Vec<Change> = (0..3_600).map(|slot| Change { slot, from: 1, to: 2, reason: None }).collect();
        assert!(marks(&picture, &many).contains("\nand 15 more</title>"));
        assert!(read(&list(&picture, &many)).contains("The 3600 changes of this hour, the first 40\n"));
    }
}
