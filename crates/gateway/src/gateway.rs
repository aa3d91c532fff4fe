//! What a gateway process knows, and what it answers by itself.

use crate::answer::{Answer, json, with_body};
use crate::asynchronous::{Desk, accept, result};
use crate::clock::Clock;
use crate::error::GatewayError;
use crate::forward::{Job, TIER_NAME, deliver};
use crate::prometheus;
use crate::refusal::Refusal;
use crate::request::{BodyPatience, Directory, Document, Endpoint, forwarded_request_headers, read_body};
use crate::routes::Routes;
use crate::state::StateDirectory;
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
use std::sync::Arc;
use std::time::Duration;

/// One gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// Changes with each start: a reader of the report then knows that every count began anew.
    instance: String,
    clock: Clock,
    directory: Directory,
    pub(crate) tiers: Vec<Arc<Tier>>,
    pub(crate) routes: Routes,
    /// The durable queue of the asynchronous tiers; `None` when there is no such tier.
    pub(crate) desk: Option<Arc<Desk>>,
    max_body_bytes: u64,
    patience: Patience,
}

/// How long others may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// A replica, to begin an answer that is streamed.
    pub(crate) streamed: Duration,
    /// A replica, to begin an answer in one piece, which begins when all of it is there.
    pub(crate) whole: Duration,
    /// A client, to send its request's body.
    pub(crate) body: BodyPatience,
}

impl Gateway {
    /// The gateway of `fleet`, with the routes and the waiting requests that an earlier one left in `state`.
    ///
    /// # Errors
    /// When a tier is asynchronous and its queue cannot be opened.
    pub(crate) fn new(fleet: &Fleet, state: Option<&StateDirectory>, patience: Patience) -> Result<Self, GatewayError> {
        let clock = Clock::anchored();
        let halves = fleet.spec.tiers.iter().zip(&fleet.tiers);
        let tier = |(spec, settings)| Arc::new(Tier::new(spec, settings, &fleet.gateway, clock));
        let tiers: Vec<Arc<Tier>> = halves.map(tier).collect();
        Ok(Self {
            instance: uuid::Uuid::new_v4().to_string(),
            clock,
            directory: Directory::of(fleet),
            routes: Routes::new(&fleet.spec.name, tiers.clone(), state.map(StateDirectory::path)),
            desk: open_desk(&tiers, state)?.map(Arc::new),
            tiers,
            max_body_bytes: fleet.gateway.max_body_bytes,
            patience,
        })
    }

    /// Answers one request.
    pub(crate) async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let answered = match Endpoint::of(&head.method, head.uri.path()) {
            Ok(Endpoint::Health) => Ok(text(StatusCode::OK, "ok\n")),
            Ok(Endpoint::Readiness) => Ok(self.readiness()),
            Ok(Endpoint::Report) => Ok(json(StatusCode::OK, &self.report())),
            Ok(Endpoint::Metrics) => Ok(prometheus::answer(&self.report(), &self.tiers)),
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

    /// What was seen so far.
    pub(crate) fn report(&self) -> GatewayReport {
        let at = self.clock.now();
        GatewayReport {
            instance: self.instance.clone(),
            at,
            applied: self.routes.applied(),
            tiers: self.tiers.iter().map(|tier| self.tier_report(tier, at)).collect(),
        }
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
            None => {
                let message = "this fleet has no asynchronous tier";
                Err(Refusal::new(StatusCode::NOT_FOUND, "request_not_found", message))
            }
        }
    }

    /// Every tier is listed, also one at zero: a request for it is what wakes it.
    fn models(&self, head: &Parts) -> Result<Answer, Refusal> {
        let named = self.directory.destination(&head.headers, &head.uri)?.tier;
        let tiers = self.tiers.iter().enumerate();
        let listed = tiers.filter(|(position, _)| named.is_none_or(|named| named == *position));
        let data: Vec<Model<'_>> = listed.map(|(_, tier)| Model::of(tier)).collect();
        Ok(json(StatusCode::OK, &Models { object: "list", data }))
    }

    /// Carries a request to its tier.
    async fn infer(&self, head: Parts, body: Incoming) -> Result<Answer, Refusal> {
        let destination = self.directory.destination(&head.headers, &head.uri)?;
        if destination.tier.is_none() && head.method != Method::POST {
            return Err(nothing_there(&head));
        }
        refuse_encoded(&head.headers)?;
        let body = read_body(body, self.max_body_bytes, self.patience.body).await?;
        let document = read_document(&head.headers, &body, destination.tier.is_some())?;
        let position = match destination.tier {
            Some(position) => position,
            None => self.directory.by_model(document.model.as_deref())?,
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
        match self.tiers.get(position) {
            Some(tier) => Ok(self.carry(tier, job).await),
            None => Err(Refusal::new(StatusCode::NOT_FOUND, "model_not_found", "the tier does not exist")),
        }
    }

    async fn carry(&self, tier: &Arc<Tier>, job: Job) -> Answer {
        tier.tally.offered.increment();
        tier.tally.offered_prompt_tokens.add(job.document.prompt_tokens);
        let answered = match (&tier.asynchronous, &self.desk) {
            (Some(settings), Some(desk)) => accept(desk, tier, settings, job).await,
            _ => {
                let limit = if job.document.streamed { self.patience.streamed } else { self.patience.whole };
                deliver(tier, &job, limit).await.map(|delivery| delivery.into_answer(tier))
            }
        };
        let mut answer = answered.unwrap_or_else(|refusal| refusal.answer());
        answer.headers_mut().insert(TIER_NAME, tier.name_header.clone());
        answer
    }
}

/// Opens the durable queue if a tier needs one.
fn open_desk(tiers: &[Arc<Tier>], state: Option<&StateDirectory>) -> Result<Option<Desk>, GatewayError> {
    let later = tiers.iter().filter(|tier| tier.asynchronous.is_some());
    let names: Vec<&str> = later.map(|tier| tier.name.as_str()).collect();
    let Some(first) = names.first() else { return Ok(None) };
    let state = state.ok_or_else(|| GatewayError::NoState { tier: (*first).to_owned() })?;
    Ok(Some(Desk::open(state, &names)?))
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
struct Models<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u32,
    owned_by: &'static str,
    tier: &'a str,
    asynchronous: bool,
    replicas_serving: usize,
}

impl<'a> Model<'a> {
    fn of(tier: &'a Tier) -> Self {
        Self {
            id: &tier.model,
            object: "model",
            created: 0,
            owned_by: "evenkeel",
            tier: &tier.name,
            asynchronous: tier.asynchronous.is_some(),
            replicas_serving: tier.serving(),
        }
    }
}
