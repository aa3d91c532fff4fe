//! Engines' own metrics: every living ready replica is asked for its `/metrics` at once, and the answers are joined to the
//! living set, so a replica that is gone never counts and one that is silent is never taken for idle.
//!
//! Given by tier: KV-cache and GPU utilization (sum over replicas and count), requests waiting inside the engines, prompt
//! tokens that missed the prefix cache since the last read; by replica: requests inside. A replica that does not answer,
//! restarted its counters or was not read before makes the tier's reading `Partial`; where all replicas share one cause
//! (all unreachable, all new), the reading carries that cause.

mod joined;
mod mapping;
mod reading;

use crate::fetch::{self, Address, SetupError, Trust};
use crate::prometheus::Page;
use async_trait::async_trait;
use evenkeel_controller::ports::{Finding, LivingReplica, Source, SourceError};
use evenkeel_core::observe::{Cause, ReplicaId, Signals};
use evenkeel_core::spec::Signal;
use evenkeel_core::units::Time;
use evenkeel_fleet::model::EngineKind;
use mapping::Mapping;
use reading::{Lookups, PageReading};
use reqwest::Client;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// A page of vLLM has 60 kB.
const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Reads the engines of any number of tiers.
#[derive(Debug)]
pub struct Engines {
    tiers: BTreeMap<String, &'static Mapping>,
    client: Client,
    /// Each living replica's lookups at the last read that had them.
    previous: BTreeMap<ReplicaId, Lookups>,
}

impl Engines {
    /// Reads `tiers`, by name and engine, each replica within `timeout`.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub fn new(tiers: impl IntoIterator<Item = (String, EngineKind)>, timeout: Duration) -> Result<Self, SetupError> {
        let tiers = tiers.into_iter().map(|(tier, engine)| (tier, mapping::of(engine))).collect();
        Ok(Self { tiers, client: fetch::client(Trust::Nothing, timeout)?, previous: BTreeMap::new() })
    }

    /// Every ready replica's page, all asked at once.
    async fn scrape(&self, living: &[LivingReplica]) -> BTreeMap<ReplicaId, PageReading> {
        let mut asked = JoinSet::new();
        for replica in living.iter().filter(|replica| replica.ready) {
            let Some(mapping) = self.tiers.get(&replica.tier).copied() else { continue };
            let (client, id, url) = (self.client.clone(), replica.id.clone(), replica.url.clone());
            asked.spawn(async move {
                let page = page(&client, &url, mapping).await.unwrap_or_else(|error| {
                    tracing::debug!(replica = %id, %error, "a replica's metrics could not be read");
                    PageReading::missing(error.cause)
                });
                (id, page)
            });
        }
        let mut pages = BTreeMap::new();
        while let Some(answer) = asked.join_next().await {
            // A task that panicked or was aborted leaves its replica out, which then counts as unreachable.
            if let Ok((id, page)) = answer {
                pages.insert(id, page);
            }
        }
        pages
    }

    fn remember(&mut self, living: &[LivingReplica], pages: &BTreeMap<ReplicaId, PageReading>) {
        for (id, page) in pages {
            if let Ok(lookups) = page.lookups {
                self.previous.insert(id.clone(), lookups);
            }
        }
        self.previous.retain(|id, _| living.iter().any(|replica| replica.id == *id));
    }
}

#[async_trait]
impl Source for Engines {
    fn name(&self) -> &'static str {
        "engines"
    }

    fn covers(&self, tier: &str) -> &[Signal] {
        self.tiers.get(tier).map_or(&[], |mapping| mapping.signals)
    }

    async fn read(&mut self, now: Time, living: &[LivingReplica]) -> Result<Vec<Finding>, SourceError> {
        let pages = self.scrape(living).await;
        let findings = self.tiers.iter().map(|(tier, mapping)| {
            let ready = living.iter().filter(|replica| replica.ready && replica.tier == *tier);
            let silent = || PageReading::missing(Cause::Unreachable);
            let of_tier: Vec<_> =
                ready.map(|replica| (&replica.id, pages.get(&replica.id).cloned().unwrap_or_else(silent))).collect();
            let load = of_tier.iter().filter_map(|(id, page)| Some(((*id).clone(), page.in_flight.ok()?))).collect();
            let signals = if of_tier.is_empty() {
                Signals::missing(mapping.signals, 0, Cause::NoReplica)
            } else {
                joined::signals(&of_tier, &self.previous, now)
            };
            Finding { tier: tier.clone(), signals, replica_load: load }
        });
        let findings = findings.collect();
        self.remember(living, &pages);
        Ok(findings)
    }
}

async fn page(client: &Client, base: &str, mapping: &Mapping) -> Result<PageReading, SourceError> {
    let malformed = |detail: String| SourceError { cause: Cause::Malformed, detail };
    let address = Address::read(&format!("{}/metrics", base.trim_end_matches('/')));
    let address = address.map_err(|error| malformed(error.to_string()))?;
    let bytes = fetch::get(client, &address, MOST_BYTES).await?;
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed("the page is not UTF-8".to_owned()))?;
    let page = Page::parse(text).map_err(|error| malformed(format!("{address}: {error}")))?;
    Ok(PageReading::of(&page, mapping))
}

/// For fuzzing: what a tier of two replicas with this page shows, which had looked nothing up before.
#[cfg(feature = "fuzz")]
pub(crate) fn readings(page: &Page<'_>, engine: EngineKind, now: Time) -> Signals {
    let replicas = ["a", "b"].map(|name| ReplicaId(name.to_owned()));
    let previous = replicas.iter().map(|id| (id.clone(), Lookups { queried: 0, found: 0 })).collect();
    let pages: Vec<_> = replicas.iter().map(|id| (id, PageReading::of(page, mapping::of(engine)))).collect();
    joined::signals(&pages, &previous, now)
}
