//! `evenkeel load`: traffic of players or of a trace, to a fleet or to any OpenAI-compatible server, judged by criteria.

mod about;
mod endpoint;
mod limits;
mod source;

use crate::control::Control;
use crate::failure::{CRITERION, Failure};
use crate::output::{self, Format};
use crate::probe::ControllerProbe;
use crate::result_file::ResultFile;
use crate::{fleet_file, open_files, signals, target_key};
use evenkeel_core::units::Span;
use evenkeel_fleet::model::{Criterion, Fleet};
use evenkeel_load::render::{self, Colors};
use evenkeel_load::report::{self, About};
use evenkeel_load::{FleetProbe, Options, Plan, Summary, Target, Traffic, progress, run as send, threshold};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

// Where a number is meant, `-5` is one and no flag: it is refused for what is wrong with it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file; without one, `--target` and `--model` say what is loaded
    // A target alone means that there is none: then `--model` is what is missing, and is asked for by its name.
    #[arg(required_unless_present_any = ["model", "target"])]
    fleet: Option<PathBuf>,
    /// Where the requests go [default: where the fleet file says the gateway listens]
    #[arg(long, value_name = "URL")]
    target: Option<String>,
    #[command(flatten)]
    endpoint: endpoint::Endpoint,
    #[command(flatten)]
    source: source::Source,
    /// What must hold, beside the fleet file's criteria: `gold.ttft.p95<250ms`, `gold.attainment>=99%`, `failed<=0`
    #[arg(long = "threshold", value_name = "CONDITION")]
    thresholds: Vec<String>,
    /// Write a report with pictures: one HTML file that loads nothing
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Windows of objective attainment, seconds: a minute over the factor by which the fleet file's windows are compressed
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    #[arg(allow_negative_numbers = true, value_parser = limits::window)]
    window: f64,
    /// How long requests under way at the end are waited for, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, allow_negative_numbers = true, value_parser = limits::drain)]
    drain: u64,
    /// Let the model end its answers where it would: for servers that do not know `ignore_eos`
    #[arg(long)]
    stop_at_eos: bool,
}

pub(crate) async fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    open_files::take_all();
    let fleet = arguments.fleet.as_deref().map(fleet_file::load).transpose()?;
    let plan = plan(&arguments, fleet.as_deref())?;
    if let Traffic::Players(players) = &plan.traffic {
        limits::traffic(players.peak(), plan.tiers.iter().map(|tier| &tier.traffic)).map_err(Failure::usage)?;
    }
    let target = target(&arguments, fleet.as_deref())?;
    let api_key = target_key::from_environment()?;
    let (drain, ignore_eos) = (Duration::from_secs(arguments.drain), !arguments.stop_at_eos);
    let options = Options { drain, ignore_eos, api_key, ..Options::default() };
    let probe = fleet.as_deref().map(probe).transpose()?;
    let about = about::about(&name(&arguments, fleet.as_deref()), &arguments.source.in_words());
    let inputs = [arguments.fleet.as_deref(), arguments.source.file()];
    let report = arguments.report.as_deref().map(|path| ResultFile::open("--report", path, &inputs)).transpose()?;
    let mut progress = progress::for_standard_error();
    let summary = send(plan, target, options, probe, progress.as_mut(), signals::ended).await;
    tell(&summary, &about, report.as_ref(), format)?;
    Ok(if summary.outcome.passed() { ExitCode::SUCCESS } else { ExitCode::from(CRITERION) })
}

fn plan(arguments: &Arguments, fleet: Option<&Fleet>) -> Result<Plan, Failure> {
    let window = Span::from_secs_f64(arguments.window);
    let seed = arguments.source.seed;
    match fleet {
        Some(fleet) => {
            let names: Vec<&str> = fleet.spec.tiers.iter().map(|tier| tier.name.as_str()).collect();
            let traffic = arguments.source.traffic(&names)?;
            let mut plan = Plan::new(fleet, traffic, window, seed).map_err(Failure::usage)?;
            plan.criteria.extend(thresholds(&arguments.thresholds, &names)?);
            Ok(plan)
        }
        None => {
            let name = arguments.endpoint.model()?;
            let criteria = thresholds(&arguments.thresholds, &[name])?;
            let traffic = arguments.source.traffic(&[name])?;
            let tier = arguments.endpoint.tier(&criteria)?;
            Plan::of_tiers(vec![tier], traffic, criteria, window, seed).map_err(Failure::usage)
        }
    }
}

fn thresholds(texts: &[String], tiers: &[&str]) -> Result<Vec<Criterion>, Failure> {
    texts.iter().map(|text| threshold::parse(text, tiers).map_err(Failure::usage)).collect()
}

fn target(arguments: &Arguments, fleet: Option<&Fleet>) -> Result<Target, Failure> {
    let of_fleet = || fleet.map(|fleet| format!("http://{}", fleet.gateway.listen));
    let target = arguments.target.clone().or_else(of_fleet);
    let target = target.ok_or_else(|| Failure::usage("without a fleet file `--target` says where the requests go"))?;
    Target::parse(&target).map_err(Failure::usage)
}

fn probe(fleet: &Fleet) -> Result<Arc<dyn FleetProbe>, Failure> {
    Ok(Arc::new(ControllerProbe(Control::of(fleet)?)))
}

/// What the report calls that which was loaded.
fn name(arguments: &Arguments, fleet: Option<&Fleet>) -> String {
    let model = || arguments.endpoint.model().unwrap_or_default().to_owned();
    fleet.map_or_else(model, |fleet| fleet.spec.name.clone())
}

fn tell(summary: &Summary, about: &About, report: Option<&ResultFile>, format: Format) -> Result<(), Failure> {
    if let Some(file) = report {
        file.write(&report::html(summary, about))?;
        output::note(format_args!("report: {}", file.path().display()));
    }
    match format {
        Format::Json => output::json(summary),
        Format::Table => output::say(render::text(summary, Colors::of_standard_output()).trim_end()),
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
        let source = &arguments.source;
        assert_eq!(source.in_words(), "a generated day with 0 players at its peak, 0.5 times as fast");
        assert_eq!((arguments.window, arguments.source.seed, arguments.drain), (2.5, 0, 0));
    }
}
