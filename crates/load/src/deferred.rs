//! A request that is accepted first and answered later.

use crate::connections::Connections;
use crate::failure::Failure;
use crate::measured::Measured;
use crate::streaming::{queue_time, refused};
use crate::target::Target;
use crate::ticket::Ticket;
use crate::token_stream::Usage;
use bytes::Bytes;
use http::header::{HOST, LOCATION};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Polls come at a tenth of the age, so that a late answer is timed to 10 % and a long wait costs few polls.
const SHORTEST_POLL: Duration = Duration::from_millis(250);
const LONGEST_POLL: Duration = Duration::from_secs(5);

/// Larger answers are not read.
const ANSWER_BYTES: usize = 16 << 20;

/// What the gateway says when it accepts, and whenever it is asked after.
#[derive(Default, Deserialize)]
#[serde(default)]
struct StatusDocument {
    status_url: Option<String>,
    status: Option<String>,
    queue_time_us: Option<u64>,
    usage: Option<Usage>,
    #[serde(alias = "result")]
    response: Option<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    usage: Option<Usage>,
}

/// How one look at the status came out.
enum Look {
    Waiting,
    Answered(Box<Measured>),
    /// This look failed; the next may not.
    Unreachable,
}

/// Sends the request and asks after it until it is answered. The caller bounds the time.
pub(crate) async fn defer(
    connections: &Arc<Connections>,
    target: &Target,
    request: Request<Full<Bytes>>,
    ticket: &Ticket,
) -> Result<Measured, Failure> {
    let sent = Instant::now();
    let path = submit(connections, target, request).await?;
    ticket.accepted();
    loop {
        tokio::time::sleep((sent.elapsed() / 10).clamp(SHORTEST_POLL, LONGEST_POLL)).await;
        if let Look::Answered(measured) = look(connections, target, &path).await? {
            return Ok(*measured);
        }
    }
}

/// Hands the request in; gives the path of its status.
async fn submit(
    connections: &Arc<Connections>,
    target: &Target,
    request: Request<Full<Bytes>>,
) -> Result<String, Failure> {
    let (response, lease) = connections.send(request).await?;
    if !response.status().is_success() {
        return Err(refused(response, lease).await);
    }
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES).collect().await.map_err(|_| Failure::Truncated)?.to_bytes();
    lease.give_back();
    if head.status != StatusCode::ACCEPTED {
        return Err(Failure::Malformed);
    }
    status_path(&head.headers, &body, target).ok_or(Failure::Malformed)
}

/// From `status_url` in the body, else from the `Location` header. Only the path is used: an answer cannot send this
/// client to another host.
fn status_path(headers: &HeaderMap, body: &[u8], target: &Target) -> Option<String> {
    let document: StatusDocument = serde_json::from_slice(body).unwrap_or_default();
    let header = || headers.get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let uri: Uri = document.status_url.or_else(header)?.parse().ok()?;
    let path = uri.path_and_query()?.as_str();
    // An absolute address holds any prefix already; a bare path may not.
    if uri.host().is_some() || path.starts_with(&target.path("/")) {
        Some(path.to_owned())
    } else {
        Some(target.path(path))
    }
}

async fn look(connections: &Arc<Connections>, target: &Target, path: &str) -> Result<Look, Failure> {
    let request = Request::get(path).header(HOST, target.authority()).body(Full::default());
    let Ok(request) = request else { return Err(Failure::Malformed) };
    // Looking again is harmless, so a gateway that restarts between two looks loses nothing.
    let Ok((response, lease)) = connections.send(request).await else { return Ok(Look::Unreachable) };
    let status = response.status();
    if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
        return Err(refused(response, lease).await);
    }
    if status == StatusCode::TOO_MANY_REQUESTS || !status.is_success() {
        refused(response, lease).await;
        return Ok(Look::Unreachable);
    }
    let (head, body) = response.into_parts();
    let Ok(body) = Limited::new(body, ANSWER_BYTES).collect().await else { return Ok(Look::Unreachable) };
    lease.give_back();
    understand(head.status, &head.headers, &body.to_bytes())
}

/// 202 means wait; 200 means answered, unless its `status` word says otherwise.
fn understand(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Result<Look, Failure> {
    if status == StatusCode::ACCEPTED {
        return Ok(Look::Waiting);
    }
    let document: StatusDocument = serde_json::from_slice(body).unwrap_or_default();
    match document.status.as_deref() {
        Some("accepted" | "queued" | "pending" | "running" | "in_progress" | "processing") => {
            return Ok(Look::Waiting);
        }
        Some("failed" | "error" | "expired" | "cancelled" | "canceled") => return Err(Failure::Deferred),
        _ => {}
    }
    let usage = document.usage.or(document.response.and_then(|answer| answer.usage));
    Ok(Look::Answered(Box::new(Measured {
        first_token: None,
        end: Instant::now(),
        gaps: Vec::new(),
        prompt_tokens: usage.map(|usage| usage.prompt_tokens),
        output_tokens: usage.map_or(0, |usage| usage.completion_tokens),
        queue_time: document.queue_time_us.map(Duration::from_micros).or_else(|| queue_time(headers)),
    })))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn path(target: &str, body: &str) -> Option<String> {
        status_path(&HeaderMap::new(), body.as_bytes(), &Target::parse(target).unwrap())
    }

    #[test]
    fn the_status_is_asked_for_at_the_target_whatever_host_its_address_names() {
        let gateway = "http://127.0.0.1:8080";
        assert_eq!(path(gateway, r#"{"status_url":"/v1/async/7"}"#).unwrap(), "/v1/async/7");
        assert_eq!(path(gateway, r#"{"status_url":"http://elsewhere/v1/async/7?a=b"}"#).unwrap(), "/v1/async/7?a=b");
        assert_eq!(path("http://h/p", r#"{"status_url":"/v1/async/7"}"#).unwrap(), "/p/v1/async/7");
        assert_eq!(path("http://h/p", r#"{"status_url":"/p/v1/async/7"}"#).unwrap(), "/p/v1/async/7");
        assert_eq!(path(gateway, "{}"), None);
    }

    #[test]
    fn without_a_body_the_location_header_tells_the_status_address() {
        let headers = HeaderMap::from_iter([(LOCATION, "/v1/async/9".parse().unwrap())]);
        let target = Target::parse("http://127.0.0.1:1").unwrap();
        assert_eq!(status_path(&headers, b"", &target).unwrap(), "/v1/async/9");
    }

    #[test]
    fn the_status_words_are_told_apart() {
        let seen = |code, body: &str| match understand(
            StatusCode::from_u16(code).unwrap(),
            &HeaderMap::new(),
            body.as_bytes(),
        ) {
            Ok(Look::Answered(measured)) => format!("answered {}", measured.output_tokens),
            Ok(_) => "waiting".to_owned(),
            Err(failure) => failure.name().into_owned(),
        };
        assert_eq!(seen(202, ""), "waiting");
        assert_eq!(seen(200, r#"{"status":"queued"}"#), "waiting");
        assert_eq!(seen(200, r#"{"status":"failed"}"#), "deferred_failed");
        assert_eq!(seen(200, r#"{"usage":{"completion_tokens":9}}"#), "answered 9");
        let nested = r#"{"status":"succeeded","response":{"usage":{"completion_tokens":8}}}"#;
        assert_eq!(seen(200, nested), "answered 8");
    }
}
