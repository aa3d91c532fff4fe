//! The replicas of a tier: how much each has, who is next, who is doubted.

use super::RequestId;
use super::health::{Doubt, Health, Sign, Trust};
use super::settings::QueueSettings;
use crate::tournament::{Key, Tournament};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use evenkeel_core::units::Time;

/// A replica inside the queue: numbered once, so that indexes need not copy its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    number: u64,
    /// Where its entry stands; given again once it is gone.
    index: u32,
}

/// Fewest outstanding, then the longest unused, then the first added, in one number: comparing it takes no branch. Only those
/// that were never used are told apart by their number, of which the lower half is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank(u128);

impl Rank {
    fn of<R>(entry: &Entry<R>) -> Self {
        let number = entry.number & u64::from(u32::MAX);
        Self((u128::from(entry.outstanding) << 96) | (u128::from(entry.turn) << 32) | u128::from(number))
    }
}

impl Key for Rank {
    const LAST: Self = Self(u128::MAX);
}

/// Whether a replica takes new work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Takes new work.
    Serving,
    /// Finishes what it has.
    Draining,
    /// Gone from the route table, with requests still under way on it.
    Removed,
}

#[derive(Debug)]
struct Entry<R> {
    number: u64,
    name: R,
    standing: Standing,
    max_outstanding: u32,
    outstanding: u32,
    /// When it was last given work, counted in dispatches: the longest unused goes first among equals.
    turn: u64,
    served: u64,
    health: Health,
}

impl<R> Entry<R> {
    fn serves(&self) -> bool {
        self.standing == Standing::Serving
    }

    fn trusted(&self) -> bool {
        self.serves() && self.max_outstanding > 0 && self.health.doubt().is_none()
    }

    /// One that may have no request at all reaches nobody, so requests are held as if it were not there.
    fn reachable(&self) -> bool {
        self.serves() && self.max_outstanding > 0 && self.health.doubt() != Some(Doubt::Unreachable)
    }

    fn available(&self) -> bool {
        self.serves() && self.outstanding < self.max_outstanding && self.health.admits()
    }

    fn wakes_at(&self) -> Option<Time> {
        match self.health.trust {
            Trust::None { until, .. } if self.serves() => Some(until),
            _ => None,
        }
    }
}

/// One replica as it stands, for metrics and for whoever applies a route table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicaView<'a, R> {
    /// Its name.
    pub replica: &'a R,
    /// Whether it takes new work.
    pub standing: Standing,
    /// Requests under way on it.
    pub outstanding: u32,
    /// Requests it is given at once at most.
    pub max_outstanding: u32,
    /// It gets no work, or one request at a time, because it failed or could not be reached.
    pub ejected: bool,
    /// Requests that it failed since it last served one, if so many that it was ejected for them, and is unless all are;
    /// 0 for one that is well or cannot be reached.
    pub failed_in_a_row: u32,
    /// Of these, requests that it was given after it was ejected, to see whether it serves again.
    pub failed_probes: u32,
    /// Requests that it has answered to their end.
    pub served: u64,
}

#[derive(Debug)]
pub(super) struct Replicas<R> {
    names: BTreeMap<R, Slot>,
    entries: Vec<Option<Entry<R>>>,
    /// Places in `entries` that are free again.
    free: Vec<u32>,
    /// Who can take a request, by index: fewest outstanding first, then the longest unused, then the first added.
    available: Tournament<Rank>,
    /// Who is suspended, by the end of it.
    suspended: BTreeSet<(Time, Slot)>,
    trusted: usize,
    reachable: usize,
    added: u64,
    turns: u64,
}

impl<R: Ord + Clone> Replicas<R> {
    pub(super) fn new() -> Self {
        Self {
            names: BTreeMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            available: Tournament::default(),
            suspended: BTreeSet::new(),
            trusted: 0,
            reachable: 0,
            added: 0,
            turns: 0,
        }
    }

