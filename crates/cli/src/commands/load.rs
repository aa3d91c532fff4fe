//! `evenkeel load FLEET`: the traffic of players, judged by the fleet's criteria.

mod limits;

use crate::control::Control;
use crate::failure::{CRITERION, Failure};
use crate::output::{self, Format};
use crate::probe::ControllerProbe;
use crate::{fleet_file, signals};
use evenkeel_core::units::Span;
use evenkeel_load::render::{self, Colors};
use evenkeel_load::{FleetProbe, Options, Plan, Target, progress, run as send};
use evenkeel_workload::{Day, PlayersSeries};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

// Where a number is meant, `-5` is one and no flag: it is refused for what is wrong with it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file
    fleet: PathBuf,
    /// Where the requests go [default: where the fleet file says the gateway listens]
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    /// Players over time: CSV `unix_s,value`, also gzip; without it a day is generated
    #[arg(long, value_name = "FILE", conflicts_with_all = ["peak", "low_share"])]
    #[arg(allow_negative_numbers = true, value_parser = players_file)]
    players: Option<PathBuf>,
    /// Players at the generated day's peak
    #[arg(long, default_value_t = 1_000.0, allow_negative_numbers = true, value_parser = limits::players)]
    peak: f64,
    /// Players at the generated day's low, as a share of the peak
    #[arg(long, default_value_t = evenkeel_workload::day::MEASURED_LOW_SHARE)]
    #[arg(allow_negative_numbers = true, value_parser = share)]
    low_share: f64,
    /// Time of players passes this many times faster
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    #[arg(allow_negative_numbers = true, value_parser = limits::compression)]
    compress: f64,
    /// Windows of objective attainment, seconds: a minute over the factor by which the fleet file's windows are compressed
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    #[arg(allow_negative_numbers = true, value_parser = limits::window)]
    window: f64,
    /// Seed of the day, of arrivals and of lengths
    #[arg(long, default_value_t = 1, allow_negative_numbers = true, value_parser = whole)]
    seed: u64,
    /// How long requests under way at the end are waited for, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, allow_negative_numbers = true, value_parser = limits::drain)]
    drain: u64,
}

/// A number in a range, which `expected` tells in words.
fn number(text: &str, expected: &str, fits: impl Fn(f64) -> bool) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && fits(*number));
    number.ok_or_else(|| format!("expected {expected}"))
}

fn share(text: &str) -> Result<f64, String> {
    number(text, "a share from 0 to 1", |number| (0.0..=1.0).contains(&number))
}

fn whole(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "expected a whole number of at least 0".to_owned())
}

fn players_file(text: &str) -> Result<PathBuf, String> {
    match text.parse::<f64>() {
        Ok(_) => Err("expected a file; the number of players at a day's peak is `--peak`".to_owned()),
        Err(_) => Ok(PathBuf::from(text)),
    }
}

pub(crate) async fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    let fleet = fleet_file::load(&arguments.fleet)?;
    let players = players(&arguments)?.compressed(arguments.compress).map_err(Failure::usage)?;
    let window = Span::from_secs_f64(arguments.window);
    let plan = Plan::new(&fleet, players, window, arguments.seed).map_err(Failure::usage)?;
    limits::traffic(plan.players.peak(), plan.tiers.iter().map(|tier| &tier.traffic)).map_err(Failure::usage)?;
    let target = arguments.target.unwrap_or_else(|| format!("http://{}", fleet.gateway.listen));
    let target = Target::parse(&target).map_err(Failure::usage)?;
    let options = Options { drain: Duration::from_secs(arguments.drain), ..Options::default() };
    let probe: Arc<dyn FleetProbe> = Arc::new(ControllerProbe(Control::of(&fleet)?));
    let mut progress = progress::for_standard_error();
    let summary = send(plan, target, options, Some(probe), progress.as_mut(), signals::ended).await;
    match format {
        Format::Json => output::json(&summary)?,
        Format::Table => output::say(render::text(&summary, Colors::of_standard_output()).trim_end())?,
    }
    Ok(if summary.outcome.passed() { ExitCode::SUCCESS } else { ExitCode::from(CRITERION) })
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    /// What the flags `line` are refused with.
    fn refused(line: &str) -> String {
        let words = ["load", "fleet.yaml"].into_iter().chain(line.split(' '));
        Line::try_parse_from(words).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_negative_number_is_refused_for_what_it_is_and_not_as_an_unknown_flag() {
        for (line, expected) in [
            ("--players -5", "expected a file; the number of players at a day's peak is `--peak`"),
            ("--peak -5", "expected a number of at least 0"),
            ("--low-share -0.1", "expected a share from 0 to 1"),
            ("--compress -2", "expected a number above 0"),
            ("--compress 0", "expected a number above 0"),
            ("--window -1e3", "expected a number above 0"),
            ("--seed -1", "expected a whole number of at least 0"),
            ("--drain -60", "expected a whole number of at least 0"),
            ("--peak NaN", "expected a number of at least 0"),
            ("--compress inf", "expected a number above 0"),
        ] {
            let refused = refused(line);
            let value = line.split(' ').next_back().unwrap();
            assert!(refused.contains(expected) && refused.contains(&format!("'{value}'")), "{line}: {refused}");
            assert!(!refused.contains("unexpected argument"), "{line}: {refused}");
        }
    }

    #[test]
    fn numbers_in_their_range_are_taken() {
        let line = "load fleet.yaml --peak 0 --low-share 1 --compress 0.5 --window 2.5 --seed 0 --drain 0";
        let Line { arguments } = Line::try_parse_from(line.split(' ')).unwrap();
        assert_eq!((arguments.peak, arguments.low_share, arguments.compress), (0.0, 1.0, 0.5));
        assert_eq!((arguments.window, arguments.seed, arguments.drain), (2.5, 0, 0));
    }
}
