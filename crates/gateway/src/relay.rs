//! The body of a replica's answer on its way to the client.

use crate::measure::Meter;
use crate::tier::{Seat, Tier};
use crate::upstream::{Replica, ReplyBody};
use bytes::Bytes;
use evenkeel_core::units::Time;
use http::StatusCode;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Why an answer broke off after its head was sent.
#[derive(Debug, thiserror::Error)]
#[error("the replica broke off its answer")]
pub(crate) struct BrokenOff;

/// A replica's answer on its way to the client. It is read only as fast as the client reads; dropped, it closes the
/// connection to the replica and frees the request's place there.
#[derive(Debug)]
pub(crate) struct RelayedBody {
    tier: Arc<Tier>,
    replica: Arc<Replica>,
    status: StatusCode,
    first: Option<Bytes>,
    rest: ReplyBody,
    seat: Option<Seat>,
    meter: Meter,
    /// The replica broke off; what it said before is still to be flushed to the client.
    broke_off: bool,
}

impl RelayedBody {
    /// The body of which `first` has come and `rest` is on its way; `seat` is the request's place, unless it was given
    /// up.
    pub(crate) fn begin(
        (tier, replica): (&Arc<Tier>, Arc<Replica>),
        status: StatusCode,
        (first, rest): (Option<Bytes>, ReplyBody),
        seat: Option<Seat>,
        meter: Meter,
    ) -> Self {
        let mut body = Self { tier: Arc::clone(tier), replica, status, first, rest, seat, meter, broke_off: false };
        let now = tier.clock.now();
        if let Some(first) = &body.first {
            body.meter.see(first, now, &tier.tally);
        }
        if body.has_come() {
            body.end_well(now);
        } else if let Some(seat) = &body.seat {
            seat.first_byte();
        }
        body
    }

    /// Whether all of it has come already, so that it needs no relaying.
    pub(crate) fn has_come(&self) -> bool {
        self.first.is_none() || self.rest.is_over()
    }

    /// What has come.
    pub(crate) fn into_first(self) -> Option<Bytes> {
        self.first
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
                if self.status.is_success() {
                    self.replica.hear(now);
                }
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
        if self.status.is_client_error() {
            self.tier.tally.client_errors.increment();
        } else {
            self.meter.succeed(now, &self.tier.tally);
        }
        seat.end_well(now);
    }
}
