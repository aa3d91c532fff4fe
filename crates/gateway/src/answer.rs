//! The answer to a client: the gateway's own words, or a replica's as they come.

use crate::refusal::Refusal;
use crate::relay::{BrokenOff, RelayedBody};
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
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

impl From<RelayedBody> for AnswerBody {
    fn from(body: RelayedBody) -> Self {
        if body.has_come() { Self::Whole(body.into_first()) } else { Self::Relayed(Box::new(body)) }
    }
}

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

impl Refusal {
    /// The answer that says so.
    pub(crate) fn answer(&self) -> Answer {
        let mut answer = with_body(self.status, "application/json", self.document().into());
        if let Some(methods) = self.allow {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
        }
        if let Some(seconds) = self.retry_after {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        answer
    }
}
