//! One self-contained HTML page about a run: the verdict first, then what each reader asks. It loads nothing, so it can be
//! mailed, kept beside a build, and opened years later.

mod chart;
mod cost;
mod failures;
mod latency;
mod scaling;
mod timeline;
mod traffic;
mod verdict;
mod what_was_run;

use crate::summary::Summary;
use evenkeel_report::Page;

/// What a run's summary does not know of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The fleet's name, or what was loaded without a fleet file.
    pub name: String,
    /// What was sent, in words: the shape, the day, the file.
    pub traffic: String,
    /// When the run began, RFC 3339.
    pub started: String,
    /// The machine that sent the requests, in words.
    pub machine: String,
    /// The program and its version.
    pub version: String,
    /// The command that was run. It goes into the page as it is: no secret may stand in it.
    pub command: String,
}

/// Colors of tiers, and of kinds of failures, in the style sheet; beyond them they begin again.
const COLORS: usize = 6;

const SCRIPT: &str = include_str!("report.js");

/// The page. It holds what `summary` and `about` hold, and nothing is fetched.
pub fn html(summary: &Summary, about: &About) -> String {
    let sections = [
        verdict::section(summary, about),
        traffic::section(summary),
        scaling::section(summary),
        latency::section(summary),
        failures::section(summary),
        cost::section(summary),
        what_was_run::section(summary, about),
    ];
    let title = format!("Load test of {}", about.name);
    Page { title: &title, style: "", script: SCRIPT, body: &sections.concat() }.html()
}
