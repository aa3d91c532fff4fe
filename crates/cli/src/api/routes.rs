//! The route table, for gateways: as it stands, or followed.

use super::Shared;
use super::error::{ApiError, ErrorBody};
use super::stream;
use axum::Json;
use axum::extract::State;
use axum::http::header::{ACCEPT, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use evenkeel_wire::routes::RouteTable;
use std::sync::Arc;

/// Where each tier's requests may go. With `Accept: text/event-stream` the present table and then each newer one come as
/// events `routes`.
#[utoipa::path(
    get, path = "/v1/routes", tag = "routes",
    params(("Accept" = Option<String>, Header, description = "`text/event-stream` to follow")),
    responses(
        (status = 200, description = "The table in force, or the stream of tables", body = Object, content_type = "application/json",
         example = json!({"fleet": "game", "version": {"epoch": 3, "number": 17}, "tiers": [{"tier": "gold", "replicas": [
             {"id": "6f1c", "url": "http://127.0.0.1:41000", "served_model": "small-awq", "max_outstanding": 67, "state": "serving"}]}]})),
        (status = 503, description = "There is no table yet, or too many streams are open", body = ErrorBody),
    ),
)]
pub(super) async fn routes(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Result<Response, ApiError> {
    let tables = shared.published.routes.clone();
    if wants_events(&headers) {
        let place = stream::place(&shared.route_streams)?;
        let events = stream::follow(tables, shared.closing.clone(), place, "routes", made);
        return Ok(([(VARY, "accept")], events).into_response());
    }
    let table = made(&tables.borrow()).ok_or_else(|| {
        let message = "this controller has made no route table: its first tick is not over, or another controller holds the fleet";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_routes", message)
    })?;
    Ok(([(VARY, "accept")], Json(table)).into_response())
}

/// The table, unless it is only what stands in the channel before the first one: told to a gateway, that would read as
/// 'no tier has a replica'.
fn made(table: &Arc<RouteTable>) -> Option<RouteTable> {
    (**table != RouteTable::default()).then(|| RouteTable::clone(table))
}

fn wants_events(headers: &HeaderMap) -> bool {
    headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).any(|accept| {
        accept.split(',').any(|kind| {
            kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
        })
    })
}
