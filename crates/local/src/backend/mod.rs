//! One machine as a backend: a replica is a process group that outlives the controller.
//!
//! - A replica's id is the uuid of its intent. It travels in the environment of its processes, so any later controller
//!   finds them; a record in the state directory covers programs that write over their environment.
//! - A launch is carried out once for each intent, by whichever controller: the replica's log marks it.
//! - A replica that ends by itself, or is not ready in time, is reported as failed for 30 seconds with a note and is
//!   then forgotten. It is not restarted under its id: the next decision launches another in its place, and the tier's
//!   backoff and circuit (`Busy`, `NoCapacity`) slow that down. A port that was taken by somebody else is not the
//!   replica's failure: it is started again on another, under the same id.
//! - Of itself it ends, and moves to another port, only while the loop permits it: until the first tick, in the modes
//!   `observe` and `advise` and during a pause it watches what hangs, and the start deadline does not run.
//! - Whoever ends: SIGTERM to the group, SIGKILL at the deadline, and 'ended' only when the group is empty. Processes
//!   that left the group but carry the intent are killed then: nothing of a replica outlives it.
//! - Dropping the backend leaves the replicas running.

mod adopt;
mod blocking;
mod breaker;
mod fence;
mod group;
mod launch;
mod listener;
mod log_file;
mod process_table;
mod readiness;
mod registry;
mod shared;
mod state_files;
mod stop;
mod tend;

pub use fence::{FleetLock, HeldBy, LockError};
pub use listener::{foreign_listener, who_listens};
pub use log_file::LogLimits;
pub use state_files::write_atomically;
pub use stop::{Stopped, clear_stopped, is_stopped, mark_stopped, stop_fleet, unmark_stopped};

use adopt::{Found, Processes};
use async_trait::async_trait;
use blocking::blocking;
use evenkeel_controller::ports::{Backend, BackendError, BackendReplica, Capabilities, Clock, Order};
use evenkeel_core::observe::{ReplicaId, ReplicaState};
use evenkeel_core::units::Span;
use evenkeel_failpoint::{Injected, Point, hit};
use evenkeel_fleet::model::{BackendSettings, Fleet, LocalSettings};
use fence::Fence;
use futures::future::join_all;
use group::Group;
use readiness::{Answer, ask};
use registry::{Entry, Place, Registry};
use shared::{Shared, no_such_tier};
use state_files::{create_dir, is_plain, replicas_dir};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;
use tend::{Start, Tender};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// How often the machine is searched for replicas that this backend does not know.
const SEARCH_EVERY: Duration = Duration::from_secs(10);

/// What a local backend is made of.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// The fleet's name.
    pub fleet: String,
    /// The fleet file: `{file}` in commands. Replicas run in its folder, and relative programs start there.
    pub fleet_file: PathBuf,
    /// How the replicas of each tier are run.
    pub tiers: BTreeMap<String, LocalSettings>,
    /// Where lock, epoch, records and logs are; one fleet to a directory.
    pub state_dir: PathBuf,
    /// The program that a first word `evenkeel` of a command stands for.
    pub evenkeel: PathBuf,
    /// When logs are rotated and forgotten.
    pub logs: LogLimits,
}

impl LocalOptions {
    /// The options that a fleet file gives, with this very binary as `evenkeel`.
    ///
    /// # Errors
    /// When this binary's path cannot be told.
    pub fn of(fleet: &Fleet, fleet_file: &Path, state_dir: &Path) -> io::Result<Self> {
        Ok(Self {
            fleet: fleet.spec.name.clone(),
            fleet_file: fleet_file.to_owned(),
            tiers: local_tiers(fleet),
            state_dir: state_dir.to_owned(),
            evenkeel: std::env::current_exe()?,
            logs: LogLimits::default(),
        })
    }
}

/// The tiers of a fleet file that run on this machine.
pub fn local_tiers(fleet: &Fleet) -> BTreeMap<String, LocalSettings> {
    let tiers = fleet.spec.tiers.iter().zip(&fleet.tiers);
    tiers
        .map(|(spec, settings)| {
            let BackendSettings::Local(local) = &settings.backend;
            (spec.name.clone(), local.clone())
        })
        .collect()
}

