//! What a run has shown. Field names carry their units and are stable.

use crate::cost::Cost;
use crate::judge;
use crate::plan::Plan;
use crate::probe::FleetRecord;
use crate::record::{Micros, Record, TierRecord};
use crate::slices::{Slice, Slices};
use evenkeel_core::spec::{LatencyMetric, Objective};
use evenkeel_core::units::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

pub use crate::fleet_point::FleetPoint;
pub use crate::judge::{CriterionResult, NotJudged, Observed, Verdict, describe};
pub use crate::pacer::Ended;
pub use crate::probe::TierFleet;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Where the requests went.
    pub target: String,
    /// The seed that reproduces the requests.
    pub seed: u64,
    /// How the run ended.
    pub ended: Ended,
    /// How long requests were to be sent.
    pub planned_seconds: f64,
    /// How long they were sent: less than planned for a run that ended early.
    pub sent_seconds: f64,
    /// How long it took, draining included.
    pub elapsed_seconds: f64,
    /// Length of the windows of objective attainment.
    pub window_seconds: f64,
    /// What the criteria come to as a whole.
    pub outcome: Outcome,
    /// What was judged, in the fleet file's order.
    pub criteria: Vec<CriterionResult>,
    /// Each tier, in the fleet file's order.
    pub tiers: Vec<TierSummary>,
    /// How late this machine sent its requests.
    pub lag: Distribution,
    /// Requests under way at once, at most.
    pub peak_in_flight: u64,
    /// What the controller said about the fleet, where it was asked.
    pub fleet: Vec<TierFleet>,
    /// What all tiers cost from the start to the last answer; `None` where a tier's price was never told.
    pub cost: Option<Cost>,
    /// That for a thousand answered requests.
    pub cost_usd_per_1000_requests: Option<f64>,
    /// Length of the slices of every timeline.
    pub slice_seconds: f64,
    /// Players over the run; empty where a trace of requests was sent.
    pub players: Vec<PlayersPoint>,
}

/// What a run shows as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every criterion that was judged held, and at least one was.
    Held,
    /// There are no criteria; requests were sent, and some were answered.
    NoCriteria,
    /// A criterion did not hold.
    Failed,
    /// No request was sent.
    NothingSent,
    /// No criterion failed, and no request was answered.
    NothingAnswered,
    /// There are criteria, and none could be judged, whatever the causes.
    NothingJudged,
    /// Nothing failed, but no source ever gave a figure that a criterion asks for.
    NeverRead,
}

impl Outcome {
    /// Whether the run counts as passed. One that shows nothing does not.
    pub fn passed(self) -> bool {
        matches!(self, Self::Held | Self::NoCriteria)
    }

    /// A criterion that was not judged for this machine's lag, for want of an occasion or of samples changes nothing
    /// by itself: the others carry the run.
    fn of(criteria: &[CriterionResult], offered: u64, succeeded: u64) -> Self {
        let any = |verdict| criteria.iter().any(|criterion| criterion.verdict == verdict);
        let never_read = |criterion: &CriterionResult| criterion.not_judged == Some(NotJudged::NeverRead);
        match criteria {
            _ if offered == 0 => Self::NothingSent,
            _ if any(Verdict::Failed) => Self::Failed,
            // A bound on failures may be so wide that all of them stay within.
            _ if succeeded == 0 => Self::NothingAnswered,
            [] => Self::NoCriteria,
            _ if !any(Verdict::Passed) => Self::NothingJudged,
            _ if criteria.iter().any(never_read) => Self::NeverRead,
            _ => Self::Held,
        }
    }
}

/// One tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TierSummary {
    /// The tier.
    pub tier: String,
    /// Whether it answers later.
    pub asynchronous: bool,
    /// Requests that came due.
    pub offered_requests: u64,
    /// Those answered well.
    pub succeeded_requests: u64,
    /// Those that were not.
    pub failed_requests: u64,
    /// Requests that an asynchronous tier accepted.
    pub accepted_requests: u64,
    /// Offered requests over the time in which they were sent.
    pub offered_per_second: f64,
    /// Prompt tokens of the answered ones, as the engine counts them.
    pub prompt_tokens: u64,
    /// Output tokens of the answered ones.
    pub output_tokens: u64,
    /// Requests of a trace that were longer than the engine takes and were cut; `None` where no trace was sent.
    pub cut_requests: Option<u64>,
    /// Answered requests that ended after fewer tokens than were asked for, of those whose number was told; `None` where
    /// none was told, or where the model was let end its answers.
    pub short_answers: Option<u64>,
    /// Offered requests in windows in which every objective held and nothing failed, over all; `None` when nothing was
    /// offered or an objective could not be measured.
    pub objective_attainment: Option<f64>,
    /// Windows in which every objective held and nothing failed; `None` like the attainment.
    pub windows_held: Option<u64>,
    /// Windows with requests.
    pub windows: u64,
    /// Its objectives.
    pub objectives: Vec<ObjectiveBound>,
    /// Answered requests that each kept every objective's bound; `None` where there is no objective, or the latency of one
    /// was not told of every answer.
    pub within_slo_requests: Option<u64>,
    /// Goodput: those over all offered requests.
    pub goodput_share: Option<f64>,
    /// Goodput as a rate, over the time in which requests were sent.
    pub goodput_per_second: Option<f64>,
    /// Latencies of the answered ones, counted from the scheduled time.
    pub latency: BTreeMap<LatencyMetric, Distribution>,
    /// The same counted from the actual sending: what a tool that waits for its own lag would show.
    pub latency_from_sending: BTreeMap<LatencyMetric, Distribution>,
    /// Failed requests by kind.
    pub failures: Vec<FailureCount>,
    /// The run in slices.
    pub timeline: Vec<SlicePoint>,
}

