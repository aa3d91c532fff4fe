//! The route table: made from what serves, numbered when it changes.

use crate::ports::BackendReplica;
use evenkeel_core::observe::{ReplicaId, ReplicaState};
use evenkeel_wire::routes::{Route, RouteState, RouteTable, RouteVersion, TierRoutes};

/// Makes the route table and counts its versions within one epoch.
#[derive(Debug)]
pub struct Router {
    table: RouteTable,
}

impl Router {
    /// Begins with an empty table of epoch `epoch`.
    pub fn new(fleet: &str, epoch: u64) -> Self {
        let version = RouteVersion { epoch, number: 0 };
        Self { table: RouteTable { fleet: fleet.to_owned(), version, tiers: Vec::new() } }
    }

    /// Publishes `tiers` as a new version if they differ from the table in force.
    pub fn publish(&mut self, tiers: Vec<TierRoutes>) -> &RouteTable {
        if tiers != self.table.tiers {
            self.table.tiers = tiers;
            self.table.version.number += 1;
        }
        &self.table
    }

    /// The table in force.
    pub const fn table(&self) -> &RouteTable {
        &self.table
    }
}

/// One tier's routes: every replica that serves, or drains with an address.
pub fn routes_of(
    tier: &str,
    served_model: &str,
    max_outstanding: u32,
    listed: &[BackendReplica],
    drains: impl Fn(&ReplicaId) -> bool,
) -> TierRoutes {
    let route = |it: &BackendReplica| {
        let state = match it.state {
            ReplicaState::Ready if drains(&it.id) => RouteState::Draining,
            ReplicaState::Ready => RouteState::Serving,
            ReplicaState::Draining => RouteState::Draining,
            ReplicaState::Starting | ReplicaState::Failed => return None,
        };
        let url = it.url.clone()?;
        Some(Route { id: it.id.clone(), url, served_model: served_model.to_owned(), max_outstanding, state })
    };
    TierRoutes { tier: tier.to_owned(), replicas: listed.iter().filter_map(route).collect() }
}
