//! The gateway as a source: `GET /gateway/report`, and what changed since the last one.
//!
//! Counts of one gateway process only grow, so a difference needs two reports of the same `instance`: the first read
//! gives levels only (`FirstReading`), and so does the first after a restart (`CounterReset`). A read that failed loses
//! nothing: the next difference spans the gap, over its true length.

mod difference;
mod latency;

use crate::fetch::{self, Address, SetupError, Trust};
use async_trait::async_trait;
use difference::Between;
use evenkeel_controller::gateway_view::{Failures, GatewayView};
use evenkeel_controller::ports::{Finding, LivingReplica, Source, SourceError};
use evenkeel_core::observe::{Cause, ReplicaId, Signals};
use evenkeel_core::spec::{Objective, Signal};
use evenkeel_core::units::{Span, Time};
use evenkeel_wire::report::{GatewayReport, TierReport};
use reqwest::Client;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;

/// A tier's report has under 20 kB and some bytes for each replica.
const MOST_BYTES: usize = 4 * 1024 * 1024;

const COVERED: &[Signal] = &[
    Signal::Offered,
    Signal::QueueDepth,
    Signal::OldestQueued,
    Signal::InFlight,
    Signal::Finished,
    Signal::Latency,
    Signal::Pace,
    Signal::ErrorShare,
];

/// Reads one gateway for any number of tiers.
#[derive(Debug)]
pub struct Gateway {
    address: Address,
    client: Client,
    /// Each tier's objectives, in its order.
    tiers: BTreeMap<String, Vec<Objective>>,
    last: Option<GatewayReport>,
    view: watch::Sender<GatewayView>,
}

impl Gateway {
    /// Reads the gateway at `base` (for example `http://127.0.0.1:8080`) for `tiers`, by name and objectives, within
    /// `timeout`.
    ///
    /// # Errors
    /// When the address is none or no HTTP client can be built.
    pub fn new(
        base: &str,
        tiers: impl IntoIterator<Item = (String, Vec<Objective>)>,
        timeout: Duration,
    ) -> Result<Self, SetupError> {
        let address = Address::read(&format!("{}/gateway/report", base.trim_end_matches('/')))?;
        let client = fetch::client(Trust::needed_by(&address), timeout)?;
        Ok(Self { address, client, tiers: tiers.into_iter().collect(), last: None, view: watch::Sender::default() })
    }

    /// What draining needs to know, as last read: a replica is ended only after the gateway obeys a table that drains it
    /// and shows nothing in flight there. While the gateway cannot be asked, nothing counts as applied.
    pub fn view(&self) -> watch::Receiver<GatewayView> {
        self.view.subscribe()
    }

    async fn report(&self) -> Result<GatewayReport, SourceError> {
        let bytes = fetch::get(&self.client, &self.address, MOST_BYTES).await?;
        serde_json::from_slice(&bytes).map_err(|error| SourceError {
            cause: Cause::Malformed,
            detail: format!("{} is no gateway report: {error}", self.address),
        })
    }

    fn finding(&self, tier: &str, objectives: &[Objective], report: &GatewayReport, at: Time) -> Finding {
        let signals = match report.tiers.iter().find(|entry| entry.tier == tier) {
            Some(now) => difference::signals(self.since_last(tier, report), now, objectives, at),
            // A gateway that runs by an older fleet file does not know the tier.
            None => Signals::missing(COVERED, objectives.len(), Cause::Malformed),
        };
        Finding { tier: tier.to_owned(), signals, replica_load: Vec::new() }
    }

    fn since_last(&self, tier: &str, report: &GatewayReport) -> Between<'_> {
        let Some(last) = &self.last else { return Between { before: Err(Cause::FirstReading), over: Span::ZERO } };
        let over = report.at.since(last.at);
        let before = if last.instance != report.instance {
            Err(Cause::CounterReset)
        } else if over == Span::ZERO {
            // The same report again, or a gateway whose clock was set back: there is no rate over no time.
            Err(Cause::Stale)
        } else {
            last.tiers.iter().find(|entry| entry.tier == tier).ok_or(Cause::FirstReading)
        };
        Between { before, over }
    }
}

#[async_trait]
impl Source for Gateway {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn covers(&self, tier: &str) -> &[Signal] {
        if self.tiers.contains_key(tier) { COVERED } else { &[] }
    }

    async fn read(&mut self, now: Time, living: &[LivingReplica]) -> Result<Vec<Finding>, SourceError> {
        let report = match self.report().await {
            Ok(report) => report,
            Err(error) => {
                self.view.send_modify(|view| view.applied = None);
                return Err(error);
            }
        };
        let mut findings: Vec<_> =
            self.tiers.iter().map(|(tier, objectives)| self.finding(tier, objectives, &report, now)).collect();
        for finding in &mut findings {
            finding.replica_load = load_of(&report, &finding.tier, living);
        }
        self.view.send_replace(view(&report));
        self.last = Some(report);
        Ok(findings)
    }
}

/// The tier's living replicas by the gateway's count, where that is whole.
fn load_of(report: &GatewayReport, tier: &str, living: &[LivingReplica]) -> Vec<(ReplicaId, u32)> {
    let lives = |id: &ReplicaId| living.iter().any(|replica| replica.tier == tier && replica.id == *id);
    let counted = |entry: &&TierReport| entry.tier == tier && !entry.earlier_answers;
    let of_tier = report.tiers.iter().filter(counted).flat_map(|entry| &entry.replicas);
    of_tier.filter(|load| lives(&load.id)).map(|load| (load.id.clone(), load.in_flight)).collect()
}

fn view(report: &GatewayReport) -> GatewayView {
    let loads = || report.tiers.iter().flat_map(|tier| &tier.replicas);
    GatewayView {
        applied: report.applied,
        earlier_answers: report.tiers.iter().any(|tier| tier.earlier_answers),
        in_flight: loads().map(|load| (load.id.clone(), load.in_flight)).collect(),
        failing: loads()
            .filter(|load| load.failed_in_a_row > 0)
            .map(|load| (load.id.clone(), Failures { in_a_row: load.failed_in_a_row, probes: load.failed_probes }))
            .collect(),
        served: loads().map(|load| (load.id.clone(), load.served)).collect(),
    }
}

/// For fuzzing: the signals of every tier of `now` where `before` was read before.
#[cfg(feature = "fuzz")]
pub(crate) fn between_two(
    before: GatewayReport,
    now: &GatewayReport,
    objectives: &[Objective],
    at: Time,
) -> Vec<Signals> {
    let tiers = now.tiers.iter().map(|entry| (entry.tier.clone(), objectives.to_vec()));
    let Ok(mut gateway) = Gateway::new("http://127.0.0.1:1", tiers, Duration::from_secs(1)) else { return Vec::new() };
    gateway.last = Some(before);
    gateway.tiers.iter().map(|(tier, objectives)| gateway.finding(tier, objectives, now, at).signals).collect()
}
