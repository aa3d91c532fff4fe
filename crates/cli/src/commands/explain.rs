//! `evenkeel explain [FLEET] TIER`: why it grew, held or shrank. It reads the journal, so it needs no running controller.

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::state_dir::StateArgument;
use crate::whereabouts;
use evenkeel_controller::explain;
use evenkeel_controller::journal::{DecisionRow, JournalReader};
use std::path::Path;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The tier, before it the fleet file; without a file, the fleet that was run last
    #[arg(num_args = 1..=2, required = true, value_names = ["FLEET", "TIER"])]
    fleet_and_tier: Vec<String>,
    /// Runs of equal decisions to go back
    #[arg(long, default_value_t = 40, allow_negative_numbers = true)]
    limit: u32,
    /// Only those that changed the count
    #[arg(long)]
    changes_only: bool,
    #[command(flatten)]
    state: StateArgument,
}

pub(crate) fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    let (state, tier) = match arguments.fleet_and_tier.as_slice() {
        [fleet, tier] => (whereabouts::find(Path::new(fleet), &arguments.state)?.state, tier),
        [tier] => (arguments.state.last()?, tier),
        _ => return Err(Failure::usage("name the tier, and before it the fleet file if need be")),
    };
    let journal = JournalReader::new(&state.existing_journal()?);
    let rows = journal.decisions(Some(tier), arguments.limit, arguments.changes_only).map_err(Failure::refused)?;
    if rows.is_empty() {
        return Err(Failure::usage(format!("the journal has no decision for a tier `{tier}`")));
    }
    match format {
        Format::Json => output::json(&rows)?,
        Format::Table => rows.iter().rev().try_for_each(print_row)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One run of equal decisions: when, how long, the sentence, and each clamp below it.
fn print_row(row: &DecisionRow) -> Result<(), Failure> {
    let seconds = row.last_us.since(row.first_us).as_secs_f64();
    let lasted = if row.ticks > 1 { format!(" for {seconds:.0} s") } else { String::new() };
    output::say(format_args!("{}{lasted}  {}", output::moment(row.first_us), explain::sentence(&row.decision)))?;
    for clamp in &row.decision.clamps {
        output::say(format_args!("{:24}{}", "", explain::clamp(clamp)))?;
    }
    Ok(())
}
