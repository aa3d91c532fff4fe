//! Players over time.

use evenkeel_core::units::Span;
use std::sync::Arc;
use thiserror::Error;

/// Players online at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Since the series' start.
    pub at: Span,
    /// Players online.
    pub players: f64,
}

/// Players over time, straight between its points. Cloning is cheap.
#[derive(Clone, Debug, PartialEq)]
pub struct PlayersSeries {
    points: Arc<[Point]>,
    filled: usize,
}

/// Why a series of players is refused.
#[derive(Debug, Error)]
pub enum SeriesError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file as it was named.
        path: String,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The gzip data is damaged or cut short.
    #[error("the gzip data is damaged: {0}")]
    Gzip(std::io::Error),
    /// The file, or what is packed in it, is larger than is read.
    #[error("the file holds more than {limit_bytes} bytes; cut it into shorter ones")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// A line is longer than any that makes sense.
    #[error("line {line} is longer than {limit_bytes} bytes; is this a text file?")]
    LongLine {
        /// Line number, from 1.
        line: usize,
        /// The limit.
        limit_bytes: u64,
    },
    /// A line is not UTF-8.
    #[error("line {line} is not UTF-8 text")]
    NotText {
        /// Line number, from 1.
        line: usize,
    },
    /// A line has too few or too many fields.
    #[error("line {line} has {found} fields; expected `unix_s,value` or `unix_s,value,flag`")]
    Fields {
        /// Line number, from 1.
        line: usize,
        /// Fields found.
        found: usize,
    },
    /// A header of SteamDB's that names no column of players.
    #[error("line {line}: `{text}` has no column `Players` or `Users`; export the chart of players")]
    NoPlayersColumn {
        /// Line number, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A line of a SteamDB export makes no sense.
    #[error(
        "line {line}: `{text}` is no line of this export; expected its header's columns, a time such as \
             `2024-05-10 18:00:00` first"
    )]
    SteamDb {
        /// Line number, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A field is not a number.
    #[error("line {line}: `{text}` is not a number; {field} must be one")]
    BadNumber {
        /// Line number, from 1.
        line: usize,
        /// `unix_s`, `value` or `players`.
        field: &'static str,
        /// What stands there.
        text: String,
    },
    /// A time beyond all that seconds tell.
    #[error(
        "line {line}: the time `{text}` lies beyond the year 5000; is it in milliseconds? Times are seconds since 1970"
    )]
    NotSeconds {
        /// Line number, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A number is NaN or infinite.
    #[error("line {line}: {field} is `{text}`; leave the line out where nothing was measured")]
    NotFinite {
        /// Line number, from 1.
        line: usize,
        /// `unix_s`, `value` or `players`.
        field: &'static str,
        /// What stands there.
        text: String,
    },
    /// Fewer than no players.
    #[error("line {line}: {players} players; a count cannot be negative")]
    Negative {
        /// Line number, from 1.
        line: usize,
        /// What stands there.
        players: f64,
    },
    /// A time is not after the one before it.
    #[error("line {line}: the time {unix_s} is not after {previous_unix_s} before it; sort the file and drop doubles")]
    NotLater {
        /// Line number, from 1.
        line: usize,
        /// This line's time.
        unix_s: f64,
        /// The time before it.
        previous_unix_s: f64,
    },
    /// A factor that cannot stretch time or scale a count.
    #[error("the factor {factor} must be a finite number above zero")]
    Factor {
        /// The factor.
        factor: f64,
    },
    /// There is no point at all.
    #[error("the series holds no points; expected lines of `unix_s,value`")]
    Empty,
}

impl PlayersSeries {
    /// Players that never change.
    pub fn constant(players: f64, duration: Span) -> Self {
        let end = Point { at: duration, players };
        Self::from_points(vec![Point { at: Span::ZERO, players }, end], 0)
    }

    /// `points` are never empty, grow in time, start at zero, and hold finite counts of at least zero.
    pub(crate) fn from_points(points: Vec<Point>, filled: usize) -> Self {
        debug_assert!(points.first().is_some_and(|first| first.at == Span::ZERO));
        Self { points: points.into(), filled }
    }

