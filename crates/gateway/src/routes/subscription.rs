//! Follows the controller's route table: a snapshot, then each newer one as an event. While the controller is gone the
//! last table stays in force.

use super::events::{EventError, EventReader};
use super::table::Routes;
use crate::upstream::{Broken, Call, Origin, ReplyBody};
use bytes::Bytes;
use evenkeel_wire::routes::RouteTable;
use http::header::{ACCEPT, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode};
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{error::Elapsed, sleep, timeout};

/// The name of the events that carry a table.
const EVENT: &str = "routes";
/// First pause after a lost connection; it doubles up to `LONGEST_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A controller that is silent for this long is asked anew; it sends a comment every 15 s when there is no news.
const LONGEST_SILENCE: Duration = Duration::from_secs(45);

/// Why the stream ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error("the controller answered {0} to GET /v1/routes")]
    Refused(StatusCode),
    #[error("the controller ended the stream")]
    Ended,
    #[error("the controller was silent for {} s", LONGEST_SILENCE.as_secs())]
    Silent(#[from] Elapsed),
    #[error(transparent)]
    Events(#[from] EventError),
    #[error("the route table cannot be read: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Follows forever.
pub(crate) async fn follow(controller: Arc<Origin>, routes: &Routes) {
    let mut pause = FIRST_PAUSE;
    let mut told = false;
    loop {
        let mut heard = false;
        let lost = follow_once(&controller, routes, &mut heard).await;
        routes.set_followed(false);
        if heard {
            (pause, told) = (FIRST_PAUSE, false);
        }
        // Once for each outage, not for each try.
        if !told {
            tracing::warn!(reason = %lost, applied = ?routes.applied(), "lost the controller: the last routes stay");
            told = true;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Follows one connection to its end; `heard` tells whether a table came.
async fn follow_once(controller: &Origin, routes: &Routes, heard: &mut bool) -> Lost {
    match follow_stream(controller, routes, heard).await {
        Ok(()) => Lost::Ended,
        Err(lost) => lost,
    }
}

async fn follow_stream(controller: &Origin, routes: &Routes, heard: &mut bool) -> Result<(), Lost> {
    let reply = timeout(LONGEST_SILENCE, controller.send(&request(), &Bytes::new())).await??;
    if reply.head.status != StatusCode::OK {
        return Err(Lost::Refused(reply.head.status));
    }
    let mut body = reply.body;
    let mut reader = EventReader::default();
    while let Some(chunk) = timeout(LONGEST_SILENCE, next(&mut body)).await? {
        for event in reader.read(&chunk?)? {
            if event.name == EVENT {
                routes.apply(serde_json::from_str::<RouteTable>(&event.data)?).await;
                routes.set_followed(true);
                *heard = true;
            }
        }
    }
    Ok(())
}

async fn next(body: &mut ReplyBody) -> Option<Result<Bytes, Broken>> {
    poll_fn(|cx| body.poll_data(cx)).await
}

fn request() -> Call {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
    Call { method: Method::GET, path: PathAndQuery::from_static("/v1/routes"), headers }
}
