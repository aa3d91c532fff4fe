//! How long the requests of a run took, as their players saw it: from the gateway's door.

use evenkeel_core::attainment::{BoundCount, Windows};
use evenkeel_core::observe::{Cause, Latency, Reading};
use evenkeel_core::spec::{LatencyMetric, Objective};
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::replica::IterationRun;
use hdrhistogram::Histogram;

/// Length of the windows of objective attainment.
const WINDOW: Span = Span::from_secs(60);

/// A request that was answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    /// At the gateway.
    pub(super) arrived: Time,
    /// Handed over to the replica that answered.
    pub(super) dispatched: Time,
    pub(super) first_token: Time,
    pub(super) finished: Time,
    pub(super) output_tokens: u32,
}

impl Answered {
    /// One of its latencies; `None` for gaps, which are not a request's, and where there is no second token.
    pub(super) fn latency(&self, metric: LatencyMetric) -> Option<Span> {
        match metric {
            LatencyMetric::Ttft => Some(self.first_token.since(self.arrived)),
            LatencyMetric::E2e => Some(self.finished.since(self.arrived)),
            LatencyMetric::QueueTime => Some(self.dispatched.since(self.arrived)),
            LatencyMetric::Tpot => self.pace_seconds().map(Span::from_secs_f64),
            LatencyMetric::Itl => None,
        }
    }

    /// Seconds for each output token after the first.
    pub(super) fn pace_seconds(&self) -> Option<f64> {
        let gaps = self.output_tokens.checked_sub(1).filter(|gaps| *gaps > 0)?;
        Some(self.finished.since(self.first_token).as_secs_f64() / f64::from(gaps))
    }
}

/// Times in microseconds, three significant digits.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Micros(Histogram<u64>);

impl Micros {
    /// Ten days; what is beyond is counted there.
    const LARGEST_US: u64 = 10 * 86_400 * 1_000_000;

    #[expect(clippy::expect_used, reason = "the library refuses only bounds and digits that are none")]
    pub(super) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, Self::LARGEST_US, 3).expect("constant bounds are valid"))
    }

    pub(super) fn record(&mut self, value: Span, times: u64) {
        self.0.saturating_record_n(micros(value), times);
    }

    /// The value that so large a share does not exceed, seconds; `None` without values.
    pub(super) fn quantile_seconds(&self, quantile: f64) -> Option<f64> {
        (!self.0.is_empty()).then(|| self.0.value_at_quantile(quantile) as f64 / 1e6)
    }

    /// The largest value that is not told apart from this one.
    fn largest_alike(&self, value: Span) -> Span {
        Span::from_micros(i64::try_from(self.0.highest_equivalent(micros(value))).unwrap_or(i64::MAX))
    }

    fn same_bucket(&self, one: Span, other: Span) -> bool {
        self.0.equivalent(micros(one), micros(other))
    }
}

fn micros(value: Span) -> u64 {
    u64::try_from(value.as_micros()).unwrap_or(0)
}

/// The latencies of all scored requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Distributions {
    ttft: Micros,
    tpot: Micros,
    itl: Micros,
    e2e: Micros,
    queue_time: Micros,
}

impl Default for Distributions {
    fn default() -> Self {
        let none = Micros::new();
        Self { ttft: none.clone(), tpot: none.clone(), itl: none.clone(), e2e: none.clone(), queue_time: none }
    }
}

impl Distributions {
    /// The value that so large a share of a latency's values does not exceed, seconds; `None` without values.
    pub fn quantile_seconds(&self, metric: LatencyMetric, quantile: f64) -> Option<f64> {
        self.of(metric).quantile_seconds(quantile)
    }

    /// A latency's mean, seconds.
    pub fn mean_seconds(&self, metric: LatencyMetric) -> Option<f64> {
        let values = &self.of(metric).0;
        (!values.is_empty()).then(|| values.mean() / 1e6)
    }

    /// Share of a latency's values above a bound, 0 to 1.
    pub fn share_above(&self, metric: LatencyMetric, bound: Span) -> Option<f64> {
        let values = &self.of(metric).0;
        let within = values.count_between(0, micros(bound));
        (!values.is_empty()).then(|| 1.0 - within as f64 / values.len() as f64)
    }

    fn of(&self, metric: LatencyMetric) -> &Micros {
        match metric {
            LatencyMetric::Ttft => &self.ttft,
            LatencyMetric::Tpot => &self.tpot,
            LatencyMetric::Itl => &self.itl,
            LatencyMetric::E2e => &self.e2e,
            LatencyMetric::QueueTime => &self.queue_time,
        }
    }

    fn record(&mut self, answered: &Answered) {
        let record = |values: &mut Micros, metric| {
            if let Some(latency) = answered.latency(metric) {
                values.record(latency, 1);
            }
        };
        record(&mut self.ttft, LatencyMetric::Ttft);
        record(&mut self.tpot, LatencyMetric::Tpot);
        record(&mut self.e2e, LatencyMetric::E2e);
        record(&mut self.queue_time, LatencyMetric::QueueTime);
    }
}

