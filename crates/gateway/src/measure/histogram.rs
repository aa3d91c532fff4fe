//! A latency histogram that many requests write to at once. Its edges grow by a fixed factor, and each objective's bound
//! is an edge of its own, so that 'above the bound' is counted, never interpolated.

use evenkeel_core::spec::{LatencyMetric, Slo};
use evenkeel_core::units::Span;
use evenkeel_wire::report::Histogram;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// The smallest edge: finer than the gateway's own share of a latency.
const FIRST_EDGE_US: f64 = 100.0;
/// No edge beyond this one: ten minutes.
const LAST_EDGE_US: f64 = 600e6;
/// Each edge is this factor above the one before, so a quantile read off the edges is at most 12 % off.
const GROWTH: f64 = 1.12;

/// One metric's histogram.
#[derive(Debug)]
pub(crate) struct LiveHistogram {
    metric: LatencyMetric,
    edges_us: Vec<i64>,
    counts: Vec<AtomicU64>,
    sum_us: AtomicI64,
}

impl LiveHistogram {
    /// An empty histogram of `metric` with the bounds that `slo` sets for it among its edges.
    pub(crate) fn new(metric: LatencyMetric, slo: &Slo) -> Self {
        let bounds = slo.objectives.iter().filter(|objective| objective.metric == metric);
        let mut edges_us: Vec<i64> = bounds.map(|objective| objective.bound.as_micros()).collect();
        let mut edge = FIRST_EDGE_US;
        while edge <= LAST_EDGE_US {
            edges_us.push(edge.round() as i64);
            edge *= GROWTH;
        }
        edges_us.sort_unstable();
        edges_us.dedup();
        let counts = (0..=edges_us.len()).map(|_| AtomicU64::new(0)).collect();
        Self { metric, edges_us, counts, sum_us: AtomicI64::new(0) }
    }

    /// Begins anew where `slo` sets other bounds than the edges have. A reader takes no difference over other edges.
    pub(crate) fn set_bounds(&mut self, slo: &Slo) {
        let anew = Self::new(self.metric, slo);
        if anew.edges_us != self.edges_us {
            *self = anew;
        }
    }

    /// Counts `times` equal values.
    pub(crate) fn record_many(&self, value: Span, times: u64) {
        let micros = value.as_micros();
        let bucket = self.edges_us.partition_point(|&edge| edge < micros);
        if let Some(count) = self.counts.get(bucket) {
            count.fetch_add(times, Ordering::Relaxed);
        }
        let sum = micros.saturating_mul(i64::try_from(times).unwrap_or(i64::MAX));
        self.sum_us.fetch_add(sum, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn snapshot(&self) -> Histogram {
        Histogram {
            metric: self.metric,
            edges_us: self.edges_us.iter().map(|&edge| Span::from_micros(edge)).collect(),
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum_us: Span::from_micros(self.sum_us.load(Ordering::Relaxed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::spec::Objective;

    fn bounded(bound: Span) -> LiveHistogram {
        let objectives = vec![Objective { metric: LatencyMetric::Tpot, quantile: 0.95, bound }];
        LiveHistogram::new(LatencyMetric::Tpot, &Slo { objectives })
    }

    /// Values above `bound`, by the buckets' edges alone.
    fn above(histogram: &Histogram, bound: Span) -> u64 {
        let edge = histogram.edges_us.iter().position(|&edge| edge == bound);
        edge.map_or(0, |edge| histogram.counts.iter().skip(edge + 1).sum())
    }

    #[test]
    fn above_the_bound_is_counted_exactly() {
        let bound = Span::from_micros(16_000);
        let histogram = bounded(bound);
        for micros in [15_999, 16_000, 16_001, 40_000] {
            histogram.record_many(Span::from_micros(micros), 1);
        }
        let counted = histogram.snapshot();
        assert_eq!(above(&counted, bound), 2);
        assert_eq!(counted.counts.iter().sum::<u64>(), 4);
        assert_eq!(counted.sum_us, Span::from_micros(15_999 + 16_000 + 16_001 + 40_000));
    }

    #[test]
    fn other_bounds_begin_anew_and_the_same_bounds_go_on() {
        let slo = |bound| {
            let objectives = vec![Objective { metric: LatencyMetric::Tpot, quantile: 0.95, bound }];
            Slo { objectives }
        };
        let mut histogram = bounded(Span::from_millis(16));
        histogram.record_many(Span::from_millis(20), 1);
        histogram.set_bounds(&slo(Span::from_millis(16)));
        assert_eq!(histogram.snapshot().counts.iter().sum::<u64>(), 1);
        histogram.set_bounds(&slo(Span::from_millis(17)));
        let counted = histogram.snapshot();
        assert!(counted.edges_us.contains(&Span::from_millis(17)));
        assert_eq!((counted.counts.iter().sum::<u64>(), counted.sum_us), (0, Span::ZERO));
    }

    #[test]
    fn edges_grow_and_the_last_bucket_is_open() {
        let histogram = bounded(Span::from_millis(250));
        histogram.record_many(Span::from_secs(86_400), 1);
        let counted = histogram.snapshot();
        assert!(counted.edges_us.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(counted.counts.len(), counted.edges_us.len() + 1);
        assert_eq!(counted.counts.last(), Some(&1));
    }
}
