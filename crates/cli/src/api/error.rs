//! What a request gets when it is refused: a status, a code for programs and words for people.

use axum::Json;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A refusal. In JSON `{"error":{"code":"...","message":"..."}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

/// The body of every refusal.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    error: ErrorDetail,
}

/// Its inside.
#[derive(Serialize, ToSchema)]
struct ErrorDetail {
    /// Stable, for programs.
    code: &'static str,
    /// What is wrong and what to do, for people.
    message: String,
}

impl ApiError {
    /// A refusal.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    /// The request holds mistakes; all of them are told at once.
    pub(crate) fn mistakes(mistakes: &[String]) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", mistakes.join("; "))
    }

    /// Nothing was decided yet.
    pub(crate) fn not_ready() -> Self {
        let message = "the controller has not finished its first tick yet: try again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", message)
    }

    /// The fleet has no such tier.
    pub(crate) fn unknown_tier(tier: &str, existing: &[&str]) -> Self {
        let message = format!("there is no tier `{tier}`; the fleet has {}", existing.join(", "));
        Self::new(StatusCode::NOT_FOUND, "unknown_tier", message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let Self { status, code, message } = self;
        let mut response = (status, Json(ErrorBody { error: ErrorDetail { code, message } })).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
