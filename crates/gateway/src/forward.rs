//! Carries one request to a replica and its answer back.
//!
//! The head of the answer is held until the first piece of the body has come. Until then nothing was promised to the
//! client, so whatever fails is tried elsewhere, as far as the tier's queue allows. From then on nothing is: the client
//! has seen a part of one answer, and another one would not continue it.

use crate::answer::{Answer, AnswerBody, BrokenOff, Refusal};
use crate::measure::Meter;
use crate::request::{Document, forwarded_response_headers};
use crate::tier::{Next, Seat, Tier};
use crate::upstream::{Broken, Call, Replica, Reply, ReplyBody};
use bytes::Bytes;
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::queue::Failure;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderName, Response, StatusCode};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::timeout;

/// Tells the tier that answered.
pub(crate) const TIER_NAME: HeaderName = HeaderName::from_static("x-evenkeel-tier");
/// Tells the replica that answered.
const REPLICA_NAME: HeaderName = HeaderName::from_static("x-evenkeel-replica");

/// Tells how long the request waited here for that replica or an earlier one that failed it, microseconds.
const QUEUE_TIME: HeaderName = HeaderName::from_static("x-evenkeel-queue-time-us");

/// A request, ready to be carried to any replica of its tier.
#[derive(Debug)]
pub(crate) struct Job {
    /// When it had arrived in full. A client's slowness in sending is not ours and adds no latency.
    pub(crate) arrived: Time,
    /// Whether this is its first hand-over, which alone counts as queue time.
    pub(crate) first_hand_over: bool,
    /// Method, path and headers.
    pub(crate) call: Call,
    /// The body as the client sent it.
    pub(crate) body: Bytes,
    /// What the gateway read in the body.
    pub(crate) document: Document,
}

/// An answer of which at least the first piece, or all, has come.
#[derive(Debug)]
pub(crate) struct Delivery {
    reply: Reply,
    first: Option<Bytes>,
    replica: Arc<Replica>,
    queue_time: Option<Span>,
    /// `None` when the answer is the last failure of a request that is given up.
    seat: Option<Seat>,
    meter: Meter,
}

/// Queues `job` in `tier` and tries replicas until one begins to answer or the tier's queue gives up.
///
/// # Errors
/// The refusal to send: the queue is full, no replica came in time, or every try failed without an answer.
pub(crate) async fn deliver(tier: &Arc<Tier>, job: &Job, first_byte: Duration) -> Result<Delivery, Refusal> {
    let mut seat = Seat::take(tier, job.arrived, job.first_hand_over);
    loop {
        let replica = seat.replica().await?;
        let attempt = timeout(first_byte, attempt(&replica, job)).await;
        let (failure, refusal) = match attempt {
            Ok(Ok((reply, first))) => {
                let bad = reply.head.status.is_server_error();
                if bad && seat.failed(Failure::Error) == Next::Again {
                    continue;
                }
                let meter = Meter::new(job.arrived, job.document.prompt_tokens, &reply.head.headers);
                let queue_time = seat.queue_time();
                return Ok(Delivery { reply, first, replica, queue_time, seat: (!bad).then_some(seat), meter });
            }
            Ok(Err(broken)) => (Failure::from(&broken), unreachable_replica(tier, &replica, &broken)),
            Err(_elapsed) => (Failure::TimedOut, silent_replica(tier, first_byte)),
        };
        if seat.failed(failure) == Next::GiveUp {
            return Err(refusal);
        }
    }
}

/// One try: the answer's head and the first piece of its body.
async fn attempt(replica: &Replica, job: &Job) -> Result<(Reply, Option<Bytes>), Broken> {
    let body = job.document.with_model(&job.body, &replica.served_model);
    let mut reply = replica.origin.send(&job.call, &body).await?;
    let first = poll_fn(|cx| reply.body.poll_data(cx)).await.transpose()?;
    Ok((reply, first))
}

fn unreachable_replica(tier: &Tier, replica: &Replica, broken: &Broken) -> Refusal {
    tracing::warn!(tier = tier.name, replica = %replica.id, error = %broken, "gave a request up");
    let message = format!("every replica of tier `{}` that was tried broke the connection: try again", tier.name);
    Refusal::for_now(StatusCode::BAD_GATEWAY, "replica_unreachable", message, 1)
}

fn silent_replica(tier: &Tier, limit: Duration) -> Refusal {
    let message = format!("no replica of tier `{}` began to answer within {} s: try again", tier.name, limit.as_secs());
    Refusal::for_now(StatusCode::GATEWAY_TIMEOUT, "replica_silent", message, 1)
}

