//! Follows where requests begin and end in what a client sends, to see the heads that could be read in two ways.
//!
//! hyper accepts a `Transfer-Encoding` beside a `Content-Length` and drops the length. A proxy before us that goes by the
//! length sees another end of the request than we do, and what lies between is a request smuggled past it (RFC 9112,
//! section 6.1). The same goes for two lengths. hyper passes on neither, so they are looked for here.

use crate::framing::{Progress, number};
use bytes::BytesMut;
use memchr::memchr;

/// A longer line is not followed: the parser's own limit is no larger, so it refuses the head.
const LONGEST_LINE: usize = 64 * 1024;

/// A client's requests as far as they were read.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    state: State,
    /// A line of which the end has not come, or framing of a chunked body.
    unread: BytesMut,
}

#[derive(Debug)]
enum State {
    /// In a head, or between two requests.
    Head(Head),
    /// In a body.
    Body(Progress),
    /// The last head could be read in two ways.
    Ambiguous(&'static str),
    /// A line of a head is longer than any that the parser takes.
    Lost,
    /// A body's chunks cannot be read, so it is not known where the next head begins.
    Broken,
}

impl Default for State {
    fn default() -> Self {
        Self::Head(Head::default())
    }
}

/// What a head tells about its body's end.
#[derive(Debug, Default)]
struct Head {
    begun: bool,
    old_version: bool,
    lengths: u32,
    length: Option<u64>,
    encodings: u32,
    chunked: bool,
}

/// A head that could be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous {
    /// Where its last byte stands in what was read.
    pub(crate) at: usize,
    /// What is wrong with it.
    pub(crate) why: &'static str,
}

impl Requests {
    /// Reads on.
    ///
    /// # Errors
    /// Once, at the end of a head that could be read in two ways; nothing after it is followed.
    pub(crate) fn follow(&mut self, bytes: &[u8]) -> Result<(), Ambiguous> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            at += match &mut self.state {
                State::Head(_) => self.read_line(rest),
                State::Body(_) => self.skip_body(rest),
                State::Ambiguous(_) | State::Lost | State::Broken => return Ok(()),
            };
            if let State::Ambiguous(why) = self.state {
                return Err(Ambiguous { at: at - 1, why });
            }
        }
        Ok(())
    }

    /// Whether a request has begun whose end was not read.
    pub(crate) fn is_inside(&self) -> bool {
        let between = matches!(&self.state, State::Head(head) if !head.begun);
        !between || !self.unread.is_empty()
    }

    /// Whether a body could not be followed to its end. The parser may read it otherwise, and take what follows for a head
    /// that was never looked at.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self.state, State::Broken)
    }

    /// Reads a line of a head; says how many bytes it took.
    fn read_line(&mut self, bytes: &[u8]) -> usize {
        let State::Head(head) = &mut self.state else { return 0 };
        let Some(end) = memchr(b'\n', bytes) else {
            self.unread.extend_from_slice(bytes);
            if self.unread.len() > LONGEST_LINE {
                self.state = State::Lost;
            }
            return bytes.len();
        };
        let line = bytes.get(..end).unwrap_or_default();
        let next = if self.unread.is_empty() {
            head.read(line)
        } else {
            self.unread.extend_from_slice(line);
            head.read(&self.unread.split())
        };
        if let Some(next) = next {
            self.state = next;
        }
        end + 1
    }

    /// Reads a part of a body; says how many bytes it took.
    fn skip_body(&mut self, bytes: &[u8]) -> usize {
        let State::Body(progress) = &mut self.state else { return 0 };
        if let Progress::Length(left) = progress {
            let taken = (bytes.len() as u64).min(*left);
            *left -= taken;
            if *left == 0 {
                self.state = State::default();
            }
            return taken as usize;
        }
        self.unread.extend_from_slice(bytes);
        loop {
            match progress.take(&mut self.unread) {
                Ok(Some(_data)) => {}
                Ok(None) if *progress == Progress::Over => {
                    // What is left over begins the next request, and came just now.
                    let left = self.unread.split().len();
                    self.state = State::default();
                    return bytes.len() - left;
                }
                Ok(None) => return bytes.len(),
                Err(_malformed) => {
                    self.state = State::Broken;
                    return bytes.len();
                }
            }
        }
    }
}

