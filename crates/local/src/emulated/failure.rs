//! Errors in OpenAI's form, with vLLM's type names.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// An answer that is an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    kind: &'static str,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn bad_request(message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "BadRequestError", message }
    }

    pub(super) fn unknown_model(model: &str) -> Self {
        let message = format!("the model `{model}` is not served here: GET /v1/models lists what is");
        Self { status: StatusCode::NOT_FOUND, kind: "NotFoundError", message }
    }

    pub(super) fn unknown_path() -> Self {
        let message = "no such path".to_owned();
        Self { status: StatusCode::NOT_FOUND, kind: "NotFoundError", message }
    }

    pub(super) fn internal(message: &str) -> Self {
        let message = message.to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "InternalServerError", message }
    }

    pub(super) fn unavailable(message: &str) -> Self {
        let message = message.to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "ServiceUnavailableError", message }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let error = json!({"message": self.message, "type": self.kind, "param": null, "code": self.status.as_u16()});
        (self.status, Json(json!({"error": error}))).into_response()
    }
}
