//! The simulator as a WebAssembly module: nothing of it asks the machine for anything, so a seed gives the same bytes there
//! as anywhere. It is built and run by its own test only.

#[cfg(target_arch = "wasm32")]
mod exports;

use evenkeel_core::capacity::Table;
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::{Span, Time};
use evenkeel_sim::cloud::Cloud;
use evenkeel_sim::compare::{Cell, Model, Tuning, World};
use evenkeel_sim::demand;
use evenkeel_sim::oracle::Violation;
use evenkeel_sim::peers::{Peer, SteadyState};
use evenkeel_sim::requests::{Drawn, Gateway, Traffic};
use evenkeel_sim::score::Terms;
use evenkeel_sim::setting::Setting;
use evenkeel_workload::PlayersSeries;
use std::fmt::Display;

const SLOT: Span = Span::from_secs(5);
const SEED: u64 = 1;
/// Of the series this much is simulated request by request.
const REQUEST_SLOTS: usize = 360;

/// Every policy on a series of players (CSV), as rates and for half an hour request by request: the cells as JSON, or what
/// is wrong in words.
pub fn simulated(fleet: &str, series: &[u8]) -> String {
    compare(fleet, series).unwrap_or_else(|error| error)
}

fn compare(fleet: &str, series: &[u8]) -> Result<String, String> {
    let fleet = evenkeel_fleet::read(fleet, "fleet.yaml").map_err(|_| "the fleet file is refused".to_owned())?;
    let tier = fleet.spec.tiers.first().ok_or("the fleet has no tier")?;
    let series = PlayersSeries::from_bytes(series).map_err(in_words)?;
    let demand =
        demand::with_mean(demand::slots(&series, SLOT, 0.1, SEED).map_err(in_words)?, 3.0).map_err(in_words)?;
    let fluid = cells(Model::Fluid, tier, &demand)?;
    let table = Table::solve(&tier.profile, &tier.requests, &tier.slo.objectives, tier.maximum);
    let part = &demand[..REQUEST_SLOTS.min(demand.len())];
    let rates: Vec<f64> = part.iter().map(|&demand| table.rate(demand)).collect();
    let drawn = Drawn::of(tier, &rates, SLOT, SEED);
    let gateway = Gateway::new(1_000, Span::from_secs(60), tier.profile.max_sequences + 2);
    let traffic = Traffic::Drawn(drawn);
    let requests = cells(Model::Requests { traffic: &traffic, tier, gateway: &gateway }, tier, part)?;
    serde_json::to_string(&[fluid, requests]).map_err(in_words)
}

fn cells(model: Model<'_>, tier: &TierSpec, demand: &[f64]) -> Result<Vec<Cell>, String> {
    let (start, violation) = (Time::default(), Violation::Excess);
    let setting =
        Setting { slot: SLOT, start_up_slots: 12, minimum: 1, maximum: 50, scored_from: 60, start, violation };
    let terms = Terms { attainment: 0.99, price_per_hour: tier.price_per_hour };
    let engine = SteadyState::new(tier);
    let cloud = Cloud::default();
    let world = World { model, demand, setting: &setting, cloud: &cloud, terms: &terms, engine: &engine };
    let peers = Peer::ALL.into_iter().map(|peer| world.peer(peer, Tuning::Default));
    std::iter::once(world.ours(tier)).chain(peers).collect::<Result<_, _>>().map_err(in_words)
}

fn in_words(error: impl Display) -> String {
    error.to_string()
}
