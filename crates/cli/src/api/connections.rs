//! The API's connections: so many at once, and so long for each head. Whoever sends half a request takes neither the
//! controller's last descriptor nor a place for long.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Pause after a connection could not be accepted, for want of descriptors for example.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How much of the controller its clients may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections open at once; more wait until one is closed.
    pub(crate) connections: usize,
    /// A client that has not sent the whole head of its next request after this long is let go, slow or idle.
    pub(crate) head: Duration,
}

impl Default for Limits {
    /// All streams and as many others, and far fewer than the usual 1024 descriptors. Twenty seconds are longer than the
    /// pause between two scrapes, whose connection is kept that way.
    fn default() -> Self {
        Self { connections: 256, head: Duration::from_secs(20) }
    }
}

/// Serves until `closing`, and after it what is under way.
pub(super) async fn serve(listener: TcpListener, router: Router, limits: Limits, closing: watch::Receiver<bool>) {
    let mut open = JoinSet::new();
    let closed = closed(closing.clone());
    tokio::pin!(closed);
    loop {
        tokio::select! {
            () = &mut closed => break,
            accepted = listener.accept(), if open.len() < limits.connections => match accepted {
                Ok((stream, _peer)) => {
                    open.spawn(converse(stream, router.clone(), limits.head, closing.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = open.join_next() => {}
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// Answers one client's requests, one after the other.
async fn converse(stream: TcpStream, router: Router, head: Duration, closing: watch::Receiver<bool>) {
    // Events are small and late ones are worth little: each goes out at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(head);
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = closed(closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

async fn closed(mut closing: watch::Receiver<bool>) {
    // An error means that the sender is gone, and with it the server.
    let _ = closing.wait_for(|closing| *closing).await;
}