impl Head {
    /// Reads one line without its end; tells what follows the head where it was the last one.
    fn read(&mut self, line: &[u8]) -> Option<State> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !self.begun {
            // Empty lines before a request are passed over.
            self.begun = !line.is_empty();
            self.old_version = line.ends_with(b"HTTP/1.0");
            return None;
        }
        if line.is_empty() {
            return Some(self.end());
        }
        let colon = memchr(b':', line)?;
        let (name, value) = (line.get(..colon)?, line.get(colon + 1..)?.trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            self.lengths += 1;
            self.length = number(value, 10);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.encodings += 1;
            self.chunked = value.eq_ignore_ascii_case(b"chunked");
        }
        None
    }

    /// RFC 9112, section 6.3, without its leniencies.
    fn end(&self) -> State {
        match (self.encodings, self.lengths, self.length) {
            (0, 0, _) | (0, 1, Some(0)) => State::default(),
            (0, 1, Some(length)) => State::Body(Progress::Length(length)),
            (0, 1, None) => State::Ambiguous("its Content-Length is no number"),
            (0, _, _) => State::Ambiguous("it has more than one Content-Length"),
            (1, 0, _) if self.chunked && !self.old_version => State::Body(Progress::ChunkHead),
            (_, 0, _) => State::Ambiguous("its Transfer-Encoding is another one than `chunked`"),
            _ => State::Ambiguous("it has both a Content-Length and a Transfer-Encoding"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FINE: &str = "\r\nPOST /v1/x HTTP/1.1\r\nhost: g\r\ncontent-length: 4\r\n\r\nwide\
                        POST /v1/x HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n4\r\n\r\n\r\n\r\n0\r\n\r\n\
                        GET /healthz HTTP/1.1\nhost: g\n\n";

    /// Follows `stream` cut in two at `cut`; where a head was refused, counted from the start, and why.
    fn refused(stream: &str, cut: usize) -> Option<(usize, &'static str)> {
        let mut requests = Requests::default();
        let (one, other) = stream.as_bytes().split_at(cut);
        if let Err(refused) = requests.follow(one) {
            return Some((refused.at, refused.why));
        }
        requests.follow(other).err().map(|refused| (cut + refused.at, refused.why))
    }

    #[test]
    fn a_head_with_two_ends_is_seen_wherever_the_stream_is_cut_and_whatever_stands_before_it() {
        for (ambiguous, why) in [
            ("content-length: 4\r\ntransfer-encoding: chunked\r\n", "it has both"),
            ("Transfer-Encoding:chunked\r\nx: y\r\nContent-Length:4\r\n", "it has both"),
            ("content-length: 4\r\ncontent-length: 4\r\n", "it has more than one"),
            ("content-length: 4, 4\r\n", "its Content-Length"),
            ("transfer-encoding: gzip, chunked\r\n", "its Transfer-Encoding"),
            ("transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n", "its Transfer-Encoding"),
        ] {
            let whole = format!("{FINE}POST /v1/x HTTP/1.1\r\n{ambiguous}\r\nrest");
            let end = whole.len() - "rest".len() - 1;
            for cut in 0..whole.len() {
                let found = refused(&whole, cut);
                assert!(found.is_some_and(|(at, told)| at == end && told.starts_with(why)), "{cut}: {found:?}");
            }
        }
    }

    #[test]
    fn what_can_be_read_in_one_way_only_passes_and_its_end_is_known() {
        for cut in 0..FINE.len() {
            assert_eq!(refused(FINE, cut), None, "cut at {cut}");
            let mut requests = Requests::default();
            assert_eq!(requests.follow(&FINE.as_bytes()[..cut]), Ok(()));
            assert_eq!(requests.follow(&FINE.as_bytes()[cut..]), Ok(()));
            assert!(!requests.is_inside());
        }
        let mut requests = Requests::default();
        assert_eq!(requests.follow(b"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nwide"), Ok(()));
        assert!(requests.is_inside());
    }

    #[test]
    fn an_endless_line_takes_bounded_memory() {
        let mut requests = Requests::default();
        for _ in 0..100 {
            assert_eq!(requests.follow(&[b'x'; 4_096]), Ok(()));
            assert!(requests.unread.len() <= LONGEST_LINE + 4_096);
        }
    }
}
