//! A chart over time as SVG, with a table of its figures behind it. Colors are classes, so that they follow the reader's
//! scheme.

use evenkeel_report::axis;
use evenkeel_report::markup::{Cell, NO_DATA, escaped, table};
use evenkeel_report::plot::{LEFT, Plot, RIGHT, WIDTH};
use std::fmt::Write;

const HEIGHT: f64 = 220.0;
/// Below the room: the moments.
const BOTTOM: f64 = 26.0;

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// Straight from value to value.
    Line,
    /// A value holds until the next; dashed.
    DashedStep,
    /// An area of steps that stands on the stacked series before it.
    Stacked,
}

/// One series. What is not known is `None` and leaves a gap.
pub(super) struct Series {
    pub(super) name: String,
    /// Class of its color.
    pub(super) color: String,
    pub(super) style: Style,
    pub(super) values: Vec<Option<f64>>,
}

/// A chart of series that share their moments.
pub(super) struct Chart {
    pub(super) title: String,
    /// Beginning of each slice, seconds since the start of the run.
    pub(super) moments: Vec<f64>,
    pub(super) end_seconds: f64,
    pub(super) series: Vec<Series>,
    /// Lines across, with their names.
    pub(super) bounds: Vec<(String, f64)>,
    /// Whether it counts whole things.
    pub(super) whole: bool,
    /// How a value is written.
    pub(super) show: fn(f64) -> String,
}

impl Chart {
    /// The picture, its legend, and the table behind it.
    pub(super) fn html(&self) -> String {
        format!(
            "<figure class=\"chart\">\n<figcaption>{}</figcaption>\n{}<div class=\"plot\">{}<div class=\"tip\" hidden></div>\
             </div>\n<details><summary>The figures as a table</summary>\n{}</details>\n</figure>\n",
            escaped(&self.title),
            self.legend(),
            self.svg(),
            self.table(),
        )
    }

    fn legend(&self) -> String {
        let key = |name: &str, class: &str| format!("<li><span class=\"key {class}\"></span>{}</li>", escaped(name));
        let kind = |series: &Series| match series.style {
            Style::Stacked => "area",
            Style::DashedStep => "dashed",
            Style::Line => "line",
        };
        let name = |series: &Series| match series.values.iter().any(Option::is_some) {
            true => series.name.clone(),
            false => format!("{} ({NO_DATA})", series.name),
        };
        let of = |series: &Series| key(&name(series), &format!("{} {}", kind(series), series.color));
        let mut keys: String = self.series.iter().map(of).collect();
        keys.extend(self.bounds.iter().map(|(name, _)| key(name, "dashed bound")));
        format!("<ul class=\"legend\">{keys}</ul>\n")
    }

