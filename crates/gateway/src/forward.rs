//! Carries one request to a replica and its answer back.
//!
//! The head of the answer is held until the first piece of the body has come. Until then nothing was promised to the
//! client, so whatever fails is tried elsewhere, as far as the tier's queue allows. From then on nothing is: the client
//! has seen a part of one answer, and another one would not continue it.

use crate::answer::{Answer, AnswerBody};
use crate::clock::{Clock, span};
use crate::measure::Meter;
use crate::refusal::Refusal;
use crate::relay::RelayedBody;
use crate::request::{Document, HeldBody, forwarded_response_headers};
use crate::tier::{Next, Seat, Tier, Whereabouts};
use crate::upstream::{Broken, Call, Replica, Reply};
use bytes::Bytes;
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::queue::Failure;
use evenkeel_failpoint::{Point, hit};
use http::header::HeaderValue;
use http::{HeaderName, Response, StatusCode};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout_at;

/// Tells the tier that answered.
pub(crate) const TIER_NAME: HeaderName = HeaderName::from_static("x-evenkeel-tier");
/// Tells the replica that answered.
const REPLICA_NAME: HeaderName = HeaderName::from_static("x-evenkeel-replica");
/// Tells how long the request waited here until that replica got it, microseconds.
const QUEUE_TIME: HeaderName = HeaderName::from_static("x-evenkeel-queue-time-us");

/// A request, ready to be carried to any replica of its tier.
#[derive(Debug)]
pub(crate) struct Job {
    /// When it had arrived in full. A client's slowness in sending is not ours and adds no latency.
    pub(crate) arrived: Time,
    /// Where it is told whether the request is inside a replica, if someone wants to know.
    pub(crate) whereabouts: Option<Arc<Whereabouts>>,
    /// Method, path and headers.
    pub(crate) call: Call,
    /// The body as the client sent it.
    pub(crate) body: HeldBody,
    /// What the gateway read in the body.
    pub(crate) document: Document,
}

/// An answer of which at least the first piece, or all, has come.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Head and body.
    pub(crate) reply: Reply,
    /// The first piece of the body; `None` when it has none.
    pub(crate) first: Option<Bytes>,
    replica: Arc<Replica>,
    /// When that replica got the request.
    pub(crate) handed_over: Time,
    /// From the request's arrival to then.
    pub(crate) queue_time: Span,
    /// `None` when the answer is the last failure of a request that is given up.
    pub(crate) seat: Option<Seat>,
    /// What follows the answer.
    pub(crate) meter: Meter,
}

/// How long a replica may take to begin an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    /// Without sending a piece of any answer. One that is full lets a request wait, and shows by the others that it lives.
    pub(crate) silence: Duration,
    /// In all.
    pub(crate) whole: Duration,
}

/// A stream may take so many times as long to begin as its replica may be silent: one request that is lost among others
/// that are served.
const STREAMS_BEGIN_WITHIN: u32 = 10;

impl Limit {
    /// For a stream of a replica that may be silent for so long; `whole` is what any answer may take.
    pub(crate) fn of_stream(silence: Duration, whole: Duration) -> Self {
        Self { silence, whole: whole.min(silence * STREAMS_BEGIN_WITHIN) }
    }

    /// For an answer in one piece: while it is computed nothing can be heard of it.
    pub(crate) const fn of_one_piece(whole: Duration) -> Self {
        Self { silence: whole, whole }
    }
}

