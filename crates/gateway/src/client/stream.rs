//! A client's socket as hyper sees it.

use super::requests::Requests;
use crate::refusal::Refusal;
use bytes::{Buf, Bytes};
use http::StatusCode;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// So long is read on, and dropped, what a client sends that was refused before its end. A socket closed with something
/// unread resets the connection, and the client may lose the refusal.
const LINGER: Duration = Duration::from_secs(5);
/// The parser's own answers are shorter.
const LONGEST_PARSERS_ANSWER: usize = 256;

/// The socket.
#[derive(Debug)]
pub(super) struct ClientStream {
    stream: TcpStream,
    requests: Requests,
    /// What is wrong with the head just read, where the parser would not see it.
    ambiguous: Option<&'static str>,
    /// What is left to write of the answer that takes the place of the parser's.
    instead: Option<Bytes>,
    refused: bool,
    lingering: Option<Pin<Box<Sleep>>>,
    /// A client that takes nothing of its answer for this long is let go.
    answer_pause: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl ClientStream {
    /// A connection just accepted.
    pub(super) fn new(stream: TcpStream, answer_pause: Duration) -> Self {
        Self {
            stream,
            requests: Requests::default(),
            ambiguous: None,
            instead: None,
            refused: false,
            lingering: None,
            answer_pause,
            stalled: None,
        }
    }

    /// Writes, unless the client has taken nothing for too long: its request would keep a replica's place for ever.
    fn poll_write_in_time(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let pause = self.answer_pause;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(pause)));
        stalled.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Reads and drops until the client closes or has had its time.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let lingering = self.lingering.get_or_insert_with(|| Box::pin(sleep(LINGER)));
        if lingering.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            let mut dropped = [0; 4_096];
            let mut space = ReadBuf::new(&mut dropped);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut space)) {
                Ok(()) if !space.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().get(before..).unwrap_or_default();
        if let Err(refused) = this.requests.follow(read) {
            // No head may hold a NUL, so with its last byte replaced by one the parser refuses it too.
            let last = before + refused.at;
            if let Some(byte) = buffer.filled_mut().get_mut(last) {
                *byte = 0;
            }
            buffer.set_filled(last + 1);
            this.ambiguous = Some(refused.why);
        }
        if this.requests.is_broken() {
            return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.instead.is_none() {
            match parsers_answer(bytes) {
                None => return this.poll_write_in_time(cx, bytes),
                Some(status) => this.instead = Some(in_words(status, this.ambiguous)),
            }
        }
        while let Some(instead) = this.instead.as_mut().filter(|instead| !instead.is_empty()) {
            match ready!(Pin::new(&mut this.stream).poll_write(cx, instead))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => instead.advance(written),
            }
        }
        this.instead = None;
        this.refused = true;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
            if !this.refused && !this.requests.is_inside() {
                return Poll::Ready(Ok(()));
            }
        }
        this.poll_linger(cx).map(Ok)
    }
}

/// The status of an answer that the parser gives by itself to a head that it cannot take: one without a body and without
/// any header that an answer of the gateway or of a replica has.
fn parsers_answer(bytes: &[u8]) -> Option<StatusCode> {
    let head = bytes.strip_prefix(b"HTTP/1.1 4").filter(|_| bytes.len() <= LONGEST_PARSERS_ANSWER)?;
    let mut lines = head.strip_suffix(b"\r\n\r\n")?.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    let status = lines.next().and_then(|line| line.get(..2))?;
    let bare =
        lines.all(|line| line == b"content-length: 0" || line == b"connection: close" || line.starts_with(b"date: "));
    let status = StatusCode::from_bytes(&[b"4", status].concat()).ok()?;
    bare.then_some(status)
}

/// The same refusal in words.
fn in_words(status: StatusCode, ambiguous: Option<&'static str>) -> Bytes {
    let (code, message) = match (status, ambiguous) {
        (_, Some(why)) => ("bad_head", format!("the request's head could be read in two ways: {why}")),
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, None) => {
            let message = "the request's head is too large: it may have 64 KiB and 100 headers";
            ("head_too_large", message.to_owned())
        }
        (StatusCode::URI_TOO_LONG, None) => ("head_too_large", "the request's path is too long".to_owned()),
        _ => ("bad_head", "the request's head is malformed: it is no HTTP/1.1 request".to_owned()),
    };
    let body = Refusal::new(status, code, message).document();
    let reason = status.canonical_reason().unwrap_or("Refused");
    let mut answer = format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        status.as_u16(),
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_parser_says_by_itself_is_put_in_words() {
        let own = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\
                   date: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\n";
        assert_eq!(parsers_answer(own.as_bytes()), Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nx-evenkeel-tier: gold\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\n{}",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
            "data: HTTP/1.1 400 Bad Request\r\n\r\n",
        ] {
            assert_eq!(parsers_answer(other.as_bytes()), None, "{other}");
        }
    }
}
