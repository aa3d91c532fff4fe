//! Whether it lives and whether it is ready, for supervisors.

use super::Shared;
use super::error::{ApiError, ErrorBody};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Ticks that may be missing before the loop counts as stuck.
const MISSING_TICKS: i64 = 10;

/// All is well.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`; anything else is an error.
    status: &'static str,
}

const OK: Json<Health> = Json(Health { status: "ok" });

/// Whether ticks come: the newest view, or the start where there is none yet, is not older than ten ticks.
#[utoipa::path(
    get, path = "/healthz", tag = "health",
    responses(
        (status = 200, description = "Ticks come", body = Health),
        (status = 503, description = "Ticks stopped coming", body = ErrorBody),
    ),
)]
pub(super) async fn healthz(State(shared): State<Arc<Shared>>) -> Result<Json<Health>, ApiError> {
    let newest = shared.published.view.borrow().as_ref().map_or(shared.started, |view| view.at_us);
    let age = shared.clock.now().since(newest);
    if age.as_micros() <= shared.fleet().spec.tick.as_micros().saturating_mul(MISSING_TICKS) {
        return Ok(OK);
    }
    let message = format!("the last tick was {:.1} s ago", age.as_secs_f64());
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "ticks_stopped", message))
}

/// Whether this controller is the one that acts: ticks have begun, it holds the fleet, and its journal is where it was. One
/// that was overtaken shows what it sees all the same.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 200, description = "The first tick has ended, and the controller holds the fleet", body = Health),
        (status = 503, description = "It has not, another controller has taken the fleet, or the journal was removed", body = ErrorBody),
    ),
)]
pub(super) async fn readyz(State(shared): State<Arc<Shared>>) -> Result<Json<Health>, ApiError> {
    let view = shared.view()?;
    let (code, message) = if !view.holds_fleet {
        (
            "overtaken",
            "another controller has taken the fleet: this one only shows; end it, or start it again to stand by",
        )
    } else if view.journal.removed {
        (
            "state_removed",
            "the journal or the whole state directory was removed: restart the controller, which makes it anew",
        )
    } else {
        return Ok(OK);
    };
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, message))
}
