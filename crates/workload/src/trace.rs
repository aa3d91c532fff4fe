//! Traces of single requests: when each was sent, and how long it was.

use crate::random::Stream;
use crate::series::SeriesError;
use crate::series_file;
use evenkeel_core::units::Span;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;

/// Copies of a request come within this many seconds of it, or until the next one in the trace.
const COPIES_WITHIN_S: f64 = 1.0;

/// A trace is held in memory; this many copies are more than a machine sends.
const MOST_REQUESTS: f64 = 50e6;

/// One request of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceRequest {
    /// Since the trace's first request.
    pub at: Span,
    /// Prompt length, at least 1.
    pub prompt_tokens: u32,
    /// Output length, at least 1.
    pub output_tokens: u32,
}

/// Requests in order of time, the first at zero. Cloning is cheap.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestTrace {
    requests: Arc<[TraceRequest]>,
}

/// Why a trace is refused.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The file cannot be read or unpacked.
    #[error(transparent)]
    File(#[from] SeriesError),
    /// A line makes no sense.
    #[error("line {line}: `{text}` is no request; expected `t_s,in_tok,out_tok`, for example `12.5,374,44`")]
    Line {
        /// Line number, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A time before the one above it.
    #[error("line {line}: the time {t_s} is before {previous_t_s} above it; sort the file")]
    Earlier {
        /// Line number, from 1.
        line: usize,
        /// This line's time.
        t_s: f64,
        /// The time above it.
        previous_t_s: f64,
    },
    /// No request at all.
    #[error("the trace holds no requests; expected lines of `t_s,in_tok,out_tok`")]
    Empty,
    /// A factor that cannot be applied.
    #[error("the factor {factor} must be a number above zero that leaves at most 50 million requests")]
    Factor {
        /// The factor.
        factor: f64,
    },
}

impl RequestTrace {
    /// Reads a file of lines `t_s,in_tok,out_tok`, plain or gzip, with or without that header. Several requests may come
    /// at one time; a length of 0 counts as 1.
    ///
    /// # Errors
    /// The first line that makes no sense, or an unreadable file.
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        Self::from_bytes(&series_file::read(path)?)
    }

    /// The same from memory; gzip is recognized by its first two bytes.
    ///
    /// # Errors
    /// The first line that makes no sense.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TraceError> {
        let bytes = series_file::unpacked(bytes)?;
        let mut requests: Vec<TraceRequest> = Vec::new();
        let mut first_and_previous: Option<(f64, f64)> = None;
        for (line, bytes) in (1..).zip(bytes.split(|&byte| byte == b'\n')) {
            let text = String::from_utf8_lossy(bytes);
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') || (line == 1 && text.starts_with("t_s,")) {
                continue;
            }
            let row = row(text).ok_or_else(|| TraceError::Line { line, text: text.chars().take(80).collect() })?;
            let (first_s, previous_t_s) = first_and_previous.unwrap_or((row.0, row.0));
            if row.0 < previous_t_s {
                return Err(TraceError::Earlier { line, t_s: row.0, previous_t_s });
            }
            first_and_previous = Some((first_s, row.0));
            let at = Span::from_secs_f64(row.0 - first_s);
            requests.push(TraceRequest { at, prompt_tokens: row.1, output_tokens: row.2 });
        }
        if requests.is_empty() { Err(TraceError::Empty) } else { Ok(Self { requests: requests.into() }) }
    }

    /// The requests, in order of time.
    pub fn requests(&self) -> &[TraceRequest] {
        &self.requests
    }

    /// From the first request to the last.
    pub fn duration(&self) -> Span {
        self.requests.last().map_or(Span::ZERO, |last| last.at)
    }

    /// The same requests in a `factor`th of the time, and so at `factor` times the rate.
    ///
    /// # Errors
    /// A factor that is not finite and above zero.
    pub fn compressed(&self, factor: f64) -> Result<Self, TraceError> {
        usable(factor, 0)?;
        let sooner = |it: &TraceRequest| TraceRequest { at: Span::from_secs_f64(it.at.as_secs_f64() / factor), ..*it };
        Ok(Self { requests: self.requests.iter().map(sooner).collect() })
    }

    /// The requests from `from` on and before `to`, in time since `from`.
    ///
    /// # Errors
    /// When there are none.
    pub fn part(&self, from: Span, to: Span) -> Result<Self, TraceError> {
        let inside = self.requests.iter().filter(|request| request.at >= from && request.at < to);
        let since = |it: &TraceRequest| Span::from_micros(it.at.as_micros() - from.as_micros());
        let requests: Arc<[TraceRequest]> = inside.map(|it| TraceRequest { at: since(it), ..*it }).collect();
        if requests.is_empty() { Err(TraceError::Empty) } else { Ok(Self { requests }) }
    }

    /// `factor` times as many requests in the same time. Below 1 some are left out; above 1 some or all come more than
    /// once, the copies at random moments until the next request of the trace, so that they do not come in one instant.
    ///
    /// # Errors
    /// A factor that is not finite and above zero, or that leaves no end of requests.
    pub fn multiplied(&self, factor: f64, seed: u64) -> Result<Self, TraceError> {
        usable(factor, self.requests.len())?;
        let (mut share, mut moments) =
            (Stream::named(seed, "trace", "copies"), Stream::named(seed, "trace", "moments of copies"));
        let mut requests = Vec::new();
        for (index, request) in self.requests.iter().enumerate() {
            let until = self
                .requests
                .get(index + 1)
                .map_or(COPIES_WITHIN_S, |next| next.at.as_secs_f64() - request.at.as_secs_f64());
            let room_s = until.min(COPIES_WITHIN_S);
            let whole = libm::floor(factor);
            let copies = whole as u64 + u64::from(share.uniform() < factor - whole);
            for copy in 0..copies {
                let later_s = if copy == 0 { 0.0 } else { room_s * moments.uniform() };
                requests.push(TraceRequest { at: request.at + Span::from_secs_f64(later_s), ..*request });
            }
        }
        requests.sort_unstable();
        if requests.is_empty() { Err(TraceError::Empty) } else { Ok(Self { requests: requests.into() }) }
    }
}

