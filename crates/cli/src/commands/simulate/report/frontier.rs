//! What attainment costs: each policy a numbered point, and the line that hindsight draws.

use super::Compared;
use super::labels::{Place, places};
use super::path::number;
use super::picture::{legend, path};
use super::ranking::Ranked;
use evenkeel_report::axis;
use evenkeel_report::markup::{escaped, note, section as html_section};
use evenkeel_report::plot::{LEFT, RIGHT, TOP, WIDTH};
use evenkeel_report::words::{money, percent};
use evenkeel_sim::hindsight::Hindsight;
use std::fmt::Write;

const HEIGHT: f64 = 400.0;
const BOTTOM: f64 = 46.0;
/// The least violated share that has a place of its own. Those that missed less stand beside one another in a strip.
const LEAST: f64 = 1e-4;
/// What each of them takes of the strip, and what the strip takes at least and at most.
const STRIP_EACH: f64 = 24.0;
const STRIP: (f64, f64) = (96.0, 360.0);
/// Shares at which the axis may begin.
const BEGINNINGS: [f64; 6] = [0.05, 0.1, 0.2, 0.3, 0.5, 1.0];
/// Shares that are marked.
const MARKS: [f64; 11] = [1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001, 0.0005, 0.0001];
/// Costs above so many times what hindsight ever pays lie at the edge: they would press all others together.
const MOST_OF_HINDSIGHT: f64 = 2.0;

/// A number further than this from its point is led to, up to so far before it.
const LED: f64 = 20.0;
const BESIDE: f64 = 10.0;

const READ: &str = "To the right less is missed, and downwards it costs less; the attainment is drawn by the logarithm of what \
     is missed. Beyond 99.99 % policies stand side by side, in their order. Nobody can lie below the line: it knows the future.";

pub(super) fn section(compared: &Compared<'_>, ranked: &[Ranked<'_>]) -> String {
    let keys = [
        ("dot kept", "kept what was asked"),
        ("dot missed", "missed it"),
        ("dot kept ours", "Evenkeel"),
        ("line oracle", "the oracle, which knows the future"),
        ("dashed bound", "asked for"),
    ];
    let name = |policy: &Ranked<'_>| {
        let (number, name) = (policy.number, escaped(&policy.name()));
        format!("<li><a href=\"#policy-{number}\"><span class=\"number\">{number}</span> {name}</a></li>")
    };
    let body = format!(
        "<figure class=\"chart\">\n<figcaption>Cost against attainment</figcaption>\n{}<div class=\"plot\">{}</div>\n\
         <ol class=\"names\">{}</ol>\n{}</figure>\n",
        legend(&keys),
        svg(compared, ranked),
        ranked.iter().map(name).collect::<String>(),
        note(READ),
    );
    html_section("frontier", "What attainment costs", &body)
}

/// Where shares and costs lie.
struct Axes {
    begins: f64,
    /// Where the strip begins.
    strip: f64,
    /// Costs at the lower and at the upper edge.
    costs: (f64, f64),
}