    /// The points, first at zero.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Points whose flag says that they were filled in.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// From the first point to the last.
    pub fn duration(&self) -> Span {
        self.points.last().map_or(Span::ZERO, |last| last.at)
    }

    /// The largest count.
    pub fn peak(&self) -> f64 {
        self.points.iter().map(|point| point.players).fold(0.0, f64::max)
    }

    /// Players at a moment; the last count holds on after the end.
    pub fn at(&self, moment: Span) -> f64 {
        let next = self.points.partition_point(|point| point.at <= moment);
        match (next.checked_sub(1).map(|index| self.points[index]), self.points.get(next)) {
            (Some(before), Some(after)) => {
                let share = (moment.as_micros() - before.at.as_micros()) as f64
                    / (after.at.as_micros() - before.at.as_micros()) as f64;
                before.players + (after.players - before.players) * share
            }
            (Some(last), None) => last.players,
            (None, first) => first.map_or(0.0, |point| point.players),
        }
    }

    /// The same players in a `factor`th of the time. Points that fall on the same microsecond become one.
    ///
    /// # Errors
    /// A factor that is not finite and above zero.
    pub fn compressed(&self, factor: f64) -> Result<Self, SeriesError> {
        usable(factor)?;
        let mut points: Vec<Point> = Vec::with_capacity(self.points.len());
        for point in self.points.iter() {
            let at = Span::from_secs_f64(point.at.as_secs_f64() / factor);
            match points.last_mut() {
                Some(last) if last.at == at => last.players = point.players,
                _ => points.push(Point { at, players: point.players }),
            }
        }
        Ok(Self { points: points.into(), filled: self.filled })
    }

    /// `factor` times as many players.
    ///
    /// # Errors
    /// A factor that is not finite and above zero.
    pub fn scaled(&self, factor: f64) -> Result<Self, SeriesError> {
        usable(factor)?;
        let points = self.points.iter().map(|point| Point { at: point.at, players: point.players * factor });
        Ok(Self { points: points.collect(), filled: self.filled })
    }
}

fn usable(factor: f64) -> Result<(), SeriesError> {
    if factor.is_finite() && factor > 0.0 { Ok(()) } else { Err(SeriesError::Factor { factor }) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn series(text: &str) -> PlayersSeries {
        PlayersSeries::from_bytes(text.as_bytes()).unwrap()
    }

    #[test]
    fn between_two_points_the_count_runs_straight() {
        let players = series("100,10\n200,30\n400,30\n");
        assert_eq!(players.at(Span::ZERO), 10.0);
        assert_eq!(players.at(Span::from_secs(25)), 15.0);
        assert_eq!(players.at(Span::from_secs(100)), 30.0);
        assert_eq!(players.at(Span::from_secs(250)), 30.0);
        assert_eq!(players.duration(), Span::from_secs(300));
    }

    #[test]
    fn after_the_end_the_last_count_holds() {
        assert_eq!(series("0,10\n10,4\n").at(Span::from_secs(99)), 4.0);
    }

    #[test]
    fn compression_shortens_the_day_and_keeps_the_players() {
        let day = series("0,100\n43200,1000\n86400,100\n").compressed(360.0).unwrap();
        assert_eq!(day.duration(), Span::from_secs(240));
        assert_eq!(day.at(Span::from_secs(120)), 1000.0);
        assert_eq!(day.at(Span::from_secs(60)), 550.0);
    }

    #[test]
    fn points_pressed_onto_one_microsecond_become_one() {
        let pressed = series("0,1\n1,2\n2,3\n").compressed(1e9).unwrap();
        assert_eq!(pressed.points(), [Point { at: Span::ZERO, players: 3.0 }]);
    }

    #[test]
    fn scaling_changes_players_and_not_the_time() {
        let half = series("0,100\n60,200\n").scaled(0.5).unwrap();
        assert_eq!((half.peak(), half.duration()), (100.0, Span::from_secs(60)));
    }

    #[test]
    fn a_factor_that_is_no_factor_is_refused() {
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(series("0,1\n").compressed(factor).is_err() && series("0,1\n").scaled(factor).is_err());
        }
    }
}
