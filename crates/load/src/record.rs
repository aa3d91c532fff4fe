//! Everything that a run counts, as it comes in.

use crate::failure::{Failed, Failure};
use crate::measured::Measured;
use crate::plan::{ApiKey, Plan, TierPlan};
use crate::said;
use crate::slices::Slices;
use crate::tally::{AnswerLengths, FailureTally, Goodput, within_slo};
use evenkeel_core::attainment::{BoundCount, Windows};
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use evenkeel_fleet::model::Criterion;
use evenkeel_workload::Arrival;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A histogram of microseconds with three significant digits.
#[derive(Clone, Debug)]
pub(crate) struct Micros(Histogram<u64>);

impl Micros {
    /// A week; what is beyond is counted there.
    const LARGEST_US: u64 = 7 * 86_400 * 1_000_000;

    #[expect(clippy::expect_used, reason = "the library refuses only bounds and digits that are none")]
    fn new() -> Self {
        Self(Histogram::new_with_bounds(1, Self::LARGEST_US, 3).expect("constant bounds are valid"))
    }

    fn record(&mut self, value: Duration) {
        self.0.saturating_record(u64::try_from(value.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        Duration::from_micros(self.0.value_at_quantile(quantile))
    }

    pub(crate) fn mean(&self) -> Duration {
        Duration::from_micros(self.0.mean().round() as u64)
    }

    pub(crate) fn max(&self) -> Duration {
        Duration::from_micros(self.0.max())
    }
}

/// What is counted.
#[derive(Debug)]
pub(crate) struct Record {
    started: Instant,
    /// Whether answers are to have the length that was asked for.
    whole_length: bool,
    pub(crate) tiers: Vec<TierRecord>,
    /// How late requests were sent, by this machine's own fault.
    pub(crate) lag: Micros,
    pub(crate) in_flight: usize,
    pub(crate) peak_in_flight: usize,
}

/// What is counted of one tier.
#[derive(Debug)]
pub(crate) struct TierRecord {
    pub(crate) name: String,
    pub(crate) asynchronous: bool,
    pub(crate) offered: u64,
    pub(crate) succeeded: u64,
    /// Asynchronous requests that were accepted, and of those the ones answered well.
    pub(crate) accepted: u64,
    pub(crate) failed: BTreeMap<Failure, FailureTally>,
    /// Against the whole SLO, request by request.
    pub(crate) goodput: Goodput,
    pub(crate) lengths: AnswerLengths,
    pub(crate) prompt_tokens: u64,
    pub(crate) output_tokens: u64,
    /// From the scheduled time, or between tokens.
    pub(crate) latency: BTreeMap<LatencyMetric, Micros>,
    /// From the actual sending, for the two metrics where that differs.
    pub(crate) from_sending: BTreeMap<LatencyMetric, Micros>,
    /// Exact counts against the bounds of the criteria.
    bounds: BTreeMap<(LatencyMetric, Span), BoundCount>,
    pub(crate) windows: Windows,
    pub(crate) slices: Slices,
}

impl Record {
    pub(crate) fn new(plan: &Plan, started: Instant, whole_length: bool) -> Self {
        let tiers = plan.tiers.iter().map(|tier| TierRecord::new(tier, plan)).collect();
        Self { started, whole_length, tiers, lag: Micros::new(), in_flight: 0, peak_in_flight: 0 }
    }

    /// A request of `tier` came due at `at`.
    pub(crate) fn offered(&mut self, tier: usize, at: Span) {
        self.tiers[tier].offered += 1;
        self.tiers[tier].windows.offered(at);
        self.tiers[tier].slices.at(at).offered += 1;
        self.in_flight += 1;
        self.peak_in_flight = self.peak_in_flight.max(self.in_flight);
    }

    /// Its sending began now. Nothing of the service lies between the two moments, only this machine.
    pub(crate) fn sent(&mut self, at: Span, now: Instant) {
        self.lag.record(now.saturating_duration_since(self.due(at)));
    }

    pub(crate) fn accepted(&mut self, tier: usize) {
        self.tiers[tier].accepted += 1;
    }

    pub(crate) fn failed(&mut self, arrival: &Arrival, failed: Failed) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let (tier, at) = (&mut self.tiers[arrival.tier], arrival.at);
        tier.failed.entry(failed.failure).or_default().add(at, failed.message);
        tier.windows.failed(at);
        *tier.slices.at(at).failed.entry(failed.failure).or_default() += 1;
    }

    pub(crate) fn succeeded(&mut self, arrival: &Arrival, sent: Instant, measured: &Measured) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let due = self.due(arrival.at);
        let tier = &mut self.tiers[arrival.tier];
        if self.whole_length {
            tier.lengths.add(arrival.output_tokens, measured.told_output_tokens);
        }
        tier.succeeded(arrival.at, due, sent, measured);
    }

    /// Makes what servers said fit to be shown, once for each kind of failure and not for each of thousands a second.
    pub(crate) fn make_fit_for_people(&mut self, api_key: Option<&ApiKey>) {
        for tally in self.tiers.iter_mut().flat_map(|tier| tier.failed.values_mut()) {
            tally.message = tally.message.take().and_then(|words| said::for_people(&words, api_key));
        }
    }

