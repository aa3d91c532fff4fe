//! One request's latencies, read off the answer as it passes.
//!
//! A streamed answer shows its tokens, so it gives time to the first token, the gaps between tokens and the mean time per
//! token. An answer in one piece shows only its end: it gives end-to-end and queue time, and the others stay unknown.

use super::sse::SseReader;
use super::tally::Tally;
use super::usage::Usage;
use bytes::Bytes;
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::{Span, Time};
use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// `usage` stands at the end of an answer in one piece: so much of the end is looked at.
const TAIL: usize = 4 * 1024;

/// Follows one answer.
#[derive(Debug)]
pub(crate) struct Meter {
    arrived: Time,
    estimated_prompt_tokens: u64,
    form: Form,
    first_token: Option<Time>,
    last_token: Time,
    tokens: u64,
    usage: Option<Usage>,
}

/// How an answer comes.
#[derive(Debug)]
enum Form {
    /// As server-sent events, token by token.
    Streamed(SseReader),
    /// In one piece; its last bytes.
    Whole(Tail),
}

impl Meter {
    /// Follows the answer with `headers` to a request that arrived at `arrived`.
    pub(crate) fn new(arrived: Time, estimated_prompt_tokens: u64, headers: &HeaderMap) -> Self {
        let streamed = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        let form = if streamed { Form::Streamed(SseReader::default()) } else { Form::Whole(Tail::default()) };
        Self { arrived, estimated_prompt_tokens, form, first_token: None, last_token: arrived, tokens: 0, usage: None }
    }

    /// Sees the next piece of the answer pass.
    pub(crate) fn see(&mut self, data: &Bytes, now: Time, tally: &Tally) {
        match &mut self.form {
            Form::Whole(tail) => tail.push(data),
            Form::Streamed(reader) => {
                let seen = reader.read(data);
                self.usage = seen.usage.or(self.usage);
                if seen.tokens > 0 {
                    self.see_tokens(seen.tokens, now, tally);
                }
            }
        }
    }

    fn see_tokens(&mut self, tokens: u64, now: Time, tally: &Tally) {
        if self.first_token.is_none() {
            self.first_token = Some(now);
            tally.record(LatencyMetric::Ttft, now.since(self.arrived));
        } else {
            tally.record(LatencyMetric::Itl, now.since(self.last_token));
        }
        if tokens > 1 {
            // Tokens that come in one piece have no gap between them, as far as anyone outside the engine can tell.
            tally.record_many(LatencyMetric::Itl, Span::ZERO, tokens - 1);
        }
        self.last_token = now;
        self.tokens += tokens;
    }

    /// The answer ended well.
    pub(crate) fn succeed(&self, now: Time, tally: &Tally) {
        let usage = match &self.form {
            Form::Streamed(_) => self.usage,
            Form::Whole(tail) => tail.usage(),
        };
        let output_tokens = usage.map_or(self.tokens, |usage| usage.output_tokens);
        tally.succeeded.increment();
        tally.prompt_tokens.add(usage.map_or(self.estimated_prompt_tokens, |usage| usage.prompt_tokens));
        tally.output_tokens.add(output_tokens);
        tally.record(LatencyMetric::E2e, now.since(self.arrived));
        if let Some(first) = self.first_token
            && let Some(gaps) = i64::try_from(output_tokens).ok().filter(|&tokens| tokens > 1).map(|tokens| tokens - 1)
        {
            let per_token = self.last_token.since(first).as_micros() / gaps;
            tally.record(LatencyMetric::Tpot, Span::from_micros(per_token));
        }
    }
}

/// The last pieces of an answer, by reference.
#[derive(Debug, Default)]
struct Tail {
    pieces: Vec<Bytes>,
    length: usize,
}

impl Tail {
    fn push(&mut self, data: &Bytes) {
        if data.len() >= TAIL {
            self.pieces.clear();
            self.length = 0;
        }
        let kept = data.slice(data.len().saturating_sub(TAIL)..);
        self.length += kept.len();
        self.pieces.push(kept);
        while let Some(oldest) = self.pieces.first().map(Bytes::len)
            && self.length - oldest >= TAIL
        {
            self.length -= oldest;
            self.pieces.remove(0);
        }
    }

    fn usage(&self) -> Option<Usage> {
        match self.pieces.as_slice() {
            [] => None,
            [only] => Usage::find(only),
            several => Usage::find(&several.concat()),
        }
    }
}
