//! One self-contained HTML page about a comparison: who kept what was asked and what it cost, then how supply followed
//! demand, where it was worst, and why counts changed.
//!
//! Its size does not follow the length of the run: pictures have a column for each pixel, which holds the extremes of its
//! steps ([`columns`]), and lists end.

mod columns;
#[cfg(test)]
mod example;
mod frontier;
mod labels;
mod moment;
mod path;
mod picture;
mod ranking;
mod reasons;
mod supply;
mod verdict;
mod what_was_run;
mod worst_hour;

use evenkeel_load::summary::CriterionResult;
use evenkeel_report::Page;
use evenkeel_sim::compare::Cell;
use evenkeel_sim::hindsight::Hindsight;
use evenkeel_sim::setting::Setting;

const STYLE: &str = include_str!("simulation.css");
const SCRIPT: &str = include_str!("simulation.js");

/// What was compared, and on what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Compared<'a> {
    /// Each policy's run.
    pub(super) cells: &'a [Cell],
    /// What they met, in replicas, a value a slot.
    pub(super) demand: &'a [f64],
    /// Cloud and limits.
    pub(super) setting: &'a Setting,
    /// What those would have paid who know more, also for what was asked.
    pub(super) hindsight: &'a Hindsight,
    /// The fleet file's criteria as Evenkeel's run met them, where they were judged.
    pub(super) criteria: &'a [CriterionResult],
}

/// What the runs do not know of themselves. All of it goes onto the page as it is: no secret may stand in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct About {
    /// The tier's name.
    pub(super) tier: String,
    /// Where demand comes from, in words.
    pub(super) trace: String,
    /// From the series' first moment to the first slot.
    pub(super) begins_seconds: f64,
    /// What reproduces it: names and values.
    pub(super) parameters: Vec<(&'static str, String)>,
    /// The command that was run.
    pub(super) command: String,
    /// What the model does not have.
    pub(super) left_out: &'static str,
    /// What whoever reads the figures has to know.
    pub(super) warnings: Vec<String>,
}

/// The page. Equal arguments give equal bytes.
pub(super) fn html(compared: &Compared<'_>, about: &About) -> String {
    let ranked = ranking::ranked(compared.cells);
    let sections = [
        verdict::section(compared, about, &ranked),
        frontier::section(compared, &ranked),
        supply::section(compared, about, &ranked),
        worst_hour::section(compared, about, &ranked),
        reasons::section(compared, &ranked),
        what_was_run::section(about),
    ];
    let title = format!("Simulation of {}", about.tier);
    Page { title: &title, style: STYLE, script: SCRIPT, body: &sections.concat() }.html()
}

impl Compared<'_> {
    /// The attainment that was asked for.
    const fn asked(&self) -> f64 {
        self.hindsight.asked.attainment
    }

    /// Replica hours at the price at which hindsight pays.
    fn cost_usd(&self, replica_hours: f64) -> f64 {
        let asked = &self.hindsight.asked;
        if asked.replica_hours > 0.0 { replica_hours * asked.cost_usd / asked.replica_hours } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::example::{Example, about, cell, example, read};
    use super::*;
    use evenkeel_sim::fluid::Change;

    #[test]
    fn the_page_tells_every_figure_of_the_table_and_of_what_reproduces_it() {
        let example = example();
        let told = read(&html(&example.compared(), &about()));
        for cell in &example.cells {
            let score = &cell.score;
            let attainment = ranking::attainment(score.capacity_attainment);
            let cost = evenkeel_report::words::money(score.cost_usd);
            let over = format!("{:.3}", score.cost_over_oracle.unwrap());
            let figures = [cell.policy, &attainment, &cost, &over, &score.launches.to_string(), "1 min 30 s"];
            let row = told.lines().find(|line| line.contains(&format!("| {} |", cell.policy))).unwrap_or_default();
            assert!(figures.iter().all(|figure| row.contains(&format!("| {figure}"))), "{figures:?}: {told}");
        }
        assert!(told.contains("\ncommand evenkeel simulate game.yaml -o html"), "{told}");
        assert!(told.contains("Beware: demand comes to &lt;9&gt; replicas."), "{told}");
        assert!(told.contains("\nseed 1") && told.contains("\nleft out by the model queues"), "{told}");
    }

    #[test]
    fn it_loads_nothing_and_a_name_in_it_cannot_become_markup() {
        let evil = || "</title><script>alert(\"1\")</script>".to_owned();
        let about =
            About { tier: evil(), trace: evil(), command: evil(), parameters: vec![("fleet file", evil())], ..about() };
        let page = html(&example().compared(), &about);
        assert_eq!(page.matches("<script").count(), 1, "our own");
        assert!(page.contains("&lt;script&gt;alert(&quot;1&quot;)"));
        for loads in ["http://", "https://", "src=", "@import", "url(", "<link", "<img"] {
            assert!(!page.contains(loads), "{loads}");
        }
        assert!(page.split("href=\"").skip(1).all(|target| target.starts_with('#')), "links lead within the page");
    }

    #[test]
    fn equal_comparisons_give_equal_bytes_and_every_picture_its_anchor() {
        let page = html(&example().compared(), &about());
        assert_eq!(page, html(&example().compared(), &about()));
        for anchor in page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap_or_default()) {
            assert_eq!(page.matches(&format!("id=\"{anchor}\"")).count(), 1, "{anchor}");
        }
    }

    /// Three weeks of steps of 5 s for each of so many policies, in which demand and count jump all the time.
    fn jumping(policies: usize) -> Example {
        let slots = 22 * 17_280;
        let jump = |slot: usize, most: usize| slot.wrapping_mul(2_654_435_761) / 7 % most;
        let demand = (0..slots).map(|slot| jump(slot, 400) as f64 / 10.0).collect();
        let mut worst = cell("jumps", 0.9, 20.0);
        worst.run.ready = (0..slots).map(|slot| jump(slot + 9, 40) as u32).collect();
        let change = |slot| Change { slot, from: 1 + slot as u32 % 2, to: 2 - slot as u32 % 2, reason: Some("jumped") };
        worst.run.changes = (0..slots).map(change).collect();
        Example { cells: vec![worst; policies], demand, ..example() }
    }

    #[test]
    fn the_page_does_not_grow_with_the_run() {
        let size = html(&jumping(1).compared(), &about()).len();
        // Nothing real jumps in every step; what does is still opened in a moment.
        assert!(size < 200_000, "{size}");
    }
}
