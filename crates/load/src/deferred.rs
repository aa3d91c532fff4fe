//! A request that is accepted first and answered later.

use crate::connections::Connections;
use crate::failure::{Failed, Failure};
use crate::measured::Measured;
use crate::said;
use crate::streaming::{queue_time, refused};
use crate::target::Target;
use crate::ticket::Ticket;
use crate::token_stream::Usage;
use bytes::Bytes;
use http::header::{HOST, LOCATION};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Polls come at a tenth of the age: a long wait costs few polls, and an answer whose own times are not told is still
/// timed to 10 %.
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
    accepted_at_us: Option<i64>,
    finished_at_us: Option<i64>,
    queue_time_us: Option<u64>,
    error: Option<Value>,
    result: Option<ResultDocument>,
    usage: Option<Usage>,
}

/// The engine's answer inside the status.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ResultDocument {
    /// JSON where the engine spoke JSON, else text.
    body: Value,
}

impl StatusDocument {
    fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// From acceptance to the answer by the gateway's own clock, on which polling leaves no mark.
    fn worked_for(&self) -> Option<Duration> {
        let micros = self.finished_at_us?.checked_sub(self.accepted_at_us?)?;
        u64::try_from(micros).ok().map(Duration::from_micros)
    }

    /// What the gateway says, and behind it what the engine answered, where either does.
    fn failed(&self) -> Failed {
        let gateway = self.error.as_ref().map(said::in_value);
        let engine = self.result.as_ref().map(|result| said::in_value(&result.body));
        let words: Vec<String> = gateway.into_iter().chain(engine).filter(|words| !words.is_empty()).collect();
        Failed { failure: Failure::Deferred, message: Some(words.join(": ")) }
    }

    fn usage(&self) -> Option<Usage> {
        let inside = || Usage::deserialize(self.result.as_ref()?.body.get("usage")?).ok();
        self.usage.or_else(inside)
    }
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
) -> Result<Measured, Failed> {
    let sent = Instant::now();
    let path = submit(connections, target, request).await?;
    let accepted = Instant::now();
    ticket.accepted();
    loop {
        tokio::time::sleep((sent.elapsed() / 10).clamp(SHORTEST_POLL, LONGEST_POLL)).await;
        if let Look::Answered(measured) = look(connections, target, &path, accepted).await? {
            return Ok(*measured);
        }
    }
}

/// Hands the request in; gives the path of its status.
async fn submit(
    connections: &Arc<Connections>,
    target: &Target,
    request: Request<Full<Bytes>>,
) -> Result<String, Failed> {
    let (response, lease) = connections.send(request).await?;
    if !response.status().is_success() {
        return Err(refused(response, lease).await);
    }
    let (head, body) = response.into_parts();
    let body = Limited::new(body, ANSWER_BYTES).collect().await.map_err(|_| Failure::Truncated)?.to_bytes();
    lease.give_back();
    if head.status != StatusCode::ACCEPTED {
        return Err(Failure::Malformed.into());
    }
    status_path(&head.headers, &body, target).ok_or(Failure::Malformed.into())
}

