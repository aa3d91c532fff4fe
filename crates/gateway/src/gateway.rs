//! What a gateway process knows, and what it answers by itself.

use crate::answer::{Answer, json, with_body};
use crate::asynchronous::{Desk, StoreError, accept, no_queue, result};
use crate::clock::Clock;
use crate::error::GatewayError;
use crate::forward::{Job, Limit, TIER_NAME, deliver};
use crate::in_force::InForce;
use crate::prometheus;
use crate::refusal::Refusal;
use crate::request::{BodyPatience, BodyRoom, Document, Endpoint, ROOM_WAIT, forwarded_request_headers, read_body};
use crate::routes::Routes;
use crate::state::{Earlier, StateDirectory};
use crate::tier::Tier;
use crate::upstream::Call;
use bytes::Bytes;
use evenkeel_core::units::Time;
use evenkeel_fleet::model::Fleet;
use evenkeel_wire::report::{GatewayReport, TierReport};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::Incoming;
use serde::Serialize;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// One gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// Changes with each start: a reader of the report then knows that every count began anew.
    instance: String,
    clock: Clock,
    in_force: RwLock<Arc<InForce>>,
    /// Whether all of the fleet file as it stands is in force.
    file_in_force: AtomicBool,
    pub(crate) routes: Routes,
    /// The durable queue of the asynchronous tiers; `None` when there is no such tier, or when it cannot be used.
    pub(crate) desk: Option<Arc<Desk>>,
    /// Those that were here before; `None` without a state directory, where there is nothing to leave to another.
    earlier: Option<Earlier>,
    patience: Patience,
    bodies: BodyRoom,
}

/// How long others may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// A replica, to begin an answer in one piece, which begins when all of it is there.
    pub(crate) whole: Duration,
    /// A client, to send its request's body.
    pub(crate) body: BodyPatience,
}

impl Gateway {
    /// The gateway of `fleet`, with the routes and the waiting requests that an earlier one left in `state`. It holds
    /// `body_room` bytes of request bodies at once, or one body where that is more.
    ///
    /// # Errors
    /// When a tier is asynchronous and its queue cannot be opened.
    pub(crate) fn new(
        fleet: &Fleet,
        state: Option<&StateDirectory>,
        patience: Patience,
        body_room: u64,
    ) -> Result<Self, GatewayError> {
        let clock = Clock::anchored();
        let in_force = InForce::new(fleet, clock);
        Ok(Self {
            instance: uuid::Uuid::new_v4().to_string(),
            clock,
            routes: Routes::new(&fleet.spec.name, in_force.all(), state.map(StateDirectory::path)),
            desk: open_desk(&in_force.tiers, state)?.map(Arc::new),
            earlier: state.and_then(earlier_in),
            in_force: RwLock::new(Arc::new(in_force)),
            file_in_force: AtomicBool::new(true),
            patience,
            bodies: BodyRoom::new(body_room.max(fleet.gateway.max_body_bytes), ROOM_WAIT),
        })
    }

    /// What of the fleet file is in force now.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        Arc::clone(&self.in_force.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a changed fleet file in force, as far as it goes while the gateway runs; returns the keys that wait for a
    /// restart. Requests that are here stay where they are.
    pub(crate) fn take_over(&self, fleet: &Fleet) -> Vec<String> {
        let (changed, waits) = self.in_force().changed_to(fleet, self.clock);
        self.put_in_force(changed);
        waits
    }

    /// Forgets tiers that the fleet file no longer has, once their last request has ended.
    pub(crate) fn drop_those_that_left(&self) {
        if let Some(changed) = self.in_force().without_those_that_left() {
            self.put_in_force(changed);
        }
    }

    /// Notes whether all of the fleet file as it stands is in force.
    pub(crate) fn note_file_in_force(&self, in_force: bool) {
        self.file_in_force.store(in_force, Ordering::Relaxed);
    }

    /// A new tier has its routes before a request can name it, and a larger body its room before it can come.
    fn put_in_force(&self, changed: InForce) {
        self.bodies.grow_to(changed.max_body_bytes);
        self.routes.set_tiers(changed.all());
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(changed);
    }

