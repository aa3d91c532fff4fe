//! How much of a tier waits, on disk and in hand.
//!
//! That a request was accepted, when, and how often it was handed out is on disk. Whether a replica has it is a fact of
//! this process alone, kept here: after a restart none has any, whatever was handed out before, and all of it waits
//! again.

use super::store::Waiting;
use crate::tier::Whereabouts;
use evenkeel_core::units::{Span, Time};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What waits in one tier.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// Requests waiting in the file, as of the last batch.
    stored: AtomicU64,
    /// When the oldest of them was accepted, microseconds; 0 when none waits.
    oldest_stored: AtomicI64,
    /// What is handed out, by its name.
    held: Mutex<BTreeMap<String, Held>>,
}

#[derive(Clone, Debug)]
struct Held {
    accepted: Time,
    whereabouts: Arc<Whereabouts>,
}

impl Backlog {
    /// Requests waiting in the file.
    pub(crate) fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Requests that no replica has.
    pub(crate) fn queued(&self) -> u64 {
        let waiting = self.lock().values().filter(|held| !held.whereabouts.is_inside()).count();
        self.stored() + waiting as u64
    }

    /// Since when the oldest of them waits, from its acceptance; zero when none waits.
    pub(crate) fn oldest_age(&self, now: Time) -> Span {
        let stored = Some(self.oldest_stored.load(Ordering::Relaxed)).filter(|&micros| micros != 0);
        let held = self.lock().values().filter(|held| !held.whereabouts.is_inside()).map(|held| held.accepted).min();
        let oldest = stored.map(Time::from_micros).into_iter().chain(held).min();
        oldest.map_or(Span::ZERO, |accepted| now.since(accepted))
    }

    /// Whether a replica has the request `id`.
    pub(crate) fn is_inside(&self, id: &str) -> bool {
        self.lock().get(id).is_some_and(|held| held.whereabouts.is_inside())
    }

    /// Takes what was read from the file.
    pub(super) fn note(&self, waiting: Waiting) {
        self.stored.store(waiting.queued, Ordering::Relaxed);
        self.oldest_stored.store(waiting.oldest.map_or(0, Time::as_micros), Ordering::Relaxed);
    }

    /// Holds the request `id`, accepted at `accepted`, until the lease is dropped.
    pub(super) fn lease(self: &Arc<Self>, id: &str, accepted: Time) -> Lease {
        let whereabouts = Arc::<Whereabouts>::default();
        self.lock().insert(id.to_owned(), Held { accepted, whereabouts: Arc::clone(&whereabouts) });
        Lease { backlog: Arc::clone(self), id: id.to_owned(), whereabouts }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request in hand.
#[derive(Debug)]
pub(super) struct Lease {
    backlog: Arc<Backlog>,
    id: String,
    /// Whether a replica has it.
    pub(super) whereabouts: Arc<Whereabouts>,
}

impl Drop for Lease {
    /// A later hand-out of the same request may have begun: that one stays.
    fn drop(&mut self) {
        let mut held = self.backlog.lock();
        if held.get(&self.id).is_some_and(|held| Arc::ptr_eq(&held.whereabouts, &self.whereabouts)) {
            held.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Time {
        Time::from_micros(1_700_000_000_000_000 + secs * 1_000_000)
    }

    #[test]
    fn what_is_in_hand_and_in_no_replica_waits_since_it_was_accepted() {
        let backlog = Arc::<Backlog>::default();
        backlog.note(Waiting { queued: 2, oldest: Some(at(5)) });
        assert_eq!((backlog.queued(), backlog.oldest_age(at(9))), (2, Span::from_secs(4)));
        let lease = backlog.lease("a", at(1));
        assert_eq!((backlog.queued(), backlog.oldest_age(at(9))), (3, Span::from_secs(8)));
        drop(lease);
        assert_eq!((backlog.queued(), backlog.oldest_age(at(9))), (2, Span::from_secs(4)));
    }

    #[test]
    fn the_end_of_an_earlier_hand_out_leaves_the_later_one_held() {
        let backlog = Arc::<Backlog>::default();
        let earlier = backlog.lease("a", at(1));
        let later = backlog.lease("a", at(1));
        drop(earlier);
        assert_eq!(backlog.queued(), 1);
        drop(later);
        assert_eq!(backlog.queued(), 0);
    }
}
