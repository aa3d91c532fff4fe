//! Reading the fleet file for a command.

use crate::failure::Failure;
use crate::output;
use evenkeel_fleet::model::Fleet;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

/// A fleet file that was accepted, with the very text it was read from: what is compared with the file later must be what
/// is in force, not what stood there a moment after.
pub(crate) struct Accepted {
    /// What it says.
    pub(crate) fleet: Arc<Fleet>,
    /// Its text; `None` where the file holds another one now that cannot be used.
    pub(crate) text: Option<String>,
}

/// Reads the fleet file at `path`; every mistake in it is the failure's message. Warnings go to standard error.
pub(crate) fn load(path: &Path) -> Result<Arc<Fleet>, Failure> {
    accept(path).map(|accepted| accepted.fleet)
}

/// The same, with its text.
pub(crate) fn accept(path: &Path) -> Result<Accepted, Failure> {
    let text = read(path).map_err(Failure::usage)?;
    let fleet = parse(&text, path).map_err(Failure::usage)?;
    for warning in &fleet.warnings {
        output::note(format_args!("{}: warning: {warning}", path.display()));
    }
    Ok(Accepted { fleet: Arc::new(fleet), text: Some(text) })
}

/// The text at `path`.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads `text`, which was found at `path`, or tells every mistake in words.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Fleet, String> {
    evenkeel_fleet::read(text, &path.display().to_string())
        .map_err(|problems| problems.render(std::io::stderr().is_terminal()))
}
