//! Traces of single requests: when each was sent, and how long it was.

mod format;
mod mooncake;

use crate::lines::{self, Lines};
use crate::random::Stream;
use crate::series::SeriesError;
use evenkeel_core::units::Span;
use format::{Format, Row};
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;

/// Copies of a request come within this many seconds of it, or until the next one in the trace.
const COPIES_WITHIN_S: f64 = 1.0;

/// A trace is held in memory, 24 bytes a request; this many are more than a machine sends. A week of Azure's code
/// assistant in 2024 has 17 million.
const MOST_REQUESTS: usize = 50_000_000;

/// Bytes of a file read at most, unpacked: room for that many requests.
const LIMIT_BYTES: u64 = 4 << 30;

/// One request of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TraceRequest {
    /// Since the trace's first request.
    pub at: Span,
    /// Prompt length, at least 1.
    pub prompt_tokens: u32,
    /// Output length, at least 1.
    pub output_tokens: u32,
    /// Tokens at the prompt's beginning that an earlier prompt of the trace began with, and that a prefix cache which
    /// forgets nothing would have kept. Zero where the format does not tell.
    pub cached_tokens: u32,
}

/// Requests in order of time, the first at zero. Cloning is cheap.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestTrace {
    // Not a slice: that would copy millions of requests once more.
    requests: Arc<Vec<TraceRequest>>,
    failed: usize,
    tells_cached: bool,
}

/// Why a trace is refused.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The file cannot be read or unpacked.
    #[error(transparent)]
    File(#[from] SeriesError),
    /// The first line tells no known format.
    #[error(
        "line {line}: `{text}` begins no known trace; expected `t_s,in_tok,out_tok`, \
         `TIMESTAMP,ContextTokens,GeneratedTokens` (Azure), `Timestamp,Model,Request tokens,Response tokens,...` \
         (BurstGPT), or lines of `{{\"timestamp\": 0, \"input_length\": 9, \"output_length\": 9, ...}}` (Mooncake)"
    )]
    Format {
        /// Line number, from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A line makes no sense.
    #[error("line {line}: `{text}` is no request; expected {expected}")]
    Line {
        /// Line number, from 1.
        line: usize,
        /// What stands there.
        text: String,
        /// What a line of this format looks like.
        expected: &'static str,
    },
    /// A time before the one above it.
    #[error("line {line}: `{text}` was sent {earlier_s} s before the request above it; sort the file by time")]
    Earlier {
        /// Line number, from 1.
        line: usize,
        /// What stands there.
        text: String,
        /// By how much.
        earlier_s: f64,
    },
    /// More than can be kept.
    #[error("the trace holds more than {MOST_REQUESTS} requests; cut it into shorter ones")]
    TooMany,
    /// No request at all.
    #[error("the trace holds no requests")]
    Empty,
    /// A factor that cannot be applied.
    #[error("the factor {factor} must be a number above zero that leaves at most 50 million requests")]
    Factor {
        /// The factor.
        factor: f64,
    },
}

