//! The order in which policies are told: first those that kept what was asked, then the cheaper.

use evenkeel_report::words::{money, percent};
use evenkeel_sim::compare::{Cell, Tuning};

/// What Evenkeel's own policy is called.
const OURS: &str = "evenkeel";

/// A policy's run with its place, which is its number in every picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked<'a> {
    /// From 1 on.
    pub(super) number: usize,
    /// Whether it kept the attainment that was asked for.
    pub(super) kept: bool,
    /// The run.
    pub(super) cell: &'a Cell,
}

/// All of them in their order.
pub(super) fn ranked(cells: &[Cell]) -> Vec<Ranked<'_>> {
    let mut ranked: Vec<_> = cells.iter().map(|cell| Ranked { number: 0, kept: cell.kept(), cell }).collect();
    ranked.sort_by(|one, two| {
        let cost = one.cell.score.cost_usd.total_cmp(&two.cell.score.cost_usd);
        two.kept.cmp(&one.kept).then(cost)
    });
    ranked.iter_mut().zip(1..).for_each(|(ranked, number)| ranked.number = number);
    ranked
}

impl Ranked<'_> {
    /// Whether it is Evenkeel's own.
    pub(super) fn is_ours(&self) -> bool {
        self.cell.policy == OURS
    }

    /// Its name, with how its target was set where it was not the default.
    pub(super) fn name(&self) -> String {
        let how = match self.cell.tuning {
            None | Some(Tuning::Default) => "",
            Some(Tuning::TunedOnHistory) => ", tuned on history",
            Some(Tuning::TunedInHindsight) => ", tuned in hindsight",
        };
        format!("{}{how}", self.cell.policy)
    }

    /// What it came to, in a line.
    pub(super) fn outcome(&self) -> String {
        let kept = if self.kept { "kept" } else { "missed" };
        let (asked, cost) = (percent(self.cell.attainment_requested), money(self.cell.score.cost_usd));
        format!("{kept} {asked} with {}: {cost}{}", self.reached(), self.over_oracle())
    }

    /// What was attained: of demand, and in how many minutes the objectives held where single requests tell.
    pub(super) fn reached(&self) -> String {
        let score = &self.cell.score;
        let objectives = score.served.objective_attainment;
        let objectives = objectives.map_or_else(String::new, |it| format!(", objectives held in {}", attainment(it)));
        format!("{}{objectives}", attainment(score.capacity_attainment))
    }

    /// The same cost beside the oracle's, to be put behind it.
    pub(super) fn over_oracle(&self) -> String {
        let over = self.cell.score.cost_over_oracle;
        over.map_or_else(String::new, |over| format!(", {over:.2} \u{d7} the oracle"))
    }
}

/// An attainment, never rounded up: one below what was asked must not look like it.
pub(super) fn attainment(share: f64) -> String {
    // Shares of whole thousandths of a per cent are seldom exact in binary.
    let thousandths = libm::floor(share * 1e5 + 1e-6);
    let text = format!("{:.3}", thousandths / 1e3);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::super::example::cell;
    use super::*;

    #[test]
    fn who_kept_what_was_asked_comes_first_and_then_the_cheaper() {
        let cells = [cell("dear", 0.95, 30.0), cell("misses", 0.8, 1.0), cell("cheap", 0.9, 20.0)];
        let order: Vec<_> = ranked(&cells).iter().map(|it| (it.number, it.cell.policy, it.kept)).collect();
        assert_eq!(order, [(1, "cheap", true), (2, "dear", true), (3, "misses", false)]);
    }

    #[test]
    fn an_attainment_just_below_what_was_asked_does_not_look_like_it() {
        let shown = [0.989_999_9, 0.99, 0.999, 0.29, 1.0, 0.999_999_9].map(attainment);
        assert_eq!(shown, ["98.999 %", "99 %", "99.9 %", "29 %", "100 %", "99.999 %"]);
    }
}
