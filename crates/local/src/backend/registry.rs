//! What the backend knows of its replicas, in memory: `list` answers from here at once.

use super::breaker::Breaker;
use evenkeel_controller::ports::{BackendError, BackendReplica};
use evenkeel_core::observe::{ReplicaId, ReplicaState};
use evenkeel_core::units::{Span, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// A failed replica is listed this long, so that its note can be read.
pub(crate) const FAILED_SHOWN: Span = Span::from_secs(30);

/// Where a replica runs on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) tier: String,
    pub(crate) id: ReplicaId,
    pub(crate) port: u16,
    pub(crate) index: u32,
    pub(crate) gpu: Option<String>,
}

/// One replica.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) place: Place,
    pub(crate) state: ReplicaState,
    pub(crate) since: Time,
    pub(crate) note: Option<String>,
    pub(crate) launched: Time,
    /// It has been ready long enough to clear its tier's record of failures, once.
    pub(crate) proved: bool,
    /// Its processes have all ended: index, GPU and port are free again.
    pub(crate) gone: bool,
    /// Tells the task that tends it to end it, and with which grace.
    pub(crate) end: watch::Sender<Option<Duration>>,
    /// Stops the task, not the replica.
    pub(crate) task: Option<AbortHandle>,
}

impl Entry {
    /// A replica that is starting at `now`.
    pub(crate) fn starting(place: Place, now: Time) -> Self {
        Self {
            place,
            state: ReplicaState::Starting,
            since: now,
            note: None,
            launched: now,
            proved: false,
            gone: false,
            end: watch::Sender::new(None),
            task: None,
        }
    }

    /// Changes its state; one that stays keeps its time.
    pub(crate) fn enter(&mut self, state: ReplicaState, now: Time, note: Option<String>) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
        self.note = note;
    }

    fn shown(&self) -> BackendReplica {
        let serving = matches!(self.state, ReplicaState::Ready | ReplicaState::Draining);
        let starting = self.state == ReplicaState::Starting;
        BackendReplica {
            id: self.place.id.clone(),
            state: self.state,
            since: self.since,
            url: (serving || starting).then(|| format!("http://127.0.0.1:{}", self.place.port)),
            note: self.note.clone(),
        }
    }
}

/// Every replica and every tier's breaker.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) entries: BTreeMap<ReplicaId, Entry>,
    breakers: BTreeMap<String, Breaker>,
}

impl Registry {
    /// The tier's replicas, by name. Failed ones whose time is up are forgotten.
    pub(crate) fn list(&mut self, tier: &str, now: Time) -> Vec<BackendReplica> {
        self.entries.retain(|_, entry| {
            !(entry.gone && entry.state == ReplicaState::Failed && now.since(entry.since) >= FAILED_SHOWN)
        });
        self.entries.values().filter(|entry| entry.place.tier == tier).map(Entry::shown).collect()
    }

    /// Forgets the failures of `tier`.
    pub(crate) fn forgive(&mut self, tier: &str) {
        self.breakers.remove(tier);
    }

    /// The tier's record of failures.
    pub(crate) fn breaker(&mut self, tier: &str) -> &mut Breaker {
        self.breakers.entry(tier.to_owned()).or_default()
    }

    /// Ports given to replicas that may still use them.
    pub(crate) fn taken_ports(&self) -> BTreeSet<u16> {
        self.occupying().map(|entry| entry.place.port).collect()
    }

    /// The smallest index that is free in `tier`.
    pub(crate) fn free_index(&self, tier: &str) -> u32 {
        let taken: BTreeSet<u32> =
            self.occupying().filter(|entry| entry.place.tier == tier).map(|entry| entry.place.index).collect();
        (0..).find(|index| !taken.contains(index)).unwrap_or(u32::MAX)
    }

    /// The first of `gpus` that no replica of any tier has; `None` when the tier lists none.
    pub(crate) fn free_gpu(&self, tier: &str, gpus: &[String]) -> Result<Option<String>, BackendError> {
        let taken: BTreeSet<&String> = self.occupying().filter_map(|entry| entry.place.gpu.as_ref()).collect();
        match gpus.iter().find(|gpu| !taken.contains(gpu)) {
            Some(gpu) => Ok(Some(gpu.clone())),
            None if gpus.is_empty() => Ok(None),
            None => Err(BackendError::NoCapacity(format!("all {} GPUs of tier {tier} are in use", gpus.len()))),
        }
    }

    fn occupying(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().filter(|entry| !entry.gone)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const START: Time = Time::from_micros(0);

    fn add(registry: &mut Registry, tier: &str, id: &str, index: u32, gpu: Option<&str>) {
        let id = ReplicaId(id.to_owned());
        let place = Place { tier: tier.to_owned(), id: id.clone(), port: 4000, index, gpu: gpu.map(str::to_owned) };
        registry.entries.insert(id, Entry::starting(place, START));
    }

    #[test]
    fn the_smallest_free_index_is_given_and_a_gpu_belongs_to_one_replica_of_all_tiers() {
        let mut registry = Registry::default();
        add(&mut registry, "gold", "a", 0, Some("0"));
        add(&mut registry, "gold", "c", 2, None);
        add(&mut registry, "silver", "b", 1, Some("1"));
        assert_eq!(registry.free_index("gold"), 1);
        let gpus = ["0", "1", "2"].map(str::to_owned);
        assert_eq!(registry.free_gpu("gold", &gpus), Ok(Some("2".to_owned())));
        assert!(matches!(registry.free_gpu("gold", &gpus[..2]), Err(BackendError::NoCapacity(_))));
        assert_eq!(registry.free_gpu("gold", &[]), Ok(None));
    }

    #[test]
    fn a_failed_replica_is_listed_for_thirty_seconds_and_holds_its_gpu_until_its_processes_are_gone() {
        let mut registry = Registry::default();
        add(&mut registry, "gold", "a", 0, Some("0"));
        let id = ReplicaId("a".to_owned());
        let entry = registry.entries.get_mut(&id).unwrap();
        entry.enter(ReplicaState::Failed, START + Span::from_secs(5), Some("ended".to_owned()));
        assert!(registry.free_gpu("gold", &["0".to_owned()]).is_err());
        // +60 s: a process of it hangs in the kernel, so it stays listed.
        assert_eq!(registry.list("gold", START + Span::from_secs(60)).len(), 1);
        registry.entries.get_mut(&id).unwrap().gone = true;
        assert!(registry.free_gpu("gold", &["0".to_owned()]).is_ok());
        assert_eq!(registry.list("gold", START + Span::from_secs(34)).len(), 1);
        assert!(registry.list("gold", START + Span::from_secs(35)).is_empty());
    }
}
