//! `evenkeel load FLEET`: the traffic of players, judged by the fleet's criteria.

use crate::control::Control;
use crate::failure::{CRITERION, Failure};
use crate::output::{self, Format};
use crate::probe::ControllerProbe;
use crate::{fleet_file, signals};
use evenkeel_core::units::Span;
use evenkeel_load::{FleetProbe, Options, Plan, Target, progress, render, run as send};
use evenkeel_workload::{Day, PlayersSeries};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file
    fleet: PathBuf,
    /// Where the requests go [default: where the fleet file says the gateway listens]
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Players over time: CSV `unix_s,value`, also gzip; without it a day is generated
    #[arg(long, value_name = "FILE", conflicts_with_all = ["peak", "low_share"])]
    players: Option<PathBuf>,
    /// Players at the generated day's peak
    #[arg(long, default_value_t = 1_000.0)]
    peak: f64,
    /// Players at the generated day's low, as a share of the peak
    #[arg(long, default_value_t = evenkeel_workload::day::MEASURED_LOW_SHARE)]
    low_share: f64,
    /// Time of players passes this many times faster
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    compress: f64,
    /// Windows of objective attainment, seconds: a minute over the factor by which the fleet file's windows are compressed
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    window: f64,
    /// Seed of the day, of arrivals and of lengths
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long requests under way at the end are waited for, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    drain: u64,
}

pub(crate) async fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    let fleet = fleet_file::load(&arguments.fleet)?;
    let players = players(&arguments)?.compressed(arguments.compress).map_err(Failure::usage)?;
    let window = Span::from_secs_f64(arguments.window);
    let plan = Plan::new(&fleet, players, window, arguments.seed).map_err(Failure::usage)?;
    let target = arguments.target.unwrap_or_else(|| format!("http://{}", fleet.gateway.listen));
    let target = Target::parse(&target).map_err(Failure::usage)?;
    let options = Options { drain: Duration::from_secs(arguments.drain), ..Options::default() };
    let probe: Arc<dyn FleetProbe> = Arc::new(ControllerProbe(Control::of(&fleet)?));
    let mut progress = progress::for_standard_error();
    let summary = send(plan, target, options, Some(probe), progress.as_mut(), signals::ended()).await;
    match format {
        Format::Json => output::json(&summary)?,
        Format::Table => print!("{}", render::text(&summary)),
    }
    Ok(if summary.any_failed() { ExitCode::from(CRITERION) } else { ExitCode::SUCCESS })
}

fn players(arguments: &Arguments) -> Result<PlayersSeries, Failure> {
    match &arguments.players {
        Some(path) => PlayersSeries::open(path).map_err(Failure::usage),
        None => {
            let day = Day {
                peak_players: arguments.peak,
                low_share: arguments.low_share,
                seed: arguments.seed,
                ..Day::default()
            };
            day.generate().map_err(Failure::usage)
        }
    }
}
