//! The room of a picture over time, and where a moment and a value lie in it.

use crate::axis;
use crate::markup::escaped;
use std::fmt::Write;

/// Size in the picture's own units, one of which is a pixel on a wide screen.
pub const WIDTH: f64 = 1_000.0;
/// Where the picture's room begins.
pub const LEFT: f64 = 64.0;
/// What is left free beside it.
pub const RIGHT: f64 = 16.0;
/// What is left free above it.
pub const TOP: f64 = 10.0;

/// A picture's room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plot {
    /// The whole picture's height.
    pub height: f64,
    /// Below the room: what axes need.
    pub bottom: f64,
    /// Moment at its left, seconds.
    pub from: f64,
    /// Moment at its right, seconds.
    pub until: f64,
    /// Value at its upper edge; zero is at its lower.
    pub top: f64,
}

impl Plot {
    /// Where a moment lies; one outside at the edge.
    pub fn x(&self, seconds: f64) -> f64 {
        let length = self.until - self.from;
        let share = if length > 0.0 { (seconds - self.from) / length } else { 0.0 };
        LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
    }

    /// Where a value lies; one outside at the edge.
    pub fn y(&self, value: f64) -> f64 {
        self.height - self.bottom - (value / self.top).clamp(0.0, 1.0) * (self.height - TOP - self.bottom)
    }

    /// Lines across at `marks`, as `show` writes them, and the moments below, as `moment` does.
    pub fn grid(&self, marks: &[f64], show: impl Fn(f64) -> String, moment: impl Fn(f64) -> String) -> String {
        let mut out = String::new();
        for mark in marks {
            let y = self.y(*mark);
            let _ = writeln!(out, "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{}\"/>", WIDTH - RIGHT);
            let (x, y, text) = (LEFT - 8.0, y + 4.0, escaped(&show(*mark)));
            let _ = writeln!(out, "<text class=\"mark\" text-anchor=\"end\" x=\"{x}\" y=\"{y:.1}\">{text}</text>");
        }
        for time in axis::times(self.from, self.until) {
            let (x, y, text) = (self.x(time), self.height - 8.0, moment(time));
            let _ = writeln!(out, "<text class=\"mark\" text-anchor=\"middle\" x=\"{x:.1}\" y=\"{y}\">{text}</text>");
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_values_lie_in_the_room_and_those_outside_at_its_edge() {
        let plot = Plot { height: 100.0, bottom: 20.0, from: 100.0, until: 200.0, top: 7.0 };
        assert_eq!([0.0, 100.0, 150.0, 900.0].map(|at| plot.x(at)), [64.0, 64.0, 524.0, 984.0]);
        assert_eq!([-1.0, 0.0, 3.5, 9.0].map(|value| plot.y(value)), [80.0, 80.0, 45.0, 10.0]);
        assert_eq!(Plot { until: 100.0, ..plot }.x(100.0), 64.0);
    }
}
