//! Keep-alive connections to the target.

use crate::failure::Failure;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// Servers close connections that idle for 5 s (uvicorn's default); a request sent just then would break, and the
/// break would be counted against the service.
const IDLE_LIMIT: Duration = Duration::from_secs(4);

type Sender = SendRequest<Full<Bytes>>;

/// The pool. The connection used last is taken first, so that surplus ones grow old and are dropped.
#[derive(Debug)]
pub(crate) struct Connections {
    address: String,
    idle: Mutex<Vec<(Instant, Sender)>>,
}

/// A connection that carries one request. Dropped, it is closed; given back after the whole answer was read, it serves
/// again.
pub(crate) struct Lease {
    pool: Arc<Connections>,
    sender: Sender,
}

impl Lease {
    /// Returns the connection to the pool.
    pub(crate) fn give_back(self) {
        if !self.sender.is_closed() {
            self.pool.lock().push((Instant::now(), self.sender));
        }
    }
}

impl Connections {
    pub(crate) fn new(address: &str) -> Arc<Self> {
        Arc::new(Self { address: address.to_owned(), idle: Mutex::default() })
    }

    /// Sends a request and waits for the head of its answer.
    ///
    /// A request that was never written, because its kept connection had closed meanwhile, goes over another one;
    /// anything else is the answer's own failure and never tried again.
    pub(crate) async fn send(
        self: &Arc<Self>,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        loop {
            let (mut sender, fresh) = match self.take_idle().await {
                Some(sender) => (sender, false),
                None => (self.connect().await?, true),
            };
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, Lease { pool: Arc::clone(self), sender })),
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !fresh => request = unsent,
                    _ => return Err(Failure::Reset),
                },
            }
        }
    }

    async fn take_idle(&self) -> Option<Sender> {
        loop {
            let (since, mut sender) = self.lock().pop()?;
            // Ready once the end of the last answer has been seen; an error means closed.
            if since.elapsed() < IDLE_LIMIT && sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    async fn connect(&self) -> Result<Sender, Failure> {
        let stream = TcpStream::connect(&self.address).await.map_err(|error| whose_fault(&error))?;
        stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Connect)?;
        // Its errors reach the request that meets them; the task ends when the sender is dropped.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, Sender)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the target refused a connection, or this machine could not even try.
fn whose_fault(error: &std::io::Error) -> Failure {
    // ENFILE and EMFILE, the same numbers on every Unix; the standard library has no names for them.
    let no_files = matches!(error.raw_os_error(), Some(23 | 24));
    if no_files || error.kind() == std::io::ErrorKind::AddrNotAvailable { Failure::OwnLimit } else { Failure::Connect }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Error, ErrorKind};

    #[test]
    fn running_out_of_files_or_ports_is_not_blamed_on_the_target() {
        assert_eq!(whose_fault(&Error::from_raw_os_error(24)), Failure::OwnLimit);
        assert_eq!(whose_fault(&Error::from(ErrorKind::AddrNotAvailable)), Failure::OwnLimit);
        assert_eq!(whose_fault(&Error::from(ErrorKind::ConnectionRefused)), Failure::Connect);
    }
}
