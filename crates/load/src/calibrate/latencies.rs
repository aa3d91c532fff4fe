//! What requests took, as it is compared: by measuring and by the model in the same words.

use serde::Serialize;

/// The latencies of one run, ms.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Latencies {
    pub(super) ttft: Vec<f64>,
    pub(super) tpot: Vec<f64>,
    /// Gaps between two tokens: how long, and how many of them.
    pub(super) gaps: Vec<(f64, f64)>,
}

/// A figure of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Median time to first token, ms.
    TtftP50,
    /// Its 95th percentile, ms.
    TtftP95,
    /// Median time per output token, ms.
    TpotP50,
    /// Its 95th percentile, ms.
    TpotP95,
    /// Mean gap between two tokens, ms. No quantile: with few prompts among many iterations it is a cliff.
    ItlMean,
    /// Share of gaps above a bound, 0 to 1.
    ItlAbove,
}

impl Figure {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 6] =
        [Self::TtftP50, Self::TtftP95, Self::TpotP50, Self::TpotP95, Self::ItlMean, Self::ItlAbove];

    /// For tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TtftP50 => "ttft p50",
            Self::TtftP95 => "ttft p95",
            Self::TpotP50 => "tpot p50",
            Self::TpotP95 => "tpot p95",
            Self::ItlMean => "itl mean",
            Self::ItlAbove => "itl above bound",
        }
    }
}

impl Latencies {
    /// A figure of them; not a number where there is nothing to tell it by.
    pub(super) fn figure(&self, figure: Figure, itl_bound_ms: f64) -> f64 {
        match figure {
            Figure::TtftP50 => quantile(&self.ttft, 0.5),
            Figure::TtftP95 => quantile(&self.ttft, 0.95),
            Figure::TpotP50 => quantile(&self.tpot, 0.5),
            Figure::TpotP95 => quantile(&self.tpot, 0.95),
            Figure::ItlMean => self.share_of_gaps(|length| length),
            Figure::ItlAbove => self.share_of_gaps(|length| f64::from(u8::from(length > itl_bound_ms))),
        }
    }

    fn share_of_gaps(&self, weight: impl Fn(f64) -> f64) -> f64 {
        let count: f64 = self.gaps.iter().map(|(_, count)| count).sum();
        self.gaps.iter().map(|(length, count)| weight(*length) * count).sum::<f64>() / count
    }
}

/// Straight between the two nearest values.
pub(super) fn quantile(values: &[f64], quantile: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = quantile * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * (place - below as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_straight_between_values_and_gaps_count_as_often_as_they_came() {
        assert_eq!([quantile(&[3.0, 1.0, 2.0], 0.5), quantile(&[1.0, 2.0], 0.95)], [2.0, 1.95]);
        let latencies = Latencies { gaps: vec![(10.0, 9.0), (60.0, 1.0)], ..Latencies::default() };
        assert_eq!(latencies.figure(Figure::ItlMean, 50.0), 15.0);
        assert_eq!(latencies.figure(Figure::ItlAbove, 50.0), 0.1);
        assert!(latencies.figure(Figure::TtftP50, 50.0).is_nan());
    }
}
