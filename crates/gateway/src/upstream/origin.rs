//! A server that the gateway calls: an address with its idle connections.

use super::call::Call;
use super::connection::{Broken, Connection};
use super::head::Head;
use super::pool::Pool;
use super::reply::Reply;
use bytes::Bytes;
use http::Uri;
use http::header::HeaderValue;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One server.
#[derive(Debug)]
pub(crate) struct Origin {
    address: String,
    host: HeaderValue,
    pool: Arc<Pool>,
    /// Whether the last connection that was tried was not made.
    refused: AtomicBool,
}

impl Origin {
    /// The server at `url`; `None` when that is not `http://HOST` or `http://HOST:PORT`.
    pub(crate) fn new(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let plain = uri.scheme_str() == Some("http") && matches!(uri.path(), "" | "/") && uri.query().is_none();
        let authority = uri.authority().filter(|_| plain)?;
        let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        let host = HeaderValue::from_str(authority.as_str()).ok()?;
        Some(Self { address, host, pool: Arc::default(), refused: AtomicBool::new(false) })
    }

    /// Sends one request and waits for the head of the answer. A pooled connection that ends without a byte of one is
    /// replaced by a new one: the server most likely closed it just as we took it. After a byte the server has had the
    /// request, and whether it gets it again is for the tier's queue to say, which counts tries.
    pub(crate) async fn send(&self, call: &Call, body: &Bytes) -> Result<Reply, Broken> {
        if let Some(mut connection) = self.pool.take().await {
            match connection.send(call, &self.host, body).await {
                Ok(head) => return Ok(self.reply(head, connection)),
                Err(Broken::Cut(_) | Broken::Closed) if connection.is_unanswered() => {}
                Err(broken) => return Err(broken),
            }
        }
        let mut connection = self.connect().await?;
        let head = connection.send(call, &self.host, body).await?;
        Ok(self.reply(head, connection))
    }

    fn reply(&self, head: Head, connection: Box<Connection>) -> Reply {
        Reply::begin(head, connection, Arc::clone(&self.pool))
    }

    /// Whether the last connection that was tried was made; so it is believed as long as none was tried.
    pub(crate) fn is_reachable(&self) -> bool {
        !self.refused.load(Ordering::Relaxed)
    }

    /// Tries a connection, and closes it again.
    pub(crate) async fn look(&self) {
        // What came of it is noted.
        drop(self.connect().await);
    }

    async fn connect(&self) -> Result<Box<Connection>, Broken> {
        let connected = Connection::open(&self.address).await;
        self.refused.store(connected.is_err(), Ordering::Relaxed);
        connected
    }

    /// Closes connections that idled too long.
    pub(crate) fn close_idle(&self) {
        self.pool.close_idle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_to_a_host_is_an_origin() {
        let address = |url| Origin::new(url).map(|origin| origin.address);
        assert_eq!(address("http://127.0.0.1:41000"), Some("127.0.0.1:41000".into()));
        assert_eq!(address("http://[::1]:80/"), Some("[::1]:80".into()));
        assert_eq!(address("http://replica"), Some("replica:80".into()));
        for url in ["https://replica", "replica:80", "http://replica/prefix", "http://replica/?x", ""] {
            assert!(Origin::new(url).is_none(), "{url}");
        }
    }
}
