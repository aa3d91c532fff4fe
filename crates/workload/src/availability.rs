//! How many instances a cloud had to give over time, as measured: the format of SkyPilot's spot traces
//! (skypilot-org/spot-traces), a comment with the gap between two looks, a header, then a count a line.

use crate::lines::{self, Lines};
use crate::series::SeriesError;
use crate::written;
use evenkeel_core::units::Span;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;

/// Bytes read at most, unpacked: a look a minute for ten years.
const LIMIT_BYTES: u64 = 64 << 20;
/// Nobody looks more often, and every look is an event of a simulation.
const SHORTEST_GAP: Span = Span::from_secs(1);
const GAP: &str = "gap_seconds=";
const HEADER: &str = "available_instances";

/// Instances that could be had, a count for each look. Cloning is cheap.
#[derive(Clone, Debug, PartialEq)]
pub struct Availability {
    gap: Span,
    counts: Arc<[u32]>,
    most: u32,
}

/// Why a trace is refused.
#[derive(Debug, Error)]
pub enum AvailabilityError {
    /// The file cannot be read or unpacked.
    #[error(transparent)]
    File(#[from] SeriesError),
    /// The first line does not tell how far two looks are apart.
    #[error(
        "line {line}: `{text}` does not tell the time between two looks, a second or more; expected for example \
         `# gap_seconds=195`"
    )]
    NoGap {
        /// Line number, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A line that is no count.
    #[error("line {line}: `{text}` is no count of instances; expected a whole number, for example `4`")]
    NoCount {
        /// Line number, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// Nothing at all stands there.
    #[error("the trace is empty; expected `# gap_seconds=195`, then a count of instances a line")]
    Empty,
    /// Nothing was ever there, or nobody looked.
    #[error("no look of this trace found an instance, so there is no whole of which the others were a share")]
    NeverAny,
}

impl Availability {
    /// Reads a trace, plain or gzip.
    ///
    /// # Errors
    /// The first line that makes no sense, or an unreadable file.
    pub fn open(path: &Path) -> Result<Self, AvailabilityError> {
        parse(Lines::open(path, LIMIT_BYTES)?)
    }

    /// The same from memory; gzip is recognized by its first two bytes.
    ///
    /// # Errors
    /// The first line that makes no sense.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AvailabilityError> {
        parse(Lines::of_bytes(bytes, LIMIT_BYTES)?)
    }

    /// What of a pool of `whole` is there so long after the trace's beginning, rounded down: the most that was ever there is
    /// the whole. At its end the trace begins again.
    pub fn of_pool(&self, whole: u32, at: Span) -> u32 {
        let looks = at.as_micros().max(0) / self.gap.as_micros();
        let count = self.counts[looks as usize % self.counts.len()];
        (u64::from(whole) * u64::from(count) / u64::from(self.most)) as u32
    }

    /// When the next look after `at` finds another part of such a pool; `None` where all find the same.
    pub fn next_change(&self, whole: u32, at: Span) -> Option<Span> {
        let now = self.of_pool(whole, at);
        let look = at.as_micros().max(0) / self.gap.as_micros();
        let looks = (look + 1..=look + self.counts.len() as i64)
            .map(|look| Span::from_micros(look.saturating_mul(self.gap.as_micros())));
        looks.into_iter().find(|&at| self.of_pool(whole, at) != now)
    }
}

fn parse(mut lines: Lines) -> Result<Availability, AvailabilityError> {
    let (line, text) = lines.next_or_comment()?.ok_or(AvailabilityError::Empty)?;
    let seconds = text.trim_start_matches('#').trim_ascii().strip_prefix(GAP).and_then(written::plain_number);
    let gap = seconds.map(Span::from_secs_f64).filter(|gap| *gap >= SHORTEST_GAP);
    let gap = gap.ok_or_else(|| AvailabilityError::NoGap { line, text: lines::shown(text) })?;
    let mut counts = Vec::new();
    while let Some((line, text)) = lines.next()? {
        if counts.is_empty() && text == HEADER {
            continue;
        }
        let count = text.parse().map_err(|_| AvailabilityError::NoCount { line, text: lines::shown(text) })?;
        counts.push(count);
    }
    let most = counts.iter().copied().max().filter(|most| *most > 0).ok_or(AvailabilityError::NeverAny)?;
    Ok(Availability { gap, counts: counts.into(), most })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::lines::tests::gzip;

    const TRACE: &str = "# gap_seconds=60\navailable_instances\n4\n4\n1\n0\n3\n";

    fn refusal(text: &str) -> String {
        Availability::from_bytes(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_most_that_was_ever_there_is_the_whole_pool_and_the_trace_begins_again() {
        let trace = Availability::from_bytes(TRACE.as_bytes()).unwrap();
        let of_ten = |minute: i64| trace.of_pool(10, Span::from_secs(60 * minute));
        assert_eq!([0, 1, 2, 3, 4, 5, 7].map(of_ten), [10, 10, 2, 0, 7, 10, 2]);
        assert_eq!(Availability::from_bytes(&gzip(TRACE)).unwrap(), trace);
    }

    #[test]
    fn the_next_change_is_that_of_the_pool() {
        let trace = Availability::from_bytes(TRACE.as_bytes()).unwrap();
        let after = |second: i64| trace.next_change(2, Span::from_secs(second)).unwrap().as_secs_f64();
        // Of two a quarter is none, and three quarters are one.
        assert_eq!([0, 119, 120, 240, 299].map(after), [120.0, 120.0, 240.0, 300.0, 300.0]);
        let always = Availability::from_bytes(b"# gap_seconds=60\n1\n1\n").unwrap();
        assert_eq!(always.next_change(5, Span::ZERO), None);
    }

    #[test]
    fn every_refusal_names_the_line_and_the_cause() {
        assert_eq!(
            refusal("available_instances\n1\n"),
            "line 1: `available_instances` does not tell the time between two looks, a second or more; expected for example \
             `# gap_seconds=195`"
        );
        assert!(refusal("# gap_seconds=0\n1\n").starts_with("line 1: "));
        assert_eq!(
            refusal("# gap_seconds=60\navailable_instances\n1\n-1\n"),
            "line 4: `-1` is no count of instances; expected a whole number, for example `4`"
        );
        assert!(refusal("# gap_seconds=60\navailable_instances\n0\n0\n").starts_with("no look of this trace"));
        assert!(refusal("# gap_seconds=60\n").starts_with("no look of this trace"));
        assert!(refusal("").starts_with("the trace is empty; expected `# gap_seconds=195`"));
    }
}
