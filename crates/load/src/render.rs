//! The summary as text, in the manner of k6: criteria first, then percentiles for each tier, then failures by kind,
//! then the machine's own lag.

use crate::failure::Failure;
use crate::remarks;
use crate::summary::{
    CriterionResult, Distribution, Ended, NotJudged, Observed, Outcome, Summary, TierSummary, Verdict,
};
use evenkeel_core::spec::LatencyMetric;
use evenkeel_report::words::{count, milliseconds, percent, seconds};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::IsTerminal;

/// A line; writing to a string never fails.
macro_rules! line {
    ($out:expr, $($text:tt)*) => {{
        let _ = writeln!($out, $($text)*);
    }};
}

/// A machine that sends one request of a hundred later than this is said to be late, whatever is judged.
const LATE_MS: f64 = 50.0;

/// Whether what is printed has colors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colors {
    /// For files and programs.
    None,
    /// For a terminal.
    Ansi,
}

impl Colors {
    /// What standard output takes: none where it is no terminal, or where `NO_COLOR` (<https://no-color.org>) is set.
    pub fn of_standard_output() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if std::io::stdout().is_terminal() && !refused { Self::Ansi } else { Self::None }
    }

    fn paint(self, text: &str, verdict: Verdict) -> String {
        let code = match verdict {
            Verdict::Passed => 32,
            Verdict::Failed => 31,
            Verdict::NotJudged => 33,
        };
        match self {
            Self::None => text.to_owned(),
            Self::Ansi => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }
}

/// The summary as text, a line feed at its end.
pub fn text(summary: &Summary, colors: Colors) -> String {
    let mut out = String::new();
    heading(&mut out, summary);
    criteria(&mut out, &summary.criteria, colors);
    line!(out, "    {}\n", painted_outcome(summary.outcome, colors));
    for tier in &summary.tiers {
        tier_block(&mut out, tier);
    }
    failures(&mut out, &summary.tiers);
    lag(&mut out, summary);
    out
}

fn heading(out: &mut String, summary: &Summary) {
    let how = match summary.ended {
        Ended::Completed => "",
        Ended::RequestLimit => ", ended at the limit of requests",
        Ended::Interrupted => ", interrupted",
    };
    let (sent, planned) = (seconds(summary.sent_seconds), seconds(summary.planned_seconds));
    let draining = seconds(summary.elapsed_seconds - summary.sent_seconds);
    line!(out, "\n  {}  seed {}", summary.target, summary.seed);
    line!(out, "  sent for {sent} of {planned}{how}, then awaited answers for {draining}\n");
}

/// Adds a line for each criterion, and how many passed.
pub fn criteria(out: &mut String, criteria: &[CriterionResult], colors: Colors) {
    if criteria.is_empty() {
        return;
    }
    let tier = |criterion: &CriterionResult| criterion.tier.clone().unwrap_or_else(|| "fleet".to_owned());
    let width = |text: fn(&CriterionResult) -> usize| criteria.iter().map(text).max().unwrap_or(0);
    let tiers = width(|criterion| criterion.tier.as_ref().map_or(5, |tier| tier.chars().count()));
    let statements = width(|criterion| criterion.statement.chars().count());
    line!(out, "  CRITERIA");
    for criterion in criteria {
        let mark = match criterion.verdict {
            Verdict::Passed => "\u{2713}",
            Verdict::Failed => "\u{2717}",
            Verdict::NotJudged => "-",
        };
        let (mark, name, statement) = (colors.paint(mark, criterion.verdict), tier(criterion), &criterion.statement);
        line!(out, "    {mark} {name:<tiers$}  {statement:<statements$}  {}", outcome(criterion));
    }
    let of = |verdict| criteria.iter().filter(|criterion| criterion.verdict == verdict).count();
    let (passed, failed) = (of(Verdict::Passed), of(Verdict::Failed));
    line!(out, "\n    {passed} passed, {failed} failed, {} not judged", of(Verdict::NotJudged));
}

/// What the run shows as a whole, and so why it ends with the exit code that it ends with.
pub(crate) const fn outcome_in_words(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Held => "Every criterion that was judged held.",
        Outcome::NoCriteria => "There are no criteria: nothing was judged.",
        Outcome::Failed => "A criterion failed.",
        Outcome::NothingSent => "No request was sent: the run shows nothing and does not count as passed.",
        Outcome::NothingAnswered => "No request was answered: the run shows nothing and does not count as passed.",
        Outcome::NothingJudged => "No criterion could be judged: the run shows nothing and does not count as passed.",
        Outcome::NeverRead => {
            "A figure that a criterion asks for was never read: the run does not count as passed. Missing is not zero."
        }
    }
}

fn painted_outcome(outcome: Outcome, colors: Colors) -> String {
    let words = outcome_in_words(outcome);
    let verdict = match outcome {
        Outcome::Held => Verdict::Passed,
        Outcome::NoCriteria => return words.to_owned(),
        Outcome::Failed => Verdict::Failed,
        Outcome::NothingSent | Outcome::NothingAnswered | Outcome::NothingJudged | Outcome::NeverRead => {
            Verdict::NotJudged
        }
    };
    colors.paint(words, verdict)
}

