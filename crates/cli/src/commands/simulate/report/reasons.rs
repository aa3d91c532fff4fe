//! Why counts changed, counted.

use super::Compared;
use super::picture::{is_up, within};
use super::ranking::Ranked;
use evenkeel_report::markup::{Cell, note, section as html_section, table};
use evenkeel_report::words::count;
use std::collections::BTreeMap;

const NOT_TOLD: &str = "not told";
const READ: &str = "Peers tell counts and no reasons. Raised and lowered are changes of the count of ready and starting \
     replicas while it was scored.";

/// Changes for one reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Changes {
    raised: u64,
    added: u64,
    lowered: u64,
    taken: u64,
}

pub(super) fn section(compared: &Compared<'_>, ranked: &[Ranked<'_>]) -> String {
    let rows: Vec<Vec<Cell>> = ranked.iter().flat_map(|policy| rows(compared, policy)).collect();
    let header = ["", "policy", "why", "raised", "replicas added", "lowered", "replicas taken"];
    let body = format!("{}{}", table("Changes by reason", &header, &rows), note(READ));
    html_section("reasons", "Why counts changed", &body)
}

fn rows(compared: &Compared<'_>, policy: &Ranked<'_>) -> Vec<Vec<Cell>> {
    let by_reason = by_reason(compared, policy);
    let row = |(why, changes): (&str, Changes)| {
        let figures = [changes.raised, changes.added, changes.lowered, changes.taken];
        let texts = [policy.number.to_string(), policy.name(), why.to_owned()];
        texts.into_iter().map(Cell::text).chain(figures.map(|it| Cell::figure(count(it)))).collect()
    };
    if by_reason.is_empty() {
        return vec![row(("the count never changed", Changes::default()))];
    }
    by_reason.into_iter().map(row).collect()
}

fn by_reason(compared: &Compared<'_>, policy: &Ranked<'_>) -> BTreeMap<&'static str, Changes> {
    let mut found: BTreeMap<&'static str, Changes> = BTreeMap::new();
    let scored = compared.setting.scored_from..compared.demand.len();
    for change in within(&policy.cell.run.changes, &scored) {
        let changes = found.entry(change.reason.unwrap_or(NOT_TOLD)).or_default();
        let replicas = u64::from(change.to.abs_diff(change.from));
        let (times, moved) = match is_up(change) {
            true => (&mut changes.raised, &mut changes.added),
            false => (&mut changes.lowered, &mut changes.taken),
        };
        *times += 1;
        *moved += replicas;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::example::{example, read};
    use super::super::ranking::ranked;
    use super::*;

    #[test]
    fn changes_are_counted_by_reason_once_scoring_has_begun() {
        let example = example();
        let told = read(&section(&example.compared(), &ranked(&example.cells)));
        assert!(told.contains("\n| 1 | evenkeel | demand rose | 1 | 2 | 0 | 0\n"), "{told}");
        assert!(told.contains("\n| 1 | evenkeel | level unused | 0 | 0 | 1 | 1\n"), "{told}");
        assert!(told.contains("\n| 2 | static | the count never changed | 0 | 0 | 0 | 0\n"), "{told}");
    }
}
