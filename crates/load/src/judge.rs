//! Criteria against what a run has shown: passed, failed, or not judged, with the reason.

use crate::probe::FleetRecord;
use crate::record::{Micros, Record, TierRecord};
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use evenkeel_fleet::model::Criterion;
use evenkeel_report::words::{count, milliseconds, percent, quantile_name};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A latency is judged only where this machine's own lag, at the same quantile, is at most the bound over this.
const BOUND_OVER_LAG: u32 = 4;

/// A level sampled from the fleet is judged only when this share of the samples told it.
const SAMPLED_SHARE: f64 = 0.5;

/// One criterion's outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CriterionResult {
    /// Which kind: `latency`, `objective_attainment`, and so on.
    pub kind: String,
    /// The tier; `None` for the fleet.
    pub tier: Option<String>,
    /// The criterion in words.
    pub statement: String,
    /// The outcome.
    pub verdict: Verdict,
    /// What was seen; `None` where nothing was.
    pub observed: Option<Observed>,
    /// What kept it from being judged; `None` where it was.
    #[serde(default)]
    pub not_judged: Option<NotJudged>,
    /// Why it was not judged, or what the figure rests on.
    pub reason: Option<String>,
}

/// A criterion's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It held.
    Passed,
    /// It did not hold.
    Failed,
    /// The run cannot tell.
    NotJudged,
}

/// What keeps a criterion from being judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotJudged {
    /// This machine sent its requests too late for the bound.
    OwnLag,
    /// Its figure was not given once in the whole run: missing, which is not zero.
    NeverRead,
    /// What it speaks of did not occur: no request of the tier, too few replicas.
    NoOccasion,
    /// Its figure was given too seldom.
    TooFewSamples,
}

/// What was seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observed {
    /// A latency quantile, milliseconds.
    LatencyMs(f64),
    /// Objective attainment, 0 to 1.
    ObjectiveAttainment(f64),
    /// Failed requests.
    FailedRequests(u64),
    /// Mean GPU utilization, 0 to 1.
    GpuUtilization(f64),
    /// The largest number of waiting requests.
    QueueDepth(u64),
    /// Requests that were accepted and not answered.
    UnansweredRequests(u64),
}

/// What judging a criterion gives.
struct Judgement {
    verdict: Verdict,
    observed: Option<Observed>,
    not_judged: Option<NotJudged>,
    reason: Option<String>,
}

impl Judgement {
    fn not_judged(cause: NotJudged, reason: impl Into<String>) -> Self {
        Self { verdict: Verdict::NotJudged, observed: None, not_judged: Some(cause), reason: Some(reason.into()) }
    }

    /// No source gave the figure in the whole run. That is no zero, and nothing that a criterion could hold by.
    fn never_read(why: impl std::fmt::Display) -> Self {
        Self::not_judged(NotJudged::NeverRead, format!("never read: {why}"))
    }

    fn judged(holds: bool, observed: Option<Observed>) -> Self {
        let verdict = if holds { Verdict::Passed } else { Verdict::Failed };
        Self { verdict, observed, not_judged: None, reason: None }
    }

    fn seen(holds: bool, observed: Observed) -> Self {
        Self::judged(holds, Some(observed))
    }

    fn because(self, reason: impl Into<String>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }
}

/// Judges each criterion, in order. Without a `fleet`, what only the controller knows is not judged.
pub(crate) fn criteria(criteria: &[Criterion], record: &Record, fleet: Option<&FleetRecord>) -> Vec<CriterionResult> {
    let result = |criterion: &Criterion| {
        let (kind, tier, statement) = describe(criterion);
        let Judgement { verdict, observed, not_judged, reason } = judge(criterion, record, fleet);
        let (kind, tier) = (kind.to_owned(), tier.map(str::to_owned));
        CriterionResult { kind, tier, statement, verdict, observed, not_judged, reason }
    };
    criteria.iter().map(result).collect()
}

