//! Reading `unix_s,value[,flag]`.

use crate::series::{PlayersSeries, Point, SeriesError};
use evenkeel_core::units::Span;
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes read at most, packed or unpacked: a small gzip file can hold a very large one, and a path may name a device that
/// never ends.
const LIMIT_BYTES: u64 = 256 << 20;

/// Times beyond this many seconds (the year 5138) are written in milliseconds or worse, and would overflow.
pub(crate) const LATEST_UNIX_S: f64 = 1e11;

impl PlayersSeries {
    /// Reads a file of lines `unix_s,value[,flag]`, plain or gzip, with or without a header line. A flag other than
    /// `ok` marks a value that was filled in, not measured.
    ///
    /// # Errors
    /// The first line that makes no sense, or an unreadable file.
    pub fn open(path: &Path) -> Result<Self, SeriesError> {
        Self::from_bytes(&read(path)?)
    }

    /// The same from memory; gzip is recognized by its first two bytes.
    ///
    /// # Errors
    /// The first line that makes no sense.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SeriesError> {
        parse(bytes)
    }
}

/// The file's bytes.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, SeriesError> {
    let unreadable = |source| SeriesError::Read { path: path.display().to_string(), source };
    let file = File::open(path).map_err(unreadable)?;
    refuse_larger(read_at_most(file, LIMIT_BYTES).map_err(unreadable)?, LIMIT_BYTES)
}

/// One byte more than the limit tells that there are more.
fn read_at_most(source: impl Read, limit_bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(limit_bytes + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn refuse_larger(bytes: Vec<u8>, limit_bytes: u64) -> Result<Vec<u8>, SeriesError> {
    if bytes.len() as u64 > limit_bytes { Err(SeriesError::TooLarge { limit_bytes }) } else { Ok(bytes) }
}

/// The text inside: gzip is recognized by its first two bytes.
pub(crate) fn unpacked(bytes: &[u8]) -> Result<Cow<'_, [u8]>, SeriesError> {
    unpack(bytes, LIMIT_BYTES)
}

fn parse(bytes: &[u8]) -> Result<PlayersSeries, SeriesError> {
    let bytes = unpacked(bytes)?;
    let mut points: Vec<Point> = Vec::new();
    let mut first_and_previous: Option<(f64, f64)> = None;
    let mut filled = 0;
    for (index, line) in bytes.split(|&byte| byte == b'\n').enumerate() {
        let Some(row) = read_row(index + 1, line)? else { continue };
        let (first, previous) = first_and_previous.unwrap_or((row.unix_s, f64::NEG_INFINITY));
        let at = Span::from_secs_f64(row.unix_s - first);
        // Two times may differ as floats and still fall on the same microsecond.
        if points.last().is_some_and(|last| at <= last.at) {
            return Err(SeriesError::NotLater { line: index + 1, unix_s: row.unix_s, previous_unix_s: previous });
        }
        filled += usize::from(row.filled);
        first_and_previous = Some((first, row.unix_s));
        points.push(Point { at, players: row.players });
    }
    if points.is_empty() { Err(SeriesError::Empty) } else { Ok(PlayersSeries::from_points(points, filled)) }
}

fn unpack(bytes: &[u8], limit_bytes: u64) -> Result<Cow<'_, [u8]>, SeriesError> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Cow::Borrowed(bytes));
    }
    let unpacked = read_at_most(MultiGzDecoder::new(bytes), limit_bytes).map_err(SeriesError::Gzip)?;
    refuse_larger(unpacked, limit_bytes).map(Cow::Owned)
}

struct Row {
    unix_s: f64,
    players: f64,
    filled: bool,
}

/// One line; `None` for a blank one, a comment, and a header on line 1.
fn read_row(line: usize, bytes: &[u8]) -> Result<Option<Row>, SeriesError> {
    let text = std::str::from_utf8(bytes).map_err(|_| SeriesError::NotText { line })?.trim();
    let is_header = line == 1 && text.starts_with("unix_s,");
    if text.is_empty() || text.starts_with('#') || is_header {
        return Ok(None);
    }
    let fields: Vec<&str> = text.split(',').map(str::trim).collect();
    let (unix_s, players, flag) = match fields[..] {
        [unix_s, players] => (unix_s, players, ""),
        [unix_s, players, flag] => (unix_s, players, flag),
        _ => return Err(SeriesError::Fields { line, found: fields.len() }),
    };
    let unix_s = number(line, "unix_s", unix_s)?;
    let players = number(line, "value", players)?;
    if players < 0.0 {
        return Err(SeriesError::Negative { line, players });
    }
    Ok(Some(Row { unix_s, players, filled: !matches!(flag, "" | "ok") }))
}

fn number(line: usize, field: &'static str, text: &str) -> Result<f64, SeriesError> {
    let value: f64 = text.parse().map_err(|_| SeriesError::BadNumber { line, field, text: text.to_owned() })?;
    let in_range = value.is_finite() && (field != "unix_s" || value.abs() <= LATEST_UNIX_S);
    if in_range { Ok(value) } else { Err(SeriesError::NotFinite { line, field, text: text.to_owned() }) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn refusal(text: &str) -> String {
        parse(text.as_bytes()).unwrap_err().to_string()
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn header_comments_blank_lines_and_flags_are_understood() {
        let series = parse(b"unix_s,value,flag\n# a comment\n100,5,ok\n\n160.5,6,gap_interp\r\n").unwrap();
        let expected = [(Span::ZERO, 5.0), (Span::from_millis(60_500), 6.0)];
        assert_eq!(series.points(), expected.map(|(at, players)| Point { at, players }));
        assert_eq!(series.filled(), 1);
    }

    #[test]
    fn gzip_is_recognized_by_its_content() {
        let text = "0,1\n300,2\n";
        assert_eq!(parse(&gzip(text)).unwrap(), parse(text.as_bytes()).unwrap());
    }

    #[test]
    fn a_small_gzip_file_cannot_fill_the_memory() {
        let refused = unpack(&gzip(&"0".repeat(10_000)), 1_000).unwrap_err();
        assert!(matches!(refused, SeriesError::TooLarge { limit_bytes: 1_000 }));
    }

    #[test]
    fn a_file_without_an_end_is_refused_and_not_read_into_memory_for_ever() {
        let read = read_at_most(std::io::repeat(b'0'), 1_000).unwrap();
        assert!(matches!(refuse_larger(read, 1_000), Err(SeriesError::TooLarge { limit_bytes: 1_000 })));
    }

    #[test]
    fn a_gzip_file_cut_short_is_refused() {
        let whole = gzip("0,1\n300,2\n");
        assert!(matches!(parse(&whole[..whole.len() - 9]), Err(SeriesError::Gzip(_))));
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
        assert!(matches!(parse(b"1e300,1\n"), Err(SeriesError::NotFinite { field: "unix_s", .. })));
    }
}
