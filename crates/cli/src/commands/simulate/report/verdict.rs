//! Who kept what was asked, and what it cost: first in words, then each policy in a row.

use super::moment::length;
use super::ranking::{Ranked, attainment};
use super::{About, Compared};
use evenkeel_load::render::outcome;
use evenkeel_load::summary::{CriterionResult, Verdict};
use evenkeel_report::markup::{Cell, escaped, note, section as html_section, table};
use evenkeel_report::words::{count, milliseconds, money, percent};
use evenkeel_sim::cloud::Losses;
use evenkeel_sim::compare::Parameters;
use evenkeel_sim::oracle::Violation;
use evenkeel_sim::requests::Served;

const FLEET: [&str; 10] =
    ["", "verdict", "policy", "target", "attainment", "budget used", "cost", "cost / oracle", "launches", "reaction"];
const LOSSES: [&str; 4] = ["refused", "failed starts", "interrupted", "crashed"];
const REQUESTS: [&str; 5] = ["objective attainment", "ttft p95", "tpot p95", "itl p95", "failed or left"];

const READ: &str = "Attainment is 1 - violated / offered demand, both in replicas; budget used is what was violated over what \
     the attainment asked for allows. The oracle knows the future and misses no more than the policy did: where every start \
     takes the same time and nothing is taken away, 1 cannot be beaten. Where single requests tell, what was asked is kept \
     only if every objective held in as large a share of the minutes, too. Reaction is the median time that demand which rose \
     above the ready replicas waited for enough of them.";

pub(super) fn section(compared: &Compared<'_>, about: &About, ranked: &[Ranked<'_>]) -> String {
    let asked = percent(compared.asked());
    let kept = ranked.iter().filter(|policy| policy.kept).count();
    let (class, word) = match kept {
        0 => ("failed", "Missed by all".to_owned()),
        kept if kept == ranked.len() => ("passed", "Kept by all".to_owned()),
        kept => ("passed", format!("Kept by {kept} of {}", ranked.len())),
    };
    format!(
        "<header class=\"verdict {class}\">\n<h1>Simulation of {}: who keeps {asked} of demand, and what it costs</h1>\n\
         <p class=\"when\">{}</p>\n<p class=\"outcome\"><strong id=\"verdict\">{word}</strong> {}</p>\n{}</header>\n{}\
         <section id=\"policies\">\n<h2>Policies</h2>\n{}{}</section>\n",
        escaped(&about.tier),
        escaped(&when(compared, about)),
        escaped(&in_words(ranked)),
        about.warnings.iter().map(|warning| note(&format!("Beware: {warning}."))).collect::<String>(),
        tiles(compared, ranked),
        policies(ranked),
        note(READ),
    ) + &criteria(compared.criteria)
}

/// The fleet file's criteria, where they were judged.
fn criteria(criteria: &[CriterionResult]) -> String {
    if criteria.is_empty() {
        return String::new();
    }
    let row = |criterion: &CriterionResult| {
        let verdict = match criterion.verdict {
            Verdict::Passed => Cell::Mark("passed", "\u{2713}", "passed"),
            Verdict::Failed => Cell::Mark("failed", "\u{2717}", "failed"),
            Verdict::NotJudged => Cell::Mark("open", "\u{2013}", "not judged"),
        };
        vec![verdict, Cell::text(&criterion.statement), Cell::text(outcome(criterion))]
    };
    let rows: Vec<Vec<Cell>> = criteria.iter().map(row).collect();
    let caption = "Of the fleet file, judged by Evenkeel\u{2019}s run";
    html_section("criteria", "Criteria", &table(caption, &["verdict", "criterion", "seen"], &rows))
}

