//! One HTTP/1.1 connection to a replica, and the answer that comes over it.

use super::pool::Pool;
use bytes::Bytes;
use http::{Request, Response, response};
use http_body::Body;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A replica that does not take a connection within this long counts as broken.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// The connection to a replica could not be made or broke.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// No connection was made.
    #[error("the replica takes no connection")]
    NotConnected(#[source] std::io::Error),
    /// It took too long.
    #[error("the replica took no connection within {} s", CONNECT_LIMIT.as_secs())]
    ConnectTimedOut,
    /// It broke while in use.
    #[error("the connection to the replica broke")]
    Cut(#[source] Option<hyper::Error>),
}

/// A connection that is not in use.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    driver: http1::Connection<TokioIo<TcpStream>, Full<Bytes>>,
}

impl Connection {
    /// Connects to `address`, which is `host:port`.
    pub(super) async fn open(address: &str) -> Result<Self, Broken> {
        let connecting = timeout(CONNECT_LIMIT, TcpStream::connect(address)).await;
        let stream = connecting.map_err(|_elapsed| Broken::ConnectTimedOut)?.map_err(Broken::NotConnected)?;
        // Tokens are small and each one is awaited: they must not wait for each other.
        stream.set_nodelay(true).map_err(Broken::NotConnected)?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, driver) = handshake.map_err(|error| Broken::Cut(Some(error)))?;
        let mut connection = Self { sender, driver };
        if connection.is_usable().await { Ok(connection) } else { Err(Broken::Cut(None)) }
    }

    /// Whether the next request may be sent; drives the connection once, which shows whether the replica closed it.
    pub(super) async fn is_usable(&mut self) -> bool {
        poll_fn(|cx| Poll::Ready(self.poll_usable(cx))).await
    }

    fn poll_usable(&mut self, cx: &mut Context<'_>) -> bool {
        Pin::new(&mut self.driver).poll(cx).is_pending() && self.sender.is_ready()
    }

    /// Sends `request` and waits for the head of its answer.
    pub(super) async fn send(mut self, request: Request<Full<Bytes>>, pool: Arc<Pool>) -> Result<Reply, Broken> {
        let answered = self.head(request).await?;
        let (head, incoming) = answered.into_parts();
        Ok(Reply { head, body: ReplyBody { incoming, connection: Some(self), pool } })
    }

    async fn head(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Broken> {
        let mut answer = pin!(self.sender.send_request(request));
        let driver = &mut self.driver;
        poll_fn(|cx| {
            let driven = Pin::new(&mut *driver).poll(cx);
            match (answer.as_mut().poll(cx), driven) {
                (Poll::Ready(answer), _) => Poll::Ready(answer.map_err(|error| Broken::Cut(Some(error)))),
                (Poll::Pending, Poll::Ready(ended)) => Poll::Ready(Err(Broken::Cut(ended.err()))),
                (Poll::Pending, Poll::Pending) => Poll::Pending,
            }
        })
        .await
    }
}

/// A replica's answer: its head, and its body still on the way.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Status and headers.
    pub(crate) head: response::Parts,
    /// The body.
    pub(crate) body: ReplyBody,
}

/// The body of a replica's answer. Once read to its end, the connection goes back to the pool; dropped before, the
/// connection is closed, which tells the replica that nobody waits any more.
#[derive(Debug)]
pub(crate) struct ReplyBody {
    incoming: Incoming,
    connection: Option<Connection>,
    pool: Arc<Pool>,
}

impl ReplyBody {
    /// The next piece; `None` at the end.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        loop {
            let frame = match ready!(self.poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => return Poll::Ready(Some(Err(Broken::Cut(Some(error))))),
                None => {
                    self.release(cx);
                    return Poll::Ready(None);
                }
            };
            // Trailers are not passed on: no engine sends any that a client needs.
            let Ok(data) = frame.into_data() else { continue };
            if self.incoming.is_end_stream() {
                self.release(cx);
            }
            return Poll::Ready(Some(Ok(data)));
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<http_body::Frame<Bytes>>>> {
        // Asking first tells the driver that the next piece is wanted; only then does it read one.
        if let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        if let Some(connection) = &mut self.connection
            && Pin::new(&mut connection.driver).poll(cx).is_ready()
        {
            // Closed; what it read before is still to be taken.
            self.connection = None;
        }
        Pin::new(&mut self.incoming).poll_frame(cx)
    }

    /// Whether everything was read.
    pub(crate) fn is_over(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn release(&mut self, cx: &mut Context<'_>) {
        if let Some(mut connection) = self.connection.take()
            && connection.poll_usable(cx)
        {
            self.pool.put(connection);
        }
    }
}