/// A tier's latencies over a whole run, and since the last tick.
#[derive(Debug)]
pub(super) struct Latencies {
    scored_from: Time,
    objectives: Vec<Objective>,
    pub(super) windows: Windows,
    pub(super) distributions: Distributions,
    /// Microseconds of all gaps since the last tick, twice, and how many gaps.
    recent_gaps: (u64, u64),
    /// Values since the last tick, for each objective.
    recent: Vec<BoundCount>,
}

impl Latencies {
    pub(super) fn new(objectives: &[Objective], scored_from: Time) -> Self {
        Self {
            scored_from,
            objectives: objectives.to_vec(),
            windows: Windows::new(WINDOW, objectives.to_vec()),
            distributions: Distributions::default(),
            recent_gaps: (0, 0),
            recent: vec![BoundCount::default(); objectives.len()],
        }
    }

    pub(super) fn offered(&mut self, arrived: Time) {
        if let Some(at) = self.scored(arrived) {
            self.windows.offered(at);
        }
    }

    pub(super) fn failed(&mut self, arrived: Time) {
        if let Some(at) = self.scored(arrived) {
            self.windows.failed(at);
        }
    }

    pub(super) fn answered(&mut self, answered: &Answered) {
        let scored = self.scored(answered.arrived);
        for (index, objective) in self.objectives.iter().enumerate() {
            let Some(latency) = answered.latency(objective.metric) else { continue };
            let above = latency > objective.bound;
            self.recent[index].add(above);
            if let Some(at) = scored {
                self.windows.value(at, index, above);
            }
        }
        if scored.is_some() {
            self.distributions.record(answered);
        }
    }

    /// Gaps between tokens that ended by `now`, and after the tick before. Which requests they belong to is not known, so they
    /// count in the window of their own end; one that ends as a window does still belongs to it.
    pub(super) fn iterated(&mut self, now: Time, run: &IterationRun) {
        if run.gaps == 0 {
            return;
        }
        let ends = micros(run.first) + micros(run.last);
        self.recent_gaps = (self.recent_gaps.0 + ends * run.gaps, self.recent_gaps.1 + run.gaps);
        let scored = self.scored(now - Span::from_micros(1));
        for (index, objective) in self.objectives.iter().enumerate() {
            if objective.metric == LatencyMetric::Itl {
                let values = BoundCount { count: run.gaps, above: gaps_above(run, objective.bound) };
                let recent = &mut self.recent[index];
                (recent.count, recent.above) = (recent.count + values.count, recent.above + values.above);
                if let Some(at) = scored {
                    self.windows.values(at, index, values);
                }
            }
        }
        if scored.is_some() {
            record_gaps(&mut self.distributions.itl, run);
        }
    }

    /// A gap that lies in no run of iterations: a request lost its place in the cache meanwhile.
    pub(super) fn resumed(&mut self, now: Time, gap: Span) {
        let alone = IterationRun { iterations: 1, sequences: 1, prefill_tokens: 0, gaps: 1, first: gap, last: gap };
        self.iterated(now, &alone);
    }

    /// What came since the last call, against each objective. Of the quantile it is told on which side of the bound it lies.
    pub(super) fn take_recent(&mut self, now: Time) -> Vec<Reading<Latency>> {
        let taken = self.recent.iter_mut().zip(&self.objectives).map(|(recent, objective)| {
            let counted = std::mem::take(recent);
            if counted.count == 0 {
                return Reading::Missing { cause: Cause::NoRequest };
            }
            let (quantile_low, quantile_high) = if counted.holds(objective.quantile, 0) {
                (Span::ZERO, objective.bound)
            } else {
                (objective.bound, Span::from_micros(Micros::LARGEST_US as i64))
            };
            let BoundCount { count, above } = counted;
            Reading::Fresh { value: Latency { count, above, quantile_low, quantile_high }, at: now }
        });
        taken.collect()
    }

    /// Mean gap between tokens since the last call, seconds.
    pub(super) fn take_mean_gap(&mut self) -> Option<f64> {
        let (doubled, gaps) = std::mem::take(&mut self.recent_gaps);
        (gaps > 0).then(|| doubled as f64 / 2e6 / gaps as f64)
    }

    /// Since scoring began; `None` before.
    fn scored(&self, at: Time) -> Option<Span> {
        (at >= self.scored_from).then(|| at.since(self.scored_from))
    }
}

fn record_gaps(histogram: &mut Micros, run: &IterationRun) {
    if run.iterations == 1 || histogram.same_bucket(run.first, run.last) {
        return histogram.record(run.first, run.gaps);
    }
    // Those of cancelled requests end with the last iteration.
    let lost = run.iterations * run.sequences - run.gaps.min(run.iterations * run.sequences);
    let mut from = 0;
    while from < run.iterations {
        let gap = gap_of(run, from);
        let to = first_beyond(run, histogram.largest_alike(gap)).clamp(from + 1, run.iterations);
        let lost = if to == run.iterations { lost } else { 0 };
        histogram.record(gap, ((to - from) * run.sequences).saturating_sub(lost));
        from = to;
    }
}

