//! `evenkeel simulate FLEET`: a tier in virtual time, ours beside its peers and beside what hindsight would have paid.

mod choices;
mod render;

use crate::commands::values::{above_zero, whole};
use crate::failure::Failure;
use crate::fleet_file;
use crate::output::{self, Format};
use choices::Chosen;
use evenkeel_core::capacity::Table;
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::{Span, Time};
use evenkeel_fleet::model::{Fleet, TierSettings};
use evenkeel_sim::compare::{Cell, Tuning, World};
use evenkeel_sim::demand;
use evenkeel_sim::fluid::Setting;
use evenkeel_sim::peers::SteadyState;
use evenkeel_sim::score::Terms;
use evenkeel_workload::PlayersSeries;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Layout of the JSON; it grows by one when a field's meaning changes.
const VERSION: u32 = 1;
/// No fleet is larger; a run without a maximum of its own ends here.
const MOST_REPLICAS: u32 = 100_000;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file
    fleet: PathBuf,
    /// The tier; not needed where there is but one
    #[arg(long, value_name = "NAME")]
    tier: Option<String>,
    #[command(flatten)]
    series: Series,
    /// Scale the series so that mean demand is so many replicas; the minimum is 1 then, and there is no maximum
    #[arg(long, value_name = "REPLICAS", allow_negative_numbers = true, value_parser = above_zero)]
    mean_replicas: Option<f64>,
    /// From the order of a replica to its first request [default: as the fleet file has it]
    #[arg(long, value_name = "TIME", value_parser = choices::span)]
    start_up: Option<Span>,
    /// Share of demand to be carried, below 1 [default: as the fleet file has it]
    #[arg(long, value_name = "SHARE", value_parser = choices::attainment)]
    attainment: Option<f64>,
    /// Who is compared: names with commas between, or `all`
    #[arg(long, value_name = "NAMES", default_value = "all", value_parser = choices::policies)]
    policies: Chosen,
    /// How the peers' targets are set
    #[arg(long, value_enum, default_value_t = choices::Peers::Default)]
    peers: choices::Peers,
    /// How demand above the ready replicas is counted
    #[arg(long, value_enum, default_value_t = choices::Violated::Excess)]
    violation: choices::Violated,
    /// Time at the beginning that policies learn from and that is not scored
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = choices::span)]
    history: Span,
    /// Length of a step
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = choices::step)]
    step: Span,
    /// Deviation of the noise that a coarse series gets, for steps of 5 s
    #[arg(long, value_name = "SHARE", default_value_t = 0.1, allow_negative_numbers = true, value_parser = choices::noise)]
    noise: f64,
    /// Seed of the noise
    #[arg(long, default_value_t = 1, allow_negative_numbers = true, value_parser = whole)]
    seed: u64,
}

#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Series {
    /// Players over time: CSV `unix_s,value`, also gzip
    #[arg(long, value_name = "FILE")]
    players: Option<PathBuf>,
    /// Requests a second over time: CSV `unix_s,value`, also gzip
    #[arg(long, value_name = "FILE")]
    arrivals: Option<PathBuf>,
}

impl Series {
    fn file(&self) -> &Path {
        self.players.as_deref().or(self.arrivals.as_deref()).unwrap_or(Path::new(""))
    }

    /// Requests a second for each unit of the series.
    fn rate_each(&self, spec: &TierSpec, settings: &TierSettings) -> f64 {
        let per_player = settings.players_share * spec.requests.per_player_per_minute / 60.0;
        if self.players.is_some() { per_player } else { 1.0 }
    }
}

#[derive(Serialize)]
struct Comparison {
    version: u32,
    seed: u64,
    tier: String,
    trace: Trace,
    cells: Vec<Cell>,
}

#[derive(Serialize)]
struct Trace {
    path: String,
    step_seconds: f64,
    points: usize,
}