/// What a backend may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It carries out orders, and while the loop permits it ends of itself what failed. Only the holder of the
    /// [`FleetLock`] has this role, in every mode: what the mode forbids is not ordered, and not permitted.
    Acts {
        /// The lock's epoch.
        epoch: u64,
    },
    /// It lists, and touches nothing: a controller that stands by while another holds the fleet.
    Observes,
}

impl From<&FleetLock> for Role {
    fn from(lock: &FleetLock) -> Self {
        Self::Acts { epoch: lock.epoch() }
    }
}

/// Replicas as processes of this machine.
pub struct LocalBackend {
    shared: Arc<Shared>,
    search: AbortHandle,
}

impl LocalBackend {
    /// Opens the backend and adopts every replica of the fleet that runs already; those that answer are ready at once.
    /// Must be called inside a tokio runtime. An observer that is to act takes the [`FleetLock`] and opens anew.
    ///
    /// # Errors
    /// When the state directory or the machine's processes cannot be read.
    pub async fn open(options: LocalOptions, role: Role, clock: Arc<dyn Clock>) -> io::Result<Self> {
        create_dir(&replicas_dir(&options.state_dir))?;
        let state_dir = options.state_dir.canonicalize()?;
        let fleet_file = options.fleet_file.canonicalize()?;
        let shared = Arc::new(Shared {
            fleet: options.fleet,
            working_dir: fleet_file.parent().map_or_else(|| state_dir.clone(), Path::to_owned),
            fleet_file,
            evenkeel: options.evenkeel,
            logs: options.logs,
            clock,
            acts: matches!(role, Role::Acts { .. }),
            epoch: AtomicU64::new(if let Role::Acts { epoch } = role { epoch } else { 0 }),
            fence: Fence::new(&state_dir),
            permitted: watch::Sender::new(false),
            state_dir,
            tiers: RwLock::new(options.tiers),
            registry: Mutex::new(Registry::default()),
        });
        adopt_all(&shared).await?;
        let search = tokio::spawn(search(Arc::clone(&shared))).abort_handle();
        Ok(Self { shared, search })
    }

    /// Takes over the tiers of a changed fleet file; running replicas keep the settings they were started with. What failed
    /// under other settings says nothing of the new ones, so a changed tier may launch at once.
    pub fn reload(&self, tiers: BTreeMap<String, LocalSettings>) {
        let before =
            std::mem::replace(&mut *self.shared.tiers.write().unwrap_or_else(PoisonError::into_inner), tiers.clone());
        let mut registry = self.shared.registry();
        for (tier, _) in tiers.iter().filter(|(tier, settings)| before.get(*tier) != Some(settings)) {
            registry.forgive(tier);
        }
    }
}

impl Drop for LocalBackend {
    /// Stops watching; the replicas run on.
    fn drop(&mut self) {
        self.search.abort();
        self.shared.registry().entries.values().filter_map(|entry| entry.task.as_ref()).for_each(AbortHandle::abort);
    }
}

#[async_trait]
impl Backend for LocalBackend {
    fn capabilities(&self) -> Capabilities {
        Capabilities { chooses_victims: true, reaches_zero: true, drains: true }
    }

    async fn list(&self, tier: &str) -> Result<Vec<BackendReplica>, BackendError> {
        hit(Point::BackendList).map_err(|error| BackendError::Unknown(error.to_string()))?;
        let now = self.shared.now();
        Ok(self.shared.registry().list(tier, now))
    }

    fn permit(&self, acts: bool) {
        self.shared.permitted.send_replace(acts);
    }

    fn strays(&self) -> Vec<(String, ReplicaId)> {
        let registry = self.shared.registry();
        let places = registry.entries.values().map(|entry| &entry.place);
        let strays = places.filter(|place| self.shared.settings(&place.tier).is_none());
        strays.map(|place| (place.tier.clone(), place.id.clone())).collect()
    }

