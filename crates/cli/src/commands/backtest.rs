//! `evenkeel backtest FLEET --journal FILE`: what production met, staffed by another fleet file or policy.

use super::simulate::choices::{self, Chosen, ModelName, Peers, Violated};
use super::simulate::scored::Scored;
use super::simulate::{gateway, render, tier};
use super::values::whole;
use crate::failure::Failure;
use crate::fleet_file;
use crate::output::{self, Format};
use evenkeel_controller::journal::{self, Recorded};
use evenkeel_core::capacity::Table;
use evenkeel_core::observe::{Offered, Reading};
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::{Span, Time};
use evenkeel_sim::backtest::{self, Rates};
use evenkeel_sim::cloud::Cloud;
use evenkeel_sim::compare::{Cell, Model, World};
use evenkeel_sim::demand;
use evenkeel_sim::peers::SteadyState;
use evenkeel_sim::requests::{Drawn, Traffic};
use evenkeel_sim::score::Terms;
use evenkeel_sim::setting::Setting;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

/// Layout of the JSON; it grows by one when a field's meaning changes.
const VERSION: u32 = 1;
/// All windows of a policy are full by then.
const LONGEST_HISTORY: Span = Span::from_secs(600);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file to try
    fleet: PathBuf,
    /// The journal that production wrote: `journal.sqlite` in its state directory
    #[arg(long, value_name = "FILE")]
    journal: PathBuf,
    /// The tier; not needed where there is but one
    #[arg(long, value_name = "NAME")]
    tier: Option<String>,
    /// Who is tried: names with commas between, or `all`
    #[arg(long, value_name = "NAMES", default_value = "evenkeel", value_parser = choices::policies)]
    policies: Chosen,
    /// How the peers' targets are set
    #[arg(long, value_enum, default_value_t = Peers::Default)]
    peers: Peers,
    /// How demand is served
    #[arg(long, value_enum, default_value_t = ModelName::Fluid)]
    model: ModelName,
    /// How demand above the ready replicas is counted
    #[arg(long, value_enum, default_value_t = Violated::Excess)]
    violation: Violated,
    /// Time at the beginning that policies learn from and that is not scored [default: 10m, or a quarter of the whole where
    /// that is less]
    #[arg(long, value_name = "TIME", value_parser = choices::span)]
    history: Option<Span>,
    /// Length of a step
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = choices::step)]
    step: Span,
    /// Seed of single requests
    #[arg(long, default_value_t = 1, allow_negative_numbers = true, value_parser = whole)]
    seed: u64,
}

#[derive(Serialize)]
struct Backtest {
    version: u32,
    seed: u64,
    tier: String,
    trace: Trace,
    /// What production did, under the fleet file that it had.
    recorded: Cell,
    cells: Vec<Cell>,
    /// Of each cell from what was recorded.
    differences: Vec<Difference>,
}

#[derive(Serialize)]
struct Trace {
    path: String,
    step_seconds: f64,
    points: usize,
    /// Of these, steps of which the journal does not know the offered requests: straight between their neighbours.
    unknown_points: usize,
    first_us: Time,
}

#[derive(Serialize)]
struct Difference {
    policy: &'static str,
    cost_usd: f64,
    /// `None` where what was recorded cost nothing.
    cost_share: Option<f64>,
    capacity_attainment: f64,
}

pub(crate) fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    let fleet = fleet_file::load(&arguments.fleet)?;
    let (spec, settings) = tier(&fleet, arguments.tier.as_deref())?;
    if !arguments.journal.is_file() {
        let what = if arguments.journal.is_dir() {
            "is a folder; name `journal.sqlite` in it"
        } else {
            "there is no such file"
        };
        return Err(Failure::usage(format!("{}: {what}", arguments.journal.display())));
    }
    arguments.policies.look_often_enough_for(arguments.step)?;
    let recorded = journal::recorded(&arguments.journal, &spec.name).map_err(Failure::journal)?;
    let (start, rates) = offered(&recorded, &arguments)?;
    let before = production(&recorded, start, &rates, &arguments)?;
    let gateway = gateway(&fleet, spec, settings, None);
    let drawn = Drawn::of(spec, &rates.per_second, arguments.step, arguments.seed);
    let traffic = Traffic::Drawn(drawn);
    let model = match arguments.model {
        ModelName::Fluid => Model::Fluid,
        ModelName::Requests => Model::Requests { traffic: &traffic, tier: spec, gateway: &gateway },
    };
    let demand = in_replicas(&rates, spec);
    let setting = setting(spec, start, demand.len(), &arguments)?;
    let terms = Terms { attainment: spec.attainment, price_per_hour: spec.price_per_hour };
    let engine = SteadyState::new(spec);
    let cloud = Cloud::default();
    let world = World { model, demand: &demand, setting: &setting, cloud: &cloud, terms: &terms, engine: &engine };
    let cells = arguments.policies.compared(&world, spec, arguments.peers)?;
    let path = arguments.journal.display().to_string();
    let (step_seconds, points, unknown_points) = (arguments.step.as_secs_f64(), demand.len(), rates.unknown);
    let trace = Trace { path, step_seconds, points, unknown_points, first_us: start };
    let differences = cells.iter().map(|cell| difference(cell, &before)).collect();
    let (seed, tier) = (arguments.seed, spec.name.clone());
    print(&Backtest { version: VERSION, seed, tier, trace, recorded: before, cells, differences }, format)
}

