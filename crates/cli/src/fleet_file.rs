//! Reading the fleet file for a command.

use crate::failure::Failure;
use evenkeel_fleet::model::Fleet;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

/// Reads the fleet file at `path`; every mistake in it is the failure's message. Warnings go to standard error.
pub(crate) fn load(path: &Path) -> Result<Arc<Fleet>, Failure> {
    let fleet = parse(path).map_err(Failure::usage)?;
    for warning in &fleet.warnings {
        eprintln!("{}: warning: {warning}", path.display());
    }
    Ok(Arc::new(fleet))
}

/// Reads the fleet file at `path`, or tells every mistake in words.
pub(crate) fn parse(path: &Path) -> Result<Fleet, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    evenkeel_fleet::read(&text, &path.display().to_string())
        .map_err(|problems| problems.render(std::io::stderr().is_terminal()))
}
