//! The fleet as the newest tick saw it.

use super::Shared;
use super::error::{ApiError, ErrorBody};
use super::stream;
use axum::extract::State;
use axum::response::IntoResponse;
use evenkeel_controller::view::FleetView;
use std::sync::Arc;

/// The newest tick: mode, journal, sources, and for each tier decision, signals, replicas and words.
#[utoipa::path(
    get, path = "/v1/state", tag = "state",
    responses(
        (status = 200, description = "The newest view", body = Object, content_type = "application/json",
         example = json!({"fleet": "game", "at_us": 1_790_000_000_000_000_i64, "epoch": 3, "mode": "act", "tiers": [
             {"tier": "gold", "explanation": "held 2: that is what is needed", "demand_replicas": 1.4}]})),
        (status = 503, description = "No tick has ended yet", body = ErrorBody),
    ),
)]
pub(super) async fn state(State(shared): State<Arc<Shared>>) -> Result<impl IntoResponse, ApiError> {
    shared.view().map(|view| axum::Json(ShownView(view)))
}

/// Each tick's view as a server-sent event `state`.
#[utoipa::path(
    get, path = "/v1/state/stream", tag = "state",
    responses(
        (status = 200, description = "Events called `state`, one a tick, the data as in /v1/state",
         body = String, content_type = "text/event-stream"),
        (status = 503, description = "Too many streams are open", body = ErrorBody),
    ),
)]
pub(super) async fn state_stream(State(shared): State<Arc<Shared>>) -> Result<impl IntoResponse, ApiError> {
    let place = stream::place(&shared.view_streams)?;
    let views = shared.published.view.clone();
    Ok(stream::follow(views, shared.closing.clone(), place, "state", |view| view.clone().map(ShownView)))
}

/// A shared view, written without a copy of it.
struct ShownView(Arc<FleetView>);

impl serde::Serialize for ShownView {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}
