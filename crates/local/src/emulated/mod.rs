//! The emulated replica: the engine of `evenkeel_engine` against real time, behind the HTTP interface of a vLLM server.
//! To the gateway, the load test and the controller it is a replica like any other; it computes nothing, but every token
//! comes when a real engine with its profile would have it.

mod answer;
mod busy;
mod clock;
mod driver;
mod exposition;
mod failure;
mod fault;
mod http;
mod lengths;
mod metrics;
mod request;

pub use fault::Fault;

use axum::serve::ListenerExt as _;
use clock::Clock;
use driver::Driver;
use evenkeel_core::profile::Profile;
use evenkeel_core::spec::Lengths;
use evenkeel_engine::replica::InvalidProfile;
use fault::Faulty;
use http::Shared;
use lengths::OutputLengths;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Output lengths where a request does not state `max_tokens`.
pub const OPEN_OUTPUT: Lengths = Lengths { mean: 128.0, sigma: 0.5 };

/// How an emulated replica shall be.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The model name it answers to.
    pub model: String,
    /// What it truly can do, which may differ from what the fleet file declares.
    pub profile: Profile,
    /// It listens at once but answers 503 for this long, as an engine that loads its weights.
    pub start_up: Duration,
    /// Seed of the output lengths that requests leave open.
    pub seed: u64,
    /// Their distribution; [`OPEN_OUTPUT`] unless there is a reason.
    pub open_output: Lengths,
    /// Told to end, it finishes the work in flight for at most this long.
    pub drain: Duration,
    /// How it is broken on purpose. Where this is set, `PUT /fault/KIND` changes it.
    pub fault: Option<Fault>,
}

/// Why an emulated replica did not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be had.
    #[error("cannot listen on {address}: {source}; choose another port, or end what uses this one")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The profile is not one an engine could run by.
    #[error("the profile cannot be emulated: {0}")]
    Profile(#[from] InvalidProfile),
    /// Accepting connections failed for good.
    #[error("serving failed: {0}")]
    Serve(#[from] io::Error),
}

/// An emulated replica that listens.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
    driver: JoinHandle<()>,
    drain: Duration,
}

impl Server {
    /// Opens the listener and starts the engine; connections wait until [`Self::run`].
    ///
    /// # Errors
    /// When the address cannot be had or the profile makes no sense.
    pub async fn bind(options: Options) -> Result<Self, ServeError> {
        let clock = Clock::anchored();
        let lengths = OutputLengths { seed: options.seed, shape: options.open_output };
        let driver = Driver::new(clock, options.model.clone(), &options.profile, lengths)?;
        let in_words = |source| ServeError::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(in_words)?;
        let address = listener.local_addr().map_err(in_words)?;
        let (commands, orders) = mpsc::unbounded_channel();
        let shared = Shared {
            clock,
            model: options.model,
            commands,
            loaded: Instant::now() + options.start_up,
            faulty: Faulty::beginning(options.fault),
            answers: AtomicU64::new(0),
        };
        let driver = tokio::spawn(driver.run(orders));
        Ok(Self { listener, address, shared: Arc::new(shared), driver, drain: options.drain })
    }

    /// Where it listens, the true port included.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` resolves; then takes no more connections and finishes what is in flight, up to the
    /// drain deadline. What is not finished by then is broken off.
    ///
    /// # Errors
    /// When connections can no longer be accepted.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        let (told, ending) = oneshot::channel();
        let shutdown = async move {
            shutdown.await;
            // The receiver is gone only when serving has ended already.
            let _ = told.send(());
        };
        // A token is a small write that must leave at once.
        let listener = self.listener.tap_io(|connection| {
            if let Err(error) = connection.set_nodelay(true) {
                tracing::debug!(%error, "tokens may leave late on this connection");
            }
        });
        let serving = axum::serve(listener, http::router(self.shared)).with_graceful_shutdown(shutdown);
        let drained = tokio::select! {
            ended = serving.into_future() => ended.map_err(ServeError::Serve),
            () = deadline(ending, self.drain) => {
                tracing::warn!(drain = ?self.drain, "work in flight is broken off at the drain deadline");
                Ok(())
            }
        };
        self.driver.abort();
        drained
    }
}

async fn deadline(ending: oneshot::Receiver<()>, drain: Duration) {
    if ending.await.is_ok() {
        tokio::time::sleep(drain).await;
    } else {
        std::future::pending::<()>().await;
    }
}

/// Runs an emulated replica from the listener's opening until `shutdown` resolves and its work is done.
///
/// # Errors
/// When it cannot listen, the profile makes no sense, or connections can no longer be accepted.
pub async fn serve(options: Options, shutdown: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
    let server = Server::bind(options).await?;
    tracing::info!(address = %server.address(), "the emulated replica listens");
    server.run(shutdown).await
}
