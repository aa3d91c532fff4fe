//! An answer on its way from a replica, and what becomes of its connection.

use super::connection::{Broken, Connection};
use super::head::Head;
use super::pool::Pool;
use crate::framing::Progress;
use bytes::Bytes;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// A replica's answer: its head, and its body still on the way.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Status and headers.
    pub(crate) head: Head,
    /// The body.
    pub(crate) body: ReplyBody,
}

/// The body of a replica's answer. Once read to its end, the connection goes back to the pool; dropped before, the
/// connection is closed, which tells the replica that nobody waits any more.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    progress: Progress,
    /// `None` once it is over.
    connection: Option<Box<Connection>>,
    reusable: bool,
    pool: Arc<Pool>,
}

impl Reply {
    /// The answer that began with `head` and goes on over `connection`, which is for `pool` afterwards.
    pub(super) fn begin(head: Head, connection: Box<Connection>, pool: Arc<Pool>) -> Self {
        let (progress, reusable) = (head.framing.into(), head.keep_alive);
        let mut body = ReplyBody { progress, connection: Some(connection), reusable, pool };
        body.release_if_over();
        Self { head, body }
    }
}

impl ReplyBody {
    /// The next piece; `None` at the end.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            let Some(connection) = &mut self.connection else { return Poll::Ready(None) };
            match self.progress.take(&mut connection.unread) {
                Ok(None) => {}
                Ok(Some(data)) => {
                    self.release_if_over();
                    return Poll::Ready(Some(Ok(data)));
                }
                Err(malformed) => return self.broken(malformed.into()),
            }
            if self.progress == Progress::Over {
                self.release_if_over();
                return Poll::Ready(None);
            }
            match ready!(connection.poll_read(cx)) {
                Ok(0) if self.progress.end() => self.connection = None,
                Ok(0) => return self.broken(Broken::Closed),
                Ok(_) => {}
                Err(error) => return self.broken(Broken::Cut(error)),
            }
        }
    }

    /// Whether everything was read.
    pub(crate) fn is_over(&self) -> bool {
        self.progress == Progress::Over
    }

    fn broken(&mut self, broken: Broken) -> Poll<Option<Result<Bytes, Broken>>> {
        self.progress.end();
        self.connection = None;
        Poll::Ready(Some(Err(broken)))
    }

    fn release_if_over(&mut self) {
        if self.is_over()
            && let Some(connection) = self.connection.take()
            && self.reusable
            && connection.unread.is_empty()
        {
            self.pool.put(connection);
        }
    }
}
