//! Criteria as they are written on a command line: `gold.ttft.p95<250ms`, `gold.attainment>=99%`, `failed<=0`. Where there
//! is but one tier its name may be left out: `ttft.p95<250ms`.

use evenkeel_core::spec::LatencyMetric;
use evenkeel_fleet::model::Criterion;
use evenkeel_workload::written;
use thiserror::Error;

/// Why a threshold is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ThresholdError {
    /// It is none at all.
    #[error(
        "`{0}` is no threshold; write for example `gold.ttft.p95<250ms`, `gold.attainment>=99%` or `failed<=0`; latencies are \
         ttft, tpot, itl, e2e and queue_time"
    )]
    Form(String),
    /// Its right side has no unit, or another one.
    #[error("`{text}`: {unit}")]
    Unit {
        /// The threshold.
        text: String,
        /// What it must be.
        unit: &'static str,
    },
    /// Fewer than none.
    #[error("`{0}`: there are never fewer than 0 failed requests; write `failed<=0` for none at all")]
    FewerThanNone(String),
    /// It is about a tier that is not there.
    #[error("`{text}`: there is no tier `{tier}`; there are {tiers}")]
    Tier {
        /// The threshold.
        text: String,
        /// The tier that it names.
        tier: String,
        /// Those that there are.
        tiers: String,
    },
    /// It names no tier, and there are several.
    #[error("`{text}`: of which tier? Write `{example}`")]
    WhichTier {
        /// The threshold.
        text: String,
        /// The same with a tier.
        example: String,
    },
}

/// Reads a threshold about one of `tiers`. A number of requests is below its bound where `<` is written. A time or a share
/// holds up to and with its bound, whether `<` or `<=` is written: a measured time hardly ever equals it.
///
/// # Errors
/// What is no threshold, or is about no such tier.
pub fn parse(text: &str, tiers: &[&str]) -> Result<Criterion, ThresholdError> {
    let form = || ThresholdError::Form(text.to_owned());
    let Sides { left, upper, strict, right } = sides(text).ok_or_else(form)?;
    if left == "failed" {
        let bound: u64 = right.parse().ok().filter(|_| upper).ok_or_else(form)?;
        let at_most = bound.checked_sub(u64::from(strict));
        let at_most = at_most.ok_or_else(|| ThresholdError::FewerThanNone(text.to_owned()))?;
        return Ok(Criterion::FailedRequests { at_most });
    }
    if let Some(prefix) = left.strip_suffix("attainment") {
        if upper {
            return Err(form());
        }
        let unit = "a share is written in percent, above 0 % and up to 100 %: `>=99%`";
        let at_least = share(right).ok_or_else(|| ThresholdError::Unit { text: text.to_owned(), unit })?;
        return Ok(Criterion::ObjectiveAttainment { tier: tier(text, prefix, tiers)?, at_least });
    }
    let (left, quantile) = left.rsplit_once('.').ok_or_else(form)?;
    let metric = LatencyMetric::ALL.into_iter().find(|metric| left.rsplit('.').next() == Some(metric.name()));
    let metric = metric.ok_or_else(form)?;
    let quantile = self::quantile(quantile).ok_or_else(form)?;
    if !upper {
        return Err(form());
    }
    let unit = "a latency is bounded by a time above zero, with its unit: `<250ms` or `<1.5s`";
    let at_most = written::time(right).filter(|bound| bound.as_micros() > 0);
    let at_most = at_most.ok_or_else(|| ThresholdError::Unit { text: text.to_owned(), unit })?;
    let prefix = left.strip_suffix(metric.name()).unwrap_or_default();
    Ok(Criterion::Latency { tier: tier(text, prefix, tiers)?, metric, quantile, at_most })
}

/// Both sides of a comparison.
struct Sides<'a> {
    left: &'a str,
    /// Whether the right side is an upper bound.
    upper: bool,
    /// Whether no `=` stands there.
    strict: bool,
    right: &'a str,
}

fn sides(text: &str) -> Option<Sides<'_>> {
    let at = text.find(['<', '>'])?;
    let (left, right) = text.split_at(at);
    let upper = right.starts_with('<');
    let or_equal = right[1..].strip_prefix('=');
    let right = or_equal.unwrap_or(&right[1..]);
    Some(Sides { left: left.trim(), upper, strict: or_equal.is_none(), right: right.trim() })
}

