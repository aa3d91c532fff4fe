//! Which table is in force, and putting a newer one in force.

use super::kept::KeptTable;
use crate::tier::Tier;
use evenkeel_wire::routes::{RouteTable, RouteVersion};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::spawn_blocking;

/// The tiers' common route table.
#[derive(Debug)]
pub(crate) struct Routes {
    fleet: String,
    in_force: Mutex<InForce>,
    /// Whether newer tables would be heard of.
    followed: AtomicBool,
    kept: Option<KeptTable>,
}

/// The tiers, and the table that they follow.
#[derive(Debug)]
struct InForce {
    tiers: Vec<Arc<Tier>>,
    table: Option<RouteTable>,
}

impl InForce {
    fn apply(&self) {
        let Some(table) = &self.table else { return };
        for tier in &self.tiers {
            let routes = table.tiers.iter().find(|routes| routes.tier == tier.name);
            tier.set_routes(routes.map_or(&[], |routes| routes.replicas.as_slice()));
        }
    }
}

/// What became of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Applied {
    /// It is in force.
    InForce,
    /// The one in force is as new or newer.
    NotNewer,
    /// It is another fleet's.
    OtherFleet,
}

impl Routes {
    /// No table yet, or the one kept in `directory`.
    pub(crate) fn new(fleet: &str, tiers: Vec<Arc<Tier>>, directory: Option<&Path>) -> Self {
        let kept = directory.map(KeptTable::in_directory);
        let last = kept.as_ref().and_then(KeptTable::read);
        let in_force = Mutex::new(InForce { tiers, table: None });
        let routes = Self { fleet: fleet.to_owned(), in_force, followed: AtomicBool::new(false), kept };
        if let Some(table) = last {
            let became = routes.put_in_force(&table);
            tracing::info!(version = ?table.version, ?became, "read the kept route table");
        }
        routes
    }

    /// The version in force.
    pub(crate) fn applied(&self) -> Option<RouteVersion> {
        self.lock().table.as_ref().map(|table| table.version)
    }

    /// The tiers whose routes these are.
    pub(super) fn tiers(&self) -> Vec<Arc<Tier>> {
        self.lock().tiers.clone()
    }

    /// Has other tiers follow the table.
    pub(crate) fn set_tiers(&self, tiers: Vec<Arc<Tier>>) {
        let mut in_force = self.lock();
        in_force.tiers = tiers;
        in_force.apply();
    }

    /// Whether the controller is there to tell of newer tables.
    pub(super) fn is_followed(&self) -> bool {
        self.followed.load(Ordering::Relaxed)
    }

    /// Notes that the controller is there, or gone.
    pub(super) fn set_followed(&self, followed: bool) {
        self.followed.store(followed, Ordering::Relaxed);
    }

    /// Puts `table` in force if it is newer than the one that is, and keeps it.
    pub(crate) async fn apply(&self, table: RouteTable) -> Applied {
        let became = self.put_in_force(&table);
        match became {
            Applied::InForce => self.keep(table).await,
            Applied::NotNewer => self.tell_older(table.version),
            Applied::OtherFleet => {
                tracing::warn!(ours = self.fleet, theirs = table.fleet, "refused another fleet's route table");
            }
        }
        became
    }

    fn put_in_force(&self, table: &RouteTable) -> Applied {
        if table.fleet != self.fleet {
            return Applied::OtherFleet;
        }
        // Held while the tiers change, so that two tables are never mixed.
        let mut in_force = self.lock();
        if in_force.table.as_ref().is_some_and(|applied| table.version <= applied.version) {
            return Applied::NotNewer;
        }
        in_force.table = Some(table.clone());
        in_force.apply();
        Applied::InForce
    }

    fn lock(&self) -> MutexGuard<'_, InForce> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees that the table in force is on disk, as its writing may be under way still, and writes none after it: the place
    /// is the next gateway's.
    pub(crate) async fn keep_for_the_next(&self) {
        let table = self.lock().table.clone();
        if let Some(table) = table {
            self.keep(table).await;
        }
        if let Some(kept) = &self.kept {
            kept.leave();
        }
    }

    /// Written by a thread of its own: no disk holds up a request.
    async fn keep(&self, table: RouteTable) {
        let Some(kept) = self.kept.clone() else { return };
        let written = spawn_blocking(move || kept.write(&table)).await;
        if let Err(error) = written.map_err(io::Error::from).flatten() {
            tracing::warn!(%error, "the route table could not be kept: a restart without the controller would not serve");
        }
    }

    /// An equal version is what each reconnection brings; an older one means that a controller lost its memory.
    fn tell_older(&self, theirs: RouteVersion) {
        if self.applied().is_some_and(|ours| theirs < ours) {
            let fix = "if the controller's state was deleted on purpose, delete the gateway's state too and restart it";
            tracing::warn!(ours = ?self.applied(), ?theirs, fix, "refused an older route table");
        }
    }
}
