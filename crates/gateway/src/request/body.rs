//! Reading a request's body, up to a limit in size and in the client's slowness, and as far as there is room.

use super::room::{BodyRoom, HeldBody, Share};
use crate::refusal::Refusal;
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use http::StatusCode;
use http_body::Body;
use http_body_util::BodyExt;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long a client may take for its request's body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BodyPatience {
    /// From one piece to the next.
    pub(crate) pause: Duration,
    /// For all of it.
    pub(crate) whole: Duration,
}

/// The whole body, or why not.
pub(crate) async fn read_body<B>(
    mut body: B,
    limit: u64,
    patience: BodyPatience,
    room: &BodyRoom,
) -> Result<HeldBody, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    let announced = body.size_hint().lower();
    if announced > limit {
        return Err(too_large(limit));
    }
    let mut first = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    let (mut since, mut share) = (None, Share::default());
    while let Some(data) = next_data(&mut body, patience, &mut since).await? {
        let so_far = rest.as_ref().map_or(first.len(), BytesMut::len);
        if (so_far + data.len()) as u64 > limit {
            return Err(too_large(limit));
        }
        room.take(&mut share, data.len()).await?;
        // Most bodies come in one piece, which is then used as it is.
        match &mut rest {
            Some(rest) => rest.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                let mut joined = BytesMut::with_capacity((so_far + data.len()).max(announced as usize));
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                rest = Some(joined);
            }
        }
    }
    Ok(HeldBody::new(rest.map_or(first, BytesMut::freeze), share))
}

/// The next piece; `None` at the end. `since` tells when the body was first waited for.
async fn next_data<B>(
    body: &mut B,
    patience: BodyPatience,
    since: &mut Option<Instant>,
) -> Result<Option<Bytes>, Refusal>
where
    B: Body<Data = Bytes> + Unpin,
{
    loop {
        if body.is_end_stream() {
            return Ok(None);
        }
        // Most bodies have come with their head: a timer is only set for those that have not.
        let frame = match body.frame().now_or_never() {
            Some(frame) => frame,
            None => {
                let now = Instant::now();
                let end = *since.get_or_insert(now) + patience.whole;
                let waited = timeout_at(end.min(now + patience.pause), body.frame()).await;
                waited.map_err(|_elapsed| too_slow(patience))?
            }
        };
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(broken()),
            // Trailers say nothing that a replica needs.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

fn too_large(limit: u64) -> Refusal {
    let message = format!("the request body is larger than {limit} bytes: shorten the prompt");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
}

fn too_slow(patience: BodyPatience) -> Refusal {
    let BodyPatience { pause, whole } = patience;
    let message = format!(
        "the request body came too slowly: at most {pause:?} may pass between two pieces of it, and {whole:?} in all"
    );
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "request_too_slow", message)
}

fn broken() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "request_cut", "the request body ended early or is malformed: send it again")
}