    async fn apply(&self, order: &Order) -> Result<(), BackendError> {
        let (shared, order) = (Arc::clone(&self.shared), order.clone());
        // Files, locks and forks; and once begun it is carried out even if nobody waits for it any more.
        blocking(move || carry_out(&shared, &order))
            .await
            .unwrap_or_else(|error| Err(BackendError::Unknown(error.to_string())))
    }
}

/// Carries out an order while no other can pass: first the ends, then the launches up to the first that fails.
fn carry_out(shared: &Arc<Shared>, order: &Order) -> Result<(), BackendError> {
    if !shared.acts {
        return Err(BackendError::Denied("this controller only observes; another one acts on the fleet".to_owned()));
    }
    let unknown = |error: Injected| BackendError::Unknown(error.to_string());
    let _passage = shared.fence.pass(order.epoch)?;
    hit(Point::BackendApply).map_err(unknown)?;
    shared.epoch.fetch_max(order.epoch, Ordering::Relaxed);
    for id in &order.end {
        shared.order_end(&order.tier, id, order.grace);
    }
    for id in order.launch.iter().filter(|id| !order.end.contains(id)) {
        launch_once(shared, &order.tier, id)?;
    }
    hit(Point::BackendApplied).map_err(unknown)
}

/// Launches `id` unless it was launched before, by this or an earlier controller.
fn launch_once(shared: &Arc<Shared>, tier: &str, id: &ReplicaId) -> Result<(), BackendError> {
    let settings = shared.settings(tier).ok_or_else(|| no_such_tier(tier))?;
    if !is_plain(tier) || !is_plain(&id.0) {
        return Err(BackendError::Denied(format!("{tier} and {id} must be letters, digits, '-', '_' and '.'")));
    }
    let log_path = state_files::log_path(&shared.state_dir, tier, id);
    let known = shared.registry().entries.contains_key(id);
    if known || log_path.exists() {
        return Ok(());
    }
    shared.registry().breaker(tier).admit(tier, shared.now())?;
    let launched = reserve(shared, &settings, tier, id).and_then(|place| {
        let log = match launch::new_log(shared, tier, id) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            log => log.map_err(launch::unusable)?,
        };
        launch::spawn(shared, &settings, &place, log).map(|group| Some((place, group)))
    });
    match launched {
        Ok(Some((place, group))) => tend(shared, place, settings, group, Start::Launched),
        Ok(None) => drop(shared.registry().entries.remove(id)),
        Err(error) => {
            never_started(shared, tier, id, &log_path, &error);
            return Err(error);
        }
    }
    forget_old_logs(shared);
    Ok(())
}

/// Enters the replica into the registry with an index, a GPU and a port of its own.
fn reserve(shared: &Shared, settings: &LocalSettings, tier: &str, id: &ReplicaId) -> Result<Place, BackendError> {
    let mut registry = shared.registry();
    let place = Place {
        tier: tier.to_owned(),
        id: id.clone(),
        port: launch::free_port(&registry.taken_ports())?,
        index: registry.free_index(tier),
        gpu: registry.free_gpu(tier, &settings.gpus)?,
    };
    registry.entries.insert(id.clone(), Entry::starting(place.clone(), shared.now()));
    Ok(place)
}

/// Undoes what a launch that came to nothing has reserved, so that the same intent may be tried again.
fn never_started(shared: &Shared, tier: &str, id: &ReplicaId, log: &Path, error: &BackendError) {
    let now = shared.now();
    // The log first: as long as the replica is entered, no other launch of its intent looks for one.
    if let Err(error) = std::fs::remove_file(log)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(tier, %id, %error, "could not remove the log of a replica that never started");
    }
    let mut registry = shared.registry();
    registry.entries.remove(id);
    match error {
        // Full is not broken: the next launch may be tried as soon as there is room.
        BackendError::NoCapacity(_) => registry.breaker(tier).abandoned(),
        _ => registry.breaker(tier).failed(now, now, error.to_string(), false),
    }
}

