//! Where the body of an HTTP/1.1 message ends (RFC 9112, sections 6 and 7). What is ambiguous is refused, never guessed
//! at.

use bytes::{Buf, Bytes, BytesMut};
use memchr::memmem;

/// A message that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(pub(crate) &'static str);

/// A longer line between chunks is refused.
const LONGEST_LINE: usize = 4 * 1024;
/// More after the last chunk is refused: nobody reads it, and it need not end.
const MOST_TRAILERS: usize = 16 * 1024;

/// Where the reading of a body stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// So many bytes to come, by the announced length.
    Length(u64),
    /// So many bytes of the present chunk to come.
    Chunk(u64),
    /// The line break after a chunk.
    ChunkEnd,
    /// The line with the next chunk's length.
    ChunkHead,
    /// Lines after the last chunk, of which so many bytes have come.
    Trailers(usize),
    /// Everything up to the end of the connection.
    UntilClose,
    /// Nothing to come.
    Over,
}

impl Progress {
    /// Takes the next piece of the body off the front of `buffer`; `None` when more must be read or nothing is to come.
    pub(crate) fn take(&mut self, buffer: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
        while self.skip_framing(buffer)? {}
        let left = match self {
            Self::Length(left) | Self::Chunk(left) => Some(left),
            Self::UntilClose => None,
            _ => return Ok(None),
        };
        let available = buffer.len() as u64;
        let take = left.as_ref().map_or(available, |left| available.min(**left));
        if take == 0 {
            return Ok(None);
        }
        if let Some(left) = left {
            *left -= take;
        }
        let data = buffer.split_to(take as usize).freeze();
        // What follows may be here already, so that the end is known with the last piece.
        while self.skip_framing(buffer)? {}
        Ok(Some(data))
    }

    /// One step through what is not data; false when there is none to make.
    fn skip_framing(&mut self, buffer: &mut BytesMut) -> Result<bool, Malformed> {
        let next = match self {
            Self::Length(0) => Some(Self::Over),
            Self::Chunk(0) => Some(Self::ChunkEnd),
            Self::ChunkEnd => take_line(buffer)?.map(|line| chunk_ended(&line)).transpose()?,
            Self::ChunkHead => take_line(buffer)?.map(|line| chunk_begins(&line)).transpose()?,
            Self::Trailers(before) => take_line(buffer)?.map(|line| trailer(*before, &line)).transpose()?,
            Self::Length(_) | Self::Chunk(_) | Self::UntilClose | Self::Over => None,
        };
        if let Some(next) = next {
            *self = next;
        }
        Ok(next.is_some())
    }

    /// The connection ended: whether the body had.
    pub(crate) fn end(&mut self) -> bool {
        let whole = matches!(self, Self::UntilClose | Self::Over);
        *self = Self::Over;
        whole
    }
}

fn take_line(buffer: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
    let end = memmem::find(buffer, b"\r\n");
    // However much comes at once, the same is refused; the last byte may be half a line break.
    if end.unwrap_or(buffer.len().saturating_sub(1)) > LONGEST_LINE {
        return Err(Malformed("a line between chunks is too long"));
    }
    let Some(end) = end else { return Ok(None) };
    let line = buffer.split_to(end).freeze();
    buffer.advance(2);
    Ok(Some(line))
}

fn chunk_ended(line: &[u8]) -> Result<Progress, Malformed> {
    if line.is_empty() { Ok(Progress::ChunkHead) } else { Err(Malformed("a chunk is longer than it said")) }
}

fn trailer(before: usize, line: &[u8]) -> Result<Progress, Malformed> {
    match before + line.len() {
        _ if line.is_empty() => Ok(Progress::Over),
        bytes if bytes > MOST_TRAILERS => Err(Malformed("too much comes after the last chunk")),
        bytes => Ok(Progress::Trailers(bytes)),
    }
}

