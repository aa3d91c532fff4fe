//! Tokens out of a stream of server-sent events, as they come.

use crate::said;
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A line longer than this is not an event of this protocol.
const LONGEST_LINE_BYTES: usize = 1 << 20;

/// What has come of one stream so far.
#[derive(Debug, Default)]
pub(crate) struct TokenStream {
    partial_line: Vec<u8>,
    first: Option<Instant>,
    last: Option<Instant>,
    gaps: Vec<Duration>,
    usage: Option<Usage>,
    state: StreamState,
    /// What the error event said.
    error: Option<String>,
    saw_event: bool,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum StreamState {
    /// Events may follow.
    #[default]
    Open,
    /// `[DONE]` was seen.
    Done,
    /// An error event was seen.
    Error,
    /// Something was seen that is no event.
    Malformed,
}

/// Tokens as the engine counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Usage {
    #[serde(default)]
    pub(crate) prompt_tokens: u64,
    #[serde(default)]
    pub(crate) completion_tokens: u64,
}

impl Usage {
    /// No engine generates nothing: zero is what it did not tell.
    pub(crate) fn told_output_tokens(self) -> Option<u64> {
        Some(self.completion_tokens).filter(|tokens| *tokens > 0)
    }
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Choice {
    delta: Delta,
    text: Text,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Delta {
    role: Text,
    content: Text,
    reasoning_content: Text,
}

/// What a string is, which may be absent or null; the string itself is not kept.
#[derive(Clone, Copy, Default, PartialEq)]
enum Text {
    #[default]
    Absent,
    Empty,
    Some,
}

impl Choice {
    /// Whether it stands for output. A token without a text of its own, such as half of a character, comes as an empty
    /// text; so do the role before the first token and, from some engines, the model's own end, which are none.
    fn carries_output(&self) -> bool {
        let texts = [self.delta.content, self.delta.reasoning_content, self.text];
        let token_without_text = || {
            let ends = self.finish_reason.as_deref() == Some("stop");
            texts.contains(&Text::Empty) && self.delta.role == Text::Absent && !ends
        };
        texts.contains(&Text::Some) || token_without_text()
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrNull;
        impl Visitor<'_> for TextOrNull {
            type Value = Text;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string or null")
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(if text.is_empty() { Text::Empty } else { Text::Some })
            }
            fn visit_unit<E>(self) -> Result<Text, E> {
                Ok(Text::Absent)
            }
        }
        deserializer.deserialize_any(TextOrNull)
    }
}

