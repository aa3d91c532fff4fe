//! The API's routes and, from the same declarations, its OpenAPI document.

use super::{Shared, decisions, health, history, metrics, orders, routes, state};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa::openapi::Components;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

#[derive(OpenApi)]
#[openapi(info(
    title = "Evenkeel controller",
    description = "Shows what the autoscaler sees, decides and why, and takes operators' orders. Times are microseconds \
                   since 1970, UTC. Reading is free; every change needs the controller's token. A request must name the \
                   controller by address, by localhost, or by a name it was told to allow."
))]
struct Head;

/// Every route of the API.
pub(super) fn documented() -> OpenApiRouter<Arc<Shared>> {
    let mut head = Head::openapi();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    head.components.get_or_insert_with(Components::new).add_security_scheme("token", bearer);
    OpenApiRouter::with_openapi(head)
        .routes(routes!(state::state))
        .routes(routes!(state::state_stream))
        .routes(routes!(history::history))
        .routes(routes!(decisions::decisions))
        .routes(routes!(decisions::explain_tier))
        .routes(routes!(routes::routes))
        .routes(routes!(orders::pause))
        .routes(routes!(orders::mode))
        .routes(routes!(orders::set_override))
        .routes(routes!(orders::end_override))
        .routes(routes!(orders::drain))
        .routes(routes!(orders::players))
        .routes(routes!(metrics::metrics))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(openapi))
}

/// This document.
#[utoipa::path(
    get, path = "/v1/openapi.json", tag = "document",
    responses((status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json")),
)]
async fn openapi(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], shared.document.clone())
}