impl Delivery {
    /// The answer to the client, whose body is relayed as it comes.
    pub(crate) fn into_answer(self, tier: &Arc<Tier>) -> Answer {
        let status = self.reply.head.status;
        let mut headers = forwarded_response_headers(self.reply.head.headers);
        headers.insert(REPLICA_NAME, self.replica.id_header.clone());
        if let Some(waited) = self.queue_time {
            headers.insert(QUEUE_TIME, HeaderValue::from(waited.as_micros()));
        }
        let over = self.first.is_none() || self.reply.body.is_over();
        let body = RelayedBody {
            tier: Arc::clone(tier),
            status,
            first: None,
            rest: self.reply.body,
            seat: self.seat,
            meter: self.meter,
            broke_off: false,
        };
        let mut answer = Response::new(body.started(self.first, over));
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        answer
    }

    /// The least length that the answer will have.
    fn announced(&self) -> u64 {
        let first = self.first.as_ref().map_or(0, Bytes::len) as u64;
        let length = self.reply.head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        length.and_then(|length| length.parse().ok()).unwrap_or(0).max(first)
    }

    /// The whole answer, at most `limit` bytes of it.
    ///
    /// # Errors
    /// When it is longer, or breaks off.
    pub(crate) async fn collect(self, tier: &Arc<Tier>, limit: u64) -> Result<Collected, CollectError> {
        // Told before anything counts as a success, where the length is known beforehand.
        if self.announced() > limit {
            return Err(CollectError::TooLong);
        }
        let status = self.reply.head.status;
        let kind = self.reply.head.headers.get(CONTENT_TYPE);
        let content_type = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("").to_owned();
        let mut answer = self.into_answer(tier).into_body();
        let mut body = Vec::new();
        while let Some(piece) = poll_fn(|cx| answer.poll_piece(cx)).await {
            let piece = piece.map_err(|BrokenOff| CollectError::BrokenOff)?;
            if (body.len() + piece.len()) as u64 > limit {
                return Err(CollectError::TooLong);
            }
            body.extend_from_slice(&piece);
        }
        Ok(Collected { status, content_type, body })
    }
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Collected {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its content type; empty when there was none.
    pub(crate) content_type: String,
    /// Its body.
    pub(crate) body: Vec<u8>,
}

/// Why an answer could not be had whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CollectError {
    /// It is longer than allowed.
    TooLong,
    /// It broke off.
    BrokenOff,
}

/// A replica's answer on its way to the client. It is read only as fast as the client reads; dropped, it closes the
/// connection to the replica and frees the request's place there.
#[derive(Debug)]
pub(crate) struct RelayedBody {
    tier: Arc<Tier>,
    status: StatusCode,
    first: Option<Bytes>,
    rest: ReplyBody,
    seat: Option<Seat>,
    meter: Meter,
    /// The replica broke off; what it said before is still to be flushed to the client.
    broke_off: bool,
}

impl RelayedBody {
    /// The body whose first piece came; one that is over already needs no relaying.
    fn started(mut self, first: Option<Bytes>, over: bool) -> AnswerBody {
        let now = self.tier.clock.now();
        if let Some(first) = &first {
            self.meter.see(first, now, &self.tier.tally);
        }
        if over {
            self.end_well(now);
            return AnswerBody::Whole(first);
        }
        if let Some(seat) = &self.seat {
            seat.first_byte();
        }
        self.first = first;
        AnswerBody::Relayed(Box::new(self))
    }

    /// The next piece for the client.
    pub(crate) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BrokenOff>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if self.broke_off {
            return Poll::Ready(Some(Err(BrokenOff)));
        }
        match ready!(self.rest.poll_data(cx)) {
            Some(Ok(data)) => {
                let now = self.tier.clock.now();
                self.meter.see(&data, now, &self.tier.tally);
                if self.rest.is_over() {
                    self.end_well(now);
                }
                Poll::Ready(Some(Ok(data)))
            }
            Some(Err(_broken)) => {
                if let Some(seat) = self.seat.take() {
                    seat.end_broken();
                }
                // An error drops what is not yet flushed, and a pause flushes it: the client gets all that there is.
                self.broke_off = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                self.end_well(self.tier.clock.now());
                Poll::Ready(None)
            }
        }
    }

    /// Whether nothing more will come.
    pub(crate) fn is_over(&self) -> bool {
        self.first.is_none() && self.rest.is_over()
    }

    fn end_well(&mut self, now: Time) {
        let Some(seat) = self.seat.take() else { return };
        seat.end_well(now);
        if self.status.is_client_error() {
            self.tier.tally.client_errors.increment();
        } else {
            self.meter.succeed(now, &self.tier.tally);
        }
    }
}
