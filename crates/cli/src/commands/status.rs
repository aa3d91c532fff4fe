//! `evenkeel status FLEET`: how a running fleet is.

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::state_dir::StateArgument;
use crate::whereabouts;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file
    fleet: PathBuf,
    #[command(flatten)]
    state: StateArgument,
}

pub(crate) async fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    let place = whereabouts::find(&arguments.fleet, &arguments.state)?;
    let state = place.control()?.state_of(&place.fleet).await?;
    match format {
        Format::Json => output::json(&state)?,
        Format::Table => print(&state)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(state: &Value) -> Result<(), Failure> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    output::say(format_args!(
        "{}: mode {}, {:.2} USD/h",
        text(&state["fleet"]),
        text(&state["mode"]),
        state["cost_usd_per_hour"].as_f64().unwrap_or(0.0)
    ))?;
    if let Some(until) = state["paused_until_us"].as_i64() {
        output::say(format_args!("paused until {}", output::moment(evenkeel_core::units::Time::from_micros(until))))?;
    }
    for source in state["sources"].as_array().into_iter().flatten() {
        if let Some(problem) = source["problem"].as_str() {
            output::say(format_args!("source {}: {problem}", text(&source["name"])))?;
        }
    }
    let mut table = output::table(&["tier", "desired", "ready", "starting", "draining", "demand", "requests/s", "why"]);
    for tier in state["tiers"].as_array().into_iter().flatten() {
        let supply = &tier["decision"]["supply"];
        let figure = |value: &Value| value.as_f64().map_or_else(|| "no data".to_owned(), |it| format!("{it:.2}"));
        table.add_row([
            text(&tier["tier"]),
            text(&tier["decision"]["desired"]),
            text(&supply["ready"]),
            text(&supply["starting"]),
            text(&supply["draining"]),
            figure(&tier["demand_replicas"]),
            figure(&tier["requests_per_second"]),
            text(&tier["explanation"]),
        ]);
    }
    output::say(table)
}
