//! How results are printed: a table for people, JSON with stable names for programs.

use crate::failure::Failure;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;
use std::fmt::Display;
use std::io::{ErrorKind, Write};

/// What `--output` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// For people
    Table,
    /// For programs
    Json,
    /// A page with pictures that loads nothing; only `simulate` has one
    Html,
}

impl Output {
    /// The same for a command that has no page.
    ///
    /// # Errors
    /// A page.
    pub(crate) fn without_page(self) -> Result<Format, Failure> {
        match self {
            Self::Table => Ok(Format::Table),
            Self::Json => Ok(Format::Json),
            Self::Html => Err(Failure::usage(
                "`-o html` is for `simulate`; `load` writes its page with `--report FILE`, and other commands have none",
            )),
        }
    }
}

/// The form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Prints a line on standard output. Unlike `println!` it does not panic when nobody reads on (`| head`) or the disk under
/// a redirection is full. Whoever read has enough: that is no failure, and the command goes on to its own exit code, which
/// may be a verdict.
pub(crate) fn say(line: impl Display) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::refused(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Tells something on standard error, as far as anyone listens: a controller does not end because its log was closed.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Prints `value` as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    say(serde_json::to_string_pretty(value).map_err(Failure::internal)?)
}

/// A table with a header row.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_HORIZONTAL_ONLY).set_header(header);
    table
}

/// Microseconds UTC as a moment of the day for people.
pub(crate) fn moment(at: evenkeel_core::units::Time) -> String {
    let text = evenkeel_controller::events::rfc3339(at);
    text.split('.').next().unwrap_or(&text).replace('T', " ")
}
