//! The comparison as a table.

use crate::output;
use evenkeel_sim::cloud::Losses;
use evenkeel_sim::compare::{Cell, Parameters, Tuning};
use evenkeel_sim::hindsight::Hindsight;
use evenkeel_sim::requests::Served;

const FLEET: [&str; 10] = [
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
];
const LOSSES: [&str; 4] = ["refused", "failed starts", "interrupted", "crashed"];
const REQUESTS: [&str; 5] = ["objective", "ttft p95 ms", "tpot p95 ms", "itl p95 ms", "failed"];

pub(in crate::commands) fn table(cells: &[&Cell]) -> String {
    let requests = cells.iter().any(|cell| cell.score.served.requests.is_some());
    let losses = cells.iter().any(|cell| !cell.score.losses.are_none());
    let mut columns = FLEET.to_vec();
    columns.extend(losses.then_some(LOSSES).into_iter().flatten());
    columns.extend(requests.then_some(REQUESTS).into_iter().flatten());
    let mut table = output::table(&columns);
    for cell in cells {
        let mut row = fleet(cell).to_vec();
        row.extend(losses.then(|| of_cloud(&cell.score.losses)).into_iter().flatten());
        row.extend(requests.then(|| of_requests(&cell.score.served)).into_iter().flatten());
        table.add_row(row);
    }
    table.to_string()
}

fn fleet(cell: &Cell) -> [String; 10] {
    let score = &cell.score;
    [
        named(cell),
        target(&cell.parameters),
        format!("{:.3} %", 100.0 * score.capacity_attainment),
        format!("{} %, {}", 100.0 * cell.attainment_requested, if cell.kept() { "kept" } else { "missed" }),
        format!("{:.0} %", 100.0 * score.budget_used),
        format!("{:.1}", score.replica_hours),
        format!("{:.2}", score.cost_usd),
        score.cost_over_oracle.map_or_else(String::new, |over| format!("{over:.3}")),
        format!("{:.0}", score.violation_minutes),
        score.launches.to_string(),
    ]
}

/// What the cloud refused and took away.
fn of_cloud(losses: &Losses) -> [String; 4] {
    let Losses { launches_refused, launches_failed, interrupted, crashed } = losses;
    [launches_refused, launches_failed, interrupted, crashed].map(u64::to_string)
}

fn target(parameters: &Parameters) -> String {
    let Some(target) = parameters.target else { return String::new() };
    if parameters.kept_when_tuned == Some(false) { format!("{target}: none kept it") } else { target.to_string() }
}

fn of_requests(served: &Served) -> [String; 5] {
    let milliseconds = |seconds: Option<f64>| seconds.map_or_else(String::new, |it| format!("{:.1}", 1e3 * it));
    [
        served.objective_attainment.map_or_else(String::new, |share| format!("{:.2} %", 100.0 * share)),
        milliseconds(served.ttft_p95_seconds),
        milliseconds(served.tpot_p95_seconds),
        milliseconds(served.itl_p95_seconds),
        served.requests.map_or_else(String::new, |counts| counts.unserved().to_string()),
    ]
}

/// What nobody undercuts, in a line.
pub(in crate::commands) fn hindsight(hindsight: &Hindsight) -> String {
    let Hindsight { asked, causal_floor_replica_hours, .. } = hindsight;
    let floor = causal_floor_replica_hours
        .map(|hours| format!("; one who knows the mean of demand and not its noise {hours:.1}"))
        .unwrap_or_default();
    let (attainment, hours, usd) = (100.0 * asked.attainment, asked.replica_hours, asked.cost_usd);
    format!("\nin hindsight {attainment} % take {hours:.1} replica hours, {usd:.2} USD{floor}")
}

fn named(cell: &Cell) -> String {
    let how = cell.tuning.map(|tuning| match tuning {
        Tuning::Default => "default",
        Tuning::TunedOnHistory => "tuned on history",
        Tuning::TunedInHindsight => "tuned in hindsight",
    });
    how.map_or_else(|| cell.policy.to_owned(), |how| format!("{}, {how}", cell.policy))
}
