//! The samples as small line charts, one below the other.

use super::sample::{FIGURES, Sample};
use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 90.0;
const LEFT: f64 = 10.0;
const TOP: f64 = 24.0;

pub(super) fn svg(samples: &[Sample]) -> String {
    let height = (HEIGHT + TOP + 10.0) * FIGURES.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\"><rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + 2.0 * LEFT
    );
    for (figure, name) in FIGURES.iter().enumerate() {
        chart(&mut svg, samples, figure, name);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Zero is at the bottom, so that what looks flat is flat.
fn chart(svg: &mut String, samples: &[Sample], figure: usize, name: &str) {
    let top = (HEIGHT + TOP + 10.0) * figure as f64 + TOP;
    let most = samples.iter().map(|it| it.figures[figure]).max().unwrap_or(0).max(1);
    let lasted = samples.last().map_or(1.0, |it| it.at.as_secs_f64()).max(1.0);
    let point = |sample: &Sample| {
        let x = LEFT + WIDTH * sample.at.as_secs_f64() / lasted;
        let y = top + HEIGHT * (1.0 - sample.figures[figure] as f64 / most as f64);
        format!("{x:.1},{y:.1}")
    };
    let line: Vec<String> = samples.iter().map(point).collect();
    let (base, words) = (top + HEIGHT, format!("{name}: {most} at most, over {:.0} min", lasted / 60.0));
    let _ = write!(
        svg,
        "<text x=\"{LEFT}\" y=\"{:.0}\">{words}</text>\n\
         <path d=\"M{LEFT} {base}h{WIDTH}\" stroke=\"#999\"/>\n\
         <polyline points=\"{}\" fill=\"none\" stroke=\"#06c\" stroke-width=\"1.5\"/>\n",
        top - 6.0,
        line.join(" ")
    );
}