/// Kind, tier and the criterion in words.
pub fn describe(criterion: &Criterion) -> (&'static str, Option<&str>, String) {
    match criterion {
        Criterion::Latency { tier, metric, quantile, at_most } => {
            let bound = milliseconds(at_most.as_millis_f64());
            ("latency", Some(tier), format!("{} {} <= {bound}", metric.name(), quantile_name(*quantile)))
        }
        Criterion::ObjectiveAttainment { tier, at_least } => {
            ("objective_attainment", Some(tier), format!("objective attainment >= {}", percent(*at_least)))
        }
        Criterion::FailedRequests { at_most } => ("failed_requests", None, format!("failed requests <= {at_most}")),
        Criterion::GpuUtilization { tier, at_least, at_most, while_ready } => {
            let band = format!("{} to {}", percent(*at_least), percent(*at_most));
            ("gpu_utilization", Some(tier), format!("GPU utilization {band} while {while_ready} or more are ready"))
        }
        Criterion::QueueDepth { tier, at_most } => ("queue_depth", Some(tier), format!("queue depth <= {at_most}")),
        Criterion::QueueDrained { tier } => ("queue_drained", Some(tier), "queue drained at the end".to_owned()),
    }
}

fn judge(criterion: &Criterion, record: &Record, fleet: Option<&FleetRecord>) -> Judgement {
    match criterion {
        Criterion::Latency { tier, metric, quantile, at_most } => {
            with_requests(record, tier, |tier| latency(tier, &record.lag, *metric, *quantile, *at_most))
        }
        Criterion::ObjectiveAttainment { tier, at_least } => {
            with_requests(record, tier, |tier| attainment(tier, &record.lag, *at_least))
        }
        Criterion::FailedRequests { at_most } => failed_requests(record, *at_most),
        Criterion::GpuUtilization { tier, at_least, at_most, while_ready } => {
            gpu_utilization(fleet, tier, (*at_least, *at_most), *while_ready)
        }
        Criterion::QueueDepth { tier, at_most } => queue_depth(fleet, tier, *at_most),
        Criterion::QueueDrained { tier } => with_requests(record, tier, queue_drained),
    }
}

fn with_requests(record: &Record, tier: &str, judge: impl Fn(&TierRecord) -> Judgement) -> Judgement {
    match record.tier(tier).filter(|tier| tier.offered > 0) {
        Some(tier) => judge(tier),
        None => Judgement::not_judged(NotJudged::NoOccasion, "no request of this tier was sent"),
    }
}

/// The machine's lag at a quantile, where it is too large for a bound.
fn too_much_lag(lag: &Micros, quantile: f64, bound: Span) -> Option<String> {
    let late = lag.quantile(quantile);
    (late * BOUND_OVER_LAG > bound.to_duration()).then(|| {
        let (late, quantile) = (in_milliseconds(late), quantile_name(quantile));
        format!("this machine sent requests {late} late at {quantile}, over a quarter of the bound")
    })
}

/// A metric without values although requests succeeded.
fn unmeasurable(tier: &TierRecord, metric: LatencyMetric) -> Judgement {
    let name = metric.name();
    match metric {
        LatencyMetric::QueueTime => Judgement::never_read("the target does not tell how long a request waited"),
        _ if tier.asynchronous => Judgement::never_read(format!("an answer that comes as a whole has no {name}")),
        _ => Judgement::not_judged(NotJudged::NoOccasion, format!("no answer was long enough for {name}")),
    }
}

/// A failed request has no latency and counts as above every bound: as one value, or, of what an answer has many of, as
/// many as an answered one had on average.
fn weighed_failures(tier: &TierRecord, metric: LatencyMetric, values: u64) -> u64 {
    let failed = tier.all_failed();
    match metric {
        LatencyMetric::Itl if tier.succeeded > 0 => {
            (failed as f64 * values as f64 / tier.succeeded as f64).ceil() as u64
        }
        _ => failed,
    }
}

fn latency(tier: &TierRecord, lag: &Micros, metric: LatencyMetric, quantile: f64, bound: Span) -> Judgement {
    if let Some(reason) = too_much_lag(lag, quantile, bound) {
        return Judgement::not_judged(NotJudged::OwnLag, reason);
    }
    let counted = tier.against(metric, bound);
    let failed = weighed_failures(tier, metric, counted.count);
    if counted.count == 0 && tier.succeeded > 0 {
        return unmeasurable(tier, metric);
    }
    let holds = counted.count > 0 && counted.holds(quantile, failed);
    let rank = quantile * (counted.count + failed) as f64 / counted.count as f64;
    match tier.latency.get(&metric).filter(|_| rank <= 1.0) {
        Some(values) => Judgement::seen(holds, Observed::LatencyMs(values.quantile(rank).as_secs_f64() * 1e3)),
        None => Judgement::judged(holds, None).because(format!(
            "{} of {} requests failed",
            count(tier.all_failed()),
            count(tier.offered)
        )),
    }
}

