//! Who waits, in order of arrival; those that a replica just failed are kept apart by that replica, so that finding the
//! first it may have takes no scan.

use super::RequestId;
use super::replicas::Slot;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

/// Requests are numbered in order of arrival, so one that comes back finds its old place: before all that came later.
#[derive(Debug, Default)]
pub(super) struct WaitingLines {
    /// Those that no replica failed, in order.
    fresh: VecDeque<RequestId>,
    /// Those that came back, by who failed them.
    returned: BTreeMap<Slot, BTreeSet<RequestId>>,
    len: usize,
}

impl WaitingLines {
    /// A request that has just arrived, after all others.
    pub(super) fn push(&mut self, id: RequestId) {
        self.fresh.push_back(id);
        self.len += 1;
    }

    /// One that comes back; `avoid` is the replica that failed it.
    pub(super) fn insert(&mut self, id: RequestId, avoid: Slot) {
        if self.returned.entry(avoid).or_default().insert(id) {
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, id: RequestId, avoid: Option<Slot>) {
        let removed = match avoid {
            None => self.fresh.binary_search(&id).ok().and_then(|place| self.fresh.remove(place)).is_some(),
            Some(slot) => self.remove_returned(id, slot),
        };
        self.len -= usize::from(removed);
    }

    fn remove_returned(&mut self, id: RequestId, avoid: Slot) -> bool {
        let Some(line) = self.returned.get_mut(&avoid) else { return false };
        let removed = line.remove(&id);
        if line.is_empty() {
            self.returned.remove(&avoid);
        }
        removed
    }

    /// The first of all.
    pub(super) fn first(&self) -> Option<RequestId> {
        self.fresh.front().into_iter().chain(self.returned.values().filter_map(BTreeSet::first)).min().copied()
    }

    /// The first that does not avoid `replica`.
    pub(super) fn first_for(&self, replica: Slot) -> Option<RequestId> {
        let welcome = self.returned.iter().filter(|(avoid, _)| **avoid != replica);
        self.fresh.front().into_iter().chain(welcome.filter_map(|(_, line)| line.first())).min().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}
