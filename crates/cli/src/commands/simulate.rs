//! `evenkeel simulate FLEET`: a tier in virtual time, ours beside its peers and beside what hindsight would have paid.

mod about;
pub(super) mod choices;
mod cloud;
mod judge;
mod load;
pub(super) mod render;
mod report;
pub(super) mod scored;
mod warnings;

use crate::commands::values::{above_zero, whole};
use crate::failure::{CRITERION, Failure};
use crate::fleet_file;
use crate::output::{self, Output};
use choices::Chosen;
use cloud::CloudFlags;
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::{Span, Time};
use evenkeel_fleet::model::{Fleet, TierSettings};
use evenkeel_load::render::Colors;
use evenkeel_load::summary::CriterionResult;
use evenkeel_sim::compare::{Cell, Model, World};
use evenkeel_sim::hindsight::Hindsight;
use evenkeel_sim::peers::SteadyState;
use evenkeel_sim::requests::Gateway;
use evenkeel_sim::score::Terms;
use evenkeel_sim::setting::Setting;
use evenkeel_workload::Scenario;
use load::Load;
use report::Compared;
use scored::Scored;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Layout of the JSON; it grows by one when a field's meaning changes.
const VERSION: u32 = 1;
/// No fleet is larger; a run without a maximum of its own ends here.
const MOST_REPLICAS: u32 = 100_000;
/// A week has seen every day once.
const LONGEST_HISTORY: Span = Span::from_secs(7 * 86_400);
/// Longer than any run.
const FOREVER: Span = Span::from_secs(100 * 366 * 86_400);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file
    fleet: PathBuf,
    /// The tier; not needed where there is but one
    #[arg(long, value_name = "NAME")]
    tier: Option<String>,
    #[command(flatten)]
    series: Series,
    /// Players at the scenario's peak
    #[arg(long, default_value_t = 1_000.0, allow_negative_numbers = true, value_parser = above_zero)]
    #[arg(conflicts_with_all = ["players", "arrivals", "requests"])]
    peak: f64,
    #[command(flatten)]
    part: Part,
    /// Scale the series so that mean demand is so many replicas; the minimum is 1 then, and there is no maximum
    #[arg(long, value_name = "REPLICAS", allow_negative_numbers = true, value_parser = above_zero)]
    mean_replicas: Option<f64>,
    #[command(flatten)]
    cloud: CloudFlags,
    /// Share of demand to be carried, below 1 [default: as the fleet file has it]
    #[arg(long, value_name = "SHARE", value_parser = choices::attainment)]
    attainment: Option<f64>,
    /// Who is compared: names with commas between, or `all`
    #[arg(long, value_name = "NAMES", default_value = "all", value_parser = choices::policies)]
    policies: Chosen,
    /// How the peers' targets are set
    #[arg(long, value_enum, default_value_t = choices::Peers::Default)]
    peers: choices::Peers,
    /// How demand is served
    #[arg(long, value_enum, default_value_t = choices::ModelName::Fluid)]
    model: choices::ModelName,
    /// With `--model requests`: a player who has no first token after this long leaves [default: nobody does]
    #[arg(long, value_name = "TIME", value_parser = choices::patience)]
    patience: Option<Span>,
    /// How demand above the ready replicas is counted
    #[arg(long, value_enum, default_value_t = choices::Violated::Excess)]
    violation: choices::Violated,
    /// Time at the beginning that policies learn from and that is not scored [default: 7d, or a quarter of the whole where that
    /// is less]
    #[arg(long, value_name = "TIME", value_parser = choices::span)]
    history: Option<Span>,
    /// Judge the fleet file's criteria by what Evenkeel's own policy did; exit code 1 where one failed
    #[arg(long)]
    criteria: bool,
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
    /// Players over time: CSV `unix_s,value`, or a SteamDB export; also gzip
    #[arg(long, value_name = "FILE")]
    players: Option<PathBuf>,
    /// Requests a second over time: CSV `unix_s,value`, also gzip
    #[arg(long, value_name = "FILE")]
    arrivals: Option<PathBuf>,
    /// Requests as they were once sent: CSV `t_s,in_tok,out_tok`, or as Azure, BurstGPT and Mooncake publish them; also gzip
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// Players as they come in a situation that has a name: day, week, launch-day, maintenance, patch-night, flash-crowd, bursts
    #[arg(long, value_name = "NAME")]
    scenario: Option<Scenario>,
}

