//! Who waits, in order of arrival; those that a replica just failed are kept apart by that replica, so that finding the
//! first it may have takes no scan.

use super::RequestId;
use super::replicas::Slot;
use alloc::collections::{BTreeMap, BTreeSet};

/// Requests are numbered in order of arrival, so one that comes back finds its old place: before all that came later.
#[derive(Debug, Default)]
pub(super) struct WaitingLines {
    lines: BTreeMap<Option<Slot>, BTreeSet<RequestId>>,
    len: usize,
}

impl WaitingLines {
    /// `avoid` is the replica that just failed it.
    pub(super) fn insert(&mut self, id: RequestId, avoid: Option<Slot>) {
        if self.lines.entry(avoid).or_default().insert(id) {
            self.len += 1;
        }
    }

    pub(super) fn remove(&mut self, id: RequestId, avoid: Option<Slot>) {
        let Some(line) = self.lines.get_mut(&avoid) else { return };
        if line.remove(&id) {
            self.len -= 1;
        }
        if line.is_empty() {
            self.lines.remove(&avoid);
        }
    }

    /// The first of all.
    pub(super) fn first(&self) -> Option<RequestId> {
        self.lines.values().filter_map(|line| line.first()).min().copied()
    }

    /// The first that does not avoid `replica`.
    pub(super) fn first_for(&self, replica: Slot) -> Option<RequestId> {
        let welcome = self.lines.iter().filter(|(avoid, _)| **avoid != Some(replica));
        welcome.filter_map(|(_, line)| line.first()).min().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }
}