fn when(compared: &Compared<'_>, about: &About) -> String {
    let lasts = |slots: usize| length(slots as f64 * compared.setting.slot.as_secs_f64());
    let scored = lasts(compared.demand.len() - compared.setting.scored_from);
    let history = match compared.setting.scored_from {
        0 => "without history".to_owned(),
        slots => format!("after {} of history", lasts(slots)),
    };
    let violation = match compared.setting.violation {
        Violation::Excess => "demand above the ready replicas is violated",
        Violation::Step => "all demand of a step that is short is violated",
    };
    format!("{}: {scored} scored {history}; {violation}.", about.trace)
}

fn in_words(ranked: &[Ranked<'_>]) -> String {
    let said = |policy: &Ranked<'_>| format!("{} {}.", policy.name(), policy.outcome());
    let Some(first) = ranked.first() else { return String::new() };
    let best = match (first.kept, first.is_ours()) {
        (true, true) if ranked.len() > 1 => return format!("{} No other that kept it is cheaper.", said(first)),
        (true, true) => String::new(),
        (true, false) => format!("The cheapest that kept it: {}", said(first)),
        (false, _) => String::new(),
    };
    let ours = ranked.iter().find(|policy| policy.is_ours()).map(said);
    [best, ours.unwrap_or_default()].join(" ").trim().to_owned()
}

/// What a glance should catch.
fn tiles(compared: &Compared<'_>, ranked: &[Ranked<'_>]) -> String {
    let cheapest = ranked.iter().find(|policy| policy.kept);
    let ours = ranked.iter().find(|policy| policy.is_ours());
    let of = |policy: &Ranked<'_>| {
        let kept = if policy.kept { "kept" } else { "missed" };
        let said = format!("{}: {kept} with {}{}", policy.name(), policy.reached(), policy.over_oracle());
        (money(policy.cell.score.cost_usd), said)
    };
    let floor = compared.hindsight.causal_floor_replica_hours.map_or_else(String::new, |hours| {
        format!("; {} for one who knows all but the noise", money(compared.cost_usd(hours)))
    });
    let hindsight = format!("what knowing the future costs for {}{floor}", percent(compared.asked()));
    let tiles = [
        (
            "cheapest that kept it",
            cheapest.map(of).or(Some(("none".to_owned(), "all missed what was asked".to_owned()))),
        ),
        ("Evenkeel", ours.map(of)),
        ("the oracle", Some((money(compared.hindsight.asked.cost_usd), hindsight))),
    ];
    let tile = |(name, (figure, said)): (&str, (String, String))| {
        let (figure, said) = (escaped(&figure), escaped(&said));
        format!("<div class=\"tile\"><dt>{name}</dt><dd class=\"value\">{figure}</dd><dd>{said}</dd></div>\n")
    };
    let known = tiles.into_iter().filter_map(|(name, told)| Some((name, told?)));
    format!("<dl class=\"tiles\">\n{}</dl>\n", known.map(tile).collect::<String>())
}

fn policies(ranked: &[Ranked<'_>]) -> String {
    let requests = ranked.iter().any(|policy| policy.cell.score.served.requests.is_some());
    let losses = ranked.iter().any(|policy| !policy.cell.score.losses.are_none());
    let mut header = FLEET.to_vec();
    header.extend(losses.then_some(LOSSES).into_iter().flatten());
    header.extend(requests.then_some(REQUESTS).into_iter().flatten());
    let row = |policy: &Ranked<'_>| {
        let mut row = fleet(policy);
        row.extend(losses.then(|| of_cloud(&policy.cell.score.losses)).into_iter().flatten());
        row.extend(requests.then(|| of_requests(&policy.cell.score.served)).into_iter().flatten());
        row
    };
    let caption = "Those that kept the attainment asked for come first, then the cheaper";
    table(caption, &header, &ranked.iter().map(row).collect::<Vec<_>>())
}

