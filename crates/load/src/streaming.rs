//! A request whose tokens stream.

use crate::connections::{Connections, Lease};
use crate::failure::{Failed, Failure};
use crate::measured::Measured;
use crate::said;
use crate::token_stream::{StreamState, TokenStream, Usage};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Response header in which a gateway may tell how long the request waited for a replica, microseconds.
pub(crate) const QUEUE_TIME_HEADER: &str = "x-evenkeel-queue-time-us";

/// An error's body is read up to this size, so that its connection can serve again.
const ERROR_BODY_BYTES: usize = 64 << 10;

/// Sends the request and reads its stream to the end.
pub(crate) async fn stream(connections: &Arc<Connections>, request: Request<Full<Bytes>>) -> Result<Measured, Failed> {
    let (response, lease) = connections.send(request).await?;
    if !response.status().is_success() {
        return Err(refused(response, lease).await);
    }
    let queue_time = queue_time(response.headers());
    let tokens = read_tokens(response.into_body()).await?;
    lease.give_back();
    let (Some(first), Some(end)) = (tokens.first(), tokens.last()) else { return Err(Failure::Malformed.into()) };
    Ok(Measured {
        first_token: Some(first),
        end,
        prompt_tokens: tokens.usage().map(|usage| usage.prompt_tokens),
        output_tokens: tokens.output_tokens(),
        told_output_tokens: tokens.usage().and_then(Usage::told_output_tokens),
        queue_time,
        gaps: tokens.into_gaps(),
    })
}

/// Reads until the stream ends. A stream counts as whole only with its closing event: a server that dies closes the
/// connection as well.
async fn read_tokens(mut body: Incoming) -> Result<TokenStream, Failed> {
    let mut tokens = TokenStream::default();
    // Of an answer that is no stream at all, for what it says.
    let mut begun = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Failure::Truncated)?;
        if let Some(data) = frame.data_ref() {
            tokens.feed(data, Instant::now());
            if !tokens.saw_event() && begun.len() < ERROR_BODY_BYTES {
                begun.extend_from_slice(data);
            }
        }
        match tokens.state() {
            StreamState::Open | StreamState::Done => {}
            StreamState::Error => return Err(Failed { failure: Failure::ErrorEvent, message: tokens.into_error() }),
            StreamState::Malformed => return Err(Failure::Malformed.into()),
        }
    }
    match tokens.state() {
        StreamState::Done => Ok(tokens),
        _ if tokens.saw_event() => Err(Failure::Truncated.into()),
        _ => Err(Failed { failure: Failure::Malformed, message: said::in_body(&begun) }),
    }
}

/// The failure that an error status is. Its body is read for what the server says, and so that the connection can serve
/// again.
pub(crate) async fn refused(response: Response<Incoming>, lease: Lease) -> Failed {
    let failure = Failure::Status(response.status().as_u16());
    let Ok(body) = Limited::new(response.into_body(), ERROR_BODY_BYTES).collect().await else { return failure.into() };
    lease.give_back();
    Failed { failure, message: said::in_body(&body.to_bytes()) }
}

pub(crate) fn queue_time(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(QUEUE_TIME_HEADER)?.to_str().ok()?;
    text.parse().ok().map(Duration::from_micros)
}