    fn svg(&self) -> String {
        let stacks = self.stacks();
        let marks = axis::marks(self.largest(&stacks), self.whole);
        let plot = self.plot(marks.last().copied().unwrap_or(1.0));
        let mut out = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}. The table below has the figures.\">\n",
            escaped(&self.title)
        );
        out.push_str(&plot.grid(&marks, self.show, axis::moment));
        // Areas first, so that no line is hidden.
        for (series, (floor, top)) in self.series.iter().zip(&stacks).filter(|(it, _)| it.style == Style::Stacked) {
            let path = self.area(&plot, floor, top);
            let _ = writeln!(out, "<path class=\"area {}\" d=\"{path}\"/>", series.color);
        }
        for series in self.series.iter().filter(|series| series.style != Style::Stacked) {
            let class = if series.style == Style::DashedStep { "line dashed" } else { "line" };
            let path = self.line(&plot, &series.values, series.style != Style::Line);
            let _ = writeln!(out, "<path class=\"{class} {}\" d=\"{path}\"/>", series.color);
        }
        for (_, value) in &self.bounds {
            let y = plot.y(*value);
            let _ = writeln!(out, "<path class=\"line dashed bound\" d=\"M{LEFT} {y:.1}H{}\"/>", WIDTH - RIGHT);
        }
        let _ = writeln!(out, "<path class=\"cross\" d=\"\"/>");
        out.push_str("</svg>");
        out
    }

    /// Each series' floor and top; only a stacked one stands on others.
    fn stacks(&self) -> Vec<(Vec<f64>, Vec<Option<f64>>)> {
        let mut height = vec![0.0; self.moments.len()];
        let stack = |series: &Series| {
            let floor = height.clone();
            if series.style != Style::Stacked {
                return (floor, series.values.clone());
            }
            for (height, value) in height.iter_mut().zip(&series.values) {
                *height += value.unwrap_or(0.0);
            }
            let top = series.values.iter().zip(&height).map(|(value, height)| value.map(|_| *height));
            (floor, top.collect())
        };
        self.series.iter().map(stack).collect()
    }

    fn largest(&self, stacks: &[(Vec<f64>, Vec<Option<f64>>)]) -> f64 {
        let values = stacks.iter().flat_map(|(_, top)| top.iter().flatten().copied());
        values.chain(self.bounds.iter().map(|(_, value)| value * 1.05)).fold(0.0, f64::max)
    }

    fn plot(&self, top: f64) -> Plot {
        Plot { height: HEIGHT, bottom: BOTTOM, from: 0.0, until: self.end_seconds, top }
    }

    fn line(&self, plot: &Plot, values: &[Option<f64>], stepped: bool) -> String {
        let mut path = String::new();
        for run in self.runs(values) {
            for (index, (from, until, value)) in run.iter().enumerate() {
                let (x, y) = (plot.x(*from), plot.y(*value));
                let command = if index == 0 { 'M' } else { 'L' };
                let _ = match stepped {
                    true if index > 0 => write!(path, "V{y:.1}H{:.1}", plot.x(*until)),
                    true => write!(path, "M{x:.1} {y:.1}H{:.1}", plot.x(*until)),
                    // A value without neighbors is still to be seen.
                    false if run.len() == 1 => write!(path, "M{x:.1} {y:.1}H{:.1}", plot.x(*until)),
                    false => write!(path, "{command}{x:.1} {y:.1}"),
                };
            }
        }
        path
    }

    fn area(&self, plot: &Plot, floor: &[f64], top: &[Option<f64>]) -> String {
        let mut path = String::new();
        let ends = self.ends();
        for (index, top) in top.iter().enumerate() {
            let Some(top) = top.filter(|top| *top > floor[index]) else { continue };
            let (left, right) = (plot.x(self.moments[index]), plot.x(ends[index]));
            let (low, high) = (plot.y(floor[index]), plot.y(top));
            let _ = write!(path, "M{left:.1} {low:.1}V{high:.1}H{right:.1}V{low:.1}Z");
        }
        path
    }

    /// Stretches without a gap: each value with its beginning and its end.
    fn runs(&self, values: &[Option<f64>]) -> Vec<Vec<(f64, f64, f64)>> {
        let ends = self.ends();
        let mut runs: Vec<Vec<(f64, f64, f64)>> = vec![Vec::new()];
        for (index, value) in values.iter().enumerate() {
            match (value, runs.last_mut()) {
                (Some(value), Some(run)) => run.push((self.moments[index], ends[index], *value)),
                (None, Some(run)) if !run.is_empty() => runs.push(Vec::new()),
                _ => {}
            }
        }
        runs
    }

    /// Where each slice ends.
    fn ends(&self) -> Vec<f64> {
        self.moments.iter().skip(1).copied().chain([self.end_seconds]).collect()
    }

    fn table(&self) -> String {
        let header: Vec<&str> = ["time"].into_iter().chain(self.series.iter().map(|it| it.name.as_str())).collect();
        let cells = |index: usize| self.series.iter().map(move |it| Cell::maybe(it.values[index].map(self.show)));
        let row = |(index, moment): (usize, &f64)| {
            let time = Cell::figure(axis::moment(*moment));
            [time].into_iter().chain(cells(index)).collect()
        };
        let rows: Vec<Vec<Cell>> = self.moments.iter().enumerate().map(row).collect();
        let plot = self.plot(1.0);
        let places: Vec<String> = self.moments.iter().map(|moment| format!("{:.1}", plot.x(*moment))).collect();
        // Where each row lies in the picture, for the pointer.
        format!("<div data-places=\"{}\">{}</div>", places.join(" "), table(&self.title, &header, &rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(style: Style, series: &[&[Option<f64>]]) -> Chart {
        let series = series.iter().map(|values| Series {
            name: "gold".to_owned(),
            color: "c0".to_owned(),
            style,
            values: values.to_vec(),
        });
        Chart {
            title: "Requests".to_owned(),
            moments: vec![0.0, 10.0, 20.0],
            end_seconds: 30.0,
            series: series.collect(),
            bounds: Vec::new(),
            whole: false,
            show: |value| format!("{value}"),
        }
    }

    #[test]
    fn what_is_not_known_leaves_a_gap_and_zero_does_not() {
        let path = |values: &[Option<f64>]| {
            let chart = chart(Style::DashedStep, &[values]);
            chart.line(&chart.plot(1.0), values, true)
        };
        assert_eq!(path(&[Some(1.0), None, Some(1.0)]).matches('M').count(), 2);
        assert_eq!(path(&[Some(1.0), Some(0.0), Some(1.0)]).matches('M').count(), 1);
        let html = chart(Style::DashedStep, &[&[Some(1.0), None, Some(0.0)]]).html();
        assert!(
            html.contains("<td class=\"figure missing\">no data</td>") && html.contains("<td class=\"figure\">0</td>")
        );
    }

    #[test]
    fn stacked_series_stand_on_one_another() {
        let chart = chart(Style::Stacked, &[&[Some(1.0), Some(2.0), None], &[Some(3.0), None, Some(4.0)]]);
        let stacks = chart.stacks();
        assert_eq!(stacks[1], (vec![1.0, 2.0, 0.0], vec![Some(4.0), None, Some(4.0)]));
        assert_eq!(chart.largest(&stacks), 4.0);
    }
}