fn fleet(policy: &Ranked<'_>) -> Vec<Cell> {
    let score = &policy.cell.score;
    let none = || "\u{2013}".to_owned();
    let verdict = match policy.kept {
        true => Cell::Mark("passed", "\u{2713}", "kept"),
        false => Cell::Mark("failed", "\u{2717}", "missed"),
    };
    vec![
        Cell::text(policy.number.to_string()),
        verdict,
        Cell::text(policy.name()),
        Cell::figure(target(&policy.cell.parameters)),
        Cell::figure(attainment(score.capacity_attainment)),
        Cell::figure(format!("{:.0} %", 100.0 * score.budget_used)),
        Cell::figure(money(score.cost_usd)),
        Cell::figure(score.cost_over_oracle.map_or_else(none, |over| format!("{over:.3}"))),
        Cell::figure(count(score.launches)),
        Cell::figure(score.reaction_seconds.map_or_else(none, length)),
    ]
}

/// A target with as many decimals as tuning gives it.
fn target(parameters: &Parameters) -> String {
    let Some(target) = parameters.target else { return "\u{2013}".to_owned() };
    let text = format!("{target:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if parameters.kept_when_tuned == Some(false) { format!("{text}: no target kept it") } else { text.to_owned() }
}

/// What the cloud refused and took away.
fn of_cloud(losses: &Losses) -> [Cell; 4] {
    let Losses { launches_refused, launches_failed, interrupted, crashed } = *losses;
    [launches_refused, launches_failed, interrupted, crashed].map(|it| Cell::figure(count(it)))
}

fn of_requests(served: &Served) -> [Cell; 5] {
    let time = |seconds: Option<f64>| Cell::maybe(seconds.map(|it| milliseconds(1e3 * it)));
    [
        Cell::maybe(served.objective_attainment.map(percent)),
        time(served.ttft_p95_seconds),
        time(served.tpot_p95_seconds),
        time(served.itl_p95_seconds),
        Cell::maybe(served.requests.map(|counts| count(counts.failed + counts.cancelled))),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::example::{about, example, read};
    use super::super::ranking::ranked;
    use super::*;
    use evenkeel_load::summary::Observed;
    use evenkeel_sim::requests::RequestCounts;

    #[test]
    fn the_verdict_says_who_kept_it_and_what_it_cost() {
        let mut example = example();
        let told = |example: &super::super::example::Example| {
            read(&section(&example.compared(), &about(), &ranked(&example.cells)))
        };
        let both = told(&example);
        assert!(
            both.contains("Kept by 1 of 2 evenkeel kept 90 % with 95 %: $20.00, 1.25 \u{d7} the oracle. No other"),
            "{both}"
        );
        assert!(
            both.contains(
                "\n| 1 | \u{2713} kept | evenkeel | \u{2013} | 95 % | 50 % | $20.00 | 1.250 | 3 | 1 min 30 s\n"
            ),
            "{both}"
        );
        assert!(both.contains("\n| 2 | \u{2717} missed | static | 2 | 80 % | 200 % |"), "{both}");
        example.cells.remove(0);
        assert!(told(&example).contains("Missed by all"));
        assert!(told(&example).contains("cheapest that kept it none all missed what was asked"));
    }

    #[test]
    fn criteria_are_told_where_they_were_judged() {
        let failed = CriterionResult {
            kind: "failed_requests".to_owned(),
            tier: None,
            statement: "failed requests <= 0".to_owned(),
            verdict: Verdict::Failed,
            observed: Some(Observed::FailedRequests(7)),
            not_judged: None,
            reason: None,
        };
        let told = read(&criteria(&[failed]));
        assert!(told.contains("\n| \u{2717} failed | failed requests &lt;= 0 | 7"), "{told}");
        assert_eq!(criteria(&[]), "");
    }

    #[test]
    fn latencies_have_columns_where_there_are_any_and_what_is_not_known_is_no_zero() {
        let mut example = example();
        let requests = Some(RequestCounts { failed: 3, cancelled: 4, ..RequestCounts::default() });
        example.cells[0].score.served = Served { ttft_p95_seconds: Some(0.1234), requests, ..Served::default() };
        let told = read(&policies(&ranked(&example.cells)));
        assert!(told.contains("1 min 30 s | no data | 123 ms | no data | no data | 7\n"), "{told}");
    }
}