    /// Answers one request.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let answered = match Endpoint::of(&head.method, head.uri.path()) {
            Ok(Endpoint::Health) => Ok(text(StatusCode::OK, "ok\n")),
            Ok(Endpoint::Readiness) => Ok(self.readiness()),
            Ok(Endpoint::Report) => Ok(json(StatusCode::OK, &self.report())),
            Ok(Endpoint::Metrics) => Ok(self.metrics()),
            Ok(Endpoint::Models) => self.models(&head),
            Ok(Endpoint::Result(id)) => self.result(id).await,
            Ok(Endpoint::Inference) => self.infer(head, body).await,
            Err(refused) => Err(refused),
        };
        answered.unwrap_or_else(|refused| refused.answer())
    }

    fn readiness(&self) -> Answer {
        match self.routes.applied() {
            Some(_) => text(StatusCode::OK, "ready\n"),
            None => text(StatusCode::SERVICE_UNAVAILABLE, "no route table yet\n"),
        }
    }

    fn metrics(&self) -> Answer {
        let file_in_force = self.file_in_force.load(Ordering::Relaxed);
        prometheus::answer(&self.report(), &self.in_force().all(), file_in_force, self.bodies.held())
    }

    /// What was seen so far.
    pub(crate) fn report(&self) -> GatewayReport {
        let at = self.clock.now();
        let in_force = self.in_force();
        let earlier_answers = self.earlier.as_ref().is_some_and(|it| it.answers(in_force.longest_answer));
        let tiers = in_force.all();
        let known = tiers.iter().filter(|tier| self.knows(tier));
        // What an asynchronous tier had under way came back to the queue.
        let report = |tier: &Arc<Tier>| TierReport {
            earlier_answers: earlier_answers && tier.asynchronous.is_none(),
            ..self.tier_report(tier, at)
        };
        let (instance, applied) = (self.instance.clone(), self.routes.applied());
        GatewayReport { instance, at, applied, tiers: known.map(report).collect() }
    }

    /// Without its queue nobody knows what waits in an asynchronous tier, and it is left out: missing is not zero.
    fn knows(&self, tier: &Tier) -> bool {
        tier.asynchronous.is_none() || self.desk.is_some()
    }

    /// What waits in the durable queue waits as much as what waits in memory. What is handed out and in no replica counts
    /// with it, from its acceptance on.
    fn tier_report(&self, tier: &Tier, at: Time) -> TierReport {
        let mut report = tier.report(at);
        if let Some(backlog) = self.desk.as_ref().and_then(|desk| desk.backlog(&tier.name)) {
            report.queued = backlog.queued();
            report.oldest_queued_us = backlog.oldest_age(at);
        }
        report
    }

    async fn result(&self, id: &str) -> Result<Answer, Refusal> {
        match &self.desk {
            Some(desk) => result(desk, id).await,
            None if self.in_force().all().iter().any(|tier| tier.asynchronous.is_some()) => Err(no_queue()),
            None => {
                let message = "this fleet has no asynchronous tier";
                Err(Refusal::new(StatusCode::NOT_FOUND, "request_not_found", message))
            }
        }
    }

    /// Every tier is listed, also one at zero: a request for it is what wakes it.
    fn models(&self, head: &Parts) -> Result<Answer, Refusal> {
        let in_force = self.in_force();
        let named = in_force.directory.destination(&head.headers, &head.uri)?.tier;
        let tiers = in_force.tiers.iter().enumerate();
        let listed = tiers.filter(|(position, _)| named.is_none_or(|named| named == *position));
        let data: Vec<Model> = listed.map(|(_, tier)| Model::of(tier)).collect();
        Ok(json(StatusCode::OK, &Models { object: "list", data }))
    }

    /// Carries a request to its tier.
    async fn infer(&self, head: Parts, body: Incoming) -> Result<Answer, Refusal> {
        let in_force = self.in_force();
        let destination = in_force.directory.destination(&head.headers, &head.uri)?;
        if destination.tier.is_none() && head.method != Method::POST {
            return Err(nothing_there(&head));
        }
        refuse_encoded(&head.headers)?;
        let body = read_body(body, in_force.max_body_bytes, self.patience.body, &self.bodies).await?;
        let document = read_document(&head.headers, &body, destination.tier.is_some())?;
        let position = match destination.tier {
            Some(position) => position,
            None => in_force.directory.by_model(document.model.as_deref())?,
        };
        let job = Job {
            arrived: self.clock.now(),
            whereabouts: None,
            call: Call {
                method: head.method,
                path: destination.path,
                headers: forwarded_request_headers(head.headers),
            },
            body,
            document,
        };
        match in_force.tiers.get(position) {
            Some(tier) => Ok(self.carry(tier, job, in_force.first_byte).await),
            None => Err(Refusal::new(StatusCode::NOT_FOUND, "model_not_found", "the tier does not exist")),
        }
    }

    async fn carry(&self, tier: &Arc<Tier>, job: Job, first_byte: Duration) -> Answer {
        tier.tally.offered.increment();
        tier.tally.offered_prompt_tokens.add(job.document.prompt_tokens);
        let answered = match (&tier.asynchronous, &self.desk) {
            (Some(settings), Some(desk)) => accept(desk, tier, settings, job).await,
            (Some(_), None) => Err(no_queue()),
            (None, _) => {
                let whole = self.patience.whole;
                let streamed = job.document.streamed;
                let limit = if streamed { Limit::of_stream(first_byte, whole) } else { Limit::of_one_piece(whole) };
                deliver(tier, &job, limit).await.map(|delivery| delivery.into_answer(tier))
            }
        };
        let mut answer = answered.unwrap_or_else(|refusal| refusal.answer());
        answer.headers_mut().insert(TIER_NAME, tier.name_header.clone());
        answer
    }
}

