//! A request of an asynchronous tier through its life.

use crate::request::HeldBody;
use bytes::Bytes;
use evenkeel_core::units::Time;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

/// The client's headers that are kept with a request. Credentials are not among them: a secret has no place in a file
/// that waits.
const KEPT_HEADERS: [HeaderName; 4] =
    [CONTENT_TYPE, ACCEPT, HeaderName::from_static("x-request-id"), HeaderName::from_static("traceparent")];

/// A request to be accepted.
#[derive(Debug)]
pub(crate) struct NewRequest {
    /// Its unguessable name: who knows it may fetch the answer.
    pub(crate) id: String,
    /// Path and query for the replica.
    pub(crate) path: String,
    /// The headers kept.
    pub(crate) headers: HeaderMap,
    /// The body as the client sent it.
    pub(crate) body: HeldBody,
}

/// A request handed out.
#[derive(Clone, Debug)]
pub(crate) struct HandedOut {
    /// Its name.
    pub(crate) id: String,
    /// 1 for the first hand-out.
    pub(crate) attempt: u32,
    /// When it was accepted.
    pub(crate) accepted: Time,
    /// Path and query for the replica.
    pub(crate) path: String,
    /// The headers kept.
    pub(crate) headers: HeaderMap,
    /// The body as the client sent it.
    pub(crate) body: Bytes,
}

/// A replica's answer, kept for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeptAnswer {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its content type; empty when there was none.
    pub(crate) content_type: String,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Waits for a replica.
    Queued,
    /// Handed out. Whether a replica has it is not in the file.
    Running,
    /// Answered well.
    Succeeded,
    /// Given up.
    Failed,
}

impl Standing {
    /// The word used in JSON.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// The number used in the file; it never changes its meaning.
    pub(super) const fn code(self) -> i64 {
        match self {
            Self::Queued => 0,
            Self::Running => 1,
            Self::Succeeded => 2,
            Self::Failed => 3,
        }
    }

    /// The standing of a number in the file.
    pub(super) const fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Queued),
            1 => Some(Self::Running),
            2 => Some(Self::Succeeded),
            3 => Some(Self::Failed),
            _ => None,
        }
    }
}

/// A request as its client may see it.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    /// Its tier.
    pub(crate) tier: String,
    /// Where it stands.
    pub(crate) standing: Standing,
    /// Hand-outs so far.
    pub(crate) attempts: u32,
    /// When it was accepted.
    pub(crate) accepted: Time,
    /// When the replica that answered got it; `None` before an answer, or where none was accepted.
    pub(crate) handed_over: Option<Time>,
    /// When it ended.
    pub(crate) finished: Option<Time>,
    /// What the replica said.
    pub(crate) answer: Option<KeptAnswer>,
    /// Why it failed.
    pub(crate) error: Option<String>,
}

/// How a hand-out ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Answered well.
    Succeeded {
        /// When the replica that answered got the request.
        handed_over: Time,
        /// What the replica said.
        answer: KeptAnswer,
    },
    /// It would fail again, so it is over: the client's own mistake, or an answer that is too long.
    Hopeless {
        /// When the replica that answered got the request.
        handed_over: Option<Time>,
        /// Why.
        error: String,
        /// What the replica said.
        answer: Option<KeptAnswer>,
    },
    /// It may go well the next time.
    Failed {
        /// Why.
        error: String,
        /// What the replica said.
        answer: Option<KeptAnswer>,
    },
    /// No replica was tried: it does not count.
    NotTried,
}

/// The headers of `all` that are kept.
pub(super) fn kept_headers(all: &HeaderMap) -> HeaderMap {
    let kept = KEPT_HEADERS.into_iter().filter_map(|name| Some((name.clone(), all.get(&name)?.clone())));
    kept.collect()
}

/// Headers as lines of text, `name: value`.
pub(super) fn headers_to_text(headers: &HeaderMap) -> String {
    let readable = headers.iter().filter_map(|(name, value)| Some((name, value.to_str().ok()?)));
    readable.map(|(name, value)| format!("{name}: {value}\n")).collect()
}

/// The reverse of `headers_to_text`.
pub(super) fn headers_from_text(text: &str) -> HeaderMap {
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    pairs
        .filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_headers_come_back_and_credentials_are_not_kept() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
        headers.insert("x-request-id", HeaderValue::from_static("7: seven"));
        headers.insert("authorization", HeaderValue::from_static("Bearer secret"));
        headers.insert("cookie", HeaderValue::from_static("secret"));
        let kept = kept_headers(&headers);
        assert_eq!(kept.len(), 2);
        assert_eq!(headers_from_text(&headers_to_text(&kept)), kept);
    }
}
