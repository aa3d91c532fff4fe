//! The HTTP side: paths, answers, streams, and what happens when a client leaves.

use super::answer::Answer;
use super::clock::Clock;
use super::driver::{Accepted, Command, Update};
use super::failure::Failure;
use super::fault::{Fault, Faulty};
use super::metrics::Reason;
use super::request::{Form, Job};
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use bytes::{Bytes, BytesMut};
use evenkeel_engine::replica::RequestId;
use futures::Stream;
use serde_json::json;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// As much as the gateway lets through.
const MAX_BODY_BYTES: usize = 8 * 1024 * 1024;

/// What every handler sees.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) model: String,
    pub(super) commands: mpsc::UnboundedSender<Command>,
    /// Until then the engine is loading and everything is refused.
    pub(super) loaded: Instant,
    pub(super) faulty: Faulty,
    pub(super) answers: AtomicU64,
}

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/completions", post(completion))
        .route("/v1/chat/completions", post(chat))
        .route("/v1/models", get(models))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .fallback(|| async { Failure::unknown_path() })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(Arc::clone(&shared), break_on_purpose))
        .layer(from_fn_with_state(Arc::clone(&shared), refuse_while_loading))
        .route("/fault/{kind}", put(change_fault))
        .with_state(shared)
}

async fn change_fault(State(shared): State<Arc<Shared>>, Path(kind): Path<String>) -> Result<StatusCode, Failure> {
    let fault = kind.parse().map_err(Failure::bad_request)?;
    if shared.faulty.change(fault) { Ok(StatusCode::NO_CONTENT) } else { Err(Failure::unknown_path()) }
}

async fn break_on_purpose(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if request.uri().path().starts_with("/v1/") {
        match shared.faulty.now() {
            Fault::FailFast => return Failure::internal("it fails fast, on purpose").into_response(),
            Fault::Silent => shared.faulty.speaks().await,
            Fault::None | Fault::NeverReady => {}
        }
    }
    next.run(request).await
}

async fn refuse_while_loading(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if Instant::now() < shared.loaded || shared.faulty.now() == Fault::NeverReady {
        return Failure::unavailable("the engine is loading: try again later").into_response();
    }
    next.run(request).await
}

async fn health() -> StatusCode {
    StatusCode::OK
}

async fn models(State(shared): State<Arc<Shared>>) -> Response {
    let created = shared.clock.now().as_micros() / 1_000_000;
    let model = json!({"id": shared.model, "object": "model", "created": created, "owned_by": "evenkeel"});
    Json(json!({"object": "list", "data": [model]})).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Result<Response, Failure> {
    let (reply, page) = oneshot::channel();
    shared.commands.send(Command::Expose(reply)).map_err(|_| stopping())?;
    let page = page.await.map_err(|_| stopping())?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], page).into_response())
}

async fn completion(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Response, Failure> {
    answer(shared, Form::Completion, body).await
}

async fn chat(State(shared): State<Arc<Shared>>, body: Bytes) -> Result<Response, Failure> {
    answer(shared, Form::Chat, body).await
}

async fn answer(shared: Arc<Shared>, form: Form, body: Bytes) -> Result<Response, Failure> {
    let at = shared.clock.now();
    let job = Job::read(form, &body, &shared.model)?;
    let answer = Answer {
        form,
        number: shared.answers.fetch_add(1, Ordering::Relaxed),
        created: at.as_micros() / 1_000_000,
        model: shared.model.clone(),
        prompt_tokens: job.prompt_tokens,
        include_usage: job.include_usage,
    };
    let streamed = job.stream;
    let (reply, accepted) = oneshot::channel();
    shared.commands.send(Command::Submit { job, at, reply }).map_err(|_| stopping())?;
    let accepted = accepted.await.map_err(|_| stopping())?;
    let accepted = accepted.map_err(|refused| Failure::bad_request(refused.to_string()))?;
    let Accepted { id, updates } = accepted;
    let progress = Following { updates, guard: CancelOnDrop { id, commands: Some(shared.commands.clone()) } };
    if streamed {
        let headers = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
        return Ok((headers, Body::from_stream(frames(answer, progress))).into_response());
    }
    let (output_tokens, reason) = progress.end().await.ok_or_else(stopping)?;
    Ok(Json(answer.body(output_tokens, reason)).into_response())
}

fn stopping() -> Failure {
    Failure::unavailable("the replica is stopping: try another")
}

/// A request's updates as they come. Dropped before the end, it cancels the request in the engine: that is how a
/// client's leaving arrives there.
struct Following {
    updates: mpsc::UnboundedReceiver<Update>,
    guard: CancelOnDrop,
}

impl Following {
    /// The newest update, all that have piled up taken together; `None` when the driver has stopped.
    async fn newest(&mut self) -> Option<Update> {
        let mut newest = self.updates.recv().await?;
        while let Ok(newer) = self.updates.try_recv() {
            newest = newer;
        }
        if matches!(newest, Update::Finished(..)) {
            self.guard.commands = None;
        }
        Some(newest)
    }

    async fn end(mut self) -> Option<(u32, Reason)> {
        loop {
            if let Update::Finished(output_tokens, reason) = self.newest().await? {
                return Some((output_tokens, reason));
            }
        }
    }
}

struct CancelOnDrop {
    id: RequestId,
    /// `None` once there is nothing left to cancel.
    commands: Option<mpsc::UnboundedSender<Command>>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(commands) = &self.commands {
            // A driver that has stopped has nothing left to cancel.
            let _ = commands.send(Command::Cancel(self.id));
        }
    }
}

/// A stream's body: an event for each token, all that are due together in one frame. A driver that stops breaks the
/// body off, so that a client cannot take the part for the whole.
fn frames(answer: Answer, progress: Following) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let token = answer.token();
    let writing = Writing { answer, token, progress, written: 0 };
    futures::stream::unfold(Some(writing), |writing| async move {
        let mut writing = writing?;
        match writing.progress.newest().await {
            Some(Update::Tokens(tokens)) => Some((Ok(writing.up_to(tokens).freeze()), Some(writing))),
            Some(Update::Finished(tokens, reason)) => Some((Ok(writing.ending(tokens, reason)), None)),
            None => Some((Err(io::Error::other("the replica stopped before the answer was complete")), None)),
        }
    })
}

struct Writing {
    answer: Answer,
    token: Bytes,
    progress: Following,
    written: u32,
}

impl Writing {
    fn up_to(&mut self, tokens: u32) -> BytesMut {
        let fresh = tokens.saturating_sub(self.written);
        let mut frame = BytesMut::with_capacity(self.token.len() * (fresh as usize + 1));
        if self.written == 0 {
            frame.extend_from_slice(&self.answer.opening().unwrap_or_default());
        }
        for _ in 0..fresh {
            frame.extend_from_slice(&self.token);
        }
        self.written = tokens;
        frame
    }

    fn ending(&mut self, tokens: u32, reason: Reason) -> Bytes {
        let mut frame = self.up_to(tokens.saturating_sub(1));
        frame.extend_from_slice(&self.answer.closing(tokens, reason));
        frame.freeze()
    }
}