/// What was seen of a criterion, or why it was not judged.
pub fn outcome(criterion: &CriterionResult) -> String {
    let observed = criterion.observed.map(|observed| match observed {
        Observed::LatencyMs(value) => milliseconds(value),
        Observed::ObjectiveAttainment(share) | Observed::GpuUtilization(share) => percent(share),
        Observed::FailedRequests(number) | Observed::QueueDepth(number) | Observed::UnansweredRequests(number) => {
            count(number)
        }
    });
    match (criterion.verdict, observed, &criterion.reason) {
        (Verdict::NotJudged, _, reason) => format!("not judged: {}", reason.as_deref().unwrap_or("unknown")),
        (_, Some(observed), Some(reason)) => format!("{observed} ({reason})"),
        (_, Some(observed), None) => observed,
        (_, None, reason) => reason.clone().unwrap_or_default(),
    }
}

fn tier_block(out: &mut String, tier: &TierSummary) {
    let kind = if tier.asynchronous { " (asynchronous)" } else { "" };
    line!(
        out,
        "  {}{kind}  {} requests, {:.1}/s  {} ok  {} failed  {} tokens out",
        tier.tier,
        count(tier.offered_requests),
        tier.offered_per_second,
        count(tier.succeeded_requests),
        count(tier.failed_requests),
        count(tier.output_tokens),
    );
    if let Some(share) = tier.objective_attainment {
        let (held, windows) = (tier.windows_held.unwrap_or(0), tier.windows);
        line!(out, "    objective attainment {} ({held} of {windows} windows held)", percent(share));
    }
    if let Some(goodput) = goodput(tier) {
        line!(out, "    {goodput}");
    }
    for remark in remarks::of(tier) {
        line!(out, "    {remark}");
    }
    distributions(out, &tier.latency, &tier.latency_from_sending);
    line!(out, "");
}

/// How the answers stood to the whole SLO; `None` where there is none, or not all of it was measured.
fn goodput(tier: &TierSummary) -> Option<String> {
    let (share, rate) = (tier.goodput_share?, tier.goodput_per_second?);
    Some(format!("goodput {} of the requests inside the whole SLO, {rate:.1}/s", percent(share)))
}

fn distributions(
    out: &mut String,
    latency: &BTreeMap<LatencyMetric, Distribution>,
    from_sending: &BTreeMap<LatencyMetric, Distribution>,
) {
    if latency.is_empty() {
        return;
    }
    let columns = ["mean", "p50", "p90", "p95", "p99", "max"];
    line!(out, "    {:<20}{}", "", columns.map(|column| format!("{column:>11}")).concat());
    for (metric, values) in latency {
        row(out, metric.name(), values);
        if let Some(values) = from_sending.get(metric) {
            row(out, "  from sending", values);
        }
    }
}

fn row(out: &mut String, name: &str, values: &Distribution) {
    let cells = [values.mean_ms, values.p50_ms, values.p90_ms, values.p95_ms, values.p99_ms, values.max_ms];
    line!(out, "    {name:<20}{}", cells.map(|value| format!("{:>11}", milliseconds(value))).concat());
}

fn failures(out: &mut String, tiers: &[TierSummary]) {
    if tiers.iter().all(|tier| tier.failures.is_empty()) {
        return;
    }
    line!(out, "  FAILURES");
    let width = tiers.iter().map(|tier| tier.tier.chars().count()).max().unwrap_or(0);
    for tier in tiers {
        for failure in &tier.failures {
            line!(out, "    {:<width$}  {:>9}  {}", tier.tier, count(failure.requests), failure.meaning);
            if let Some(message) = &failure.message {
                line!(out, "    {:<width$}  {:>9}  \u{201c}{message}\u{201d}", "", "");
            }
        }
    }
    line!(out, "");
}

fn lag(out: &mut String, summary: &Summary) {
    let Distribution { p50_ms, p95_ms, p99_ms, max_ms, .. } = summary.lag;
    line!(
        out,
        "  This machine's own lag: p50 {}, p95 {}, p99 {}, max {}. At most {} requests were under way at once.",
        milliseconds(p50_ms),
        milliseconds(p95_ms),
        milliseconds(p99_ms),
        milliseconds(max_ms),
        count(summary.peak_in_flight),
    );
    line!(out, "  {}", generator_in_words(summary));
}

/// Whether the machine that sent the requests was the limit of the test.
pub(crate) fn generator_in_words(summary: &Summary) -> String {
    let own = |kind: &str| kind == Failure::NotSent.name() || kind == Failure::OwnLimit.name();
    let unsent: u64 =
        summary.tiers.iter().flat_map(|tier| &tier.failures).filter(|it| own(&it.kind)).map(|it| it.requests).sum();
    if summary.tiers.iter().all(|tier| tier.offered_requests == 0) {
        return "No request came due: a longer time, more players or more requests for each send some.".to_owned();
    }
    let lagged = summary.criteria.iter().filter(|it| it.not_judged == Some(NotJudged::OwnLag)).count();
    let late = summary.lag.p99_ms;
    match (unsent, lagged) {
        (0, 0) if late > LATE_MS => format!(
            "This machine was late: it sent one request of a hundred {} or more after its time.",
            milliseconds(late)
        ),
        (0, 0) => "This machine was not the limit: it sent every request, early enough for what was judged.".to_owned(),
        (0, lagged) => format!(
            "This machine was the limit for {lagged} of the criteria: it sent requests too late to judge them. Send from a \
             faster machine, or send less."
        ),
        (unsent, _) => format!(
            "This machine was the limit: {} requests were not sent, as too many were under way or it ran out of files or \
             ports.",
            count(unsent)
        ),
    }
}