/// Starts the task that tends a replica of the registry.
fn tend(shared: &Arc<Shared>, place: Place, settings: LocalSettings, group: Group, start: Start) {
    let id = place.id.clone();
    let mut registry = shared.registry();
    let Some(entry) = registry.entries.get_mut(&id) else { return };
    let tender = Tender { shared: Arc::clone(shared), place, settings, group, end: entry.end.subscribe(), start };
    entry.task = Some(Handle::current().spawn(tender.run()).abort_handle());
}

fn forget_old_logs(shared: &Shared) {
    let living: BTreeSet<PathBuf> = shared
        .registry()
        .entries
        .values()
        .map(|entry| state_files::log_path(&shared.state_dir, &entry.place.tier, &entry.place.id))
        .collect();
    if let Err(error) = log_file::forget_oldest(&shared.state_dir, &living, shared.logs) {
        tracing::warn!(%error, "could not remove old logs");
    }
}

/// Looks again and again for replicas that came without an order of ours, for example by a controller that was just
/// about to lose its lock.
async fn search(shared: Arc<Shared>) {
    loop {
        tokio::time::sleep(SEARCH_EVERY).await;
        if let Err(error) = adopt_all(&shared).await {
            tracing::warn!(%error, "could not search this machine for replicas");
        }
    }
}

/// Adopts every replica of the fleet that runs and is not known.
async fn adopt_all(shared: &Arc<Shared>) -> io::Result<()> {
    let looking = Arc::clone(shared);
    let look = move || {
        let search = adopt::find(&looking.fleet, &looking.state_dir)?;
        if looking.acts {
            let epoch = looking.epoch.load(Ordering::Relaxed);
            adopt::forget(&search.outdated, &looking.fence, epoch, &looking.state_dir);
        }
        io::Result::Ok(search.found)
    };
    let found = blocking(look).await.map_err(io::Error::other)??;
    let (known, unknown): (Vec<Found>, Vec<Found>) =
        found.into_iter().partition(|found| shared.registry().entries.contains_key(&found.place.id));
    let in_charge = shared.in_charge().await;
    if !in_charge {
        known.iter().filter(|found| found.ending.is_some()).for_each(|found| see_draining(shared, &found.place.id));
    }
    join_all(unknown.into_iter().map(|found| adopt(shared, found, in_charge))).await.into_iter().collect()
}

/// Shows an end that another controller ordered.
fn see_draining(shared: &Shared, id: &ReplicaId) {
    let now = shared.now();
    shared.change(id, |entry| {
        if entry.state != ReplicaState::Failed {
            entry.enter(ReplicaState::Draining, now, None);
        }
    });
}

async fn adopt(shared: &Arc<Shared>, found: Found, in_charge: bool) -> io::Result<()> {
    let mut group = found.group()?;
    if group.members().await?.is_empty() {
        // It ended while it was looked for.
        return Ok(());
    }
    let (place, now) = (found.place, shared.now());
    let settings = shared.settings(&place.tier).unwrap_or_else(unlisted);
    let led = matches!(found.processes, Processes::Led(_));
    tracing::debug!(tier = place.tier, id = %place.id, group = group.id(), led, "adopted a replica");
    let serves = led && found.ending.is_none();
    let ready = serves && ask(place.port, &settings.ready_path, group.id(), &place.id.0, true).await == Answer::Ready;
    let mut entry = Entry::starting(place.clone(), now);
    if ready {
        entry.enter(ReplicaState::Ready, now, None);
    }
    if let Some(grace) = found.ending {
        entry.enter(ReplicaState::Draining, now, None);
        entry.end.send_replace(in_charge.then_some(grace));
    }
    shared.registry().entries.entry(place.id.clone()).or_insert(entry);
    tend(shared, place, settings, group, Start::Adopted { ready });
    Ok(())
}

/// How a replica is tended whose tier the fleet file no longer has: it is only watched, never found wanting.
fn unlisted() -> LocalSettings {
    const YEARS: Span = Span::from_secs(10 * 365 * 86_400);
    LocalSettings {
        command: Vec::new(),
        environment: Vec::new(),
        gpus: Vec::new(),
        ready_path: "/health".to_owned(),
        start_deadline: YEARS,
        drain_deadline: Span::from_secs(60),
        grace: Span::from_secs(10),
    }
}