impl RequestTrace {
    /// Reads a file of requests, plain or gzip, in whatever format its first line tells: `t_s,in_tok,out_tok` with or
    /// without that header, or one of the traces of Azure, BurstGPT and Mooncake as they are published. Several
    /// requests may come at one time; a length of 0 counts as 1.
    ///
    /// # Errors
    /// The first line that makes no sense, or an unreadable file.
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        Self::read(Lines::open(path, LIMIT_BYTES)?)
    }

    /// The same from memory; gzip is recognized by its first two bytes.
    ///
    /// # Errors
    /// The first line that makes no sense.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TraceError> {
        Self::read(Lines::of_bytes(bytes, LIMIT_BYTES)?)
    }

    fn read(mut lines: Lines) -> Result<Self, TraceError> {
        let (line, text) = lines.next()?.ok_or(TraceError::Empty)?;
        let (mut format, is_header) =
            Format::of(text).ok_or_else(|| TraceError::Format { line, text: lines::shown(text) })?;
        let mut trace = Gathered::default();
        if !is_header {
            trace.take(&mut format, line, text)?;
        }
        while let Some((line, text)) = lines.next()? {
            trace.take(&mut format, line, text)?;
        }
        let Gathered { requests, failed, .. } = trace;
        let tells_cached = format.tells_cached();
        if requests.is_empty() {
            return Err(TraceError::Empty);
        }
        Ok(Self { requests: requests.into(), failed, tells_cached })
    }

    /// Made up or measured requests; they are put in order of time.
    pub fn from_requests(mut requests: Vec<TraceRequest>) -> Self {
        requests.sort_unstable();
        let tells_cached = requests.iter().any(|request| request.cached_tokens > 0);
        Self { requests: requests.into(), failed: 0, tells_cached }
    }

    /// The requests, in order of time.
    pub fn requests(&self) -> &[TraceRequest] {
        &self.requests
    }

    /// Requests of the file that were left out because they had failed: BurstGPT keeps those.
    pub fn failed(&self) -> usize {
        self.failed
    }

    /// Whether it tells of each request what of its prompt came before: [`TraceRequest::cached_tokens`].
    pub fn tells_cached(&self) -> bool {
        self.tells_cached
    }

    /// Share of all prompt tokens that a prefix cache which forgets nothing would have found, 0 to 1: at most what a
    /// profile's `prefix_hits` can be under this traffic.
    pub fn cached_share(&self) -> f64 {
        let total =
            |tokens: fn(&TraceRequest) -> u32| self.requests.iter().map(|it| u64::from(tokens(it))).sum::<u64>();
        total(|it| it.cached_tokens) as f64 / total(|it| it.prompt_tokens) as f64
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
        Ok(Self { requests: Arc::new(self.requests.iter().map(sooner).collect()), ..*self })
    }

    /// The requests from `from` on and before `to`, in time since `from`.
    ///
    /// # Errors
    /// When there are none.
    pub fn part(&self, from: Span, to: Span) -> Result<Self, TraceError> {
        let inside = self.requests.iter().filter(|request| request.at >= from && request.at < to);
        let since = |it: &TraceRequest| Span::from_micros(it.at.as_micros() - from.as_micros());
        let requests: Vec<TraceRequest> = inside.map(|it| TraceRequest { at: since(it), ..*it }).collect();
        if requests.is_empty() { Err(TraceError::Empty) } else { Ok(Self { requests: requests.into(), ..*self }) }
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
        if requests.is_empty() { Err(TraceError::Empty) } else { Ok(Self { requests: requests.into(), ..*self }) }
    }
}

/// What was read of a trace so far.
#[derive(Default)]
struct Gathered {
    requests: Vec<TraceRequest>,
    failed: usize,
    /// When the first request was sent, since the file's own zero.
    first: Span,
}

impl Gathered {
    fn take(&mut self, format: &mut Format, line: usize, text: &str) -> Result<(), TraceError> {
        match format.row(text) {
            Some(Row::Request(request)) => self.add(request, line, text),
            Some(Row::Failed) => {
                self.failed += 1;
                Ok(())
            }
            None => Err(TraceError::Line { line, text: lines::shown(text), expected: format.expected() }),
        }
    }

    fn add(&mut self, request: TraceRequest, line: usize, text: &str) -> Result<(), TraceError> {
        let previous = match self.requests.last() {
            Some(previous) => previous.at,
            None => {
                self.first = request.at;
                Span::ZERO
            }
        };
        let at = between(self.first, request.at);
        if at < previous {
            let earlier_s = between(at, previous).as_secs_f64();
            return Err(TraceError::Earlier { line, text: lines::shown(text), earlier_s });
        }
        if self.requests.len() == MOST_REQUESTS {
            return Err(TraceError::TooMany);
        }
        self.requests.push(TraceRequest { at, ..request });
        Ok(())
    }
}

fn between(earlier: Span, later: Span) -> Span {
    Span::from_micros(later.as_micros() - earlier.as_micros())
}