    /// All tiers' failed requests.
    pub(crate) fn all_failed(&self) -> u64 {
        self.tiers.iter().map(TierRecord::all_failed).sum()
    }

    pub(crate) fn all_offered(&self) -> u64 {
        self.tiers.iter().map(|tier| tier.offered).sum()
    }

    pub(crate) fn all_succeeded(&self) -> u64 {
        self.tiers.iter().map(|tier| tier.succeeded).sum()
    }

    pub(crate) fn tier(&self, name: &str) -> Option<&TierRecord> {
        self.tiers.iter().find(|tier| tier.name == name)
    }

    fn due(&self, at: Span) -> Instant {
        self.started + at.to_duration()
    }
}

impl TierRecord {
    fn new(tier: &TierPlan, plan: &Plan) -> Self {
        let bounds = plan.criteria.iter().filter_map(|criterion| match criterion {
            Criterion::Latency { tier: name, metric, at_most, .. } if *name == tier.name => {
                Some(((*metric, *at_most), BoundCount::default()))
            }
            _ => None,
        });
        Self {
            name: tier.name.clone(),
            asynchronous: tier.asynchronous,
            offered: 0,
            succeeded: 0,
            accepted: 0,
            failed: BTreeMap::new(),
            goodput: Goodput::default(),
            lengths: AnswerLengths::default(),
            prompt_tokens: 0,
            output_tokens: 0,
            latency: BTreeMap::new(),
            from_sending: BTreeMap::new(),
            bounds: bounds.collect(),
            windows: Windows::new(plan.window, tier.objectives.clone()),
            slices: Slices::new(Slices::length_for(plan.duration), pictured(tier, plan)),
        }
    }

    pub(crate) fn all_failed(&self) -> u64 {
        self.failed.values().map(|tally| tally.requests).sum()
    }

    /// How many values of a criterion's metric lie above its bound.
    pub(crate) fn against(&self, metric: LatencyMetric, bound: Span) -> BoundCount {
        self.bounds.get(&(metric, bound)).copied().unwrap_or_default()
    }

    fn succeeded(&mut self, at: Span, due: Instant, sent: Instant, measured: &Measured) {
        self.succeeded += 1;
        let judged = within_slo(self.windows.objectives(), due, measured);
        self.goodput.add(judged);
        let slice = self.slices.at(at);
        slice.succeeded += 1;
        slice.within_slo += u64::from(judged == Some(true));
        self.prompt_tokens += measured.prompt_tokens.unwrap_or(0);
        self.output_tokens += measured.output_tokens;
        if let Some(first) = measured.first_token {
            self.value(at, LatencyMetric::Ttft, first.saturating_duration_since(due));
            self.value_from_sending(LatencyMetric::Ttft, first.saturating_duration_since(sent));
        }
        if let Some(tpot) = measured.time_per_output_token() {
            self.value(at, LatencyMetric::Tpot, tpot);
        }
        for &gap in &measured.gaps {
            self.value(at, LatencyMetric::Itl, gap);
        }
        if let Some(queue_time) = measured.queue_time {
            self.value(at, LatencyMetric::QueueTime, queue_time);
        }
        self.value(at, LatencyMetric::E2e, measured.end.saturating_duration_since(due));
        self.value_from_sending(LatencyMetric::E2e, measured.end.saturating_duration_since(sent));
    }

    fn value(&mut self, at: Span, metric: LatencyMetric, value: Duration) {
        self.latency.entry(metric).or_insert_with(Micros::new).record(value);
        self.slices.value(at, metric, value);
        let is_above = |bound: Span| value > bound.to_duration();
        for ((_, bound), count) in self.bounds.iter_mut().filter(|((counted, _), _)| *counted == metric) {
            count.add(is_above(*bound));
        }
        for index in 0..self.windows.objectives().len() {
            let objective = self.windows.objectives()[index];
            if objective.metric == metric {
                self.windows.value(at, index, is_above(objective.bound));
            }
        }
    }

    fn value_from_sending(&mut self, metric: LatencyMetric, value: Duration) {
        self.from_sending.entry(metric).or_insert_with(Micros::new).record(value);
    }
}

/// What a picture shows of a tier: the metrics that are judged; where none is, those that every user asks for.
fn pictured(tier: &TierPlan, plan: &Plan) -> Vec<LatencyMetric> {
    let criteria = plan.criteria.iter().filter_map(|criterion| match criterion {
        Criterion::Latency { tier: name, metric, .. } if *name == tier.name => Some(*metric),
        _ => None,
    });
    let mut metrics: Vec<LatencyMetric> = tier.objectives.iter().map(|it| it.metric).chain(criteria).collect();
    if metrics.is_empty() {
        metrics = vec![LatencyMetric::Ttft, LatencyMetric::E2e];
    }
    metrics.sort_unstable();
    metrics.dedup();
    metrics
}