impl Axes {
    fn of(curve: &[(f64, f64)], ranked: &[Ranked<'_>]) -> (Self, Vec<f64>) {
        let missed = ranked.iter().map(|policy| violated(policy)).fold(0.0, f64::max);
        let begins = BEGINNINGS.into_iter().find(|share| *share >= missed).unwrap_or(1.0);
        let costs = || ranked.iter().map(|policy| policy.cell.score.cost_usd);
        let hindsight = || curve.iter().map(|point| point.1);
        let most = MOST_OF_HINDSIGHT * hindsight().fold(0.0, f64::max);
        let dearest = costs().chain(hindsight()).filter(|cost| *cost <= most).fold(0.0, f64::max);
        let cheapest = costs().chain(hindsight()).fold(dearest, f64::min);
        // Steps as they divide the room between the two, counted from zero.
        let step = axis::marks(dearest - 0.9 * cheapest, false).get(1).copied().unwrap_or(1.0);
        let (low, high) = (libm::floor(0.95 * cheapest / step), libm::ceil(1.02 * dearest / step));
        let marks: Vec<f64> = (low as u32..=high as u32).map(|index| f64::from(index) * step).collect();
        let strip = (STRIP_EACH * in_strip(ranked) as f64).clamp(STRIP.0, STRIP.1);
        (Self { begins, strip: WIDTH - RIGHT - strip, costs: (low * step, high * step) }, marks)
    }

    fn x(&self, missed: f64) -> f64 {
        let log = |share: f64| libm::log10(share);
        let share = (log(self.begins) - log(missed)) / (log(self.begins) - log(LEAST));
        LEFT + share.clamp(0.0, 1.0) * (self.strip - LEFT)
    }

    /// Where each policy lies.
    fn places(&self, ranked: &[Ranked<'_>]) -> Vec<Place> {
        let each = (WIDTH - RIGHT - self.strip) / in_strip(ranked).max(1) as f64;
        let mut before = 0.0;
        let mut place = |policy: &Ranked<'_>| {
            let y = self.y(policy.cell.score.cost_usd);
            if violated(policy) >= LEAST {
                return (self.x(violated(policy)), y);
            }
            before += 1.0;
            (self.strip + (before - 0.5) * each, y)
        };
        ranked.iter().map(&mut place).collect()
    }

    fn y(&self, cost: f64) -> f64 {
        let share = (cost - self.costs.0) / (self.costs.1 - self.costs.0);
        HEIGHT - BOTTOM - share.clamp(0.0, 1.0) * (HEIGHT - BOTTOM - TOP)
    }
}

fn in_strip(ranked: &[Ranked<'_>]) -> usize {
    ranked.iter().filter(|policy| violated(policy) < LEAST).count()
}

fn violated(policy: &Ranked<'_>) -> f64 {
    1.0 - policy.cell.score.capacity_attainment
}

/// The frontier, and what the oracle pays at each policy's own attainment, which lies on it too: shares missed and costs.
fn curve(compared: &Compared<'_>, ranked: &[Ranked<'_>]) -> Vec<(f64, f64)> {
    let own = ranked.iter().map(|policy| {
        let score = &policy.cell.score;
        (violated(policy), compared.cost_usd(score.oracle_replica_hours))
    });
    let Hindsight { frontier, asked, .. } = compared.hindsight;
    let stated =
        frontier.iter().chain([asked]).map(|it| (1.0 - it.attainment, compared.cost_usd(it.bound_replica_hours)));
    let mut points: Vec<(f64, f64)> = own.chain(stated).collect();
    points.sort_by(|one, two| two.0.total_cmp(&one.0).then(one.1.total_cmp(&two.1)));
    points
}

fn svg(compared: &Compared<'_>, ranked: &[Ranked<'_>]) -> String {
    let curve = curve(compared, ranked);
    let (axes, marks) = Axes::of(&curve, ranked);
    let asked = axes.x(1.0 - compared.asked());
    let (low, high) = (HEIGHT - BOTTOM, TOP);
    let mut out = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Cost against attainment. The table of policies has \
         the figures.\">\n<path class=\"keeps\" d=\"M{} {low}H{}V{high}H{}z\"/>\n",
        number(asked),
        WIDTH - RIGHT,
        number(asked),
    );
    grid(&mut out, &axes, &marks);
    out.push_str(&path("line dashed bound", &format!("M{} {low}V{high}", number(asked))));
    out.push_str(&path("line oracle", &line(&axes, &curve)));
    points(&mut out, &axes, ranked);
    out.push_str("</svg>");
    out
}

fn line(axes: &Axes, curve: &[(f64, f64)]) -> String {
    let mut data = String::new();
    for (missed, cost) in curve.iter().filter(|(missed, _)| (LEAST..=axes.begins).contains(missed)) {
        let command = if data.is_empty() { 'M' } else { 'L' };
        let _ = write!(data, "{command}{} {}", number(axes.x(*missed)), number(axes.y(*cost)));
    }
    // Over the strip it is level, at what the least missed of all costs.
    if let Some((_, cost)) = curve.last().filter(|(missed, _)| *missed < LEAST) {
        let (command, y) = (if data.is_empty() { 'M' } else { 'L' }, number(axes.y(*cost)));
        let _ = write!(data, "{command}{} {y}H{}", number(axes.strip), number(WIDTH - RIGHT));
    }
    data
}

fn grid(out: &mut String, axes: &Axes, marks: &[f64]) {
    for cost in marks {
        let (y, text) = (axes.y(*cost), escaped(&money(*cost)));
        let _ = writeln!(out, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{}\"/>", WIDTH - RIGHT);
        let _ = writeln!(
            out,
            "<text class=\"mark\" text-anchor=\"end\" x=\"{}\" y=\"{:.1}\">{text}</text>",
            LEFT - 8.0,
            y + 4.0
        );
    }
    let shares = MARKS.into_iter().filter(|share| *share <= axes.begins);
    let labels = shares.map(|share| (axes.x(share), percent(1.0 - share)));
    let strip = ((axes.strip + WIDTH - RIGHT) / 2.0, "more".to_owned());
    for (x, text) in labels.chain([strip]) {
        let y = HEIGHT - BOTTOM + 18.0;
        if x <= axes.strip {
            let _ = writeln!(out, "<path class=\"grid\" d=\"M{x:.1} {TOP}V{}\"/>", HEIGHT - BOTTOM);
        }
        let _ = writeln!(out, "<text class=\"mark\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{y}\">{text}</text>");
    }
    let (middle, y) = ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 8.0);
    let _ = writeln!(out, "<text class=\"mark\" text-anchor=\"middle\" x=\"{middle}\" y=\"{y}\">attainment</text>");
}

