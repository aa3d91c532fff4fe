//! A replica's answer in one piece, to be kept.

use super::record::KeptAnswer;
use crate::forward::Delivery;
use crate::measure::Meter;
use crate::tier::Tier;
use crate::upstream::{Broken, ReplyBody};
use bytes::Bytes;
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::{Span, Time};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use std::future::poll_fn;

/// A whole answer. It is not counted yet: only one that is kept counts, and it once.
#[derive(Debug)]
pub(super) struct Collected {
    /// The answer.
    pub(super) answer: KeptAnswer,
    /// What was seen of it.
    pub(super) seen: Seen,
}

/// What is counted of an answer once it is kept.
#[derive(Debug)]
pub(super) struct Seen {
    meter: Meter,
    queue_time: Span,
    ended: Time,
}

/// Why an answer could not be had whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CollectError {
    /// It is longer than allowed.
    TooLong,
    /// It broke off.
    BrokenOff,
}

impl Seen {
    /// Counts an answer that went well.
    pub(super) fn count_success(&self, tier: &Tier) {
        tier.tally.record(LatencyMetric::QueueTime, self.queue_time);
        self.meter.succeed(self.ended, &tier.tally);
    }

    /// Counts an answer that refuses the request for the client's own mistake.
    pub(super) fn count_client_error(&self, tier: &Tier) {
        tier.tally.record(LatencyMetric::QueueTime, self.queue_time);
        tier.tally.client_errors.increment();
    }
}

/// Reads an answer to its end, at most `limit` bytes of it.
///
/// # Errors
/// When it is longer, or breaks off.
pub(super) async fn collect(mut delivery: Delivery, tier: &Tier, limit: u64) -> Result<Collected, CollectError> {
    if announced(&delivery) > limit {
        return Err(CollectError::TooLong);
    }
    if let Some(seat) = &delivery.seat {
        seat.first_byte();
    }
    let mut body = Vec::new();
    let mut next = delivery.first.take();
    while let Some(piece) = next {
        if (body.len() + piece.len()) as u64 > limit {
            return Err(CollectError::TooLong);
        }
        delivery.meter.see(&piece, tier.clock.now(), &tier.tally);
        body.extend_from_slice(&piece);
        let Ok(following) = next_piece(&mut delivery.reply.body).await else {
            if let Some(seat) = delivery.seat.take() {
                seat.end_broken();
            }
            return Err(CollectError::BrokenOff);
        };
        next = following;
    }
    let ended = tier.clock.now();
    if let Some(seat) = delivery.seat.take() {
        seat.end_well(ended);
    }
    let seen = Seen { meter: delivery.meter, queue_time: delivery.queue_time, ended };
    let kind = delivery.reply.head.headers.get(CONTENT_TYPE);
    let content_type = kind.and_then(|kind| kind.to_str().ok()).unwrap_or("").to_owned();
    Ok(Collected { answer: KeptAnswer { status: delivery.reply.head.status, content_type, body }, seen })
}

async fn next_piece(body: &mut ReplyBody) -> Result<Option<Bytes>, Broken> {
    poll_fn(|cx| body.poll_data(cx)).await.transpose()
}

/// The length that the answer says it will have; 0 where it does not.
fn announced(delivery: &Delivery) -> u64 {
    let length = delivery.reply.head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length.and_then(|length| length.parse().ok()).unwrap_or(0)
}
