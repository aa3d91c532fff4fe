//! Data of SVG paths, short: a tenth of a pixel is as fine as it goes, and what stays level is drawn once.

use std::fmt::Write;

/// A level stretch: from, until, and where it lies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) from: f64,
    pub(super) until: f64,
    pub(super) y: f64,
}

/// A number without a needless `.0`.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

/// A line over neighboring steps.
pub(super) fn line(steps: &[Step]) -> String {
    let Some(first) = steps.first() else { return String::new() };
    let mut path = format!("M{} {}", number(first.from), number(first.y));
    along(&mut path, steps.iter().map(|step| (step.until, step.y)), number(first.y));
    path
}

/// What lies between the `upper` and the `lower` steps, which share their ends.
pub(super) fn between(upper: &[Step], lower: &[Step]) -> String {
    let Some(last) = lower.last() else { return String::new() };
    let mut path = line(upper);
    let _ = write!(path, "V{}", number(last.y));
    along(&mut path, lower.iter().rev().map(|step| (step.from, step.y)), number(last.y));
    path.push('z');
    path
}

/// Goes on from the height `at`.
fn along(path: &mut String, steps: impl Iterator<Item = (f64, f64)>, mut at: String) {
    let mut end = None;
    for (x, y) in steps {
        let y = number(y);
        if y != at {
            if let Some(x) = end.take() {
                let _ = write!(path, "H{}", number(x));
            }
            let _ = write!(path, "V{y}");
            at = y;
        }
        end = Some(x);
    }
    if let Some(x) = end {
        let _ = write!(path, "H{}", number(x));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(heights: &[f64]) -> Vec<Step> {
        let step = |(from, &y): (i32, &f64)| Step { from: f64::from(from), until: f64::from(from + 1), y };
        (0..).zip(heights).map(step).collect()
    }

    #[test]
    fn what_stays_level_is_drawn_once() {
        assert_eq!(line(&steps(&[5.0, 5.0, 5.04, 2.25, 2.25])), "M0 5H3V2.2H5");
        assert_eq!(line(&[]), "");
    }

    #[test]
    fn a_band_comes_back_below_itself() {
        assert_eq!(between(&steps(&[1.0, 2.0]), &steps(&[4.0, 3.0])), "M0 1H1V2H2V3H1V4H0z");
    }
}
