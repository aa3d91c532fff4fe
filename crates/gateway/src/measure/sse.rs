//! Reads an answer in the form of server-sent events while it passes by: which frames carry a token, and what the engine
//! says about tokens. The bytes themselves are never held back or changed.

use super::usage::Usage;
use memchr::{memchr, memmem};

/// A longer line is passed on like any other but not read.
const LONGEST_LINE: usize = 64 * 1024;

/// What a chunk of the answer held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Data frames that carry output.
    pub(crate) tokens: u64,
    /// The engine's own count, where it was told.
    pub(crate) usage: Option<Usage>,
}

/// Splits passing bytes into lines across chunk boundaries.
#[derive(Debug, Default)]
pub(crate) struct SseReader {
    /// The start of a line whose end has not come yet.
    partial: Vec<u8>,
    /// The line in `partial` grew too long: skip to its end.
    skipping: bool,
}

impl SseReader {
    /// Reads the next chunk.
    pub(crate) fn read(&mut self, mut chunk: &[u8]) -> Seen {
        let mut seen = Seen::default();
        while let Some(end) = memchr(b'\n', chunk) {
            let (line, rest) = chunk.split_at(end);
            chunk = rest.get(1..).unwrap_or_default();
            self.finish_line(line, &mut seen);
        }
        self.keep(chunk);
        seen
    }

    fn finish_line(&mut self, end: &[u8], seen: &mut Seen) {
        // However its bytes come, the same lines are read.
        if self.skipping || self.partial.len() + end.len() > LONGEST_LINE {
            self.skipping = false;
        } else if self.partial.is_empty() {
            read_line(end, seen);
        } else {
            self.partial.extend_from_slice(end);
            read_line(&self.partial, seen);
        }
        self.partial.clear();
    }

    fn keep(&mut self, start: &[u8]) {
        if self.skipping || self.partial.len() + start.len() > LONGEST_LINE {
            self.skipping = true;
            self.partial.clear();
        } else {
            self.partial.extend_from_slice(start);
        }
    }
}

fn read_line(line: &[u8], seen: &mut Seen) {
    let Some(data) = line.strip_prefix(b"data:") else { return };
    let data = data.trim_ascii();
    if data.is_empty() || data == b"[DONE]" {
        return;
    }
    if let Some(usage) = Usage::find(data) {
        seen.usage = Some(usage);
    }
    if carries_output(data) {
        seen.tokens += 1;
    }
}

/// Whether a data frame stands for output. Frames that only name the role, only tell the usage or report an error do
/// not; a frame in an unknown form does, since an engine sends a frame for a token.
fn carries_output(data: &[u8]) -> bool {
    let has = |needle: &[u8]| memmem::find(data, needle).is_some();
    let role_only = has(b"\"role\"") && (has(b"\"content\":\"\"") || has(b"\"content\": \"\""));
    let usage_only = has(b"\"choices\":[]") || has(b"\"choices\": []");
    !role_only && !usage_only && !data.starts_with(b"{\"error\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";

    #[test]
    fn each_frame_with_output_is_a_token() {
        let mut reader = SseReader::default();
        let role = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
        let whole = format!("{role}{TOKEN}: a comment\r\n\r\n{TOKEN}data: [DONE]\n\n");
        assert_eq!(reader.read(whole.as_bytes()).tokens, 2);
    }

    #[test]
    fn a_frame_may_be_cut_anywhere() {
        let whole = format!("{TOKEN}{TOKEN}");
        for cut in 0..whole.len() {
            let mut reader = SseReader::default();
            let (head, tail) = whole.as_bytes().split_at(cut);
            assert_eq!(reader.read(head).tokens + reader.read(tail).tokens, 2, "cut at {cut}");
        }
    }

    #[test]
    fn the_usage_frame_tells_tokens_and_is_none_itself() {
        let frame = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\n";
        let seen = SseReader::default().read(frame.as_bytes());
        assert_eq!(seen, Seen { tokens: 0, usage: Some(Usage { prompt_tokens: 7, output_tokens: 3 }) });
    }

    #[test]
    fn an_endless_line_takes_bounded_memory_and_the_next_line_is_read_again() {
        let mut reader = SseReader::default();
        for _ in 0..100 {
            reader.read(&[b'x'; 4_096]);
            assert!(reader.partial.len() <= LONGEST_LINE);
        }
        assert_eq!(reader.read(format!("\n{TOKEN}").as_bytes()).tokens, 1);
    }

    #[test]
    fn a_line_is_too_long_whether_or_not_its_end_came_with_it() {
        for (length, read) in [(LONGEST_LINE, 1), (LONGEST_LINE + 1, 0)] {
            let line = format!("data: {}\n", "x".repeat(length - "data: ".len()));
            for cut in [0, 10, length, length + 1] {
                let (head, tail) = line.as_bytes().split_at(cut);
                let mut reader = SseReader::default();
                assert_eq!(reader.read(head).tokens + reader.read(tail).tokens, read, "{length} cut at {cut}");
            }
        }
    }
}
