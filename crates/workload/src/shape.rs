//! Players by a shape that is written down: a few stages, one after another.
//!
//! A stage is a count, or a count that goes straight to another, for a time. Between two stages the count jumps. That is
//! all there is, and ramps, steps and spikes are all made of it:
//!
//! - a ramp: `0..5000:10m`
//! - steps: `100:2m,500:2m,1000:2m,5000:2m,10000:2m`
//! - a spike: `500:5m,5000:30s,500:5m`

use crate::series::{PlayersSeries, Point};
use crate::written;
use evenkeel_core::units::Span;
use thiserror::Error;

/// The shortest time between two counts: a jump takes as long.
const JUMP: Span = Span::from_micros(1);

/// Stages of players, at least one.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    stages: Vec<Stage>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Stage {
    from: f64,
    to: f64,
    lasts: Span,
}

/// Why a shape is refused.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ShapeError {
    /// A stage makes no sense.
    #[error("`{0}` is no stage; write PLAYERS:TIME or FROM..TO:TIME, for example `500:2m` or `0..5000:10m`")]
    Stage(String),
    /// A stage lasts no time, or none is left of it after compression.
    #[error("the stage `{0}` is too short; a stage lasts at least 1ms")]
    TooShort(String),
    /// A factor that cannot stretch time.
    #[error("the factor {0} must be a finite number above zero")]
    Factor(f64),
}

impl Shape {
    /// Understands stages with commas between them.
    ///
    /// # Errors
    /// The first stage that makes no sense.
    pub fn parse(text: &str) -> Result<Self, ShapeError> {
        let stages = text.split(',').map(str::trim).map(|text| {
            let stage = stage(text).ok_or_else(|| ShapeError::Stage(text.to_owned()))?;
            if stage.lasts < Span::from_millis(1) { Err(ShapeError::TooShort(text.to_owned())) } else { Ok(stage) }
        });
        Ok(Self { stages: stages.collect::<Result<_, _>>()? })
    }

    /// The same counts in a `factor`th of the time.
    ///
    /// # Errors
    /// A factor that is not finite and above zero, or that leaves nothing of a stage.
    pub fn compressed(&self, factor: f64) -> Result<Self, ShapeError> {
        if !(factor.is_finite() && factor > 0.0) {
            return Err(ShapeError::Factor(factor));
        }
        let shorter = |stage: &Stage| {
            let lasts = Span::from_secs_f64(stage.lasts.as_secs_f64() / factor);
            let left = lasts >= Span::from_millis(1);
            left.then_some(Stage { lasts, ..*stage }).ok_or_else(|| ShapeError::TooShort(stage.to_string()))
        };
        Ok(Self { stages: self.stages.iter().map(shorter).collect::<Result<_, _>>()? })
    }

    /// The players over time.
    pub fn players(&self) -> PlayersSeries {
        let mut points: Vec<Point> = Vec::with_capacity(2 * self.stages.len());
        let mut end = Span::ZERO;
        for stage in &self.stages {
            // Where the last stage ended at this very count the line just goes on.
            match points.last() {
                None => points.push(Point { at: Span::ZERO, players: stage.from }),
                Some(last) if last.players == stage.from => {}
                Some(_) => points.push(Point { at: end + JUMP, players: stage.from }),
            }
            end = end + stage.lasts;
            points.push(Point { at: end, players: stage.to });
        }
        PlayersSeries::from_points(points, 0)
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stages: Vec<String> = self.stages.iter().map(Stage::to_string).collect();
        f.write_str(&stages.join(","))
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, to, lasts } = self;
        if from == to { write!(f, "{from}:{lasts}") } else { write!(f, "{from}..{to}:{lasts}") }
    }
}

fn stage(text: &str) -> Option<Stage> {
    let (players, lasts) = text.split_once(':')?;
    let (from, to) = players.split_once("..").unwrap_or((players, players));
    Some(Stage { from: written::plain_number(from)?, to: written::plain_number(to)?, lasts: written::time(lasts)? })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn players_at(text: &str, seconds: &[f64]) -> Vec<f64> {
        let players = Shape::parse(text).unwrap().players();
        seconds.iter().map(|second| players.at(Span::from_secs_f64(*second))).collect()
    }

    #[test]
    fn steps_hold_their_count_and_jump_to_the_next() {
        let seen = players_at("100:2m, 500:2m, 1_000:2m", &[0.0, 119.9, 120.1, 239.9, 240.1, 360.0, 999.0]);
        assert_eq!(seen, [100.0, 100.0, 500.0, 500.0, 1_000.0, 1_000.0, 1_000.0]);
    }

    #[test]
    fn a_ramp_goes_straight_and_a_stage_after_it_goes_on_from_there() {
        assert_eq!(players_at("0..5000:10m,5000:5m", &[0.0, 300.0, 600.0, 900.0]), [0.0, 2_500.0, 5_000.0, 5_000.0]);
        let both = Shape::parse("0..10:10s,10..0:10s").unwrap().players();
        assert_eq!((both.points().len(), both.duration()), (3, Span::from_secs(20)));
    }

    #[test]
    fn a_spike_is_over_as_fast_as_it_came() {
        assert_eq!(players_at("500:5m,5000:30s,500:5m", &[299.9, 300.1, 329.9, 330.1]), [500.0, 5e3, 5e3, 500.0]);
    }

    #[test]
    fn a_jump_stays_a_jump_however_much_the_time_is_compressed() {
        let players = Shape::parse("100:2m,500:2m").unwrap().compressed(1_000.0).unwrap().players();
        assert_eq!(players.duration(), Span::from_millis(240));
        assert_eq!([119, 121].map(|ms| players.at(Span::from_millis(ms))), [100.0, 500.0]);
    }

    #[test]
    fn what_is_no_stage_is_refused_with_the_way_to_write_it() {
        let refused = |text| Shape::parse(text).unwrap_err().to_string();
        for text in ["", "500", "500:2", "-5:2m", "a..b:2m", "0..:2m", "500:2m,", "2m:500", "NaN:2m", "500:2m:3m"] {
            assert!(refused(text).contains("write PLAYERS:TIME or FROM..TO:TIME"), "{text}: {}", refused(text));
        }
        assert_eq!(refused("500:0s"), "the stage `500:0s` is too short; a stage lasts at least 1ms");
        let day = Shape::parse("0..500:24h").unwrap();
        assert_eq!(day.compressed(1e12), Err(ShapeError::TooShort("0..500:86400s".to_owned())));
        assert!(day.compressed(0.0).is_err());
    }
}
