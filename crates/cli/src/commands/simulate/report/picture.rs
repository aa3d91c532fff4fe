//! Demand against supply over time, from the columns of a run.

use super::columns::Column;
use super::moment::moment;
use super::path::{Step, between, line, number};
use evenkeel_report::axis;
use evenkeel_report::plot::{LEFT, Plot, RIGHT, WIDTH};
use evenkeel_sim::fluid::Change;
use std::fmt::Write;
use std::ops::Range;

/// A column for each unit across.
pub(super) const COLUMNS: usize = (WIDTH - LEFT - RIGHT) as usize;
/// Below the room: the changes, then the moments.
const BOTTOM: f64 = 44.0;
/// From the room to the line on which changes stand.
const TO_CHANGES: f64 = 11.0;

/// How series over slots are placed.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    plot: Plot,
    marks: Vec<f64>,
    begins_seconds: f64,
    slot_seconds: f64,
}

impl Picture {
    /// A picture of `slots`, in which values up to `largest` have room. Slot 0 begins at `begins_seconds`.
    pub(super) fn new(height: f64, slots: &Range<usize>, largest: f64, clock: (f64, f64)) -> Self {
        let (begins_seconds, slot_seconds) = clock;
        let at = |slot: usize| begins_seconds + slot as f64 * slot_seconds;
        let marks = axis::marks(largest, true);
        let top = marks.last().copied().unwrap_or(1.0);
        let plot = Plot { height, bottom: BOTTOM, from: at(slots.start), until: at(slots.end), top };
        Self { plot, marks, begins_seconds, slot_seconds }
    }

    /// When a slot begins.
    pub(super) fn seconds(&self, slot: usize) -> f64 {
        self.begins_seconds + slot as f64 * self.slot_seconds
    }

    /// Where a slot begins.
    pub(super) fn x(&self, slot: usize) -> f64 {
        self.plot.x(self.seconds(slot))
    }

    /// The line on which changes stand.
    pub(super) fn y_of_changes(&self) -> f64 {
        self.plot.height - BOTTOM + TO_CHANGES
    }

    /// The picture around what is drawn in it.
    pub(super) fn svg(&self, label: &str, drawn: &str) -> String {
        let show = |value: f64| format!("{value:.0}");
        let grid = self.plot.grid(&self.marks, show, moment);
        format!(
            "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{label}\">\n{grid}{drawn}\
             <path class=\"grid\" d=\"M{LEFT} {}H{}\"/>\n<path class=\"cross\" d=\"\"/>\n</svg>",
            self.plot.height,
            number(self.y_of_changes()),
            WIDTH - RIGHT,
        )
    }

    /// Ready replicas: how many there always were in a column, and lighter up to how many there were at most.
    pub(super) fn ready(&self, columns: &[Column]) -> String {
        let least = self.steps(columns, |it| f64::from(it.ready.0));
        let mut out = path("area ready", &self.on_the_ground(&least));
        if columns.iter().any(|column| column.ready.0 < column.ready.1) {
            out.push_str(&path("between ready", &between(&self.steps(columns, |it| f64::from(it.ready.1)), &least)));
        }
        out
    }

    /// The fewest ready replicas as a line, to be seen over demand.
    pub(super) fn fewest(&self, columns: &[Column]) -> String {
        path("line fewest", &line(&self.steps(columns, |it| f64::from(it.ready.0))))
    }

    /// Demand: a line, or where a column has many slots a band from its least to its most.
    pub(super) fn demand(&self, columns: &[Column]) -> String {
        let most = self.steps(columns, |it| it.demand.1);
        if columns.iter().all(|column| column.slots.len() == 1) {
            return path("line demand", &line(&most));
        }
        path("band demand", &between(&most, &self.steps(columns, |it| it.demand.0)))
    }

    /// What was ordered, dashed.
    pub(super) fn ordered(&self, slots: Range<usize>, counts: &[u32]) -> String {
        let step = |(slot, &count): (usize, &u32)| self.step(&(slot..slot + 1), f64::from(count));
        path("line dashed desired", &line(&slots.zip(counts).map(step).collect::<Vec<_>>()))
    }

    /// Where supply lay below demand: from ready to demand in the shortest slot of each column.
    pub(super) fn short(&self, columns: &[Column]) -> String {
        let of_run = |run: &[Column]| {
            let ends = |of: fn((u32, f64)) -> f64| self.steps(run, |it| it.short.map_or(0.0, of));
            between(&ends(|(_, demand)| demand), &ends(|(ready, _)| f64::from(ready)))
        };
        let runs = columns.chunk_by(|one, two| one.short.is_some() == two.short.is_some());
        let short = runs.filter(|run| run.iter().all(|column| column.short.is_some()));
        path("short", &short.map(of_run).collect::<String>())
    }

