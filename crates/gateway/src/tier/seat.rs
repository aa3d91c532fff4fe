//! A request's place in its tier, from arrival to end. Dropped before the end, the client has left.

use super::Tier;
use super::state::{Verdict, Word};
use crate::refusal::Refusal;
use crate::upstream::{Broken, Replica};
use evenkeel_core::units::Time;
use evenkeel_engine::queue::{Failure, RequestId};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A place in a tier's queue or on one of its replicas.
#[derive(Debug)]
pub(crate) struct Seat {
    tier: Arc<Tier>,
    id: RequestId,
    /// The queue's word on where it goes next; `None` once it was taken.
    word: Option<Word>,
    whereabouts: Option<Arc<Whereabouts>>,
    over: bool,
}

/// Where a request is, for whoever shows it while it is carried.
#[derive(Debug, Default)]
pub(crate) struct Whereabouts {
    inside: AtomicBool,
}

impl Whereabouts {
    /// Whether a replica has it. It stays so after an answer's end, until the request is over.
    pub(crate) fn is_inside(&self) -> bool {
        self.inside.load(Ordering::Relaxed)
    }
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
    /// Queues a request; `whereabouts` is told when a replica has it.
    pub(crate) fn take(tier: &Arc<Tier>, whereabouts: Option<Arc<Whereabouts>>) -> Self {
        let (id, word) = tier.with_state(|state| state.enqueue(tier.clock.now()));
        Self { tier: Arc::clone(tier), id, word: Some(word), whereabouts, over: false }
    }

    /// Waits for the replica that the request goes to; tells also when it was handed over.
    ///
    /// # Errors
    /// When the queue refuses it.
    pub(crate) async fn replica(&mut self) -> Result<(Arc<Replica>, Time), Refusal> {
        match self.verdict().await {
            Verdict::Go(replica) => {
                self.note_inside(true);
                Ok((replica, self.tier.clock.now()))
            }
            Verdict::Refused(reason) => {
                self.end_failed();
                Err(self.tier.refusal(reason))
            }
        }
    }

    fn note_inside(&self, inside: bool) {
        if let Some(whereabouts) = &self.whereabouts {
            whereabouts.inside.store(inside, Ordering::Relaxed);
        }
    }

    /// A try failed before the first byte.
    pub(crate) fn failed(&mut self, failure: Failure) -> Next {
        let now = self.tier.clock.now();
        self.note_inside(false);
        let tier = Arc::clone(&self.tier);
        tier.with_state(|state| match state.fail(now, self.id, failure) {
            Word::Said(Verdict::Refused(_)) => {
                self.end_failed();
                Next::GiveUp
            }
            word => {
                self.word = Some(word);
                Next::Again
            }
        })
    }

    /// The first byte of the answer goes out: from here on there is no other try.
    pub(crate) fn first_byte(&self) {
        let now = self.tier.clock.now();
        self.tier.with_state(|state| state.first_byte(now, self.id));
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
        if self.tier.asynchronous.is_none() {
            self.tier.tally.cancelled.increment();
        }
        let now = self.tier.clock.now();
        self.tier.with_state(|state| state.cancel(now, self.id));
    }
}
