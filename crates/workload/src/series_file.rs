//! Reading players over time: `unix_s,value[,flag]`, or what SteamDB exports. The first line tells which.

mod steamdb;

use crate::lines::Lines;
use crate::series::{PlayersSeries, Point, SeriesError};
use evenkeel_core::units::Span;
use std::path::Path;
use steamdb::SteamDb;

/// Bytes read at most, unpacked: a point a second for half a year.
const LIMIT_BYTES: u64 = 256 << 20;

/// Times beyond this many seconds (the year 5138) are written in milliseconds or worse, and would overflow.
pub(crate) const LATEST_UNIX_S: f64 = 1e11;

impl PlayersSeries {
    /// Reads players over time, plain or gzip: lines `unix_s,value[,flag]`, with or without a header line, where a flag
    /// other than `ok` marks a value that was filled in, not measured; or a chart of players as SteamDB exports it.
    ///
    /// # Errors
    /// The first line that makes no sense, or an unreadable file.
    pub fn open(path: &Path) -> Result<Self, SeriesError> {
        parse(Lines::open(path, LIMIT_BYTES)?)
    }

    /// The same from memory; gzip is recognized by its first two bytes.
    ///
    /// # Errors
    /// The first line that makes no sense.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SeriesError> {
        parse(Lines::of_bytes(bytes, LIMIT_BYTES)?)
    }
}

fn parse(mut lines: Lines) -> Result<PlayersSeries, SeriesError> {
    let (line, text) = lines.next()?.ok_or(SeriesError::Empty)?;
    let mut series = Gathered::default();
    if SteamDb::begins(text) {
        let format = SteamDb::with_header(line, text)?;
        while let Some((line, text)) = lines.next()? {
            format.row(line, text)?.map_or(Ok(()), |row| series.add(line, &row))?;
        }
    } else {
        if !text.starts_with("unix_s,") {
            series.add(line, &plain_row(line, text)?)?;
        }
        while let Some((line, text)) = lines.next()? {
            series.add(line, &plain_row(line, text)?)?;
        }
    }
    series.finish()
}

/// What was read so far.
#[derive(Default)]
struct Gathered {
    points: Vec<Point>,
    filled: usize,
    first_and_previous: Option<(f64, f64)>,
}

impl Gathered {
    fn add(&mut self, line: usize, row: &Row) -> Result<(), SeriesError> {
        let (first, previous) = self.first_and_previous.unwrap_or((row.unix_s, f64::NEG_INFINITY));
        let at = Span::from_secs_f64(row.unix_s - first);
        // Two times may differ as floats and still fall on the same microsecond.
        if self.points.last().is_some_and(|last| at <= last.at) {
            return Err(SeriesError::NotLater { line, unix_s: row.unix_s, previous_unix_s: previous });
        }
        self.filled += usize::from(row.filled);
        self.first_and_previous = Some((first, row.unix_s));
        self.points.push(Point { at, players: row.players });
        Ok(())
    }

    fn finish(self) -> Result<PlayersSeries, SeriesError> {
        if self.points.is_empty() {
            Err(SeriesError::Empty)
        } else {
            Ok(PlayersSeries::from_points(self.points, self.filled))
        }
    }
}

#[derive(Debug, PartialEq)]
struct Row {
    unix_s: f64,
    players: f64,
    filled: bool,
}

fn plain_row(line: usize, text: &str) -> Result<Row, SeriesError> {
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    let (unix_s, players, flag) = match fields[..] {
        [unix_s, players] => (unix_s, players, ""),
        [unix_s, players, flag] => (unix_s, players, flag),
        _ => return Err(SeriesError::Fields { line, found: fields.len() }),
    };
    let unix_s = number(line, "unix_s", unix_s)?;
    Ok(Row { unix_s, players: count(line, "value", players)?, filled: !matches!(flag, "" | "ok") })
}

fn count(line: usize, field: &'static str, text: &str) -> Result<f64, SeriesError> {
    let players = number(line, field, text)?;
    if players < 0.0 { Err(SeriesError::Negative { line, players }) } else { Ok(players) }
}

fn number(line: usize, field: &'static str, text: &str) -> Result<f64, SeriesError> {
    let value: f64 = text.parse().map_err(|_| SeriesError::BadNumber { line, field, text: text.to_owned() })?;
    let text = || text.to_owned();
    if !value.is_finite() {
        return Err(SeriesError::NotFinite { line, field, text: text() });
    }
    if field == "unix_s" && value.abs() > LATEST_UNIX_S {
        return Err(SeriesError::NotSeconds { line, text: text() });
    }
    Ok(value)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<PlayersSeries, SeriesError> {
        PlayersSeries::from_bytes(bytes)
    }

    fn refusal(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn header_comments_blank_lines_and_flags_are_understood() {
        let series = parse(b"unix_s,value,flag\n# a comment\n100,5,ok\n\n160.5,6,gap_interp\r\n").unwrap();
        let expected = [(Span::ZERO, 5.0), (Span::from_millis(60_500), 6.0)];
        assert_eq!(series.points(), expected.map(|(at, players)| Point { at, players }));
        assert_eq!(series.filled(), 1);
    }

    #[test]
    fn every_refusal_names_the_line_and_the_cause() {
        assert_eq!(refusal("0,1\n60,many\n"), "line 2: `many` is not a number; value must be one");
        assert_eq!(refusal("0,1\n60,NaN\n"), "line 2: value is `NaN`; leave the line out where nothing was measured");
        assert_eq!(refusal("0,1\n60,-3\n"), "line 2: -3 players; a count cannot be negative");
        assert_eq!(
            refusal("0,1\n60,2\n60,3\n"),
            "line 3: the time 60 is not after 60 before it; sort the file and drop doubles"
        );
        assert_eq!(refusal("0\n"), "line 1 has 1 fields; expected `unix_s,value` or `unix_s,value,flag`");
        assert_eq!(refusal("time,value\n0,1\n"), "line 1: `time` is not a number; unix_s must be one");
        assert_eq!(refusal("unix_s,value\n"), "the series holds no points; expected lines of `unix_s,value`");
        assert!(matches!(parse(b"0,1\n\xff,2\n"), Err(SeriesError::NotText { line: 2 })));
        assert!(matches!(parse(b"0,inf\n"), Err(SeriesError::NotFinite { line: 1, .. })));
        assert_eq!(
            refusal("unix_s,value\n1600000000000,1\n"),
            "line 2: the time `1600000000000` lies beyond the year 5000; is it in milliseconds? Times are seconds since 1970"
        );
        assert!(matches!(parse(b"1e300,1\n"), Err(SeriesError::NotSeconds { line: 1, .. })));
    }
}
