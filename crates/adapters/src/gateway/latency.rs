//! Two readings of a latency histogram as what one objective needs: how many, how many above, and the bracket of the
//! quantile.

use evenkeel_core::observe::{Cause, Latency, Mean};
use evenkeel_core::spec::{LatencyMetric, Objective};
use evenkeel_core::units::Span;
use evenkeel_wire::report::{Histogram, TierReport};

/// What was counted between two reports.
#[derive(Clone, Debug)]
pub(super) struct Counted<'a> {
    edges: &'a [Span],
    /// One longer than `edges`.
    counts: Vec<u64>,
    /// All of them.
    count: u64,
    sum: Span,
}

impl<'a> Counted<'a> {
    pub(super) fn between(before: &TierReport, now: &'a TierReport, metric: LatencyMetric) -> Result<Self, Cause> {
        let of = |report: &'a TierReport| report.latency.iter().find(|histogram| histogram.metric == metric);
        let now = of(now).filter(|histogram| is_whole(histogram)).ok_or(Cause::Malformed)?;
        let before = before.latency.iter().find(|histogram| histogram.metric == metric);
        let before = before.filter(|before| before.edges_us == now.edges_us && is_whole(before));
        let before = before.ok_or(Cause::CounterReset)?;
        let counts = now.counts.iter().zip(&before.counts).map(|(now, before)| now.checked_sub(*before));
        let counts = counts.collect::<Option<Vec<u64>>>().ok_or(Cause::CounterReset)?;
        // No gateway lives to see so many.
        let count = counts.iter().try_fold(0, |sum: u64, count| sum.checked_add(*count)).ok_or(Cause::Malformed)?;
        let sum = grown(before.sum_us, now.sum_us).ok_or(Cause::CounterReset)?;
        Ok(Self { edges: &now.edges_us, counts, count, sum })
    }

    /// The mean's two parts in milliseconds; a count of zero when nothing ended.
    pub(super) fn mean_ms(&self) -> Mean {
        Mean { sum: self.sum.as_millis_f64(), count: self.count }
    }

    /// Against `objective`, whose bound must be one of the edges: else 'above' would be a guess.
    pub(super) fn against(&self, objective: &Objective) -> Result<Latency, Cause> {
        let bound = self.edges.iter().position(|edge| *edge == objective.bound).ok_or(Cause::Malformed)?;
        let count = self.count;
        if count == 0 {
            return Err(Cause::NoRequest);
        }
        let above = self.counts.iter().skip(bound + 1).sum();
        let (quantile_low, quantile_high) = self.bracket(objective.quantile);
        Ok(Latency { count, above, quantile_low, quantile_high })
    }

    /// The bucket that holds the `quantile`: the smallest value that this share of all lies at or below.
    fn bracket(&self, quantile: f64) -> (Span, Span) {
        let rank = ((quantile * self.count as f64).ceil() as u64).max(1);
        let mut below = 0;
        let bucket = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        let bucket = bucket.unwrap_or(self.edges.len());
        (self.lower_edge(bucket), self.edges.get(bucket).copied().unwrap_or_else(|| self.largest_possible()))
    }

    fn lower_edge(&self, bucket: usize) -> Span {
        bucket.checked_sub(1).and_then(|below| self.edges.get(below)).copied().unwrap_or(Span::ZERO)
    }

    /// The open bucket has no upper edge, but the sum bounds it: what is left of it when every other value is as small
    /// as its bucket allows.
    fn largest_possible(&self) -> Span {
        let smallest =
            |(bucket, count): (usize, &u64)| i128::from(self.lower_edge(bucket).as_micros()) * i128::from(*count);
        let all: i128 = self.counts.iter().enumerate().map(smallest).sum();
        let last = self.lower_edge(self.edges.len());
        let left = i128::from(self.sum.as_micros()) - all + i128::from(last.as_micros());
        Span::from_micros(i64::try_from(left).unwrap_or(i64::MAX)).max(last)
    }
}