fn row(text: &str) -> Option<(f64, u32, u32)> {
    let mut fields = text.split(',').map(str::trim);
    let (time, prompt, output) = (fields.next()?, fields.next()?, fields.next()?);
    let t_s: f64 = time.parse().ok().filter(|t_s: &f64| t_s.abs() <= series_file::LATEST_UNIX_S)?;
    let tokens = |text: &str| text.parse::<u32>().ok().map(|tokens| tokens.max(1));
    fields.next().is_none().then_some((t_s, tokens(prompt)?, tokens(output)?))
}

fn usable(factor: f64, requests: usize) -> Result<(), TraceError> {
    let usable = factor.is_finite() && factor > 0.0 && factor * requests as f64 <= MOST_REQUESTS;
    if usable { Ok(()) } else { Err(TraceError::Factor { factor }) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn trace(text: &str) -> RequestTrace {
        RequestTrace::from_bytes(text.as_bytes()).unwrap()
    }

    fn times(trace: &RequestTrace) -> Vec<f64> {
        trace.requests().iter().map(|request| request.at.as_secs_f64()).collect()
    }

    #[test]
    fn a_trace_begins_with_its_first_request_and_may_send_several_at_once() {
        let trace = trace("t_s,in_tok,out_tok\n10,374,44\n# a comment\n12.5,396,0\r\n12.5,879,55\n");
        assert_eq!(times(&trace), [0.0, 2.5, 2.5]);
        let second = trace.requests()[1];
        assert_eq!((second.prompt_tokens, second.output_tokens), (396, 1));
        assert_eq!(trace.duration(), Span::from_millis(2_500));
    }

    #[test]
    fn compression_brings_the_same_requests_sooner() {
        assert_eq!(times(&trace("0,1,1\n60,1,1\n600,1,1\n").compressed(60.0).unwrap()), [0.0, 1.0, 10.0]);
    }

    #[test]
    fn a_part_of_a_trace_is_timed_from_its_own_beginning() {
        let part = trace("0,1,1\n60,2,2\n90,3,3\n600,4,4\n").part(Span::from_secs(30), Span::from_secs(600)).unwrap();
        assert_eq!(times(&part), [30.0, 60.0]);
        assert!(part.part(Span::from_secs(100), Span::from_secs(200)).is_err());
    }

    #[test]
    fn a_tenth_of_the_requests_is_a_random_tenth_and_the_same_for_the_same_seed() {
        let lines: String = (0..10_000).map(|second| format!("{second},5,5\n")).collect();
        let tenth = trace(&lines).multiplied(0.1, 7).unwrap();
        assert!((900..1_100).contains(&tenth.requests().len()), "{}", tenth.requests().len());
        assert_eq!(tenth, trace(&lines).multiplied(0.1, 7).unwrap());
        assert!(tenth != trace(&lines).multiplied(0.1, 8).unwrap());
    }

    #[test]
    fn copies_come_in_order_and_before_the_next_request_of_the_trace() {
        let original = trace("0,1,1\n0.5,2,2\n100,3,3\n");
        let many = original.multiplied(2.5, 1).unwrap();
        assert!((6..=9).contains(&many.requests().len()));
        assert!(many.requests().is_sorted());
        assert!(times(&many).iter().all(|at| (0.0..=1.5).contains(at) || (100.0..=101.0).contains(at)), "{many:?}");
        assert_eq!(original.multiplied(1.0, 1).unwrap(), original);
    }

    #[test]
    fn every_refusal_names_the_line_and_the_cause() {
        let refused = |text: &str| RequestTrace::from_bytes(text.as_bytes()).unwrap_err().to_string();
        assert!(refused("0,1,1\n1,many,1\n").starts_with("line 2: `1,many,1` is no request; expected `t_s,in_tok"));
        for line in ["1", "1,2", "1,2,3,4", "NaN,1,1", "1,-5,1", "1e99,1,1"] {
            assert!(refused(line).contains("is no request"), "{line}");
        }
        assert!(refused("5,1,1\n4,1,1\n").contains("line 2: the time 4 is before 5 above it"));
        assert!(refused("t_s,in_tok,out_tok\n").contains("holds no requests"));
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(trace("0,1,1\n").compressed(factor).is_err() && trace("0,1,1\n").multiplied(factor, 1).is_err());
        }
        assert!(trace("0,1,1\n").multiplied(1e9, 1).is_err(), "a billion copies fit no memory");
    }
}
