//! What the backend and the tasks that tend its replicas have in common.

use super::blocking::blocking;
use super::fence::Fence;
use super::log_file::LogLimits;
use super::registry::{Entry, Registry};
use super::state_files::Record;
use evenkeel_controller::ports::{BackendError, Clock};
use evenkeel_core::observe::{ReplicaId, ReplicaState};
use evenkeel_core::units::Time;
use evenkeel_failpoint::{Point, hit};
use evenkeel_fleet::model::LocalSettings;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::watch;

pub(crate) struct Shared {
    pub(crate) fleet: String,
    /// Absolute.
    pub(crate) fleet_file: PathBuf,
    /// The folder of the fleet file: replicas run here, and relative programs are found from here.
    pub(crate) working_dir: PathBuf,
    /// Absolute.
    pub(crate) state_dir: PathBuf,
    /// The program that a first word `evenkeel` stands for.
    pub(crate) evenkeel: PathBuf,
    pub(crate) logs: LogLimits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) fence: Fence,
    /// False for one that only observes.
    pub(crate) acts: bool,
    /// Whether anything may be done without an order; false until the loop's first word.
    pub(crate) permitted: watch::Sender<bool>,
    /// The newest epoch that this backend has obeyed.
    pub(crate) epoch: AtomicU64,
    pub(crate) tiers: RwLock<BTreeMap<String, LocalSettings>>,
    pub(crate) registry: Mutex<Registry>,
}

impl Shared {
    pub(crate) fn now(&self) -> Time {
        self.clock.now()
    }

    /// The registry. A task that panicked while it held it left whole entries behind: each is changed in one step. The
    /// loop's tick asks for it, so nobody writes, not even to the log, while holding it: a disk or a pipe may hang.
    pub(crate) fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn settings(&self, tier: &str) -> Option<LocalSettings> {
        self.tiers.read().unwrap_or_else(PoisonError::into_inner).get(tier).cloned()
    }

    /// Whether this backend may act and no newer controller has taken over. An unreadable epoch means that it cannot be
    /// known.
    pub(crate) async fn in_charge(self: &Arc<Self>) -> bool {
        let newest = self.on_disk(|shared| shared.fence.current()).await;
        let epoch = self.epoch.load(Ordering::Relaxed);
        self.acts && newest.is_some_and(|current| current.is_ok_and(|current| current <= epoch))
    }

    /// Does what may wait for a disk, off the threads that serve; `None` when the runtime is closing.
    pub(crate) async fn on_disk<T: Send + 'static>(
        self: &Arc<Self>,
        job: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let shared = Arc::clone(self);
        blocking(move || job(&shared)).await.ok()
    }

    /// Whether something may be done without an order, as far as the operator is concerned.
    pub(crate) fn is_permitted(&self) -> bool {
        *self.permitted.borrow()
    }

    /// Changes a replica, unless it was forgotten meanwhile.
    pub(crate) fn change(&self, id: &ReplicaId, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = self.registry().entries.get_mut(id) {
            change(entry);
        }
    }

    /// Notes that a replica failed, for its tier's breaker and for people.
    pub(crate) fn failed(&self, id: &ReplicaId, note: String) {
        let now = self.now();
        let mut registry = self.registry();
        let Some(entry) = registry.entries.get_mut(id) else { return };
        let served = entry.state == ReplicaState::Ready;
        entry.enter(ReplicaState::Failed, now, Some(note.clone()));
        let (tier, launched) = (entry.place.tier.clone(), entry.launched);
        registry.breaker(&tier).failed(launched, now, note.clone(), served);
        drop(registry);
        tracing::warn!(tier, %id, note, "a replica failed");
    }

    /// Notes that all processes of a replica have ended. A failed one stays listed for a while, any other is forgotten.
    pub(crate) async fn gone(self: &Arc<Self>, tier: &str, id: &ReplicaId) {
        let (tier, gone) = (tier.to_owned(), id.clone());
        self.on_disk(move |shared| Record::remove(&shared.state_dir, &tier, &gone)).await;
        self.left(id);
    }

    /// The same as far as this process knows of it.
    pub(crate) fn left(&self, id: &ReplicaId) {
        let mut registry = self.registry();
        let failed = registry.entries.get_mut(id).is_some_and(|entry| {
            entry.gone = true;
            entry.state == ReplicaState::Failed
        });
        if !failed {
            registry.entries.remove(id);
        }
    }

    /// Tells the task that tends a replica of `tier` to end it. One that is ending, has failed or is unknown stays as it
    /// is.
    pub(crate) fn order_end(&self, tier: &str, id: &ReplicaId, grace: Duration) {
        let Some(end) = self.begin_end(tier, id) else { return };
        // Written before the signal: a controller that takes over in this moment goes on with the end. And not under the
        // registry's lock, which nobody may hold while a disk hangs.
        let micros = u64::try_from(grace.as_micros()).unwrap_or(u64::MAX);
        if let Err(error) = Record::mark_ending(&self.state_dir, tier, id, micros) {
            tracing::warn!(tier, %id, %error, "could not write down that a replica ends");
        }
        if let Err(error) = hit(Point::BackendEnd) {
            tracing::warn!(tier, %id, %error, "an end is written down and goes on all the same");
        }
        end.send_replace(Some(grace));
    }

    /// Marks a replica as draining and gives what ends it; `None` where there is nothing to end.
    fn begin_end(&self, tier: &str, id: &ReplicaId) -> Option<watch::Sender<Option<Duration>>> {
        let now = self.now();
        let mut registry = self.registry();
        let entry = registry.entries.get_mut(id).filter(|entry| entry.place.tier == tier)?;
        if matches!(entry.state, ReplicaState::Draining | ReplicaState::Failed) {
            return None;
        }
        let never_ready = entry.state == ReplicaState::Starting;
        entry.enter(ReplicaState::Draining, now, None);
        let end = entry.end.clone();
        if never_ready {
            registry.breaker(tier).abandoned();
        }
        Some(end)
    }
}

/// The error for a tier that the fleet file does not have.
pub(crate) fn no_such_tier(tier: &str) -> BackendError {
    BackendError::NotFound(format!("the fleet file has no local tier {tier}"))
}