/// What of the file is simulated.
#[derive(clap::Args)]
struct Part {
    /// Begin so long after the file's first moment
    #[arg(long, value_name = "TIME", value_parser = choices::span, default_value = "0s")]
    from: Span,
    /// End so long after the file's first moment [default: at its last]
    #[arg(long, value_name = "TIME", value_parser = choices::span)]
    to: Option<Span>,
}

impl Part {
    /// The same in steps of a file that has so many.
    fn within(&self, step: Span, steps: usize) -> Result<(usize, usize), Failure> {
        let in_steps = |span: Span| (span.as_micros() / step.as_micros()) as usize;
        let (from, to) = (in_steps(self.from), self.to.map_or(steps, |to| in_steps(to).min(steps)));
        let length = Span::from_micros(step.as_micros() * steps as i64);
        if from >= to {
            let to = self.to.map_or_else(String::new, |to| format!(" `--to {to}`"));
            return Err(Failure::usage(format!("`--from {}`{to} leaves nothing of {length}", self.from)));
        }
        Ok((from, to))
    }
}

impl Series {
    fn file(&self) -> Option<&Path> {
        self.players.as_deref().or(self.arrivals.as_deref()).or(self.requests.as_deref())
    }

    /// Requests a second for each unit of the series.
    fn rate_each(&self, spec: &TierSpec, settings: &TierSettings) -> f64 {
        let per_player = settings.players_share * spec.requests.per_player_per_minute / 60.0;
        if self.arrivals.is_some() { 1.0 } else { per_player }
    }

    /// For whoever runs it again.
    fn in_words(&self) -> String {
        match (self.file(), self.scenario) {
            (Some(file), _) => file.display().to_string(),
            (None, scenario) => format!("scenario {}", scenario.unwrap_or(Scenario::Day)),
        }
    }
}

#[derive(Serialize)]
struct Comparison {
    version: u32,
    seed: u64,
    tier: String,
    trace: Trace,
    /// What whoever reads the figures has to know.
    warnings: Vec<String>,
    hindsight: Hindsight,
    cells: Vec<Cell>,
    /// `None` where they were not asked for.
    criteria: Option<Vec<CriterionResult>>,
}

#[derive(Serialize)]
struct Trace {
    path: String,
    step_seconds: f64,
    points: usize,
}

pub(crate) fn run(arguments: Arguments, output: Output) -> Result<ExitCode, Failure> {
    let fleet = fleet_file::load(&arguments.fleet)?;
    let (spec, settings) = tier(&fleet, arguments.tier.as_deref())?;
    let spec = asked(spec.clone(), &arguments);
    flags_that_belong_together(&arguments)?;
    let load = Load::read(&arguments, &spec, settings)?;
    let setting = setting(&arguments, &spec, load.demand.len())?;
    let terms = Terms { attainment: spec.attainment, price_per_hour: spec.price_per_hour };
    let traffic = load.traffic(&arguments);
    let gateway = gateway(&fleet, &spec, settings, arguments.patience);
    let model = match arguments.model {
        choices::ModelName::Fluid => Model::Fluid,
        choices::ModelName::Requests => Model::Requests { traffic: &traffic, tier: &load.tier, gateway: &gateway },
    };
    let engine = SteadyState::new(&load.tier);
    let endless = arguments.mean_replicas.is_some();
    let cloud = arguments.cloud.cloud(fleet.controller.freshness, arguments.step, endless, arguments.seed)?;
    let world = World { model, demand: &load.demand, setting: &setting, cloud: &cloud, terms: &terms, engine: &engine };
    let result = compared(&arguments, (&fleet, &spec), &world, &load)?;
    match output {
        Output::Json => output::json(&result)?,
        Output::Table => output::say(in_words(&result))?,
        Output::Html => {
            let about = about::about(&arguments, &load.tier, &setting, &cloud, &result.warnings);
            output::say(page(&world, &result, &about))?;
        }
    }
    let passed = result.criteria.as_deref().is_none_or(judge::hold);
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::from(CRITERION) })
}