fn attainment(tier: &TierRecord, lag: &Micros, at_least: f64) -> Judgement {
    let lagged = |objective: &evenkeel_core::spec::Objective| too_much_lag(lag, objective.quantile, objective.bound);
    if let Some(reason) = tier.windows.objectives().iter().find_map(lagged) {
        return Judgement::not_judged(NotJudged::OwnLag, reason);
    }
    if let Some(objective) = tier.windows.unmeasured().filter(|_| tier.succeeded > 0) {
        return unmeasurable(tier, objective.metric);
    }
    let Some(seen) = tier.windows.attainment() else {
        return Judgement::not_judged(NotJudged::NoOccasion, "no request of this tier was sent");
    };
    Judgement::seen(seen.share >= at_least, Observed::ObjectiveAttainment(seen.share))
        .because(format!("{} of {} windows held", seen.held, seen.windows))
}

fn failed_requests(record: &Record, at_most: u64) -> Judgement {
    let (failed, offered) = (record.all_failed(), record.all_offered());
    if offered == 0 {
        return Judgement::not_judged(NotJudged::NoOccasion, "no request was sent");
    }
    Judgement::seen(failed <= at_most, Observed::FailedRequests(failed)).because(format!("of {}", count(offered)))
}

fn queue_drained(tier: &TierRecord) -> Judgement {
    if tier.accepted == 0 {
        return Judgement::not_judged(NotJudged::NoOccasion, "no request was accepted for later");
    }
    let unanswered = tier.accepted.saturating_sub(tier.succeeded);
    Judgement::seen(unanswered == 0, Observed::UnansweredRequests(unanswered))
        .because(format!("unanswered of {} accepted", count(tier.accepted)))
}

fn gpu_utilization(fleet: Option<&FleetRecord>, tier: &str, band: (f64, f64), while_ready: u32) -> Judgement {
    let sampled = fleet.and_then(|fleet| fleet.tier(tier));
    if let Some((mean, samples)) = sampled.and_then(|tier| tier.gpu_while_ready(while_ready)) {
        return Judgement::seen((band.0..=band.1).contains(&mean), Observed::GpuUtilization(mean))
            .because(format!("mean of {samples} samples"));
    }
    match sampled.and_then(|tier| tier.most_ready) {
        Some(most) if most < while_ready => {
            let reason = format!("never {while_ready} ready: {most} at most");
            Judgement::not_judged(NotJudged::NoOccasion, reason)
        }
        _ => Judgement::never_read(blind(fleet, &format!("GPU utilization with {while_ready} or more ready"))),
    }
}

fn queue_depth(fleet: Option<&FleetRecord>, tier: &str, at_most: u64) -> Judgement {
    let seen = fleet.and_then(|fleet| Some((fleet.asked, fleet.tier(tier)?)));
    let Some((asked, tier)) = seen.filter(|(_, tier)| tier.queue_readings > 0) else {
        return Judgement::never_read(blind(fleet, "queue depth"));
    };
    let (readings, largest) = (tier.queue_readings, tier.largest_queue_depth);
    // Too deep once is too deep; never too deep needs more than a few looks.
    if largest <= at_most && (readings as f64) < SAMPLED_SHARE * asked as f64 {
        let reason = format!("only {readings} of {asked} samples told the queue depth");
        return Judgement::not_judged(NotJudged::TooFewSamples, reason);
    }
    Judgement::seen(largest <= at_most, Observed::QueueDepth(largest)).because(format!("largest of {readings} samples"))
}

/// Why the fleet's own state is not known.
fn blind(fleet: Option<&FleetRecord>, what: &str) -> String {
    match fleet {
        None => "the controller was not asked; give its address".to_owned(),
        Some(FleetRecord { asked, last_error: Some(error), .. }) => {
            format!("none of {asked} samples told {what}; the last error: {error}")
        }
        Some(FleetRecord { asked, .. }) => format!("none of {asked} samples told {what}"),
    }
}

fn in_milliseconds(value: Duration) -> String {
    milliseconds(value.as_secs_f64() * 1e3)
}