fn is_whole(histogram: &Histogram) -> bool {
    histogram.counts.len() == histogram.edges_us.len() + 1
}

/// How much a total has grown; `None` when it went backwards.
fn grown(before: Span, now: Span) -> Option<Span> {
    (now >= before).then(|| Span::from_micros(now.as_micros().saturating_sub(before.as_micros())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn report(counts: [u64; 4], sum_ms: i64) -> TierReport {
        let histogram = Histogram {
            metric: LatencyMetric::Ttft,
            edges_us: [10, 100, 250].map(Span::from_millis).to_vec(),
            counts: counts.to_vec(),
            sum_us: Span::from_millis(sum_ms),
        };
        TierReport { latency: vec![histogram], ..TierReport::default() }
    }

    fn objective(quantile: f64, bound_ms: i64) -> Objective {
        Objective { metric: LatencyMetric::Ttft, quantile, bound: Span::from_millis(bound_ms) }
    }

    fn against(counts: [u64; 4], sum_ms: i64, objective: &Objective) -> Result<Latency, Cause> {
        let (before, now) = (report([0; 4], 0), report(counts, sum_ms));
        Counted::between(&before, &now, LatencyMetric::Ttft)?.against(objective)
    }

    #[test]
    fn a_value_equal_to_the_bound_is_not_above_it() {
        let latency = against([50, 40, 7, 3], 9_000, &objective(0.95, 250)).unwrap();
        assert_eq!((latency.count, latency.above), (100, 3));
        assert_eq!((latency.quantile_low, latency.quantile_high), (Span::from_millis(100), Span::from_millis(250)));
        assert_eq!(against([50, 40, 7, 3], 9_000, &objective(0.95, 100)).unwrap().above, 10);
    }

    #[test]
    fn the_quantile_is_the_smallest_value_that_covers_its_share() {
        for (quantile, low, high) in [(0.5, 0, 10), (0.51, 10, 100), (0.9, 10, 100), (0.97, 100, 250)] {
            let latency = against([50, 40, 7, 3], 9_000, &objective(quantile, 250)).unwrap();
            let bracket = (latency.quantile_low, latency.quantile_high);
            assert_eq!(bracket, (Span::from_millis(low), Span::from_millis(high)), "{quantile}");
        }
    }

    #[test]
    fn a_quantile_in_the_open_bucket_is_bounded_by_the_sum() {
        // Two values above 250 ms; the others are at least 0 and 10 ms: 900 = 1*0 + 2*10 + 250 + largest.
        let latency = against([1, 2, 0, 2], 900, &objective(0.95, 250)).unwrap();
        assert_eq!((latency.quantile_low, latency.quantile_high), (Span::from_millis(250), Span::from_millis(630)));
    }

    #[test]
    fn only_what_came_between_the_two_reports_counts() {
        let (before, now) = (report([5, 5, 5, 5], 3_000), report([5, 6, 5, 5], 3_050));
        let counted = Counted::between(&before, &now, LatencyMetric::Ttft).unwrap();
        assert_eq!(counted.against(&objective(0.95, 250)).unwrap().count, 1);
        assert_eq!(counted.mean_ms(), Mean { sum: 50.0, count: 1 });
    }

    #[test]
    fn no_request_a_reset_and_a_bound_between_the_edges_are_told_apart() {
        assert_eq!(against([0; 4], 0, &objective(0.95, 250)), Err(Cause::NoRequest));
        assert_eq!(against([1; 4], 9, &objective(0.95, 200)), Err(Cause::Malformed));
        let (before, now) = (report([5; 4], 100), report([5, 5, 5, 4], 100));
        assert!(matches!(Counted::between(&before, &now, LatencyMetric::Ttft), Err(Cause::CounterReset)));
        assert!(matches!(Counted::between(&before, &now, LatencyMetric::Itl), Err(Cause::Malformed)));
        assert_eq!(against([u64::MAX, 1, 0, 0], 9, &objective(0.95, 250)), Err(Cause::Malformed), "no such count");
    }
}