/// From `status_url` in the body, else from the `Location` header. Only the path is used: an answer cannot send this
/// client to another host.
fn status_path(headers: &HeaderMap, body: &[u8], target: &Target) -> Option<String> {
    let header = || headers.get(LOCATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let uri: Uri = StatusDocument::parse(body).status_url.or_else(header)?.parse().ok()?;
    let path = uri.path_and_query()?.as_str();
    // An absolute address holds any prefix already; a bare path may not.
    if uri.host().is_some() || path.starts_with(&target.path("/")) {
        Some(path.to_owned())
    } else {
        Some(target.path(path))
    }
}

async fn look(connections: &Arc<Connections>, target: &Target, path: &str, accepted: Instant) -> Result<Look, Failed> {
    let request = Request::get(path).header(HOST, target.authority()).body(Full::default());
    let Ok(request) = request else { return Err(Failure::Malformed.into()) };
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
    understand(head.status, &head.headers, &body.to_bytes(), accepted)
}

/// 202 means wait; 200 means answered, unless its `status` word says otherwise.
fn understand(status: StatusCode, headers: &HeaderMap, body: &[u8], accepted: Instant) -> Result<Look, Failed> {
    if status == StatusCode::ACCEPTED {
        return Ok(Look::Waiting);
    }
    let document = StatusDocument::parse(body);
    match document.status.as_deref() {
        Some("accepted" | "queued" | "pending" | "running" | "in_progress" | "processing") => {
            return Ok(Look::Waiting);
        }
        Some("failed" | "error" | "expired" | "cancelled" | "canceled") => return Err(document.failed()),
        _ => {}
    }
    let (usage, now) = (document.usage(), Instant::now());
    Ok(Look::Answered(Box::new(Measured {
        first_token: None,
        // An answer is never later than the moment it was seen.
        end: document.worked_for().map_or(now, |worked| (accepted + worked).min(now)),
        gaps: Vec::new(),
        prompt_tokens: usage.map(|usage| usage.prompt_tokens),
        output_tokens: usage.map_or(0, |usage| usage.completion_tokens),
        told_output_tokens: usage.and_then(Usage::told_output_tokens),
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

    /// The answer that a status of 200 with this body is.
    fn answered(body: &str, accepted: Instant) -> Option<Measured> {
        match understand(StatusCode::OK, &HeaderMap::new(), body.as_bytes(), accepted) {
            Ok(Look::Answered(measured)) => Some(*measured),
            _ => None,
        }
    }

    #[test]
    fn the_status_words_are_told_apart() {
        let now = Instant::now();
        let look =
            |code, body: &str| understand(StatusCode::from_u16(code).unwrap(), &HeaderMap::new(), body.as_bytes(), now);
        assert!(matches!(look(202, ""), Ok(Look::Waiting)));
        assert!(matches!(look(200, r#"{"status":"queued"}"#), Ok(Look::Waiting)));
        assert!(matches!(look(200, r#"{"status":"running"}"#), Ok(Look::Waiting)));
        let failed =
            look(200, r#"{"status":"failed","error":"refused","result":{"body":{"error":{"message":"too long"}}}}"#);
        let message = Some("refused: too long".to_owned());
        assert!(matches!(failed, Err(failed) if failed == Failed { failure: Failure::Deferred, message }));
        assert!(matches!(look(200, r#"{"status":"succeeded"}"#), Ok(Look::Answered(_))));
    }

    #[test]
    fn tokens_are_found_in_the_engine_s_answer_or_beside_it() {
        let now = Instant::now();
        assert_eq!(answered(r#"{"usage":{"completion_tokens":9}}"#, now).unwrap().output_tokens, 9);
        let inside = r#"{"status":"succeeded","result":{"body":{"usage":{"completion_tokens":8}}}}"#;
        assert_eq!(answered(inside, now).unwrap().output_tokens, 8);
        let text = r#"{"status":"succeeded","result":{"body":"plain words"}}"#;
        assert_eq!(answered(text, now).unwrap().output_tokens, 0);
    }

    #[test]
    fn an_answer_is_timed_by_the_gateway_s_own_clock_where_it_is_told() {
        let accepted = Instant::now() - Duration::from_secs(10);
        let told = r#"{"status":"succeeded","accepted_at_us":1000000,"finished_at_us":4000000}"#;
        assert_eq!(answered(told, accepted).unwrap().end, accepted + Duration::from_secs(3));
        // A clock that jumped puts no answer into the future.
        let jumped = r#"{"status":"succeeded","accepted_at_us":1000000,"finished_at_us":99000000}"#;
        assert!(answered(jumped, accepted).unwrap().end <= Instant::now());
        assert!(answered(r#"{"status":"succeeded"}"#, accepted).unwrap().end > accepted + Duration::from_secs(9));
    }
}
