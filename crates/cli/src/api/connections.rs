//! Connections to the API: a bounded number, and each has a deadline for the head of its next request. Whoever reaches the
//! listener can so keep others from asking for a while, but takes neither memory nor the file descriptors with which the
//! controller asks its sources and launches replicas.

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

/// Streams of both kinds, and as much again; further connections wait to be accepted.
pub(super) const MOST_CONNECTIONS: usize = 256;
/// Pause after the process ran out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection may stay open without the whole head of its next request.
#[derive(Clone, Copy, Debug)]
pub(super) struct HeadLimit(pub(super) Duration);

impl Default for HeadLimit {
    /// Half a minute: longer than a scraper's pause, so that it keeps its connection.
    fn default() -> Self {
        Self(Duration::from_secs(30))
    }
}

/// Serves until told to close, then until the answers under way have ended.
pub(super) async fn serve(listener: TcpListener, router: Router, limit: HeadLimit, mut closing: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut open = JoinSet::new();
    let closed = closing.clone();
    loop {
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => break,
            (stream, permit) = accept(&listener, &room) => {
                open.spawn(converse(stream, permit, router.clone(), limit, closed.clone()));
            }
            // Finished tasks are taken out as they end, or the set would grow without end.
            Some(_) = open.join_next() => {}
        }
    }
    drop(listener);
    while open.join_next().await.is_some() {}
}

/// The next connection, once there is room for it.
async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // Nobody closes the semaphore, so there is a permit.
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _peer)) => return (stream, permit),
            Err(error) => {
                tracing::warn!(%error, "the API cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn converse(
    stream: TcpStream,
    _permit: Option<OwnedSemaphorePermit>,
    router: Router,
    limit: HeadLimit,
    mut closing: watch::Receiver<bool>,
) {
    // Events are small and late ones are worth little: each goes out at once.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limit.0)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut connection = pin!(connection);
    // An error here is a client that left or sent nonsense; the latter was told.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = closing.wait_for(|closing| *closing) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
