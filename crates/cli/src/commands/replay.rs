//! `evenkeel replay FLEET`: the journal through the decision again.

use crate::failure::{CRITERION, Failure};
use crate::output::{self, Format};
use crate::state_dir::StateArgument;
use crate::whereabouts;
use evenkeel_controller::journal;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file; without it, the fleet that was run last
    fleet: Option<PathBuf>,
    #[command(flatten)]
    state: StateArgument,
}

pub(crate) fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    let state = match &arguments.fleet {
        Some(path) => whereabouts::find(path, &arguments.state)?.state,
        None => arguments.state.last()?,
    };
    let found = journal::replay(&state.existing_journal()?).map_err(Failure::journal)?;
    match format {
        Format::Json => output::json(&found)?,
        Format::Table => {
            output::say(format_args!(
                "{} ticks decided again, {} came out different",
                found.ticks,
                found.different.len()
            ))?;
            if found.skipped > 0 || found.gaps > 0 {
                output::say(format_args!(
                    "{} ticks could not be decided again, {} gaps in the journal",
                    found.skipped, found.gaps
                ))?;
            }
        }
    }
    Ok(if found.different.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(CRITERION) })
}