/// The first of the run's iterations that is longer than `gap`.
fn first_beyond(run: &IterationRun, gap: Span) -> u64 {
    let (steps, growth) = (steps(run), run.last.as_micros() - run.first.as_micros());
    let within = (gap.as_micros() - run.first.as_micros() + 1) * steps - 1;
    if growth > 0 { (within / growth + 1) as u64 } else { run.iterations }
}

fn steps(run: &IterationRun) -> i64 {
    run.iterations.saturating_sub(1).max(1) as i64
}

/// Length of one of the run's iterations, which are spaced evenly.
fn gap_of(run: &IterationRun, iteration: u64) -> Span {
    let (first, last) = (run.first.as_micros(), run.last.as_micros());
    Span::from_micros(first + (last - first) * iteration as i64 / steps(run))
}

fn gaps_above(run: &IterationRun, bound: Span) -> u64 {
    match (run.first > bound, run.last > bound) {
        (true, _) => run.gaps,
        (false, false) => 0,
        (false, true) => run.gaps.saturating_sub(first_beyond(run, bound).min(run.iterations) * run.sequences),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(i64) -> Span = Span::from_millis;

    fn objective(metric: LatencyMetric, bound: i64) -> Objective {
        Objective { metric, quantile: 0.5, bound: MS(bound) }
    }

    fn at(ms: i64) -> Time {
        Time::from_micros(1_000 * ms)
    }

    #[test]
    fn a_request_is_timed_from_the_gateway_s_door() {
        let answered =
            Answered { arrived: at(0), dispatched: at(40), first_token: at(100), finished: at(300), output_tokens: 11 };
        let latency = |metric| answered.latency(metric);
        assert_eq!(latency(LatencyMetric::QueueTime), Some(MS(40)));
        assert_eq!(latency(LatencyMetric::Ttft), Some(MS(100)));
        assert_eq!(latency(LatencyMetric::Tpot), Some(MS(20)));
        assert_eq!(latency(LatencyMetric::E2e), Some(MS(300)));
        assert_eq!(Answered { output_tokens: 1, ..answered }.latency(LatencyMetric::Tpot), None);
    }

    #[test]
    fn gaps_count_by_what_each_iteration_took() {
        let run = IterationRun { iterations: 3, sequences: 2, prefill_tokens: 0, gaps: 6, first: MS(10), last: MS(20) };
        let mut latencies = Latencies::new(&[objective(LatencyMetric::Itl, 15)], at(0));
        latencies.iterated(at(50), &run);
        // Two gaps each of 10, 15 and 20 ms.
        assert_eq!(latencies.recent[0], BoundCount { count: 6, above: 2 });
        assert_eq!(latencies.distributions.itl.quantile_seconds(0.5).map(|it| (it * 1e3).round()), Some(15.0));
        latencies.resumed(at(60), MS(500));
        assert_eq!(latencies.recent[0], BoundCount { count: 7, above: 3 });
    }

    #[test]
    fn gaps_that_grow_are_counted_bucket_by_bucket_as_they_would_be_one_by_one() {
        for (iterations, sequences, first, last, cancelled) in
            [(40, 7, 7_000, 7_025, 0), (3, 1, 1_000, 9_000, 1), (100, 64, 8_180, 8_199, 5), (2, 3, 5_000, 5_001, 0)]
        {
            let gaps = iterations * sequences - cancelled;
            let (first, last) = (Span::from_micros(first), Span::from_micros(last));
            let run = IterationRun { iterations, sequences, prefill_tokens: 0, gaps, first, last };
            let (mut told, mut one_by_one) = (Micros::new(), Micros::new());
            record_gaps(&mut told, &run);
            for iteration in 0..iterations {
                let lost = if iteration + 1 == iterations { cancelled } else { 0 };
                one_by_one.record(gap_of(&run, iteration), sequences - lost);
            }
            assert_eq!(told, one_by_one, "{run:?}");
            let bound = Span::from_micros(first.as_micros() + 3);
            let above = (0..iterations).filter(|&iteration| gap_of(&run, iteration) > bound).count() as u64;
            assert_eq!(gaps_above(&run, bound), (above * sequences).saturating_sub(cancelled));
        }
    }

    #[test]
    fn what_came_before_scoring_is_seen_by_the_policy_and_not_scored() {
        let mut latencies = Latencies::new(&[objective(LatencyMetric::Ttft, 250)], at(1_000));
        for arrived in [at(0), at(2_000)] {
            let (first_token, finished) = (arrived + MS(300), arrived + MS(400));
            latencies.offered(arrived);
            latencies.answered(&Answered { arrived, dispatched: arrived, first_token, finished, output_tokens: 2 });
        }
        let recent = latencies.take_recent(at(3_000));
        assert_eq!(recent[0].fresh().map(|it| (it.count, it.above)), Some((2, 2)));
        assert_eq!(latencies.take_recent(at(4_000))[0].blind(), Some(Cause::NoRequest), "taken once");
        assert_eq!(latencies.distributions.ttft.0.len(), 1);
        assert_eq!(latencies.windows.attainment().map(|it| it.share), Some(0.0));
    }
}