/// An objective with its bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectiveBound {
    /// The latency.
    pub metric: LatencyMetric,
    /// Its quantile, above 0 and below 1.
    pub quantile: f64,
    /// What it shall stay within.
    pub bound_ms: f64,
}

impl From<&Objective> for ObjectiveBound {
    fn from(objective: &Objective) -> Self {
        let Objective { metric, quantile, bound } = *objective;
        Self { metric, quantile, bound_ms: bound.as_millis_f64() }
    }
}

/// What became of the requests that were to be sent in one slice of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SlicePoint {
    /// When the slice begins, since the start of the run.
    pub at_seconds: f64,
    /// Requests that came due.
    pub offered_requests: u64,
    /// Those answered well.
    pub succeeded_requests: u64,
    /// Those of them that kept every objective's bound; `None` like the tier's.
    pub within_slo_requests: Option<u64>,
    /// Failed ones by kind.
    pub failures: BTreeMap<String, u64>,
    /// Latencies of the answered ones: those with an objective or a criterion; where there are none, TTFT and E2E.
    pub latency: BTreeMap<LatencyMetric, Quantiles>,
}

/// Three quantiles of a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Median.
    pub p50_ms: f64,
    /// 95 of 100 are not above it.
    pub p95_ms: f64,
    /// 99 of 100 are not above it.
    pub p99_ms: f64,
}

/// Players at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlayersPoint {
    /// Since the start of the run.
    pub at_seconds: f64,
    /// Players.
    pub players: f64,
}

/// A distribution of times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Values.
    pub count: u64,
    /// Mean.
    pub mean_ms: f64,
    /// Median.
    pub p50_ms: f64,
    /// 90 of 100 are not above it.
    pub p90_ms: f64,
    /// 95 of 100 are not above it.
    pub p95_ms: f64,
    /// 99 of 100 are not above it.
    pub p99_ms: f64,
    /// The largest.
    pub max_ms: f64,
}

/// Failed requests of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailureCount {
    /// The kind.
    pub kind: String,
    /// The same in words.
    pub meaning: String,
    /// What the server said, the first time that it said anything: at most 200 characters.
    pub message: Option<String>,
    /// Requests.
    pub requests: u64,
    /// When the first of them was to be sent, since the start of the run.
    pub first_seconds: f64,
    /// When the last of them was to be sent.
    pub last_seconds: f64,
}

impl Summary {
    /// Failed requests of all tiers.
    pub fn failed_requests(&self) -> u64 {
        self.tiers.iter().map(|tier| tier.failed_requests).sum()
    }

    pub(crate) fn new(
        plan: &Plan,
        target: String,
        record: &Record,
        fleet: Option<&FleetRecord>,
        ended: Ended,
        (sent, elapsed): (Duration, Duration),
    ) -> Self {
        let criteria = judge::criteria(&plan.criteria, record, fleet);
        let slice = Slices::length_for(plan.duration);
        let mut fleet = fleet.map(FleetRecord::timelines).unwrap_or_default();
        let place = |name: &str| plan.tiers.iter().position(|tier| tier.name == name);
        fleet.sort_by_key(|tier| place(&tier.tier));
        let cost = Cost::sum(fleet.iter().map(|tier| tier.cost));
        Self {
            target,
            seed: plan.seed,
            ended,
            planned_seconds: plan.duration.as_secs_f64(),
            sent_seconds: sent.as_secs_f64(),
            elapsed_seconds: elapsed.as_secs_f64(),
            window_seconds: plan.window.as_secs_f64(),
            outcome: Outcome::of(&criteria, record.all_offered(), record.all_succeeded()),
            criteria,
            tiers: record.tiers.iter().map(|tier| tier_summary(plan, tier, sent.as_secs_f64())).collect(),
            lag: Distribution::of(&record.lag),
            peak_in_flight: record.peak_in_flight as u64,
            cost_usd_per_1000_requests: cost.and_then(|cost| cost.per_thousand(record.all_succeeded())),
            fleet,
            cost,
            slice_seconds: slice.as_secs_f64(),
            players: players(plan, slice),
        }
    }
}

