//! How results are printed: a table for people, JSON with stable names for programs.

use crate::failure::Failure;
use comfy_table::{Table, presets::UTF8_HORIZONTAL_ONLY};
use serde::Serialize;

/// The form of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Prints `value` as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::internal)?;
    println!("{text}");
    Ok(())
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