    /// Adds a replica, or has one that is known serve (again) with this limit.
    pub(super) fn add(&mut self, name: R, max_outstanding: u32) {
        if let Some(slot) = self.names.get(&name).copied() {
            return self.update(slot, |entry| {
                if entry.standing == Standing::Removed {
                    // The name is back for what may be another process: it starts without a record.
                    entry.health = Health::new();
                }
                entry.standing = Standing::Serving;
                entry.max_outstanding = max_outstanding;
            });
        }
        let index = self.free.pop().unwrap_or(self.entries.len() as u32);
        let slot = Slot { number: self.added, index };
        self.added += 1;
        self.names.insert(name.clone(), slot);
        let (standing, health) = (Standing::Serving, Health::new());
        let number = slot.number;
        let entry = Entry { number, name, standing, max_outstanding, outstanding: 0, turn: 0, served: 0, health };
        if index as usize == self.entries.len() {
            self.entries.push(None);
        }
        self.entries[index as usize] = Some(entry);
        self.index(slot);
    }

    /// Lets a replica finish what it has; true where it has nothing and was serving until now.
    pub(super) fn drain(&mut self, name: &R) -> bool {
        let Some(slot) = self.names.get(name).copied() else { return false };
        let was_serving = self.entry(slot).serves();
        if was_serving {
            self.update(slot, |entry| entry.standing = Standing::Draining);
        }
        was_serving && self.entry(slot).outstanding == 0
    }

    pub(super) fn remove(&mut self, name: &R) {
        if let Some(slot) = self.names.get(name).copied() {
            self.update(slot, |entry| entry.standing = Standing::Removed);
            self.forget_if_gone(slot);
        }
    }

    /// Gives a request to a replica; returns its name.
    pub(super) fn dispatch(&mut self, slot: Slot, request: RequestId) -> R {
        self.turns += 1;
        let turn = self.turns;
        self.update(slot, |entry| {
            entry.turn = turn;
            entry.outstanding += 1;
            entry.health.dispatched(request);
        });
        self.entry(slot).name.clone()
    }

    /// A request gave a sign and goes on.
    pub(super) fn learn(&mut self, slot: Slot, id: RequestId, sign: Sign, now: Time, settings: &QueueSettings) {
        if sign == Sign::Served && self.entry(slot).health.is_flawless() {
            // The usual case: nothing to learn, and no index to keep in step.
            return;
        }
        self.update(slot, |entry| entry.health.learn(id, sign, now, settings));
        self.readmit_if_all_are_doubted();
    }

    /// A request left a replica; its name, where that was the last one of a draining replica.
    pub(super) fn release(
        &mut self,
        slot: Slot,
        id: RequestId,
        sign: Sign,
        now: Time,
        settings: &QueueSettings,
    ) -> Option<R> {
        self.update(slot, |entry| {
            entry.outstanding -= 1;
            entry.served += u64::from(sign == Sign::Served);
            entry.health.learn(id, sign, now, settings);
        });
        let entry = self.entry(slot);
        let drained = (entry.standing == Standing::Draining && entry.outstanding == 0).then(|| entry.name.clone());
        self.forget_if_gone(slot);
        self.readmit_if_all_are_doubted();
        drained
    }

    /// Ends the suspensions that are over.
    pub(super) fn wake(&mut self, now: Time) {
        while let Some((_, slot)) = self.suspended.first().copied().filter(|(until, _)| *until <= now) {
            self.update(slot, |entry| entry.health.probe());
        }
        self.readmit_if_all_are_doubted();
    }

    pub(super) fn next_wake(&self) -> Option<Time> {
        self.suspended.first().map(|(until, _)| *until)
    }

