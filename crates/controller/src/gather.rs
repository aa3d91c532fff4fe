//! Gathering inside a tick: every source and every tier's backend at once, each with a quarter of the tick. One that fails
//! or is late leaves missing readings behind, and no other waits for it.

use crate::gateway_view::GatewayView;
use crate::ports::{Backend, BackendError, BackendReplica, Finding, LivingReplica, Source, SourceError};
use crate::step::{Gathered, TierGathered};
use crate::view::SourceView;
use evenkeel_core::observe::{Cause, Signals};
use evenkeel_core::units::Time;
use evenkeel_fleet::model::Fleet;
use evenkeel_wire::routes::{RouteState, RouteTable};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What the outside said in one tick.
#[derive(Debug)]
pub struct Told {
    /// What the step takes.
    pub gathered: Gathered,
    /// How each source's read went.
    pub sources: Vec<SourceView>,
}

impl Told {
    /// Each tier whose replicas could be listed, with them. `fleet` is the one that was gathered for.
    pub fn listed<'a>(&'a self, fleet: &'a Fleet) -> impl Iterator<Item = (&'a str, &'a [BackendReplica])> {
        let tiers = fleet.spec.tiers.iter().zip(&self.gathered.tiers);
        tiers.filter_map(|(spec, tier)| Some((spec.name.as_str(), tier.listed.as_deref().ok()?)))
    }
}

/// Asks everything at once. `routes` tells the replicas that serve, for sources that ask replicas themselves; `gateway`
/// tells what the gateway obeys, once the sources were read.
pub async fn gather(
    fleet: &Fleet,
    sources: &mut [Box<dyn Source>],
    backend: &dyn Backend,
    routes: &RouteTable,
    gateway: &(dyn Fn() -> GatewayView + Send + Sync),
    now: Time,
) -> Told {
    let deadline = fleet.spec.tick.to_duration() / 4;
    let living = living(routes);
    let lists = futures::future::join_all(fleet.spec.tiers.iter().map(|tier| list(backend, &tier.name, deadline)));
    let reads = futures::future::join_all(
        sources.iter_mut().map(|source| read(source.as_mut(), fleet, now, &living, deadline)),
    );
    let (lists, reads) = futures::join!(lists, reads);
    let mut tiers: Vec<TierGathered> = fleet
        .tiers
        .iter()
        .zip(lists)
        .map(|(settings, listed)| {
            let schedule = evenkeel_fleet::schedule::active(&settings.schedule, now);
            TierGathered { signals: Signals::default(), load: BTreeMap::new(), listed, schedule, forecast: None }
        })
        .collect();
    let mut views = Vec::with_capacity(reads.len());
    for (findings, view) in reads {
        views.push(view);
        merge(fleet, &mut tiers, findings);
    }
    Told { gathered: Gathered { now, tiers, gateway: gateway() }, sources: views }
}

fn living(routes: &RouteTable) -> Vec<LivingReplica> {
    let of_tier = |tier: &evenkeel_wire::routes::TierRoutes| {
        let name = tier.tier.clone();
        tier.replicas
            .iter()
            .map(move |it| LivingReplica {
                tier: name.clone(),
                id: it.id.clone(),
                url: it.url.clone(),
                ready: it.state == RouteState::Serving,
            })
            .collect::<Vec<_>>()
    };
    routes.tiers.iter().flat_map(of_tier).collect()
}

async fn list(backend: &dyn Backend, tier: &str, deadline: Duration) -> Result<Vec<BackendReplica>, BackendError> {
    match tokio::time::timeout(deadline, backend.list(tier)).await {
        Ok(listed) => listed,
        Err(_) => Err(BackendError::Unknown("the list took longer than a quarter of a tick".to_owned())),
    }
}

async fn read(
    source: &mut dyn Source,
    fleet: &Fleet,
    now: Time,
    living: &[LivingReplica],
    deadline: Duration,
) -> (Vec<Finding>, SourceView) {
    let started = Instant::now();
    let name = source.name().to_owned();
    let late = || SourceError { cause: Cause::TimedOut, detail: "took longer than a quarter of a tick".to_owned() };
    let result = tokio::time::timeout(deadline, source.read(now, living)).await.unwrap_or_else(|_| Err(late()));
    let took_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    match result {
        Ok(findings) => (findings, SourceView { name, problem: None, took_us }),
        Err(error) => (gaps(source, fleet, error.cause), SourceView { name, problem: Some(error.detail), took_us }),
    }
}

/// What a source that failed leaves behind: all that it covers, missing.
fn gaps(source: &dyn Source, fleet: &Fleet, cause: Cause) -> Vec<Finding> {
    let gap = |tier: &evenkeel_core::spec::TierSpec| Finding {
        tier: tier.name.clone(),
        signals: Signals::missing(source.covers(&tier.name), tier.slo.objectives.len(), cause),
        replica_load: Vec::new(),
    };
    fleet.spec.tiers.iter().map(gap).collect()
}

fn merge(fleet: &Fleet, tiers: &mut [TierGathered], findings: Vec<Finding>) {
    for finding in findings {
        let index = fleet.spec.tiers.iter().position(|spec| spec.name == finding.tier);
        if let Some(tier) = index.and_then(|index| tiers.get_mut(index)) {
            tier.signals = std::mem::take(&mut tier.signals).or(finding.signals);
            tier.load.extend(finding.replica_load);
        }
    }
}