fn usable(factor: f64, requests: usize) -> Result<(), TraceError> {
    let usable = factor.is_finite() && factor > 0.0 && factor * requests as f64 <= MOST_REQUESTS as f64;
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
    fn azure_writes_moments_with_seven_digits_and_later_with_a_zone() {
        let of_2023 = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 23:59:59.5000000,374,44\n\
                       2023-11-17 00:00:01.7500009,1200,9\n";
        assert_eq!(trace(of_2023), trace("t_s,in_tok,out_tok\n0,374,44\n2.25,1200,9\n"));
        let of_2024 = "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-12 00:00:00.009930+00:00,5,6\n\
                       2024-05-12 00:00:01+00:00,7,8\n";
        assert_eq!(times(&trace(of_2024)), [0.0, 0.990_07]);
    }

    #[test]
    fn a_failed_request_of_burst_gpt_is_left_out_and_counted() {
        let released = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
                        3,ChatGPT,9,0,9,API log\n5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,8,0,8,API log\n\
                        118,GPT-4,417,276,693,Conversation log\n";
        let read = trace(released);
        assert_eq!((times(&read), read.failed()), (vec![0.0, 113.0], 2));
        assert_eq!((read.requests()[1].prompt_tokens, read.requests()[1].output_tokens), (417, 276));
        assert_eq!(read.compressed(2.0).unwrap().failed(), 2);
    }

    #[test]
    fn columns_of_burst_gpt_are_found_by_their_names() {
        let later = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
                     5,s1,2.5,ChatGPT,472,18,490,Conversation log\n";
        let request = trace(later).requests()[0];
        assert_eq!((request.prompt_tokens, request.output_tokens), (472, 18));
    }

    #[test]
    fn a_mooncake_prompt_finds_the_blocks_that_its_beginning_shares_with_earlier_ones() {
        let read = trace(
            "{\"timestamp\": 2000, \"input_length\": 1300, \"output_length\": 5, \"hash_ids\": [0, 1, 2]}\n\
             {\"timestamp\": 2500, \"input_length\": 1600, \"output_length\": 5, \"hash_ids\": [0, 1, 3, 4]}\n\
             {\"timestamp\": 2500, \"input_length\": 1600, \"output_length\": 5, \"hash_ids\": [9, 1]}\n\
             {\"timestamp\": 5000, \"input_length\": 1300, \"output_length\": 5, \"hash_ids\": [0, 1, 2], \"later\": 1}\n",
        );
        assert_eq!(times(&read), [0.0, 0.5, 0.5, 3.0]);
        let cached: Vec<u32> = read.requests().iter().map(|it| it.cached_tokens).collect();
        // The third begins with a block of its own; the last is known to its end, which is no whole block.
        assert_eq!(cached, [0, 1_024, 0, 1_300]);
        assert_eq!(read.cached_share(), 2_324.0 / 5_800.0);
        assert_eq!(trace("0,1,1\n").cached_share(), 0.0);
    }

    #[test]
    fn a_request_keeps_its_cached_tokens_when_the_trace_is_compressed_or_multiplied() {
        let line = "\"input_length\": 600, \"output_length\": 5, \"hash_ids\": [0, 1]}\n";
        let read = trace(&format!("{{\"timestamp\": 0, {line}{{\"timestamp\": 1000, {line}"));
        assert_eq!(read.compressed(4.0).unwrap().cached_share(), 0.5);
        assert_eq!(read.multiplied(3.0, 1).unwrap().cached_share(), 0.5);
    }

    #[test]
    fn a_line_of_another_format_in_the_middle_is_refused_with_what_this_one_expects() {
        let refused = |text: &str| RequestTrace::from_bytes(text.as_bytes()).unwrap_err().to_string();
        assert_eq!(
            refused("TIMESTAMP,ContextTokens,GeneratedTokens\n12.5,374,44\n"),
            "line 2: `12.5,374,44` is no request; expected `TIMESTAMP,ContextTokens,GeneratedTokens`, for example \
             `2023-11-16 18:15:46.6805900,374,44`"
        );
        let burst = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18\n";
        assert!(refused(burst).starts_with("line 2: `5,ChatGPT,472,18` is no request; expected the header's columns"));
        assert!(refused("{\"timestamp\": 0}\n").contains("is no request; expected an object such as `{\"timestamp\""));
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
        for line in ["1", "1,2", "1,2,3,4", "1,-5,1", "1e99,1,1", "0,1,1\nNaN,1,1"] {
            assert!(refused(line).contains("is no request"), "{line}");
        }
        assert!(
            refused("# mine\nwhen,in,out\n").starts_with("line 2: `when,in,out` begins no known trace; expected `t_s,")
        );
        let unsorted = refused("5,1,1\n4.5,1,1\n");
        assert_eq!(unsorted, "line 2: `4.5,1,1` was sent 0.5 s before the request above it; sort the file by time");
        assert!(refused("t_s,in_tok,out_tok\n").contains("holds no requests"));
        for factor in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(trace("0,1,1\n").compressed(factor).is_err() && trace("0,1,1\n").multiplied(factor, 1).is_err());
        }
        assert!(trace("0,1,1\n").multiplied(1e9, 1).is_err(), "a billion copies fit no memory");
    }
}
