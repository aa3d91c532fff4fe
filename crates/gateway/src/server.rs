//! Listening, one task a client connection, and ending in order.

use crate::asynchronous::{Store, dispatch};
use crate::error::GatewayError;
use crate::gateway::{Gateway, Patience};
use crate::routes::follow;
use crate::state::StateDirectory;
use crate::upstream::Origin;
use evenkeel_fleet::model::Fleet;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// A client that does not finish its next request's head within this long is let go, whether it is slow or idle; much
/// less would close connections that clients keep for their next request.
const HEAD_LIMIT: Duration = Duration::from_secs(60);
/// Headers of one request at most; more are answered with 431.
const MAX_HEADERS: usize = 100;
/// Bytes of one request's head at most, and so of what is read ahead of a slow reader.
const MAX_BUFFER: usize = 64 * 1024;
/// Pause after the process ran out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often idle connections to replicas are looked through.
const IDLE_SWEEP: Duration = Duration::from_secs(1);

/// How one gateway runs, beside its fleet file.
#[derive(Clone, Debug)]
pub struct Options {
    /// Listens here instead of where the fleet file says.
    pub listen: Option<SocketAddr>,
    /// Base address of the controller, for example `http://127.0.0.1:7600`; without one, the routes kept from an
    /// earlier run are all there is.
    pub controller_url: Option<String>,
    /// Directory for what has to outlive the process: the last routes, and the queues of asynchronous tiers.
    pub state_directory: Option<PathBuf>,
    /// A replica that has not begun a streamed answer after this long is given up for another one.
    pub first_byte_limit: Duration,
    /// The same for an answer in one piece, which begins only when all of it is there.
    pub whole_answer_limit: Duration,
    /// On shutdown, how long requests in flight may take to end.
    pub shutdown_limit: Duration,
}

impl Default for Options {
    /// No controller, no state; a minute to the first byte of a stream, ten to an answer in one piece, half a minute to
    /// end.
    fn default() -> Self {
        Self {
            listen: None,
            controller_url: None,
            state_directory: None,
            first_byte_limit: Duration::from_secs(60),
            whole_answer_limit: Duration::from_secs(600),
            shutdown_limit: Duration::from_secs(30),
        }
    }
}

/// A gateway that listens and is yet to answer.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
    gateway: Arc<Gateway>,
    controller: Option<Arc<Origin>>,
    shutdown_limit: Duration,
    /// Locked as long as the gateway runs.
    _state: Option<StateDirectory>,
}

/// Runs the gateway of `fleet` until `shutdown` is there and the requests in flight have ended. Dropped before that, it
/// ends as if it were killed.
///
/// # Errors
/// When it cannot start.
pub async fn serve(
    fleet: Arc<Fleet>,
    options: Options,
    shutdown: impl Future<Output = ()>,
) -> Result<(), GatewayError> {
    bind(&fleet, options).await?.run(shutdown).await;
    Ok(())
}

/// Prepares the gateway of `fleet` and listens.
///
/// # Errors
/// When the address or the state directory cannot be used.
pub async fn bind(fleet: &Fleet, options: Options) -> Result<Bound, GatewayError> {
    let state = options
        .state_directory
        .as_ref()
        .map(|path| StateDirectory::open(path).map_err(|error| GatewayError::State { path: path.clone(), error }));
    let state = state.transpose()?;
    let controller = options.controller_url.map(|url| Origin::new(&url).ok_or(GatewayError::ControllerUrl(url)));
    let controller = controller.transpose()?.map(Arc::new);
    let patience = Patience { streamed: options.first_byte_limit, whole: options.whole_answer_limit };
    let gateway = Gateway::new(fleet, state.as_ref(), patience)?;
    let address = options.listen.unwrap_or(fleet.gateway.listen);
    let listen = |error| GatewayError::Listen { address, error };
    let listener = TcpListener::bind(address).await.map_err(listen)?;
    let address = listener.local_addr().map_err(listen)?;
    let shutdown_limit = options.shutdown_limit;
    Ok(Bound { listener, address, gateway: Arc::new(gateway), controller, shutdown_limit, _state: state })
}

impl Bound {
    /// Where it listens; the port is the real one where port 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `shutdown` is there and the requests in flight have ended.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        // Everything runs in these two sets, so that dropping this future ends it all.
        let mut background = self.start_background();
        let (ending, ended) = watch::channel(false);
        let mut clients = self.start_dispatchers(&ended);
        tracing::info!(address = %self.address, "the gateway listens");
        tokio::select! {
            () = accept(&self.listener, &self.gateway, &mut clients, &ended) => {}
            () = shutdown => {}
        }
        drop(self.listener);
        ending.send_replace(true);
        let all_ended = timeout(self.shutdown_limit, async { while clients.join_next().await.is_some() {} }).await;
        if all_ended.is_err() {
            tracing::warn!(open = clients.len(), "ended with requests in flight");
        }
        clients.shutdown().await;
        background.shutdown().await;
        if let Some(desk) = &self.gateway.desk
            && let Err(error) = desk.ask(Store::give_all_back).await
        {
            tracing::warn!(%error, "requests under way are handed out again only after the next start");
        }
    }

    /// What runs beside the requests.
    fn start_background(&self) -> JoinSet<()> {
        let mut background = JoinSet::new();
        for tier in &self.gateway.tiers {
            background.spawn(Arc::clone(tier).keep_time());
        }
        background.spawn(sweep_idle(Arc::clone(&self.gateway)));
        if let Some(controller) = self.controller.clone() {
            let gateway = Arc::clone(&self.gateway);
            background.spawn(async move { follow(controller, &gateway.routes).await });
        }
        background
    }

    /// What hands out the requests of asynchronous tiers; it ends like a client's request, after those under way.
    fn start_dispatchers(&self, ended: &watch::Receiver<bool>) -> JoinSet<()> {
        let mut dispatchers = JoinSet::new();
        for tier in &self.gateway.tiers {
            if let (Some(desk), Some(settings)) = (&self.gateway.desk, &tier.asynchronous) {
                let (desk, tier) = (Arc::clone(desk), Arc::clone(tier));
                dispatchers.spawn(dispatch(desk, tier, settings.clone(), ended.clone()));
            }
        }
        dispatchers
    }
}

async fn sweep_idle(gateway: Arc<Gateway>) {
    loop {
        sleep(IDLE_SWEEP).await;
        gateway.tiers.iter().for_each(|tier| tier.close_idle());
    }
}

/// Accepts forever.
async fn accept(
    listener: &TcpListener,
    gateway: &Arc<Gateway>,
    clients: &mut JoinSet<()>,
    ended: &watch::Receiver<bool>,
) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _peer)) => {
                    clients.spawn(converse(stream, Arc::clone(gateway), ended.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            // Finished tasks are taken out as they end, or the set would grow without end.
            Some(_) = clients.join_next() => {}
        }
    }
}

/// Serves one client connection to its end; told to end, it ends after the request in flight.
async fn converse(stream: TcpStream, gateway: Arc<Gateway>, mut ended: watch::Receiver<bool>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let gateway = Arc::clone(&gateway);
        async move { Ok::<_, Infallible>(gateway.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_BUFFER)
        // Answers come in small pieces: one copied behind its head is sent faster than two are gathered.
        .writev(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    // An error here is a client that left or sent nonsense; hyper has answered the latter.
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        _ = ended.wait_for(|ended| *ended) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}
