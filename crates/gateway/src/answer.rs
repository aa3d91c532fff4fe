//! The gateway's own answers, errors in the form that OpenAI clients understand, and the body type of every answer.

use crate::forward::RelayedBody;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use serde::Serialize;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of an answer: our own words, or a replica's as they come.
pub(crate) enum AnswerBody {
    /// Known in full.
    Whole(Option<Bytes>),
    /// Relayed from a replica.
    Relayed(Box<RelayedBody>),
}

/// An answer to a client.
pub(crate) type Answer = Response<AnswerBody>;

/// Why an answer broke off after its head was sent.
#[derive(Debug, thiserror::Error)]
#[error("the replica broke off its answer")]
pub(crate) struct BrokenOff;

impl AnswerBody {
    /// The next piece; `None` at the end.
    pub(crate) fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        match self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(Ok)),
            Self::Relayed(body) => body.poll_data(cx),
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.get_mut().poll_piece(cx).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Relayed(body) => body.is_over(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Relayed(_) => SizeHint::default(),
        }
    }
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let body = serde_json::to_vec(value).unwrap_or_default();
    with_body(status, "application/json", body.into())
}

/// An answer with a body of any kind.
pub(crate) fn with_body(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(AnswerBody::Whole(Some(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer
}

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
}

impl Refusal {
    /// A refusal that will stay one until the request is changed.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None }
    }

    /// A refusal of what may succeed after `seconds`.
    pub(crate) fn for_now(status: StatusCode, code: &'static str, message: impl Into<String>, seconds: u64) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(status, code, message) }
    }

    /// The answer that says so.
    pub(crate) fn answer(&self) -> Answer {
        let kind = if self.status.is_server_error() { "server_error" } else { "invalid_request_error" };
        let error = ErrorBody { message: &self.message, kind, param: None, code: self.code };
        let mut answer = json(self.status, &ErrorDocument { error });
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
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
