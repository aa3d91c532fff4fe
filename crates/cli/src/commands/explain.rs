//! `evenkeel explain [FLEET] TIER`: why it grew, held or shrank. It reads the journal, so it needs no running controller.

use crate::failure::Failure;
use crate::fleet_file;
use crate::output::{self, Format};
use crate::state_dir::StateArgument;
use crate::whereabouts;
use evenkeel_controller::explain;
use evenkeel_controller::journal::{DONE, DecisionRow, JournalReader, OrderRow};
use evenkeel_controller::operator::OperatorOrder;
use evenkeel_core::units::{Span, Time};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

/// Newest runs of decisions in which the tiers that there are are looked for.
const LOOKED_THROUGH: u32 = 1_000;
/// Ticks that are late or lost now and then are no gap.
const FEW_TICKS: f64 = 5.0;

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
        [file] if file.contains(['.', '/']) => return Err(tier_forgotten(file)),
        [tier] => (arguments.state.last()?, tier),
        _ => return Err(Failure::usage("name the tier, and before it the fleet file if need be")),
    };
    let journal = JournalReader::new(&state.existing_journal()?);
    let rows = journal.decisions(Some(tier), arguments.limit, arguments.changes_only).map_err(Failure::journal)?;
    if rows.is_empty() {
        return Err(unknown_tier(&journal, tier));
    }
    match format {
        Format::Json => output::json(&rows)?,
        Format::Table => {
            let orders = journal.orders().map_err(Failure::journal)?;
            let operator = journal.operator_orders().map_err(Failure::journal)?;
            let said = operator.iter().filter_map(|(at, order)| Some((*at, in_words(*at, order, tier)?))).collect();
            let from_the_beginning = rows.len() < arguments.limit as usize;
            Story { orders, said, from_the_beginning, changes_only: arguments.changes_only }.print(&rows)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What stands beside the runs of decisions.
struct Story {
    orders: Vec<OrderRow>,
    /// What operators ordered, in words.
    said: Vec<(Time, String)>,
    /// Whether nothing is kept from before these runs.
    from_the_beginning: bool,
    changes_only: bool,
}

impl Story {
    /// The runs of decisions, the oldest first; between them what operators ordered, who took over, and the moments at
    /// which nobody decided.
    fn print(&self, rows: &[DecisionRow]) -> Result<(), Failure> {
        let mut rows = rows.iter().rev().peekable();
        if self.from_the_beginning {
            self.print_said(None, rows.peek().copied())?;
        }
        while let Some(row) = rows.next() {
            let next = rows.peek().copied();
            print_row(row, &self.orders)?;
            self.print_said(Some(row), next)?;
            if let Some(next) = next {
                self.print_between(row, next)?;
            }
        }
        Ok(())
    }

    /// What was ordered from the beginning of `row` until that of `next`.
    fn print_said(&self, row: Option<&DecisionRow>, next: Option<&DecisionRow>) -> Result<(), Failure> {
        let within = |at: Time| row.is_none_or(|row| at >= row.first_us) && next.is_none_or(|next| at < next.first_us);
        for (at, words) in self.said.iter().filter(|(at, _)| within(*at)) {
            output::say(format_args!("{}  {words}", output::moment(*at)))?;
        }
        Ok(())
    }

    fn print_between(&self, before: &DecisionRow, next: &DecisionRow) -> Result<(), Failure> {
        if let Some(gap) = gap(before, next).filter(|_| !self.changes_only) {
            output::say(format_args!(
                "{:22}nothing is kept of {:.0} s: no controller decided, or its journal could not be written",
                "",
                gap.as_secs_f64()
            ))?;
        }
        match (before.epoch, next.epoch) {
            (Some(before), Some(next)) if before != next => {
                output::say(format_args!("{:22}the controller of epoch {next} took over", ""))
            }
            _ => Ok(()),
        }
    }
}

/// An order given at `at`, where it concerns `tier`. Not every one is a person's: a damaged journal leaves mode observe.
fn in_words(at: Time, order: &OperatorOrder, tier: &str) -> Option<String> {
    Some(match order {
        OperatorOrder::Mode(mode) => format!("from here on in mode {}", mode.name()),
        OperatorOrder::Pause(until) if *until <= at => "the pause ends".to_owned(),
        OperatorOrder::Pause(until) => format!("paused until {}", output::moment(*until)),
        OperatorOrder::Override { tier: of, .. } if of != tier => return None,
        OperatorOrder::Override { order: None, .. } => "the override ends".to_owned(),
        OperatorOrder::Override { order: Some(order), .. } => {
            let bound = |words: &str, count: Option<u32>| count.map_or_else(String::new, |it| format!("{words} {it} "));
            let (least, most) = (bound("at least", order.at_least), bound("at most", order.at_most));
            format!("override {least}{most}until {}: {}", output::moment(order.until), order.because)
        }
    })
}

/// The time between two runs, where it is more than a few ticks.
fn gap(before: &DecisionRow, next: &DecisionRow) -> Option<Span> {
    let tick = |row: &DecisionRow| {
        (row.ticks > 1).then(|| row.last_us.since(row.first_us).as_secs_f64() / (row.ticks - 1) as f64)
    };
    let between = next.first_us.since(before.last_us);
    let usual = tick(before).or_else(|| tick(next))?;
    (between.as_secs_f64() > FEW_TICKS * usual).then_some(between)
}

/// No tier's name has a dot or a slash, so a lone `file` is the fleet file.
fn tier_forgotten(file: &str) -> Failure {
    let path = Path::new(file);
    let fleet = fleet_file::read(path).and_then(|text| fleet_file::parse(&text, path));
    let tiers: Vec<_> = fleet.iter().flat_map(|fleet| &fleet.spec.tiers).map(|tier| tier.name.as_str()).collect();
    let call =
        format!("after the fleet file comes the tier: `evenkeel explain {file} {}`", tiers.first().unwrap_or(&"TIER"));
    match tiers.is_empty() {
        true => Failure::usage(format!("`{file}` is no tier; {call}")),
        false => Failure::usage(format!("`{file}` is no tier; {call}; its tiers: {}", tiers.join(", "))),
    }
}

fn unknown_tier(journal: &JournalReader, tier: &str) -> Failure {
    let rows = match journal.decisions(None, LOOKED_THROUGH, false) {
        Ok(rows) => rows,
        Err(error) => return Failure::refused(error),
    };
    let known: BTreeSet<_> = rows.iter().map(|row| row.decision.tier.as_str()).collect();
    let known: Vec<_> = known.into_iter().collect();
    if known.contains(&tier) {
        return Failure::usage(format!("the journal has no such decision for the tier `{tier}`"));
    }
    let there = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
    Failure::usage(format!("the journal has no decision for a tier `{tier}`; it has: {there}"))
}

/// One run of equal decisions: when, how long, the sentence, and below it each clamp and what became of its orders, where
/// they were not carried out.
fn print_row(row: &DecisionRow, orders: &[OrderRow]) -> Result<(), Failure> {
    let seconds = row.last_us.since(row.first_us).as_secs_f64();
    let lasted = if row.ticks > 1 { format!(" for {seconds:.0} s") } else { String::new() };
    output::say(format_args!("{}{lasted}  {}", output::moment(row.first_us), explain::sentence(&row.decision)))?;
    for clamp in &row.decision.clamps {
        output::say(format_args!("{:24}{}", "", explain::clamp(clamp)))?;
    }
    let within =
        |order: &&OrderRow| order.tier == row.decision.tier && (row.first_us..=row.last_us).contains(&order.at_us);
    let outcomes = orders.iter().filter(within).filter_map(|order| order.outcome.as_deref());
    let refusals: Vec<&str> = outcomes.filter(|outcome| *outcome != DONE).collect();
    if let Some(last) = refusals.last() {
        let count = refusals.len();
        output::say(format_args!("{:24}of the orders for it {count} were not carried out, the last: {last}", ""))?;
    }
    Ok(())
}
