//! `evenkeel check FLEET`: every mistake at once.

use crate::failure::Failure;
use crate::fleet_file;
use crate::output::{self, Format};
use evenkeel_fleet::model::Fleet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file
    fleet: PathBuf,
}

pub(crate) fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    let name = arguments.fleet.display().to_string();
    let text = fleet_file::read(&arguments.fleet).map_err(Failure::usage)?;
    match (evenkeel_fleet::read(&text, &name), format) {
        (Ok(fleet), format) => {
            let warnings = warnings(&fleet, &arguments.fleet)?;
            if format == Format::Json {
                output::json(&serde_json::json!({ "problems": [], "warnings": warnings }))?;
                return Ok(ExitCode::SUCCESS);
            }
            for warning in warnings {
                output::say(format!("warning: {warning}"))?;
            }
            output::say(format!("{name}: no mistakes, {} tiers", fleet.spec.tiers.len()))?;
            Ok(ExitCode::SUCCESS)
        }
        (Err(problems), Format::Table) => {
            let count = problems.list().len();
            let noun = if count == 1 { "mistake" } else { "mistakes" };
            output::say(problems.render(std::io::stdout().is_terminal()).trim_end())?;
            Err(Failure::usage(format!("{name}: {count} {noun}")))
        }
        (Err(problems), Format::Json) => {
            output::json(&problems.to_json())?;
            Ok(ExitCode::from(2))
        }
    }
}

/// What the file itself warns of, and what this machine lacks for it.
fn warnings(fleet: &Fleet, file: &Path) -> Result<Vec<String>, Failure> {
    // What came by a pipe stands in no folder; then the present one is as good as any.
    let folder = match file.canonicalize() {
        Ok(file) => file.parent().unwrap_or(Path::new("/")).to_owned(),
        Err(_) => std::env::current_dir().map_err(Failure::usage)?,
    };
    let around = evenkeel_fleet::surroundings(fleet, &folder, std::env::var_os("PATH").as_deref());
    Ok(fleet.warnings.iter().map(ToString::to_string).chain(around).collect())
}