/// The players at the beginning of each slice and at the end.
fn players(plan: &Plan, slice: Span) -> Vec<PlayersPoint> {
    let Some(series) = plan.traffic.players() else { return Vec::new() };
    let slices = plan.duration.as_micros() / slice.as_micros().max(1);
    let moments = (0..=slices).map(|index| Span::from_micros(index * slice.as_micros()));
    moments.map(|at| PlayersPoint { at_seconds: at.as_secs_f64(), players: series.at(at) }).collect()
}

fn tier_summary(plan: &Plan, tier: &TierRecord, sent_seconds: f64) -> TierSummary {
    let attainment = tier.windows.attainment();
    let measured = tier.succeeded == 0 || tier.windows.unmeasured().is_none();
    let distributions = |from: &BTreeMap<LatencyMetric, Micros>| {
        from.iter().map(|(metric, values)| (*metric, Distribution::of(values))).collect()
    };
    let failures = tier.failed.iter().map(|(failure, tally)| FailureCount {
        kind: failure.name().into_owned(),
        meaning: failure.meaning().into_owned(),
        message: tally.message.clone(),
        requests: tally.requests,
        first_seconds: tally.first.as_secs_f64(),
        last_seconds: tally.last.as_secs_f64(),
    });
    let objectives = tier.windows.objectives();
    let within_slo = tier.goodput.within().filter(|_| !objectives.is_empty());
    let judged = within_slo.is_some();
    TierSummary {
        tier: tier.name.clone(),
        asynchronous: tier.asynchronous,
        offered_requests: tier.offered,
        succeeded_requests: tier.succeeded,
        failed_requests: tier.all_failed(),
        accepted_requests: tier.accepted,
        offered_per_second: if sent_seconds > 0.0 { tier.offered as f64 / sent_seconds } else { 0.0 },
        prompt_tokens: tier.prompt_tokens,
        output_tokens: tier.output_tokens,
        cut_requests: plan.cut_requests(&tier.name, tier.offered),
        short_answers: tier.lengths.short(),
        objective_attainment: attainment.filter(|_| measured).map(|seen| seen.share),
        windows_held: attainment.filter(|_| measured).map(|seen| seen.held),
        windows: attainment.map_or(0, |seen| seen.windows),
        objectives: objectives.iter().map(ObjectiveBound::from).collect(),
        within_slo_requests: within_slo,
        goodput_share: within_slo.filter(|_| tier.offered > 0).map(|within| within as f64 / tier.offered as f64),
        goodput_per_second: within_slo.filter(|_| sent_seconds > 0.0).map(|within| within as f64 / sent_seconds),
        latency: distributions(&tier.latency),
        latency_from_sending: distributions(&tier.from_sending),
        failures: failures.collect(),
        timeline: tier.slices.iter().map(|(at, slice)| slice_point(at, slice, tier.slices.metrics(), judged)).collect(),
    }
}

fn slice_point(at: Duration, slice: &Slice, metrics: &[LatencyMetric], judged: bool) -> SlicePoint {
    let quantiles = |metric: LatencyMetric| {
        let ms = |quantile| slice.quantile(metric, quantile).map(|value| value.as_secs_f64() * 1e3);
        Some((metric, Quantiles { p50_ms: ms(0.5)?, p95_ms: ms(0.95)?, p99_ms: ms(0.99)? }))
    };
    SlicePoint {
        at_seconds: at.as_secs_f64(),
        offered_requests: slice.offered,
        succeeded_requests: slice.succeeded,
        within_slo_requests: judged.then_some(slice.within_slo),
        failures: slice.failed.iter().map(|(failure, count)| (failure.name().into_owned(), *count)).collect(),
        latency: metrics.iter().filter_map(|metric| quantiles(*metric)).collect(),
    }
}

impl Distribution {
    pub(crate) fn of(values: &Micros) -> Self {
        let ms = |value: Duration| value.as_secs_f64() * 1e3;
        Self {
            count: values.count(),
            mean_ms: ms(values.mean()),
            p50_ms: ms(values.quantile(0.5)),
            p90_ms: ms(values.quantile(0.9)),
            p95_ms: ms(values.quantile(0.95)),
            p99_ms: ms(values.quantile(0.99)),
            max_ms: ms(values.max()),
        }
    }
}
