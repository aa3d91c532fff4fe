//! One HTTP/1.1 connection to a replica.

use super::call::Call;
use super::head::{Head, take_head, write_request};
use crate::framing::Malformed;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A replica that does not take a connection within this long counts as broken.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// Bytes read at once.
const READ_SIZE: usize = 16 * 1024;
/// A body up to this size is copied behind its head, so that both go out in one write.
const COPIED_BODY: usize = 16 * 1024;

/// The connection to a replica could not be made or broke.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// No connection was made.
    #[error("the replica takes no connection")]
    NotConnected(#[source] io::Error),
    /// It took too long.
    #[error("the replica took no connection within {} s", CONNECT_LIMIT.as_secs())]
    ConnectTimedOut,
    /// It broke while in use.
    #[error("the connection to the replica broke")]
    Cut(#[source] io::Error),
    /// The replica closed it before its answer was whole.
    #[error("the replica closed the connection early")]
    Closed,
    /// What came is no answer.
    #[error("the replica's answer is malformed: {0}")]
    Malformed(#[from] Malformed),
}

/// A connection. It is large, so it is moved around in a box.
pub(super) struct Connection {
    stream: TcpStream,
    /// What goes out at once; kept for the next request.
    outgoing: Vec<u8>,
    /// What was read and not yet taken.
    pub(super) unread: BytesMut,
    /// Whether anything of an answer to the last request has come.
    heard: bool,
    /// Where the socket's bytes land first. It lives as long as the connection, so it is cleared only once.
    landing: [u8; READ_SIZE],
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects to `address`, which is `host:port`.
    pub(super) async fn open(address: &str) -> Result<Box<Self>, Broken> {
        let connecting = timeout(CONNECT_LIMIT, TcpStream::connect(address)).await;
        let stream = connecting.map_err(|_elapsed| Broken::ConnectTimedOut)?.map_err(Broken::NotConnected)?;
        // Tokens are small and each one is awaited: they must not wait for each other.
        stream.set_nodelay(true).map_err(Broken::NotConnected)?;
        Ok(Box::new(Self {
            stream,
            outgoing: Vec::with_capacity(1_024),
            unread: BytesMut::new(),
            heard: false,
            landing: [0; READ_SIZE],
        }))
    }

    /// Whether the next request may be sent: the replica has neither closed nor said anything unasked.
    pub(super) async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| Poll::Ready(self.unread.is_empty() && self.poll_read(cx).is_pending())).await
    }

    /// Sends a request and waits for the head of its answer; its body is read from here afterwards.
    pub(super) async fn send(&mut self, call: &Call, host: &HeaderValue, body: &Bytes) -> Result<Head, Broken> {
        self.heard = false;
        let sent = self.write(call, host, body).await;
        // A replica may answer before it has read everything, and close: the answer counts.
        let answered = self.read_head(&call.method).await;
        match (sent, answered) {
            (_, Ok(head)) => Ok(head),
            (Err(error), Err(_)) => Err(Broken::Cut(error)),
            (Ok(()), Err(broken)) => Err(broken),
        }
    }

    /// Whether the last request brought nothing, not even a part of an answer.
    pub(super) fn is_unanswered(&self) -> bool {
        !self.heard
    }

    async fn write(&mut self, call: &Call, host: &HeaderValue, body: &Bytes) -> io::Result<()> {
        let copied = if body.len() <= COPIED_BODY { body.as_ref() } else { &[] };
        self.outgoing.clear();
        write_request(&mut self.outgoing, call, host, body.len());
        self.outgoing.extend_from_slice(copied);
        self.stream.write_all(&self.outgoing).await?;
        if copied.len() < body.len() {
            self.stream.write_all(body).await?;
        }
        Ok(())
    }

    async fn read_head(&mut self, method: &Method) -> Result<Head, Broken> {
        loop {
            if let Some(head) = take_head(&mut self.unread, method)? {
                return Ok(head);
            }
            if poll_fn(|cx| self.poll_read(cx)).await.map_err(Broken::Cut)? == 0 {
                return Err(Broken::Closed);
            }
        }
    }

    /// Reads what is there; 0 at the end.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut landing = ReadBuf::new(&mut self.landing);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut landing))?;
        self.unread.extend_from_slice(landing.filled());
        self.heard |= !landing.filled().is_empty();
        Poll::Ready(Ok(landing.filled().len()))
    }
}