/// A full disk is no reason not to serve.
fn earlier_in(state: &StateDirectory) -> Option<Earlier> {
    let unknown =
        |error: &io::Error| tracing::warn!(%error, "nobody knows whether an earlier gateway still ends answers");
    state.earlier().inspect_err(unknown).ok()
}

/// Opens the durable queue if a tier needs one.
fn open_desk(tiers: &[Arc<Tier>], state: Option<&StateDirectory>) -> Result<Option<Desk>, GatewayError> {
    let later = tiers.iter().filter(|tier| tier.asynchronous.is_some());
    let names: Vec<&str> = later.map(|tier| tier.name.as_str()).collect();
    let Some(first) = names.first() else { return Ok(None) };
    let state = state.ok_or_else(|| GatewayError::NoState { tier: (*first).to_owned() })?;
    match Desk::open(state, &names) {
        Ok(desk) => Ok(Some(desk)),
        // Another version's file is a mistake to be mended; a full disk must not take the other tiers down.
        Err(error @ StoreError::Layout { .. }) => Err(error.into()),
        Err(error) if error.is_damage() => Err(GatewayError::DamagedQueue { path: Desk::file_in(state), error }),
        Err(error) => {
            tracing::error!(%error, tiers = names.join(", "), "asynchronous requests are refused until the gateway restarts");
            Ok(None)
        }
    }
}

/// The model's name inside a compressed body could be neither read nor rewritten.
fn refuse_encoded(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            let message = "the request body is compressed: send it as it is";
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "request_compressed", message))
        }
        _ => Ok(()),
    }
}

/// What the body says. One that is no JSON passes as it is where the head already named the tier.
fn read_document(headers: &HeaderMap, body: &Bytes, tier_is_known: bool) -> Result<Document, Refusal> {
    let declared = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes().starts_with(b"application/json"));
    if tier_is_known && (declared == Some(false) || body.is_empty()) {
        return Ok(Document::default());
    }
    Document::read(body).map_err(|error| {
        let example = r#"{"model": "NAME", "prompt": "Hello"}"#;
        let message = format!("the request body must be a JSON object, for example {example}: {error}");
        Refusal::new(StatusCode::BAD_REQUEST, "bad_json", message)
    })
}

/// Only a body names a model, so without POST a tier is named by the head or not at all.
fn nothing_there(head: &Parts) -> Refusal {
    let (method, path) = (&head.method, head.uri.path());
    let message = format!(
        "there is nothing at {method} {path}: inference takes POST; for an endpoint of an engine name the tier, \
         /t/TIER{path}"
    );
    Refusal::new(StatusCode::NOT_FOUND, "not_found", message)
}

fn text(status: StatusCode, words: &'static str) -> Answer {
    with_body(status, "text/plain; charset=utf-8", Bytes::from_static(words.as_bytes()))
}

/// OpenAI's list of models.
#[derive(Serialize)]
struct Models {
    object: &'static str,
    data: Vec<Model>,
}

#[derive(Serialize)]
struct Model {
    id: String,
    object: &'static str,
    created: u32,
    owned_by: &'static str,
    tier: String,
    asynchronous: bool,
    replicas_serving: usize,
}

impl Model {
    fn of(tier: &Tier) -> Self {
        Self {
            id: tier.terms().model.clone(),
            object: "model",
            created: 0,
            owned_by: "evenkeel",
            tier: tier.name.clone(),
            asynchronous: tier.asynchronous.is_some(),
            replicas_serving: tier.serving(),
        }
    }
}
