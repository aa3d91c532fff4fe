//! Why the gateway itself turns a request away, in the form of error that OpenAI clients understand.

use http::StatusCode;
use serde::Serialize;

/// A request that the gateway itself refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status.
    pub(crate) status: StatusCode,
    /// A short word for programs.
    pub(crate) code: &'static str,
    /// The same for a person, with the way out.
    pub(crate) message: String,
    /// When to come back, seconds.
    pub(crate) retry_after: Option<u64>,
    /// The methods that the path takes, where the request's is not among them.
    pub(crate) allow: Option<&'static str>,
}

impl Refusal {
    /// A refusal that will stay one until the request is changed.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None, allow: None }
    }

    /// A refusal of what may succeed after `seconds`.
    pub(crate) fn for_now(status: StatusCode, code: &'static str, message: impl Into<String>, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(status, code, message) }
    }

    /// A refusal of a method where the path takes only those of `allow`.
    pub(crate) fn wrong_method(allow: &'static str, message: impl Into<String>) -> Self {
        Self { allow: Some(allow), ..Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message) }
    }

    /// OpenAI's error document.
    pub(crate) fn document(&self) -> Vec<u8> {
        let kind = if self.status.is_server_error() { "server_error" } else { "invalid_request_error" };
        let error = ErrorBody { message: &self.message, kind, param: None, code: self.code };
        serde_json::to_vec(&ErrorDocument { error }).unwrap_or_default()
    }
}

/// OpenAI's error form.
#[derive(Serialize)]
struct ErrorDocument<'a> {
    error: ErrorBody<'a>,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    message: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    param: Option<&'a str>,
    code: &'static str,
}
