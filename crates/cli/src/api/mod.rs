//! The controller's HTTP API, its metrics and its page, on one listener.
//!
//! Reading is free to whoever reaches the listener, which is loopback by default; every change needs the token. What is
//! shown comes from watch channels, so a slow reader misses views and never holds up the loop.

mod connections;
mod decisions;
mod document;
mod error;
mod fields;
mod guard;
mod health;
mod history;
mod metrics;
mod orders;
mod page;
mod routes;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod token;

pub(crate) use connections::Limits;
pub(crate) use token::{TOKEN_VARIABLE, Token};

use crate::api::error::ApiError;
use crate::api::guard::Hosts;
use crate::api::history::History;
use crate::api::metrics::DecisionCounts;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use evenkeel_adapters::players::PlayersPush;
use evenkeel_controller::journal::JournalReader;
use evenkeel_controller::live::Published;
use evenkeel_controller::ports::Clock;
use evenkeel_controller::view::FleetView;
use evenkeel_core::units::Time;
use evenkeel_fleet::model::Fleet;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// The largest body that a change needs, with room.
pub(super) const MOST_BODY_BYTES: usize = 16 * 1024;
/// Streams open at once, of views and of routes apart, so that pages left open do not lock out a gateway.
const MOST_STREAMS: usize = 64;
/// Journal reads at once; each opens the file.
const MOST_JOURNAL_READS: usize = 4;
/// Answers under way at the shutdown get this long.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the API shows and what it can ask for.
pub(crate) struct Api {
    /// What the loop publishes, and its ear for commands.
    pub(crate) published: Published,
    /// The journal, read beside its writer.
    pub(crate) journal: JournalReader,
    /// Takes a pushed player count.
    pub(crate) players: PlayersPush,
    /// The loop's clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// What a change must carry.
    pub(crate) token: Token,
    /// The fleet in force.
    pub(crate) fleet: watch::Receiver<Arc<Fleet>>,
    /// Names beside addresses and `localhost` under which the API may be asked, as `name` or `name:port`.
    pub(crate) allowed_hosts: Vec<String>,
    /// How much its clients may take.
    pub(crate) limits: Limits,
}

/// What every handler shares.
struct Shared {
    published: Published,
    journal: JournalReader,
    players: PlayersPush,
    clock: Arc<dyn Clock>,
    token: Token,
    fleet: watch::Receiver<Arc<Fleet>>,
    hosts: Hosts,
    history: Mutex<History>,
    decided: DecisionCounts,
    view_streams: Arc<Semaphore>,
    route_streams: Arc<Semaphore>,
    journal_reads: Semaphore,
    closing: watch::Receiver<bool>,
    started: Time,
    document: String,
}

impl Shared {
    fn new(api: Api, port: u16, closing: watch::Receiver<bool>, document: String) -> Self {
        let Api { published, journal, players, clock, token, fleet, allowed_hosts, limits: _ } = api;
        Self {
            published,
            journal,
            players,
            started: clock.now(),
            clock,
            token,
            fleet,
            hosts: Hosts::new(port, allowed_hosts),
            history: Mutex::default(),
            decided: DecisionCounts::default(),
            view_streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            route_streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            journal_reads: Semaphore::new(MOST_JOURNAL_READS),
            closing,
            document,
        }
    }

    /// The newest view, or the refusal that there is none yet.
    fn view(&self) -> Result<Arc<FleetView>, ApiError> {
        self.published.view.borrow().clone().ok_or_else(ApiError::not_ready)
    }

    /// The fleet in force.
    fn fleet(&self) -> Arc<Fleet> {
        self.fleet.borrow().clone()
    }

    /// Refuses a tier that the fleet does not have.
    fn existing_tier(&self, tier: &str) -> Result<(), ApiError> {
        let fleet = self.fleet();
        let names: Vec<&str> = fleet.spec.tiers.iter().map(|it| it.name.as_str()).collect();
        if names.contains(&tier) { Ok(()) } else { Err(ApiError::unknown_tier(tier, &names)) }
    }

    /// Takes one view into the history and the counts.
    fn record(&self, view: &FleetView) {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).take(view);
        self.decided.take(view);
    }
}

/// Serves until `shutdown`; open streams are ended then, other answers get a moment to finish.
///
/// # Errors
/// When the listener has no address.
pub(crate) async fn serve(api: Api, listener: TcpListener, shutdown: impl Future<Output = ()>) -> io::Result<()> {
    let port = listener.local_addr()?.port();
    let (close, closing) = watch::channel(false);
    let limits = api.limits;
    let (shared, router) = router(api, port, closing.clone())?;
    let mut recorder = JoinSet::new();
    recorder.spawn(record(shared));
    let server = connections::serve(listener, router, limits, closing);
    tokio::pin!(server);
    tokio::select! {
        () = &mut server => return Ok(()),
        () = shutdown => close.send_replace(true),
    };
    // What has not ended by then is dropped with the server.
    let _ = tokio::time::timeout(PATIENCE, server).await;
    Ok(())
}

/// The routes with everything around them.
fn router(api: Api, port: u16, closing: watch::Receiver<bool>) -> io::Result<(Arc<Shared>, Router)> {
    let (routes, document) = document::documented().split_for_parts();
    let document = document.to_json().map_err(io::Error::other)?;
    let shared = Arc::new(Shared::new(api, port, closing, document));
    let router = page::add_to(routes)
        .fallback(no_such_route)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(MOST_BODY_BYTES))
        .layer(from_fn_with_state(shared.clone(), guard::guard))
        .with_state(shared.clone());
    Ok((shared, router))
}

/// Takes each view into the history, as the ticks come.
async fn record(shared: Arc<Shared>) {
    let mut views = shared.published.view.clone();
    views.mark_changed();
    while views.changed().await.is_ok() {
        let view = views.borrow_and_update().clone();
        if let Some(view) = view {
            shared.record(&view);
        }
    }
}

async fn no_such_route() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no_such_route", "there is nothing here; GET /v1/openapi.json lists what is")
}

async fn no_such_method() -> ApiError {
    let message = "this route does not take this method; GET /v1/openapi.json lists what it takes";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "no_such_method", message)
}