/// The journal's first moment, and the requests that were offered from then on.
fn offered(recorded: &Recorded, arguments: &Arguments) -> Result<(Time, Rates), Failure> {
    let ticks = &recorded.ticks;
    let known: Vec<_> = ticks.iter().filter_map(|tick| told(&tick.offered)).collect();
    let (Some(first), Some(last)) = (ticks.first(), ticks.last()) else {
        return Err(Failure::usage("the journal holds no tick that can be read whole; was the controller ever run?"));
    };
    if known.is_empty() {
        return Err(Failure::usage(format!(
            "the journal never knew what was offered to `{}`: a gateway, or an engine's metrics, would have told it",
            recorded.spec.name
        )));
    }
    let slots = demand::slots_in(last.at.since(first.at), arguments.step).map_err(Failure::usage)?;
    Ok((first.at, backtest::rates(known.into_iter(), first.at, arguments.step, slots as usize)))
}

/// What was offered, and until when, as far as it was known.
const fn told(offered: &Reading<Offered>) -> Option<(Time, Offered)> {
    match *offered {
        Reading::Fresh { value, at } | Reading::AtLeast { value, at } => Some((at, value)),
        Reading::Stale { .. } | Reading::Missing { .. } => None,
    }
}

fn in_replicas(rates: &Rates, spec: &TierSpec) -> Vec<f64> {
    let table = Table::solve(&spec.profile, &spec.requests, &spec.slo.objectives, spec.maximum);
    rates.per_second.iter().map(|&rate| table.demand(rate)).collect()
}

/// What production did, judged by its own profile, price and attainment.
fn production(recorded: &Recorded, start: Time, rates: &Rates, arguments: &Arguments) -> Result<Cell, Failure> {
    let spec = &recorded.spec;
    let demand = in_replicas(rates, spec);
    let setting = setting(spec, start, demand.len(), arguments)?;
    let terms = Terms { attainment: spec.attainment, price_per_hour: spec.price_per_hour };
    let looks = recorded.ticks.iter().filter_map(|tick| Some((tick.at, tick.supply?)));
    let run = backtest::run(looks, &demand, &setting);
    let engine = SteadyState::new(spec);
    let cloud = Cloud::default();
    let world = World {
        model: Model::Fluid,
        demand: &demand,
        setting: &setting,
        cloud: &cloud,
        terms: &terms,
        engine: &engine,
    };
    Ok(world.recorded(run))
}

fn setting(spec: &TierSpec, start: Time, slots: usize, arguments: &Arguments) -> Result<Setting, Failure> {
    let (step, history, peers) = (arguments.step, arguments.history, arguments.peers);
    let longest_history = LONGEST_HISTORY;
    Scored { what: "journal", step, slots, history, longest_history, start, peers }
        .setting(spec, arguments.violation.into())
}

fn difference(cell: &Cell, recorded: &Cell) -> Difference {
    let (new, old) = (&cell.score, &recorded.score);
    let cost_usd = new.cost_usd - old.cost_usd;
    Difference {
        policy: cell.policy,
        cost_usd,
        cost_share: (old.cost_usd > 0.0).then(|| cost_usd / old.cost_usd),
        capacity_attainment: new.capacity_attainment - old.capacity_attainment,
    }
}

fn print(backtest: &Backtest, format: Format) -> Result<ExitCode, Failure> {
    match format {
        Format::Json => output::json(backtest)?,
        Format::Table => {
            let rows: Vec<&Cell> = std::iter::once(&backtest.recorded).chain(&backtest.cells).collect();
            output::say(render::table(&rows))?;
            for difference in &backtest.differences {
                output::say(in_words(difference))?;
            }
            let Trace { points, unknown_points, .. } = &backtest.trace;
            if *unknown_points > 0 {
                output::say(format_args!(
                    "of {unknown_points} of {points} steps the journal does not know what was offered; they are drawn \
                     straight between their neighbours"
                ))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn in_words(difference: &Difference) -> String {
    let Difference { policy, cost_usd, cost_share, capacity_attainment } = difference;
    let share = cost_share.map_or_else(String::new, |share| format!(" ({:+.1} %)", 100.0 * share));
    let points = 100.0 * capacity_attainment;
    format!("{policy}: {cost_usd:+.2} USD{share} and {points:+.3} points of attainment against what was recorded")
}