    /// A tick up where a column's changes added replicas, and one down where they took some.
    pub(super) fn ticks(&self, columns: &[Column], changes: &[Change]) -> String {
        let (mut out, y) = (String::new(), number(self.y_of_changes()));
        for column in columns {
            let inside = within(changes, &column.slots);
            let x = number((self.x(column.slots.start) + self.x(column.slots.end)) / 2.0);
            for (sign, any) in [("-", inside.iter().any(is_up)), ("", !inside.iter().all(is_up))] {
                let _ = if any { write!(out, "M{x} {y}v{sign}6") } else { Ok(()) };
            }
        }
        path("tick", &out)
    }

    fn on_the_ground(&self, steps: &[Step]) -> String {
        let ground: Vec<Step> = steps.iter().map(|step| Step { y: self.plot.y(0.0), ..*step }).collect();
        between(steps, &ground)
    }

    fn steps(&self, columns: &[Column], value: impl Fn(&Column) -> f64) -> Vec<Step> {
        columns.iter().map(|column| self.step(&column.slots, value(column))).collect()
    }

    fn step(&self, slots: &Range<usize>, value: f64) -> Step {
        Step { from: self.x(slots.start), until: self.x(slots.end), y: self.plot.y(value) }
    }
}

/// The changes in `slots`; they come in their order.
pub(super) fn within<'a>(changes: &'a [Change], slots: &Range<usize>) -> &'a [Change] {
    let before = |slot: usize| changes.partition_point(|change| change.slot < slot);
    &changes[before(slots.start)..before(slots.end)]
}

/// Whether a change adds replicas.
pub(super) const fn is_up(change: &Change) -> bool {
    change.to > change.from
}

/// A path of a class; nothing where nothing is drawn.
pub(super) fn path(class: &str, data: &str) -> String {
    if data.is_empty() { String::new() } else { format!("<path class=\"{class}\" d=\"{data}\"/>\n") }
}

/// A list of what colors and forms mean: classes of the keys and words.
pub(super) fn legend(keys: &[(&str, &str)]) -> String {
    let key = |(class, words): &(&str, &str)| format!("<li><span class=\"key {class}\"></span>{words}</li>");
    format!("<ul class=\"legend\">{}</ul>\n", keys.iter().map(key).collect::<String>())
}

/// What the pointer tells of each column: the moments from first to last, most demand and fewest ready.
pub(super) fn data(name: &str, values: impl Iterator<Item = String>) -> String {
    format!(" data-{name}=\"{}\"", values.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::columns::columns;
    use super::*;

    /// Ten units of height for each replica, 92 across for each slot.
    fn picture() -> Picture {
        Picture::new(10.0 + 40.0 + BOTTOM, &(0..10), 4.0, (0.0, 6.0))
    }

    #[test]
    fn only_the_slots_that_are_short_are_shaded_from_ready_to_demand() {
        let demand = [1.0, 2.5, 1.0, 3.0, 4.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        let columns = columns(&demand, &[2; 10], 0..10, 10);
        let shaded = picture().short(&columns);
        assert_eq!(shaded, "<path class=\"short\" d=\"M156 25H248V30H156zM340 20H432V10H524V30H340z\"/>\n");
        assert_eq!(picture().short(&columns[5..]), "", "nothing is drawn where nothing is short");
    }

    #[test]
    fn a_column_that_grew_and_shrank_has_both_ticks() {
        let change = |slot, from, to| Change { slot, from, to, reason: None };
        let changes = [change(0, 1, 2), change(4, 2, 3), change(4, 3, 2)];
        let drawn = picture().ticks(&columns(&[1.0; 10], &[1; 10], 0..10, 5), &changes);
        assert_eq!(drawn, "<path class=\"tick\" d=\"M156 61v-6M524 61v-6M524 61v6\"/>\n");
    }

    #[test]
    fn demand_is_a_line_as_long_as_each_slot_has_a_column() {
        let demand = [1.0, 3.0];
        assert!(picture().demand(&columns(&demand, &[1; 2], 0..2, 2)).contains("class=\"line demand\""));
        assert!(picture().demand(&columns(&demand, &[1; 2], 0..2, 1)).contains("class=\"band demand\""));
    }
}