fn chunk_begins(line: &[u8]) -> Result<Progress, Malformed> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end();
    match number(digits, 16) {
        None => Err(Malformed("a chunk's length is no number")),
        Some(0) => Ok(Progress::Trailers(0)),
        Some(length) => Ok(Progress::Chunk(length)),
    }
}

/// Digits and nothing else: no sign, no blank.
pub(crate) fn number(digits: &[u8], radix: u32) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    u64::from_str_radix(text, radix).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Reads `stream` in two pieces cut at `cut`; the body, and how many bytes were left over.
    fn unchunk(stream: &[u8], cut: usize) -> Result<(Vec<u8>, usize, Progress), Malformed> {
        let (mut progress, mut buffer, mut body) = (Progress::ChunkHead, BytesMut::new(), Vec::new());
        for piece in [&stream[..cut], &stream[cut..]] {
            buffer.extend_from_slice(piece);
            while let Some(data) = progress.take(&mut buffer)? {
                body.extend_from_slice(&data);
            }
        }
        Ok((body, buffer.len(), progress))
    }

    #[test]
    fn chunks_are_the_same_wherever_the_stream_is_cut() {
        let stream = b"4;x=y\r\nwide\r\n1 \r\n \r\n005\r\nworld\r\n0\r\ntrailer: x\r\n\r\nHTTP";
        for cut in 0..stream.len() {
            let (body, left, progress) = unchunk(stream, cut).unwrap();
            assert_eq!(
                (body.as_slice(), left, progress),
                (b"wide world".as_slice(), 4, Progress::Over),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for stream in ["x\r\n", "-1\r\n", "+4\r\nwide\r\n", "fffffffffffffffff\r\n", "\r\n", "2\r\nwide\r\n0\r\n\r\n"] {
            assert!(unchunk(stream.as_bytes(), 0).is_err(), "{stream}");
        }
        assert!(unchunk(&[b'1'; LONGEST_LINE + 2], 0).is_err());
    }

    #[test]
    fn a_line_is_too_long_whether_or_not_its_end_has_come() {
        for (length, fits) in [(LONGEST_LINE, true), (LONGEST_LINE + 1, false)] {
            let stream = format!("4;{}\r\nwide\r\n0\r\n\r\n", "x".repeat(length - 2));
            for cut in [0, 1, LONGEST_LINE, LONGEST_LINE + 1, LONGEST_LINE + 2, stream.len()] {
                assert_eq!(unchunk(stream.as_bytes(), cut).is_ok(), fits, "{length} cut at {cut}");
            }
        }
    }

    #[test]
    fn trailers_without_end_are_refused() {
        let line = format!("x: {}\r\n", "y".repeat(1_000));
        let few = format!("0\r\n{}\r\n", line.repeat(16));
        assert_eq!(unchunk(few.as_bytes(), 9).unwrap().2, Progress::Over);
        let many = format!("0\r\n{}", line.repeat(17));
        assert!(unchunk(many.as_bytes(), 9).is_err());
    }

    #[test]
    fn the_end_is_known_with_the_last_piece() {
        let mut progress = Progress::ChunkHead;
        let mut buffer = BytesMut::from("4\r\nwide\r\n0\r\n\r\n");
        assert_eq!(progress.take(&mut buffer).unwrap().unwrap(), "wide");
        assert_eq!(progress, Progress::Over);
        let mut progress = Progress::Length(4);
        let mut buffer = BytesMut::from("wideNEXT");
        assert_eq!(progress.take(&mut buffer).unwrap().unwrap(), "wide");
        assert_eq!((progress, buffer.as_ref()), (Progress::Over, b"NEXT".as_slice()));
    }

    #[test]
    fn a_body_cut_short_is_not_whole() {
        for (mut progress, whole) in [
            (Progress::Length(1), false),
            (Progress::ChunkHead, false),
            (Progress::Trailers(0), false),
            (Progress::UntilClose, true),
            (Progress::Over, true),
        ] {
            assert_eq!(progress.end(), whole);
        }
    }
}
