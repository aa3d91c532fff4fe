//! How a request can fail.

use crate::plan::ApiKey;
use crate::said;
use std::borrow::Cow;
use std::fmt;

/// Why a request counts as failed. Kinds are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// No connection could be made.
    Connect,
    /// The connection broke before the head of an answer.
    Reset,
    /// The answer's status says so.
    Status(u16),
    /// No complete answer in the time allowed.
    Timeout,
    /// The answer broke off.
    Truncated,
    /// The stream carried an error event.
    ErrorEvent,
    /// The answer was not what the protocol says.
    Malformed,
    /// An asynchronous request was accepted, and failed later.
    Deferred,
    /// Not sent: the limit of requests in flight was reached.
    NotSent,
    /// Not sent: this machine had no file descriptor or no port left. The service has no part in it.
    OwnLimit,
    /// Still under way when the run's last deadline came.
    Unfinished,
}

impl Failure {
    /// The name used in JSON.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Status(code) => return Cow::Owned(format!("status_{code}")),
            Self::Timeout => "timeout",
            Self::Truncated => "truncated",
            Self::ErrorEvent => "error_event",
            Self::Malformed => "malformed",
            Self::Deferred => "deferred_failed",
            Self::NotSent => "not_sent",
            Self::OwnLimit => "own_limit",
            Self::Unfinished => "unfinished",
        })
    }

    /// The same in words.
    pub fn meaning(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Connect => "no connection could be made",
            Self::Reset => "the connection broke before the answer began",
            Self::Status(code) => {
                let phrase = http::StatusCode::from_u16(code).ok().and_then(|code| code.canonical_reason());
                return Cow::Owned(format!("answered {code} {}", phrase.unwrap_or("")).trim_end().to_owned());
            }
            Self::Timeout => "no complete answer in the time allowed",
            Self::Truncated => "the answer broke off",
            Self::ErrorEvent => "the stream carried an error",
            Self::Malformed => "the answer was not what the protocol says",
            Self::Deferred => "accepted, and failed later",
            Self::NotSent => "not sent, as too many were in flight",
            Self::OwnLimit => "not sent, as this machine ran out of files (`ulimit -n`) or ports",
            Self::Unfinished => "still under way when the run ended",
        })
    }
}

/// A failed request, and what the server said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// The kind.
    pub failure: Failure,
    /// The server's own words, where it sent any.
    pub message: Option<String>,
}

impl Failed {
    /// With the words made fit to be shown: on one line, short, and without the key.
    pub(crate) fn for_people(self, api_key: Option<&ApiKey>) -> Self {
        let message = self.message.and_then(|words| said::for_people(&words, api_key));
        Self { message, ..self }
    }
}

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { failure, message: None }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.failure.meaning())?;
        self.message.as_ref().map_or(Ok(()), |message| write!(f, ": {message}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_named_with_its_code_and_its_phrase() {
        assert_eq!(Failure::Status(503).name(), "status_503");
        assert_eq!(Failure::Status(503).meaning(), "answered 503 Service Unavailable");
        assert_eq!(Failure::Status(599).meaning(), "answered 599");
    }
}