fn compared(
    arguments: &Arguments,
    (fleet, spec): (&Fleet, &TierSpec),
    world: &World<'_>,
    load: &Load,
) -> Result<Comparison, Failure> {
    let warnings = warnings(arguments, fleet, spec, load);
    let cells = arguments.policies.compared(world, spec, arguments.peers)?;
    let ours = cells.first().filter(|_| arguments.criteria);
    let criteria = ours.map(|ours| judge::criteria(&fleet.criteria, &spec.name, ours, world.setting));
    let (step_seconds, points) = (arguments.step.as_secs_f64(), load.demand.len());
    Ok(Comparison {
        version: VERSION,
        seed: arguments.seed,
        tier: spec.name.clone(),
        trace: Trace { path: arguments.series.in_words(), step_seconds, points },
        warnings,
        hindsight: Hindsight::of(world, load.mean.as_ref()),
        cells,
        criteria,
    })
}

/// What whoever reads the figures has to know, told at once.
fn warnings(arguments: &Arguments, fleet: &Fleet, spec: &TierSpec, load: &Load) -> Vec<String> {
    let mut warnings = load.warnings(spec, arguments.model);
    warnings.extend(arguments.cloud.warning(fleet.controller.freshness, arguments.step));
    warnings.iter().for_each(|warning| output::note(format_args!("warning: {warning}")));
    warnings
}

/// What the model that was chosen cannot do is refused before anything is simulated.
fn flags_that_belong_together(arguments: &Arguments) -> Result<(), Failure> {
    arguments.policies.look_often_enough_for(arguments.step)?;
    if arguments.criteria && !arguments.policies.evenkeel {
        return Err(Failure::usage(
            "`--criteria` judges Evenkeel's own policy; name `evenkeel` among the `--policies`",
        ));
    }
    let needs_requests = [("--criteria", arguments.criteria), ("--patience", arguments.patience.is_some())];
    let given = needs_requests.iter().find(|(_, given)| *given && arguments.model == choices::ModelName::Fluid);
    given.map_or(Ok(()), |(flag, _)| {
        Err(Failure::usage(format!(
            "`{flag}` is about single requests, which the fluid model has none of; add `--model requests`"
        )))
    })
}

fn in_words(result: &Comparison) -> String {
    let mut words = render::table(&result.cells.iter().collect::<Vec<_>>());
    words.push_str(&render::hindsight(&result.hindsight));
    if let Some(criteria) = &result.criteria {
        words.push('\n');
        evenkeel_load::render::criteria(&mut words, criteria, Colors::None);
    }
    words
}

/// With pictures.
fn page(world: &World<'_>, result: &Comparison, about: &report::About) -> String {
    let World { demand, setting, .. } = *world;
    let Comparison { cells, hindsight, criteria, .. } = result;
    let criteria = criteria.as_deref().unwrap_or_default();
    report::html(&Compared { cells, demand, setting, hindsight, criteria }, about).trim_end().to_owned()
}

pub(super) fn tier<'a>(fleet: &'a Fleet, name: Option<&str>) -> Result<(&'a TierSpec, &'a TierSettings), Failure> {
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
    spec.start_up = arguments.cloud.start_up().unwrap_or(spec.start_up);
    if arguments.mean_replicas.is_some() {
        (spec.minimum, spec.maximum) = (1, MOST_REPLICAS);
    }
    spec
}

/// The tier's gateway as the fleet file has it. An asynchronous tier's requests wait in its own queue for as long as it takes.
pub(super) fn gateway(fleet: &Fleet, spec: &TierSpec, settings: &TierSettings, patience: Option<Span>) -> Gateway {
    let (most, hold) = match &settings.asynchronous {
        Some(asynchronous) => (asynchronous.max_queued, FOREVER),
        None => (fleet.gateway.max_held, fleet.gateway.hold),
    };
    let max_outstanding = spec.profile.max_sequences.saturating_add(settings.slack);
    Gateway { patience, ..Gateway::new(most, hold, max_outstanding) }
}

fn setting(arguments: &Arguments, spec: &TierSpec, slots: usize) -> Result<Setting, Failure> {
    let scenario = arguments.series.scenario.filter(|_| arguments.part.from == Span::ZERO);
    let longest_history = scenario.and_then(Scenario::ordinary).unwrap_or(LONGEST_HISTORY);
    let (step, history, peers, start) = (arguments.step, arguments.history, arguments.peers, Time::default());
    Scored { what: "series", step, slots, history, longest_history, start, peers }
        .setting(spec, arguments.violation.into())
}