pub(crate) fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    let fleet = fleet_file::load(&arguments.fleet)?;
    let (spec, settings) = tier(&fleet, arguments.tier.as_deref())?;
    let spec = asked(spec.clone(), &arguments);
    let demand = demand(&arguments, &spec, settings)?;
    let setting = setting(&arguments, &spec, demand.len())?;
    let terms = Terms { attainment: spec.attainment, price_per_hour: spec.price_per_hour };
    let engine = SteadyState::new(&spec);
    let world = World { demand: &demand, setting: &setting, terms: &terms, engine: &engine };
    let cells = compare(&world, &spec, &arguments)?;
    let path = arguments.series.file().display().to_string();
    let trace = Trace { path, step_seconds: arguments.step.as_secs_f64(), points: demand.len() };
    let result = Comparison { version: VERSION, seed: arguments.seed, tier: spec.name, trace, cells };
    match format {
        Format::Json => output::json(&result)?,
        Format::Table => output::say(render::table(&result.cells))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn tier<'a>(fleet: &'a Fleet, name: Option<&str>) -> Result<(&'a TierSpec, &'a TierSettings), Failure> {
    let names = || fleet.spec.tiers.iter().map(|tier| tier.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, &fleet.spec.tiers[..]) {
        (Some(name), _) => fleet
            .tier(name)
            .ok_or_else(|| Failure::usage(format!("there is no tier `{name}`; the fleet file has {}", names()))),
        (None, [only]) => Ok((only, &fleet.tiers[0])),
        (None, _) => Err(Failure::usage(format!("`--tier` says which is simulated: one of {}", names()))),
    }
}

/// The tier as the flags change it.
fn asked(mut spec: TierSpec, arguments: &Arguments) -> TierSpec {
    spec.attainment = arguments.attainment.unwrap_or(spec.attainment);
    spec.start_up = arguments.start_up.unwrap_or(spec.start_up);
    if arguments.mean_replicas.is_some() {
        (spec.minimum, spec.maximum) = (1, MOST_REPLICAS);
    }
    spec
}

/// Demand in replicas.
fn demand(arguments: &Arguments, spec: &TierSpec, settings: &TierSettings) -> Result<Vec<f64>, Failure> {
    let file = arguments.series.file();
    let series = PlayersSeries::open(file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
    let values = demand::slots(&series, arguments.step, arguments.noise, arguments.seed).map_err(Failure::usage)?;
    if let Some(mean) = arguments.mean_replicas {
        return demand::with_mean(values, mean).map_err(Failure::usage);
    }
    let table = Table::solve(&spec.profile, &spec.requests, &spec.slo.objectives, spec.maximum);
    let each = arguments.series.rate_each(spec, settings);
    Ok(values.into_iter().map(|value| table.demand(value * each)).collect())
}

fn setting(arguments: &Arguments, spec: &TierSpec, slots: usize) -> Result<Setting, Failure> {
    let in_slots = |span: Span| (span.as_micros() + arguments.step.as_micros() - 1) / arguments.step.as_micros();
    let scored_from = in_slots(arguments.history) as usize;
    if scored_from >= slots {
        let length = Span::from_micros(arguments.step.as_micros() * slots as i64);
        return Err(Failure::usage(format!(
            "the series lasts {length} and `--history` takes {} of it: nothing is left to score; write a shorter one",
            arguments.history
        )));
    }
    let start_up_slots = u32::try_from(in_slots(spec.start_up)).unwrap_or(u32::MAX);
    let (slot, start) = (arguments.step, Time::default());
    let violation = arguments.violation.into();
    Ok(Setting { slot, start_up_slots, minimum: spec.minimum, maximum: spec.maximum, scored_from, start, violation })
}

fn compare(world: &World<'_>, spec: &TierSpec, arguments: &Arguments) -> Result<Vec<Cell>, Failure> {
    let mut cells = Vec::new();
    if arguments.policies.evenkeel {
        cells.push(world.ours(spec).map_err(Failure::usage)?);
    }
    let tuning = Tuning::from(arguments.peers);
    cells.extend(arguments.policies.peers.iter().map(|&peer| world.peer(peer, tuning)));
    Ok(cells)
}