impl TokenStream {
    /// Takes in what came over the wire at `now`.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], now: Instant) {
        while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.partial_line.is_empty() {
                self.take_line(line, now);
            } else {
                let mut whole = std::mem::take(&mut self.partial_line);
                whole.extend_from_slice(line);
                self.take_line(&whole, now);
            }
            bytes = rest;
        }
        self.partial_line.extend_from_slice(bytes);
        if self.partial_line.len() > LONGEST_LINE_BYTES {
            self.state = StreamState::Malformed;
        }
    }

    fn take_line(&mut self, line: &[u8], now: Instant) {
        let Some(data) = line.strip_prefix(b"data:").map(<[u8]>::trim_ascii) else { return };
        self.saw_event = true;
        if self.state != StreamState::Open {
            return;
        }
        if data == b"[DONE]" {
            self.state = StreamState::Done;
            return;
        }
        match serde_json::from_slice::<Chunk>(data) {
            Ok(chunk) => self.take_chunk(&chunk, now),
            Err(_) => self.state = StreamState::Malformed,
        }
    }

    fn take_chunk(&mut self, chunk: &Chunk, now: Instant) {
        if let Some(error) = &chunk.error {
            self.error = Some(said::in_value(error));
            self.state = StreamState::Error;
            return;
        }
        if chunk.usage.is_some() {
            self.usage = chunk.usage;
        }
        if chunk.choices.iter().any(Choice::carries_output) {
            if let Some(last) = self.last {
                self.gaps.push(now.duration_since(last));
            }
            self.first.get_or_insert(now);
            self.last = Some(now);
        }
    }

    pub(crate) fn state(&self) -> StreamState {
        self.state
    }

    /// Whether any event came, even one without a token.
    pub(crate) fn saw_event(&self) -> bool {
        self.saw_event
    }

    /// When the first token came.
    pub(crate) fn first(&self) -> Option<Instant> {
        self.first
    }

    /// When the last token came.
    pub(crate) fn last(&self) -> Option<Instant> {
        self.last
    }

    /// The gaps between events that carry tokens.
    pub(crate) fn into_gaps(self) -> Vec<Duration> {
        self.gaps
    }

    /// What the error event said.
    pub(crate) fn into_error(self) -> Option<String> {
        self.error
    }

    pub(crate) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// Output tokens: as the engine counts them, else one for each event that carries any.
    pub(crate) fn output_tokens(&self) -> u64 {
        let events = self.gaps.len() as u64 + u64::from(self.first.is_some());
        self.usage.map_or(events, |usage| usage.completion_tokens.max(events))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ROLE: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
    const TOKEN: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    const STOP: &str = "data: {\"choices\":[{\"delta\":{\"content\":null},\"finish_reason\":\"stop\"}]}\r\n\r\n";
    const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\n";

    fn fed(parts: &[&str]) -> TokenStream {
        let (mut stream, start) = (TokenStream::default(), Instant::now());
        for (index, part) in parts.iter().enumerate() {
            stream.feed(part.as_bytes(), start + Duration::from_millis(10 * index as u64));
        }
        stream
    }

    #[test]
    fn the_first_token_is_the_first_text_and_not_the_role() {
        let stream = fed(&[ROLE, TOKEN, TOKEN, STOP, USAGE, "data: [DONE]\n\n"]);
        assert_eq!(stream.state(), StreamState::Done);
        assert_eq!(stream.last().unwrap() - stream.first().unwrap(), Duration::from_millis(10));
        // An event may carry several tokens: the engine's count wins.
        assert_eq!((stream.output_tokens(), stream.usage().unwrap().prompt_tokens), (5, 7));
        assert_eq!(stream.into_gaps(), [Duration::from_millis(10)]);
    }

    #[test]
    fn events_are_found_however_the_bytes_are_cut() {
        let all = [ROLE, TOKEN, STOP, "data:[DONE]\n"].concat();
        for cut in 1..all.len() {
            let stream = fed(&[&all[..cut], &all[cut..]]);
            assert_eq!((stream.state(), stream.output_tokens()), (StreamState::Done, 1), "cut at {cut}");
        }
    }

    #[test]
    fn text_completions_and_reasoning_are_tokens_too() {
        let text = "data: {\"choices\":[{\"text\":\"a\"}]}\n\n";
        let thought = "data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"a\"}}]}\n\n";
        assert_eq!(fed(&[text, thought]).output_tokens(), 2);
    }

    #[test]
    fn half_a_character_is_a_token_though_it_has_no_text_yet() {
        // As vLLM streams them: the second event completes the character.
        let half = "data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":null}]}\n\n";
        let end = "data: {\"choices\":[{\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}]}\n\n";
        let stream = fed(&[ROLE, half, TOKEN, half, end]);
        assert_eq!((stream.output_tokens(), stream.into_gaps().len()), (3, 2));
    }

    #[test]
    fn an_error_event_and_nonsense_are_told_apart_from_an_open_stream() {
        assert_eq!(fed(&[TOKEN]).state(), StreamState::Open);
        let failed = fed(&[TOKEN, "data: {\"error\":{\"message\":\"x\"}}\n\n"]);
        assert_eq!((failed.state(), failed.into_error().as_deref()), (StreamState::Error, Some("x")));
        assert_eq!(fed(&[TOKEN, "data: {\"choices\":[{\n\n"]).state(), StreamState::Malformed);
        assert_eq!(fed(&[&"x".repeat(LONGEST_LINE_BYTES + 1)]).state(), StreamState::Malformed);
        // Comments and other fields are part of the format and carry nothing.
        let quiet = fed(&[": keep-alive\n\nevent: ping\n\n"]);
        assert!(quiet.state() == StreamState::Open && !quiet.saw_event());
    }
}