/// The tier that stands before the metric, with the point after it.
fn tier(text: &str, prefix: &str, tiers: &[&str]) -> Result<String, ThresholdError> {
    match (prefix.strip_suffix('.'), tiers) {
        (None, [only]) if prefix.is_empty() => Ok((*only).to_owned()),
        (None, [first, ..]) if prefix.is_empty() => {
            Err(ThresholdError::WhichTier { text: text.to_owned(), example: format!("{first}.{text}") })
        }
        (Some(tier), tiers) if tiers.contains(&tier) => Ok(tier.to_owned()),
        (Some(tier), tiers) => {
            Err(ThresholdError::Tier { text: text.to_owned(), tier: tier.to_owned(), tiers: tiers.join(", ") })
        }
        (None, _) => Err(ThresholdError::Form(text.to_owned())),
    }
}

/// `p95` or `p99.9`.
fn quantile(text: &str) -> Option<f64> {
    let percent = written::plain_number(text.strip_prefix('p')?)?;
    (percent > 0.0 && percent < 100.0).then_some(percent / 100.0)
}

fn share(text: &str) -> Option<f64> {
    let percent = written::plain_number(text.strip_suffix('%')?)?;
    (percent > 0.0 && percent <= 100.0).then_some(percent / 100.0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use evenkeel_core::units::Span;

    const TIERS: [&str; 2] = ["gold", "silver"];

    fn latency(tier: &str, metric: LatencyMetric, quantile: f64, ms: i64) -> Criterion {
        Criterion::Latency { tier: tier.to_owned(), metric, quantile, at_most: Span::from_millis(ms) }
    }

    #[test]
    fn a_latency_an_attainment_and_a_number_of_failures_can_be_bounded() {
        let read = |text| parse(text, &TIERS).unwrap();
        assert_eq!(read("gold.ttft.p95<250ms"), latency("gold", LatencyMetric::Ttft, 0.95, 250));
        assert_eq!(read("silver.queue_time.p50 <= 1.5s"), latency("silver", LatencyMetric::QueueTime, 0.5, 1_500));
        let attainment = Criterion::ObjectiveAttainment { tier: "gold".to_owned(), at_least: 0.99 };
        assert_eq!(read("gold.attainment>=99%"), attainment);
        assert_eq!(read("failed<=5"), Criterion::FailedRequests { at_most: 5 });
    }

    #[test]
    fn fewer_than_a_number_of_failures_does_not_take_that_number() {
        let read = |text| parse(text, &TIERS);
        assert_eq!(read("failed<5"), Ok(Criterion::FailedRequests { at_most: 4 }));
        assert_eq!(read("failed < 1"), read("failed<=0"));
        let refused = read("failed<0").unwrap_err().to_string();
        assert_eq!(
            refused,
            "`failed<0`: there are never fewer than 0 failed requests; write `failed<=0` for none at all"
        );
        // A time is no whole number: at most, with or without the sign of equality.
        assert_eq!(read("gold.ttft.p95<250ms"), read("gold.ttft.p95<=250ms"));
    }

    #[test]
    fn the_only_tier_needs_no_name_even_one_with_points_in_it() {
        let model = "Qwen/Qwen2.5-3B";
        assert_eq!(parse("e2e.p99<2s", &[model]).unwrap(), latency(model, LatencyMetric::E2e, 0.99, 2_000));
        assert_eq!(
            parse("Qwen/Qwen2.5-3B.e2e.p99<2s", &[model]).unwrap(),
            latency(model, LatencyMetric::E2e, 0.99, 2_000)
        );
    }

    #[test]
    fn what_cannot_be_judged_is_refused_with_the_way_out() {
        let refused = |text| parse(text, &TIERS).unwrap_err().to_string();
        assert_eq!(refused("ttft.p95<250ms"), "`ttft.p95<250ms`: of which tier? Write `gold.ttft.p95<250ms`");
        assert_eq!(
            refused("bronze.ttft.p95<1s"),
            "`bronze.ttft.p95<1s`: there is no tier `bronze`; there are gold, silver"
        );
        for text in [
            "gold.ttft.p95>250ms",
            "gold.ttft.p100<1s",
            "gold.ttft<1s",
            "gold.speed.p95<1s",
            "goldttft.p95<1s",
            "gold.attainment<=99%",
            "failed>=1",
            "failed<=-1",
            "gold",
            "",
        ] {
            assert!(refused(text).contains("is no threshold; write for example"), "{text}: {}", refused(text));
        }
        for text in ["gold.ttft.p95<250", "gold.ttft.p95<0ms"] {
            assert!(refused(text).contains("a time above zero, with its unit"), "{text}: {}", refused(text));
        }
        for text in ["gold.attainment>=0.99", "gold.attainment>=101%"] {
            assert!(refused(text).contains("is written in percent"), "{text}: {}", refused(text));
        }
    }
}