    /// Who can take a request, in the order of preference.
    pub(super) fn available(&self) -> impl Iterator<Item = Slot> + '_ {
        let slot = |index: u32| self.entries[index as usize].as_ref().map(|entry| Slot { number: entry.number, index });
        let first = self.available.first().map(|(_, index)| index);
        // Whoever is not content with the first asks for the others; nearly nobody does, and where there is no first there
        // are none.
        let others = first.into_iter().flat_map(|_| self.available.in_order()).skip(1);
        first.into_iter().chain(others).filter_map(slot)
    }

    /// Whether this replica was ejected for failing.
    pub(super) fn is_failing(&self, slot: Slot) -> bool {
        self.entry(slot).health.doubt() == Some(Doubt::Failing)
    }

    /// Whether another replica than this one is fully trusted, so that waiting for it makes sense.
    pub(super) fn trusts_another(&self, slot: Slot) -> bool {
        self.trusted > usize::from(self.entry(slot).trusted())
    }

    /// Whether any replica serves and was not found unreachable.
    pub(super) fn any_reachable(&self) -> bool {
        self.reachable > 0
    }

    pub(super) fn views(&self) -> impl Iterator<Item = ReplicaView<'_, R>> {
        self.names.values().map(|slot| self.view(*slot))
    }

    pub(super) fn find(&self, name: &R) -> Option<ReplicaView<'_, R>> {
        self.names.get(name).map(|slot| self.view(*slot))
    }

    fn view(&self, slot: Slot) -> ReplicaView<'_, R> {
        let entry = self.entry(slot);
        ReplicaView {
            replica: &entry.name,
            standing: entry.standing,
            outstanding: entry.outstanding,
            max_outstanding: entry.max_outstanding,
            ejected: entry.health.doubt().is_some(),
            failed_in_a_row: entry.health.failed_in_a_row(),
            failed_probes: entry.health.failed_probes(),
            served: entry.served,
        }
    }

    /// Where every replica is doubted, those that merely fail are trusted again: when all fail, the fault is likely in
    /// the requests or behind the replicas, and serving some beats serving none. One that cannot be reached serves
    /// nobody, so it stays suspended and requests wait for it.
    fn readmit_if_all_are_doubted(&mut self) {
        if self.trusted > 0 || self.reachable == 0 {
            return;
        }
        let failing: Vec<Slot> = self.names.values().copied().filter(|slot| self.entry(*slot).reachable()).collect();
        for slot in failing {
            self.update(slot, |entry| entry.health.readmit());
        }
    }

    fn forget_if_gone(&mut self, slot: Slot) {
        let entry = self.entry(slot);
        if entry.standing == Standing::Removed && entry.outstanding == 0 {
            self.unindex(slot);
            self.available.set(slot.index, None);
            if let Some(entry) = self.entries[slot.index as usize].take() {
                self.names.remove(&entry.name);
                self.free.push(slot.index);
            }
        }
    }

    /// Changes an entry and keeps every index and count in step.
    fn update(&mut self, slot: Slot, change: impl FnOnce(&mut Entry<R>)) {
        self.unindex(slot);
        if let Some(entry) = &mut self.entries[slot.index as usize] {
            change(entry);
        }
        self.index(slot);
    }

    fn index(&mut self, slot: Slot) {
        let entry = self.entry(slot);
        let (rank, wakes_at) = (Rank::of(entry), entry.wakes_at());
        let (available, trusted, reachable) = (entry.available(), entry.trusted(), entry.reachable());
        self.trusted += usize::from(trusted);
        self.reachable += usize::from(reachable);
        self.available.set(slot.index, available.then_some(rank));
        if let Some(until) = wakes_at {
            self.suspended.insert((until, slot));
        }
    }

    fn unindex(&mut self, slot: Slot) {
        let entry = self.entry(slot);
        let wakes_at = entry.wakes_at();
        let (trusted, reachable) = (entry.trusted(), entry.reachable());
        self.trusted -= usize::from(trusted);
        self.reachable -= usize::from(reachable);
        if let Some(until) = wakes_at {
            self.suspended.remove(&(until, slot));
        }
    }

    #[expect(clippy::expect_used, reason = "a slot is kept as long as its name or a request refers to it")]
    fn entry(&self, slot: Slot) -> &Entry<R> {
        self.entries[slot.index as usize].as_ref().expect("a known replica")
    }
}
