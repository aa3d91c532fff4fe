//! What of the fleet file is in force, and what a changed file makes of it.

use crate::clock::Clock;
use crate::request::Directory;
use crate::tier::Tier;
use evenkeel_core::spec::TierSpec;
use evenkeel_fleet::model::{BackendSettings, Fleet, TierSettings};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// One state of the fleet file. A request keeps the one that it met, from beginning to end.
#[derive(Debug)]
pub(crate) struct InForce {
    /// The names that requests may use.
    pub(crate) directory: Directory,
    /// The tiers behind those names, in the same order.
    pub(crate) tiers: Vec<Arc<Tier>>,
    /// Tiers that stand no longer in the file and still have requests.
    leaving: Vec<Arc<Tier>>,
    /// Larger request bodies are refused, bytes.
    pub(crate) max_body_bytes: u64,
    /// A replica that has not begun a streamed answer after this long is given up for another one.
    pub(crate) first_byte: Duration,
    /// How long a request that is here may take, by what the file allows.
    pub(crate) longest_answer: Duration,
    /// Where the file has the gateway listen.
    listen: SocketAddr,
}

impl InForce {
    /// What `fleet` says, at the start.
    pub(crate) fn new(fleet: &Fleet, clock: Clock) -> Self {
        let tier = |(spec, settings)| Arc::new(Tier::new(spec, settings, &fleet.gateway, clock));
        Self::of(halves(fleet).map(tier).collect(), Vec::new(), fleet, fleet.gateway.listen)
    }

    fn of(tiers: Vec<Arc<Tier>>, leaving: Vec<Arc<Tier>>, fleet: &Fleet, listen: SocketAddr) -> Self {
        let named = tiers.iter().map(|tier| (tier.name.clone(), tier.terms().model.clone()));
        let directory = Directory::new(named.collect());
        let first_byte = fleet.gateway.first_byte.to_duration();
        Self {
            directory,
            tiers,
            leaving,
            max_body_bytes: fleet.gateway.max_body_bytes,
            first_byte,
            longest_answer: longest_answer(fleet),
            listen,
        }
    }

    /// Every tier that has or may have requests.
    pub(crate) fn all(&self) -> Vec<Arc<Tier>> {
        self.tiers.iter().chain(&self.leaving).cloned().collect()
    }

    /// What `fleet` makes of it, and the keys that only a restart takes over: the address, and whatever has to do with
    /// the durable queue, so asynchronous tiers neither come nor go.
    pub(crate) fn changed_to(&self, fleet: &Fleet, clock: Clock) -> (Self, Vec<String>) {
        let known = self.all();
        let (mut tiers, mut waits) = (Vec::new(), Vec::new());
        for (spec, settings) in halves(fleet) {
            let same = known.iter().find(|tier| tier.name == spec.name);
            if same.map_or(&None, |tier| &tier.asynchronous) != &settings.asynchronous {
                waits.push(asynchronous(&spec.name));
            }
            match same {
                Some(tier) => {
                    tier.take_over(spec, settings, &fleet.gateway);
                    tiers.push(Arc::clone(tier));
                }
                None if settings.asynchronous.is_some() => {}
                None => tiers.push(Arc::new(Tier::new(spec, settings, &fleet.gateway, clock))),
            }
        }
        let gone = known.into_iter().filter(|tier| fleet.tier(&tier.name).is_none());
        let (staying, leaving): (Vec<_>, Vec<_>) = gone.partition(|tier| tier.asynchronous.is_some());
        waits.extend(staying.iter().map(|tier| asynchronous(&tier.name)));
        tiers.extend(staying);
        if fleet.gateway.listen != self.listen {
            waits.push("gateway.listen".to_owned());
        }
        (Self::of(tiers, leaving, fleet, self.listen), waits)
    }

    /// The same without the tiers that have left; `None` where none has.
    pub(crate) fn without_those_that_left(&self) -> Option<Self> {
        let (left, leaving): (Vec<_>, Vec<_>) = self.leaving.iter().cloned().partition(|tier| tier.is_over());
        let (directory, tiers) = (self.directory.clone(), self.tiers.clone());
        (!left.is_empty()).then_some(Self { directory, tiers, leaving, ..*self })
    }
}

/// It is held, and then a replica may take as long as one that drains.
fn longest_answer(fleet: &Fleet) -> Duration {
    let drain = |tier: &TierSettings| {
        let BackendSettings::Local(local) = &tier.backend;
        local.drain_deadline
    };
    let slowest = fleet.tiers.iter().map(drain).max().unwrap_or_default();
    (fleet.gateway.hold + slowest).to_duration()
}

fn halves(fleet: &Fleet) -> impl Iterator<Item = (&TierSpec, &TierSettings)> {
    fleet.spec.tiers.iter().zip(&fleet.tiers)
}

fn asynchronous(tier: &str) -> String {
    format!("tiers.{tier}.asynchronous")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TIER: &str = r#"  NAME:
    model: NAME
    replicas: {minimum: 1, maximum: 9}
    price: $1/hour
    slo: {attainment: 99%, objectives: [{tpot: {p95: 60ms}}]}
    requests: {prompt_tokens: {mean: 60, sigma: 0.3}, output_tokens: {mean: 20, sigma: 0.2}, per_player: 60/min}
    profile: {source: estimate, iteration: 20ms, per_sequence: 1ms, per_prefill_token: 100us, max_batched_tokens: 256,
      max_sequences: 4, kv_tokens: 20000, max_model_tokens: 4096}
    start_up: 1s
    policies: [{capacity: {window: 2s, hold: 5s}}]
    backend: {local: {command: [engine, "{port}"], drain_deadline: DRAIN}}
"#;

    #[test]
    fn an_answer_may_be_held_and_then_take_as_long_as_the_slowest_tier_drains() {
        let tier = |name: &str, drain: &str| TIER.replace("NAME", name).replace("DRAIN", drain);
        let tiers = tier("gold", "20s") + &tier("silver", "50s") + &tier("copper", "40s");
        let text = format!("fleet: three\ngateway: {{hold: {{time: 7s}}}}\ntiers:\n{tiers}");
        let fleet = evenkeel_fleet::read(&text, "three.yaml").unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(longest_answer(&fleet), Duration::from_secs(57));
    }
}
