//! One client connection from its first request to its end.

use super::stream::ClientStream;
use crate::gateway::Gateway;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;

/// Headers of one request at most; more are answered with 431.
const MAX_HEADERS: usize = 100;
/// A head whose end has not come with as many bytes is refused, and no more is read ahead of a slow reader. As the parser
/// looks after each read, a head of nearly twice that may still pass.
const MAX_BUFFER: usize = 64 * 1024;

/// A client that has connected only just before the gateway ends has its first request on its way, and is not turned away.
const SETTLES_WITHIN: Duration = Duration::from_millis(250);

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientLimits {
    /// For the whole head of its next request.
    pub(crate) head: Duration,
    /// Without taking anything of its answer.
    pub(crate) answer_pause: Duration,
}

/// Serves one client connection to its end; told to end, it ends after the request in flight. A client that has not sent
/// the whole head of its next request after `limits.head` is let go, and so is one that takes nothing of its answer for
/// `limits.answer_pause`.
pub(crate) async fn converse(
    stream: TcpStream,
    gateway: Arc<Gateway>,
    limits: ClientLimits,
    mut ended: watch::Receiver<bool>,
) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let gateway = Arc::clone(&gateway);
        async move { Ok::<_, Infallible>(gateway.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        // Answers come in small pieces: one copied behind its head is sent faster than two are gathered.
        .writev(false)
        .serve_connection(TokioIo::new(ClientStream::new(stream, limits.answer_pause)), service);
    let mut connection = pin!(connection);
    let settled = sleep(SETTLES_WITHIN);
    let ends = async {
        // An error means that the gateway is gone, which is an end too.
        let _ = ended.wait_for(|ended| *ended).await;
        settled.await;
    };
    // An error here is a client that left or sent nonsense; the latter was told.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = ends => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
