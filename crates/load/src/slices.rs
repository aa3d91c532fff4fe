//! The run cut into equal slices of time, for pictures of it. A request belongs to the slice in which it was to be sent.

use crate::failure::Failure;
use evenkeel_core::spec::LatencyMetric;
use evenkeel_core::units::Span;
use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// Slices at most: enough for a picture, and few enough for a quantile of each to mean something.
const MOST: i64 = 120;

/// Lengths that people count in, seconds.
const ROUND_SECONDS: [f64; 16] =
    [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1_800.0, 3_600.0];

/// One tier's slices.
#[derive(Debug)]
pub(crate) struct Slices {
    length: Span,
    /// Metrics whose latencies are kept; the others would only take memory.
    metrics: Vec<LatencyMetric>,
    slices: Vec<Slice>,
}

/// What became of the requests of one slice.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    pub(crate) offered: u64,
    pub(crate) succeeded: u64,
    pub(crate) within_slo: u64,
    pub(crate) failed: BTreeMap<Failure, u64>,
    latency: BTreeMap<LatencyMetric, Histogram<u32>>,
}

impl Slice {
    /// A quantile of the answered requests' latencies; `None` where there is none.
    pub(crate) fn quantile(&self, metric: LatencyMetric, quantile: f64) -> Option<Duration> {
        let values = self.latency.get(&metric).filter(|values| !values.is_empty())?;
        Some(Duration::from_micros(values.value_at_quantile(quantile)))
    }
}

impl Slices {
    /// The length for a run: a round one that gives 120 slices at most.
    pub(crate) fn length_for(run: Span) -> Span {
        let least = run.as_secs_f64() / MOST as f64;
        let round = ROUND_SECONDS.into_iter().find(|length| *length >= least);
        Span::from_secs_f64(round.unwrap_or(least))
    }

    pub(crate) fn new(length: Span, metrics: Vec<LatencyMetric>) -> Self {
        Self { length, metrics, slices: Vec::new() }
    }

    /// The slice of a moment.
    pub(crate) fn at(&mut self, at: Span) -> &mut Slice {
        let index = usize::try_from(at.as_micros() / self.length.as_micros().max(1)).unwrap_or(0);
        if index >= self.slices.len() {
            self.slices.resize_with(index + 1, Slice::default);
        }
        &mut self.slices[index]
    }

    #[expect(clippy::expect_used, reason = "the library refuses only a number of digits above five")]
    pub(crate) fn value(&mut self, at: Span, metric: LatencyMetric, value: Duration) {
        if !self.metrics.contains(&metric) {
            return;
        }
        // Two digits: a picture shows no more.
        let empty = || Histogram::new(2).expect("two digits are valid");
        let values = self.at(at).latency.entry(metric).or_insert_with(empty);
        let micros = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
        // A value beyond all sizes is left out of the picture; the summary's own histogram has it.
        let _ = values.record(micros);
    }

    pub(crate) fn metrics(&self) -> &[LatencyMetric] {
        &self.metrics
    }

    /// Each slice with its beginning, in order of time.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Duration, &Slice)> {
        let length = self.length.to_duration();
        self.slices.iter().zip(0_u32..).map(move |(slice, index)| (length * index, slice))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_any_length_has_at_most_120_slices_of_a_round_length() {
        let lengths = [3, 120, 121, 3_600, 86_400].map(|run| Slices::length_for(Span::from_secs(run)).as_secs_f64());
        assert_eq!(lengths, [0.1, 1.0, 2.0, 30.0, 900.0]);
    }

    #[test]
    fn a_slice_without_answers_has_no_latency_and_the_one_beside_it_its_own() {
        let mut slices = Slices::new(Span::from_secs(10), vec![LatencyMetric::Ttft]);
        slices.at(Span::from_secs(5)).offered += 1;
        slices.value(Span::from_secs(15), LatencyMetric::Ttft, Duration::from_millis(100));
        slices.value(Span::from_secs(15), LatencyMetric::Itl, Duration::from_millis(100));
        let seen: Vec<_> = slices.iter().map(|(at, slice)| (at, slice.quantile(LatencyMetric::Ttft, 0.5))).collect();
        assert_eq!(seen[0], (Duration::ZERO, None));
        let second = seen[1].1.unwrap().as_secs_f64();
        assert!(seen[1].0 == Duration::from_secs(10) && (second - 0.1).abs() < 0.002, "{second}");
        assert_eq!(slices.at(Span::from_secs(15)).quantile(LatencyMetric::Itl, 0.5), None, "it is not kept");
    }
}
