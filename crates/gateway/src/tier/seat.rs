//! A request's place in its tier, from arrival to end. Dropped before the end, the client has left.

use super::Tier;
use super::state::{Verdict, Word};
use crate::answer::Refusal;
use crate::upstream::{Broken, Replica};
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::queue::{Failure, RequestId};
use std::sync::Arc;

/// A place in a tier's queue or on one of its replicas.
#[derive(Debug)]
pub(crate) struct Seat {
    tier: Arc<Tier>,
    id: RequestId,
    arrived: Time,
    /// The queue's word on where it goes next; `None` once it was taken.
    word: Option<Word>,
    /// Whether the first hand-over counts as queue time.
    counts: bool,
    /// From arrival to the first hand-over; `None` before it.
    queue_time: Option<Span>,
    over: bool,
}

/// Whether a request that failed goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It waits for another replica.
    Again,
    /// It ends here.
    GiveUp,
}

impl From<&Broken> for Failure {
    fn from(broken: &Broken) -> Self {
        match broken {
            Broken::NotConnected(_) | Broken::ConnectTimedOut => Self::Unreached,
            Broken::Cut(_) | Broken::Closed => Self::Broke,
            // It answered, and wrongly: another try at the cost of the budget.
            Broken::Malformed(_) => Self::Error,
        }
    }
}

impl Seat {
    /// Queues a request that arrived at `arrived`; `counts` tells that its hand-over counts as queue time.
    pub(crate) fn take(tier: &Arc<Tier>, arrived: Time, counts: bool) -> Self {
        let (id, word) = tier.with_state(|state| state.enqueue(tier.clock.now()));
        Self { tier: Arc::clone(tier), id, arrived, word: Some(word), counts, queue_time: None, over: false }
    }

    /// Waits for the replica that the request goes to.
    ///
    /// # Errors
    /// When the queue refuses it.
    pub(crate) async fn replica(&mut self) -> Result<Arc<Replica>, Refusal> {
        match self.verdict().await {
            Verdict::Go(replica) => {
                self.note_hand_over();
                Ok(replica)
            }
            Verdict::Refused(reason) => {
                self.end_failed();
                Err(self.tier.refusal(reason))
            }
        }
    }

    /// From arrival to the first hand-over; `None` before it.
    pub(crate) fn queue_time(&self) -> Option<Span> {
        self.queue_time
    }

    fn note_hand_over(&mut self) {
        if self.queue_time.is_some() {
            return;
        }
        let waited = self.tier.clock.now().since(self.arrived);
        self.queue_time = Some(waited);
        if self.counts {
            self.tier.tally.record(LatencyMetric::QueueTime, waited);
        }
    }

    /// A try failed before the first byte.
    pub(crate) fn failed(&mut self, failure: Failure) -> Next {
        let now = self.tier.clock.now();
        match self.tier.with_state(|state| state.fail(now, self.id, failure)) {
            Word::Said(Verdict::Refused(_)) => {
                self.end_failed();
                Next::GiveUp
            }
            word => {
                self.word = Some(word);
                Next::Again
            }
        }
    }

    /// The first byte of the answer goes out: from here on there is no other try.
    pub(crate) fn first_byte(&self) {
        let now = self.tier.clock.now();
        self.tier.with_state(|state| state.queue.first_byte(now, self.id));
    }

    /// The answer is through.
    pub(crate) fn end_well(mut self, now: Time) {
        self.over = true;
        self.tier.with_state(|state| state.complete(now, self.id));
    }

    /// The answer broke off after its first byte.
    pub(crate) fn end_broken(mut self) {
        self.failed(Failure::Broke);
    }

    #[expect(
        clippy::expect_used,
        reason = "the loop asks once for each word, and the tier, which this holds, says each"
    )]
    async fn verdict(&mut self) -> Verdict {
        match self.word.take().expect("one word for each question") {
            Word::Said(verdict) => verdict,
            Word::Later(later) => later.await.expect("the tier lives"),
        }
    }

    fn end_failed(&mut self) {
        self.over = true;
        if self.tier.asynchronous.is_none() {
            self.tier.tally.failed.increment();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let now = self.tier.clock.now();
        self.tier.with_state(|state| state.cancel(now, self.id));
        if self.tier.asynchronous.is_none() {
            self.tier.tally.cancelled.increment();
        }
    }
}
