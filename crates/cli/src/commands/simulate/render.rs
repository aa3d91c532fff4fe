//! The comparison as a table.

use crate::output;
use evenkeel_sim::compare::{Cell, Tuning};

pub(super) fn table(cells: &[Cell]) -> String {
    let mut table = output::table(&[
        "policy",
        "target",
        "attainment",
        "asked",
        "budget used",
        "replica hours",
        "cost USD",
        "cost / oracle",
        "violation min",
        "launches",
    ]);
    for cell in cells {
        let score = &cell.score;
        table.add_row([
            named(cell),
            cell.parameters.target.map_or_else(String::new, |target| format!("{target}")),
            format!("{:.3} %", 100.0 * score.capacity_attainment),
            format!("{} %", 100.0 * cell.attainment_requested),
            format!("{:.0} %", 100.0 * score.budget_used),
            format!("{:.1}", score.replica_hours),
            format!("{:.2}", score.cost_usd),
            format!("{:.3}", score.cost_over_oracle),
            format!("{:.0}", score.violation_minutes),
            score.launches.to_string(),
        ]);
    }
    table.to_string()
}

fn named(cell: &Cell) -> String {
    let how = cell.tuning.map(|tuning| match tuning {
        Tuning::Default => "default",
        Tuning::TunedOnHistory => "tuned on history",
        Tuning::TunedInHindsight => "tuned in hindsight",
    });
    how.map_or_else(|| cell.policy.to_owned(), |how| format!("{}, {how}", cell.policy))
}