/// Queues `job` in `tier` and tries replicas until one begins to answer or the tier's queue gives up.
///
/// # Errors
/// The refusal to send: the queue is full, no replica came in time, or every try failed without an answer.
pub(crate) async fn deliver(tier: &Arc<Tier>, job: &Job, limit: Limit) -> Result<Delivery, Refusal> {
    let mut seat = Seat::take(tier, job.whereabouts.clone());
    loop {
        let (replica, handed_over) = seat.replica().await?;
        let broken = match attempt_within(limit, tier.clock, &replica, job).await {
            Ok(Ok((reply, first))) => {
                let bad = reply.head.status.is_server_error();
                // An engine whose front refuses for it is not heard of.
                if reply.head.status.is_success() {
                    replica.hear(tier.clock.now());
                }
                if bad && seat.failed(Failure::Error) == Next::Again {
                    continue;
                }
                let seat = (!bad).then_some(seat);
                let meter = Meter::new(job.arrived, job.document.prompt_tokens, &reply.head.headers);
                let queue_time = handed_over.since(job.arrived);
                return Ok(Delivery { reply, first, replica, handed_over, queue_time, seat, meter });
            }
            Ok(Err(broken)) => Ok(broken),
            Err(waited) => Err(waited),
        };
        let failure = broken.as_ref().map_or(Failure::TimedOut, Failure::from);
        if seat.failed(failure) == Next::GiveUp {
            return Err(match broken {
                Ok(broken) => unreachable_replica(tier, &replica, &broken),
                Err(waited) => silent_replica(tier, &replica, waited),
            });
        }
    }
}

/// One try, given up when the limit is over: then it tells which.
async fn attempt_within(
    limit: Limit,
    clock: Clock,
    replica: &Replica,
    job: &Job,
) -> Result<Result<(Reply, Option<Bytes>), Broken>, Duration> {
    let begun = clock.now();
    let last = begun + span(limit.whole);
    let mut attempt = pin!(attempt(replica, job));
    loop {
        let silent_at = begun.max(replica.heard()) + span(limit.silence);
        if let Ok(came) = timeout_at(clock.instant(silent_at.min(last)).into(), attempt.as_mut()).await {
            return Ok(came);
        }
        if silent_at >= last {
            return Err(limit.whole);
        }
        if begun.max(replica.heard()) + span(limit.silence) <= silent_at {
            return Err(limit.silence);
        }
    }
}

/// One try: the answer's head and the first piece of its body.
async fn attempt(replica: &Replica, job: &Job) -> Result<(Reply, Option<Bytes>), Broken> {
    let body = job.document.with_model(&job.body, &replica.served_model);
    hit(Point::HandOver).map_err(|error| Broken::Cut(error.into()))?;
    let mut reply = replica.origin.send(&job.call, &body).await?;
    let first = poll_fn(|cx| reply.body.poll_data(cx)).await.transpose()?;
    hit(Point::HandedOver).map_err(|error| Broken::Cut(error.into()))?;
    Ok((reply, first))
}

fn unreachable_replica(tier: &Tier, replica: &Replica, broken: &Broken) -> Refusal {
    tracing::warn!(tier = tier.name, replica = %replica.id, error = %broken, "gave a request up");
    let message = format!("every replica of tier `{}` that was tried broke the connection: try again", tier.name);
    Refusal::for_now(StatusCode::BAD_GATEWAY, "replica_unreachable", message, 1)
}

fn silent_replica(tier: &Tier, replica: &Replica, limit: Duration) -> Refusal {
    tracing::warn!(tier = tier.name, replica = %replica.id, ?limit, "gave a request up that no replica began to answer");
    let message = format!("no replica of tier `{}` began to answer within {limit:?}: try again", tier.name);
    Refusal::for_now(StatusCode::GATEWAY_TIMEOUT, "replica_silent", message, 1)
}

impl Delivery {
    /// The answer to the client, whose body is relayed as it comes.
    pub(crate) fn into_answer(self, tier: &Arc<Tier>) -> Answer {
        // A request that is given up was never taken: there is no end to its waiting.
        if self.seat.is_some() {
            tier.tally.record(LatencyMetric::QueueTime, self.queue_time);
        }
        let status = self.reply.head.status;
        let mut headers = forwarded_response_headers(self.reply.head.headers);
        headers.insert(REPLICA_NAME, self.replica.id_header.clone());
        headers.insert(QUEUE_TIME, HeaderValue::from(self.queue_time.as_micros()));
        let body =
            RelayedBody::begin((tier, self.replica), status, (self.first, self.reply.body), self.seat, self.meter);
        let mut answer = Response::new(AnswerBody::from(body));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        answer
    }
}
