//! For fuzzing only: where the parser itself sees requests end, fed one byte at a time.

use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Rounds after each byte; the parser does all it can in fewer.
const ROUNDS: usize = 4;

/// The parser with a tape before it.
pub(crate) struct Oracle;

/// What was given to the parser, and what came of it.
#[derive(Debug, Default)]
struct Tape {
    given: usize,
    next: Option<u8>,
    ends: Vec<usize>,
}

/// A connection that brings what is on the tape and takes every answer.
struct Line(Arc<Mutex<Tape>>);

impl Oracle {
    /// Where each request in `data` ends that the parser accepts, its body included.
    pub(crate) fn request_ends(data: &[u8]) -> Vec<usize> {
        let tape = Arc::new(Mutex::new(Tape::default()));
        let seen = Arc::clone(&tape);
        let service = service_fn(move |request: Request<Incoming>| {
            let seen = Arc::clone(&seen);
            async move {
                if request.into_body().collect().await.is_ok() {
                    let mut tape = lock(&seen);
                    let given = tape.given;
                    tape.ends.push(given);
                }
                Ok::<_, Infallible>(Response::new(Empty::<&[u8]>::new()))
            }
        });
        let mut connection =
            pin!(http1::Builder::new().header_read_timeout(None).serve_connection(Line(Arc::clone(&tape)), service));
        let mut context = Context::from_waker(Waker::noop());
        for byte in data {
            {
                let mut tape = lock(&tape);
                tape.next = Some(*byte);
                tape.given += 1;
            }
            for _ in 0..ROUNDS {
                if connection.as_mut().poll(&mut context).is_ready() {
                    return std::mem::take(&mut lock(&tape).ends);
                }
            }
            if lock(&tape).next.is_some() {
                // It reads no further: the last request is the last one.
                break;
            }
        }
        std::mem::take(&mut lock(&tape).ends)
    }
}

fn lock(tape: &Mutex<Tape>) -> std::sync::MutexGuard<'_, Tape> {
    tape.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Read for Line {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, mut buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let Some(byte) = lock(&self.0).next.take() else { return Poll::Pending };
        buffer.put_slice(&[byte]);
        Poll::Ready(Ok(()))
    }
}

impl Write for Line {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
