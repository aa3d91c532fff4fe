//! Why a gateway does not start.

use crate::asynchronous::StoreError;
use crate::state::StateError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a gateway does not run.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The address cannot be listened on.
    #[error("the gateway cannot listen on {address}: {error}; choose another address in `gateway.listen`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The controller's address is of no use.
    #[error("`{0}` is no controller address: it has the form http://HOST:PORT")]
    ControllerUrl(String),
    /// The state directory cannot be used.
    #[error("the gateway cannot use its state directory {}: {error}", path.display())]
    State {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: StateError,
    },
    /// The system gives no thread to carry requests.
    #[error("the gateway gets no thread to carry requests: {0}")]
    NoThread(#[source] io::Error),
    /// An asynchronous tier needs a place for its queue.
    #[error("tier `{tier}` is asynchronous, so the gateway needs a state directory for its queue")]
    NoState {
        /// The tier.
        tier: String,
    },
    /// The durable queue is damaged, so that no later try will open it.
    #[error("the queue of asynchronous requests {} is damaged: {error}", path.display())]
    DamagedQueue {
        /// Its file.
        path: PathBuf,
        /// What SQLite said.
        error: StoreError,
    },
    /// The durable queue cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
}