fn points(out: &mut String, axes: &Axes, ranked: &[Ranked<'_>]) {
    let dots = axes.places(ranked);
    let names = places(&dots, ((LEFT, TOP), (WIDTH - RIGHT, HEIGHT - BOTTOM)));
    for ((policy, &(x, y)), &(name_x, name_y)) in ranked.iter().zip(&dots).zip(&names) {
        let beyond = if policy.cell.score.cost_usd > axes.costs.1 { " \u{2191}" } else { "" };
        let title = escaped(&format!("{}: {}", policy.name(), policy.outcome()));
        let kept = if policy.kept { "kept" } else { "missed" };
        let ours = if policy.is_ours() { " ours" } else { "" };
        out.push_str(&leader((x, y), (name_x, name_y)));
        let _ = writeln!(
            out,
            "<circle class=\"dot {kept}{ours}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\"><title>{title}</title></circle>"
        );
        let (number, text_y) = (policy.number, name_y + 4.5);
        let _ = writeln!(
            out,
            "<text class=\"label{ours}\" text-anchor=\"middle\" x=\"{name_x:.1}\" y=\"{text_y:.1}\">{number}{beyond}</text>"
        );
    }
}

/// From a point to a number that does not stand close by, and not into it.
fn leader(point: Place, name: Place) -> String {
    let (x, y) = (name.0 - point.0, name.1 - point.1);
    let far = libm::hypot(x, y);
    if far < LED {
        return String::new();
    }
    let ends = (point.0 + x * (1.0 - BESIDE / far), point.1 + y * (1.0 - BESIDE / far));
    let [from_x, from_y, x, y] = [point.0, point.1, ends.0, ends.1].map(number);
    path("leader", &format!("M{from_x} {from_y}L{x} {y}"))
}

#[cfg(test)]
mod tests {
    use super::super::example::{cell, example};
    use super::super::ranking::ranked;
    use super::*;

    fn axes() -> Axes {
        Axes { begins: 0.05, strip: 900.0, costs: (0.0, 100.0) }
    }

    #[test]
    fn each_tenth_of_what_is_missed_lies_as_far_from_the_next() {
        let at = |share: f64| axes().x(share);
        assert!((at(0.001) - at(0.01) - (at(0.0001) - at(0.001))).abs() < 1e-9);
        assert_eq!((at(0.05), at(LEAST)), (LEFT, 900.0));
    }

    #[test]
    fn only_a_number_that_stands_apart_is_led_to() {
        assert_eq!(leader((100.0, 100.0), (115.0, 100.0)), "");
        assert_eq!(leader((100.0, 100.0), (126.0, 100.0)), "<path class=\"leader\" d=\"M100 100L116 100\"/>\n");
    }

    #[test]
    fn those_that_missed_almost_nothing_stand_side_by_side() {
        let cells = [cell("one", 1.0, 20.0), cell("two", 0.99, 30.0), cell("three", 0.999_99, 40.0)];
        let found: Vec<Place> = axes().places(&ranked(&cells));
        assert_eq!([found[0].0, found[2].0], [921.0, 963.0], "the first and the last quarter of 84");
        assert!(found[1].0 < 900.0);
    }

    #[test]
    fn what_is_far_too_dear_lies_at_the_edge_and_presses_nothing_together() {
        let mut example = example();
        example.cells[1].score.cost_usd = 1e6;
        let drawn = svg(&example.compared(), &ranked(&example.cells));
        assert!(drawn.contains(">2 \u{2191}</text>") && drawn.contains(">1</text>"), "{drawn}");
        assert!(drawn.contains("$20.00") && !drawn.contains(">$1,000,000"), "{drawn}");
    }

    #[test]
    fn the_line_goes_through_what_each_policy_could_have_paid() {
        let example = example();
        let curve = curve(&example.compared(), &ranked(&example.cells));
        // 16 replica hours at a dollar for 95 %, 8 for 80 %, and 10 for the 90 % that were asked for.
        let rounded: Vec<(i64, i64)> =
            curve.iter().map(|(missed, cost)| ((missed * 100.0).round() as i64, cost.round() as i64)).collect();
        assert_eq!(rounded, [(20, 8), (10, 10), (5, 16)]);
    }
}
