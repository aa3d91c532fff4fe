//! `evenkeel check FLEET`: every mistake at once.

use crate::failure::Failure;
use crate::output::{self, Format};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file
    fleet: PathBuf,
}

pub(crate) fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    let name = arguments.fleet.display().to_string();
    let text = std::fs::read_to_string(&arguments.fleet).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    match (evenkeel_fleet::read(&text, &name), format) {
        (Ok(fleet), Format::Table) => {
            for warning in &fleet.warnings {
                println!("warning: {warning}");
            }
            println!("{name}: no mistakes, {} tiers", fleet.spec.tiers.len());
            Ok(ExitCode::SUCCESS)
        }
        (Ok(fleet), Format::Json) => {
            output::json(&serde_json::json!({ "problems": [], "warnings": fleet.warnings }))?;
            Ok(ExitCode::SUCCESS)
        }
        (Err(problems), Format::Table) => {
            let count = problems.list().len();
            let noun = if count == 1 { "mistake" } else { "mistakes" };
            print!("{}", problems.render(std::io::stdout().is_terminal()));
            Err(Failure::usage(format!("{name}: {count} {noun}")))
        }
        (Err(problems), Format::Json) => {
            output::json(&problems.to_json())?;
            Ok(ExitCode::from(2))
        }
    }
}
