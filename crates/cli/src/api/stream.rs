//! Server-sent events from a watch channel: the value that stands, then each newer one. A client that reads slowly gets
//! fewer of them, never older ones, and nothing is queued for it.

use super::error::ApiError;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::StreamExt as _;
use futures::stream::unfold;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// A comment goes out after this long without an event, so that a client can tell silence from a dead connection.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// A place among the streams that may be open at once.
///
/// # Errors
/// When all are taken.
pub(super) fn place(streams: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
    streams.clone().try_acquire_owned().map_err(|_| {
        let message = format!("{} streams of this kind are open, that is as many as there may be", super::MOST_STREAMS);
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", message)
    })
}

/// Follows `values` as events called `name` until `closing`. `shown` gives what is to be sent of a value, `None` to
/// send nothing. The stream keeps its `place` for as long as it lives.
pub(super) fn follow<T, S>(
    mut values: watch::Receiver<T>,
    mut closing: watch::Receiver<bool>,
    place: OwnedSemaphorePermit,
    name: &'static str,
    shown: fn(&T) -> Option<S>,
) -> impl IntoResponse
where
    T: Send + Sync + 'static,
    S: Serialize + Send + Sync + 'static,
{
    values.mark_changed();
    let events = unfold((values, place), move |(mut values, place)| async move {
        loop {
            values.changed().await.ok()?;
            let Some(value) = shown(&values.borrow_and_update()) else { continue };
            match Event::default().event(name).json_data(&value) {
                Ok(event) => return Some((Ok::<_, Infallible>(event), (values, place))),
                Err(error) => tracing::error!(%error, name, "an event cannot be written as JSON"),
            }
        }
    });
    let closed = async move {
        let _ = closing.wait_for(|closing| *closing).await;
    };
    Sse::new(events.take_until(Box::pin(closed))).keep_alive(KeepAlive::new().interval(COMMENT_EVERY))
}
