//! The two requests that a client of an asynchronous tier makes: put in, and fetch.

use super::desk::Desk;
use super::record::{KeptAnswer, NewRequest, Progress, Standing, kept_headers};
use super::store::StoreError;
use crate::answer::{Answer, json};
use crate::forward::Job;
use crate::refusal::Refusal;
use crate::request::RESULTS;
use crate::tier::Tier;
use evenkeel_fleet::model::AsynchronousSettings;
use http::header::{HeaderValue, LOCATION, RETRY_AFTER};
use http::{Method, StatusCode};
use serde::Serialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Accepts a request: 202 once it is durable, 429 when too many wait.
pub(crate) async fn accept(
    desk: &Desk,
    tier: &Tier,
    settings: &AsynchronousSettings,
    job: Job,
) -> Result<Answer, Refusal> {
    if job.call.method != Method::POST {
        let message = format!("tier `{}` answers later: only POST can be put in", tier.name);
        return Err(Refusal::wrong_method("POST", message));
    }
    // 122 bits from the operating system: the id is the only key to the answer.
    let id = uuid::Uuid::new_v4().to_string();
    let request = NewRequest {
        id: id.clone(),
        path: job.call.path.to_string(),
        headers: kept_headers(&job.call.headers),
        body: job.body,
    };
    let (name, limit) = (tier.name.clone(), settings.max_queued);
    let accepted = desk.ask(move |store| store.accept(&name, &request, job.arrived, limit)).await;
    match accepted {
        Ok(true) => {
            tier.places_changed.notify_one();
            Ok(accepted_answer(&id))
        }
        Ok(false) => {
            tier.tally.failed.increment();
            Err(full(tier))
        }
        Err(error) => {
            tier.tally.failed.increment();
            Err(unusable(&error))
        }
    }
}

fn accepted_answer(id: &str) -> Answer {
    let status_url = format!("{RESULTS}{id}");
    let location = HeaderValue::from_str(&status_url);
    let mut answer = json(StatusCode::ACCEPTED, &Accepted { id, status: "queued", status_url });
    if let Ok(location) = location {
        answer.headers_mut().insert(LOCATION, location);
    }
    answer
}

fn full(tier: &Tier) -> Refusal {
    let after = tier.retry_after();
    let message = format!("as many requests as may wait for tier `{}`: try again in {after} s", tier.name);
    Refusal::for_now(StatusCode::TOO_MANY_REQUESTS, "queue_full", message, after)
}

fn unusable(error: &StoreError) -> Refusal {
    tracing::error!(%error, "cannot use the asynchronous queue");
    no_queue()
}

/// The durable queue cannot be used.
pub(crate) fn no_queue() -> Refusal {
    let message =
        "the request could not be kept: try again; where that does not help, the gateway's log says what does";
    Refusal::for_now(StatusCode::SERVICE_UNAVAILABLE, "queue_unusable", message, 5)
}

/// Answers `GET /v1/async/{id}`.
pub(crate) async fn result(desk: &Desk, id: &str) -> Result<Answer, Refusal> {
    let asked = id.to_owned();
    let found = desk.ask(move |store| store.find(&asked)).await.map_err(|error| unusable(&error))?;
    let Some(mut progress) = found else {
        let message = "no such request: the id is wrong, or its answer was kept as long as answers are kept";
        return Err(Refusal::new(StatusCode::NOT_FOUND, "request_not_found", message));
    };
    let inside = desk.backlog(&progress.tier).is_some_and(|backlog| backlog.is_inside(id));
    if progress.standing == Standing::Running && !inside {
        // Handed out, and no replica has it: it waits here like any other.
        progress.standing = Standing::Queued;
    }
    let mut answer = json(StatusCode::OK, &ProgressDocument::of(id, &progress));
    if progress.finished.is_none() {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Ok(answer)
}

#[derive(Serialize)]
struct Accepted<'a> {
    id: &'a str,
    status: &'static str,
    status_url: String,
}

#[derive(Serialize)]
struct ProgressDocument<'a> {
    id: &'a str,
    tier: &'a str,
    status: &'static str,
    attempts: u32,
    accepted_at_us: i64,
    finished_at_us: Option<i64>,
    /// From acceptance to the hand-over that was answered.
    queue_time_us: Option<i64>,
    result: Option<ResultDocument<'a>>,
    error: Option<&'a str>,
}

#[derive(Serialize)]
struct ResultDocument<'a> {
    status_code: u16,
    content_type: &'a str,
    body: ResultBody<'a>,
}

/// JSON stays JSON, everything else is text.
#[derive(Serialize)]
#[serde(untagged)]
enum ResultBody<'a> {
    Json(&'a RawValue),
    Text(Cow<'a, str>),
}

impl<'a> ProgressDocument<'a> {
    fn of(id: &'a str, progress: &'a Progress) -> Self {
        Self {
            id,
            tier: &progress.tier,
            status: progress.standing.name(),
            attempts: progress.attempts,
            accepted_at_us: progress.accepted.as_micros(),
            finished_at_us: progress.finished.map(|at| at.as_micros()),
            queue_time_us: progress.handed_over.map(|at| at.since(progress.accepted).as_micros()),
            result: progress.answer.as_ref().map(ResultDocument::of),
            error: progress.error.as_deref(),
        }
    }
}

impl<'a> ResultDocument<'a> {
    fn of(answer: &'a KeptAnswer) -> Self {
        let body = match serde_json::from_slice(&answer.body) {
            Ok(raw) => ResultBody::Json(raw),
            Err(_) => ResultBody::Text(String::from_utf8_lossy(&answer.body)),
        };
        Self { status_code: answer.status.as_u16(), content_type: &answer.content_type, body }
    }
}
