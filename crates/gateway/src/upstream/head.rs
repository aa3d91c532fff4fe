//! Heads of HTTP/1.1 messages: writing a request's, reading an answer's (RFC 9112).
//!
//! The gateway speaks to replicas by itself instead of through a client library: one write and one read for a request,
//! no channel and no task between them. What is ambiguous is refused, never guessed at.

use super::call::Call;
use crate::framing::{Malformed, Progress, number};
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode};
use memchr::memmem;
use std::mem::MaybeUninit;

/// A longer head of an answer is refused.
const LONGEST_HEAD: usize = 64 * 1024;
/// Headers of an answer at most.
const MAX_HEADERS: usize = 100;

/// How the end of an answer's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// There is no body.
    Empty,
    /// After so many bytes.
    Length(u64),
    /// By a chunk of length zero.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    /// The status.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    pub(super) framing: Framing,
    /// Whether the connection may serve another request.
    pub(super) keep_alive: bool,
}

#[cfg(feature = "fuzz")]
impl Head {
    /// Where the reading of its body begins.
    pub(crate) fn progress(&self) -> Progress {
        self.framing.into()
    }
}

/// Writes the head of a request with a body of `length` bytes.
pub(super) fn write_request(out: &mut Vec<u8>, call: &Call, host: &HeaderValue, length: usize) {
    let bodiless = length == 0 && matches!(call.method, Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
    for part in [call.method.as_str(), " ", call.path.as_str(), " HTTP/1.1\r\nhost: "] {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(host.as_bytes());
    out.extend_from_slice(b"\r\n");
    if !bodiless {
        out.extend_from_slice(b"content-length: ");
        out.extend_from_slice(length.to_string().as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    // Neither a name nor a value of the crate `http` can hold a line break.
    for (name, value) in &call.headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Takes a head off the front of `buffer`; `None` while it is not whole. Interim answers (1xx) are passed over.
pub(crate) fn take_head(buffer: &mut BytesMut, method: &Method) -> Result<Option<Head>, Malformed> {
    loop {
        let end = memmem::find(buffer, b"\r\n\r\n");
        // However much comes at once, the same is refused; the last bytes may belong to the end.
        if end.unwrap_or(buffer.len().saturating_sub(3)) > LONGEST_HEAD {
            return Err(Malformed("its head is too long"));
        }
        let Some(end) = end else { return Ok(None) };
        let head = parse(&buffer.split_to(end + 4).freeze(), method)?;
        match head.status {
            StatusCode::SWITCHING_PROTOCOLS => return Err(Malformed("it switches protocols, which nobody asked for")),
            status if status.is_informational() => {}
            _ => return Ok(Some(head)),
        }
    }
}

fn parse(head: &Bytes, method: &Method) -> Result<Head, Malformed> {
    // Clearing so many slots first would cost as much as the parsing.
    let mut slots = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    match httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut parsed, head, &mut slots) {
        Ok(httparse::Status::Complete(length)) if length == head.len() => {}
        _ => return Err(Malformed("its head is no HTTP/1 head")),
    }
    let code = parsed.code.unwrap_or(0);
    let status = StatusCode::from_u16(code).map_err(|_| Malformed("its status is none"))?;
    let mut headers = HeaderMap::with_capacity(parsed.headers.len() + 2);
    for header in parsed.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| Malformed("a header's name is none"))?;
        // Shares the head's bytes.
        let value = HeaderValue::from_maybe_shared(head.slice_ref(header.value));
        headers.append(name, value.map_err(|_| Malformed("a header's value is none"))?);
    }
    let one_dot_one = parsed.version == Some(1);
    let framing = framing(status, &headers, method, one_dot_one)?;
    let keep_alive = one_dot_one && framing != Framing::UntilClose && !closes(&headers);
    Ok(Head { status, headers, framing, keep_alive })
}

/// RFC 9112, section 6.3, without its leniencies.
fn framing(status: StatusCode, headers: &HeaderMap, method: &Method, one_dot_one: bool) -> Result<Framing, Malformed> {
    let bodiless = status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if bodiless || method == Method::HEAD {
        return Ok(Framing::Empty);
    }
    let mut encodings = headers.get_all(TRANSFER_ENCODING).iter();
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    match (encodings.next(), lengths.next()) {
        (Some(_), Some(_)) => Err(Malformed("it has both a length and an encoding")),
        (Some(encoding), None) => {
            let only_chunked = encodings.next().is_none() && encoding.as_bytes().eq_ignore_ascii_case(b"chunked");
            if only_chunked && one_dot_one { Ok(Framing::Chunked) } else { Err(Malformed("its encoding is unknown")) }
        }
        (None, Some(length)) => {
            if lengths.next().is_some() {
                return Err(Malformed("it has two lengths"));
            }
            match number(length.as_bytes(), 10) {
                Some(0) => Ok(Framing::Empty),
                Some(length) => Ok(Framing::Length(length)),
                None => Err(Malformed("its length is no number")),
            }
        }
        (None, None) => Ok(Framing::UntilClose),
    }
}

fn closes(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|option| option.trim().eq_ignore_ascii_case("close"))
}

impl From<Framing> for Progress {
    fn from(framing: Framing) -> Self {
        match framing {
            Framing::Empty => Self::Over,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::ChunkHead,
            Framing::UntilClose => Self::UntilClose,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn head(text: &str) -> Result<Option<Head>, Malformed> {
        take_head(&mut BytesMut::from(text), &Method::POST)
    }

    fn framed(headers: &str) -> Result<Framing, Malformed> {
        head(&format!("HTTP/1.1 200 OK\r\n{headers}\r\n")).map(|head| head.unwrap().framing)
    }

    #[test]
    fn the_end_of_a_body_is_told_by_length_chunks_or_the_connection() {
        assert_eq!(framed("content-length: 12\r\n"), Ok(Framing::Length(12)));
        assert_eq!(framed("Content-Length: 0\r\n"), Ok(Framing::Empty));
        assert_eq!(framed("transfer-encoding: Chunked\r\n"), Ok(Framing::Chunked));
        assert_eq!(framed("server: x\r\n"), Ok(Framing::UntilClose));
        let no_content = head("HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!((no_content.framing, no_content.keep_alive), (Framing::Empty, true));
        let asked_for_the_head = take_head(&mut "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n".into(), &Method::HEAD);
        assert_eq!(asked_for_the_head.unwrap().unwrap().framing, Framing::Empty);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for headers in [
            "content-length: 3\r\ntransfer-encoding: chunked\r\n",
            "content-length: 3\r\ncontent-length: 4\r\n",
            "content-length: +3\r\n",
            "content-length: 3, 3\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        ] {
            assert!(framed(headers).is_err(), "{headers}");
        }
        for text in ["HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "nonsense\r\n\r\n", "HTTP/2 200\r\n\r\n"]
        {
            assert!(head(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_connection_serves_again_unless_told_otherwise() {
        let keeps = |text: &str| head(text).unwrap().unwrap().keep_alive;
        assert!(keeps("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n"));
        assert!(!keeps("HTTP/1.1 200 OK\r\ncontent-length: 1\r\nconnection: x, Close\r\n\r\n"));
        assert!(!keeps("HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\n"));
        assert!(!keeps("HTTP/1.1 200 OK\r\n\r\n"));
    }

    #[test]
    fn a_head_is_taken_once_it_is_whole_and_interim_ones_are_passed_over() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nx-a: 1\r\nx-a: 2\r\n\r\nbody";
        let whole = text.len() - "body".len();
        for cut in 0..whole {
            let mut buffer = BytesMut::from(&text[..cut]);
            assert!(take_head(&mut buffer, &Method::POST).unwrap().is_none(), "cut at {cut}");
            buffer.extend_from_slice(&text.as_bytes()[cut..]);
            let head = take_head(&mut buffer, &Method::POST).unwrap().unwrap();
            assert_eq!(head.status, StatusCode::CREATED);
            assert_eq!(head.headers.get_all("x-a").iter().count(), 2);
            assert_eq!(buffer, "body");
        }
        let start = "HTTP/1.1 200 OK\r\nx: ";
        for (length, fits) in [(LONGEST_HEAD, true), (LONGEST_HEAD + 1, false)] {
            let whole = format!("{start}{}\r\n\r\n", "x".repeat(length - start.len()));
            assert_eq!(head(&whole).is_ok(), fits, "{length} with its end");
            let endless = format!("{start}{}\r\n\r", "x".repeat(length - start.len()));
            assert_eq!(head(&endless).is_ok(), fits, "{length} without its end");
        }
    }

    #[test]
    fn a_request_tells_its_length_unless_it_has_no_body() {
        let mut headers = HeaderMap::new();
        headers.insert("x-a", HeaderValue::from_static("1"));
        let call =
            |method| Call { method, path: http::uri::PathAndQuery::from_static("/v1/x?y=z"), headers: headers.clone() };
        let host = HeaderValue::from_static("one:80");
        let written = |method, length| {
            let mut out = Vec::new();
            write_request(&mut out, &call(method), &host, length);
            String::from_utf8(out).unwrap()
        };
        let post = "POST /v1/x?y=z HTTP/1.1\r\nhost: one:80\r\ncontent-length: 0\r\nx-a: 1\r\n\r\n";
        assert_eq!(written(Method::POST, 0), post);
        assert_eq!(written(Method::GET, 0), "GET /v1/x?y=z HTTP/1.1\r\nhost: one:80\r\nx-a: 1\r\n\r\n");
    }
}
