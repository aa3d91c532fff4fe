//! One replica's page, read through its engine's mapping. NaN, infinity and negative values are refused here.

use super::mapping::{GPU_UTILIZATION, Lookup, Mapping, Share};
use crate::prometheus::Page;
use evenkeel_core::observe::Cause;

/// A share above this is no share that overran its whole by a little, it is a percentage or worse.
const LARGEST_SHARE: f64 = 1.5;

/// Cumulative lookups of one replica's prefix cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lookups {
    pub(super) queried: u64,
    pub(super) found: u64,
}

/// No replica counts beyond this: up to here floats tell every whole number apart, and 2,000 replicas add up within 64
/// bits. A larger count is a lie or a mistake.
const LARGEST_COUNT: f64 = 9_007_199_254_740_992.0;

/// What one replica's page says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PageReading {
    /// Requests inside the replica, running and waiting.
    pub(super) in_flight: Result<u32, Cause>,
    pub(super) waiting: Result<u64, Cause>,
    /// 0 to 1; over several engines or GPUs their mean.
    pub(super) kv: Result<f64, Cause>,
    pub(super) gpu: Result<f64, Cause>,
    pub(super) lookups: Result<Lookups, Cause>,
}

impl PageReading {
    pub(super) fn of(page: &Page<'_>, mapping: &Mapping) -> Self {
        let running = total(page, mapping.running);
        // Every engine says how many wait; a page without it is not this engine's.
        let waiting = total(page, mapping.waiting).map_err(|cause| match cause {
            Cause::NotConfigured => Cause::Malformed,
            other => other,
        });
        let in_flight = running.and_then(|running| waiting.map(|waiting| (running + waiting).round() as u32));
        Self {
            in_flight,
            waiting: waiting.map(|waiting| waiting.round() as u64),
            kv: mean_share(page, mapping.kv),
            gpu: mean_share(page, GPU_UTILIZATION),
            lookups: lookups(page, mapping.prefix),
        }
    }

    /// A page that could not be had.
    pub(super) const fn missing(cause: Cause) -> Self {
        Self { in_flight: Err(cause), waiting: Err(cause), kv: Err(cause), gpu: Err(cause), lookups: Err(cause) }
    }
}

/// The values of the first metric that the page has, over all its series (an engine behind several ranks writes one
/// for each).
fn values(page: &Page<'_>, name: &str) -> Result<Vec<f64>, Cause> {
    let number = |value: f64| if value.is_finite() && value >= 0.0 { Ok(value) } else { Err(Cause::NotANumber) };
    let values = page.named(name).map(|sample| number(sample.value)).collect::<Result<Vec<_>, _>>()?;
    if values.is_empty() { Err(Cause::NotConfigured) } else { Ok(values) }
}

fn total(page: &Page<'_>, names: &[&str]) -> Result<f64, Cause> {
    first(names, |name| count(&values(page, name)?))
}

fn count(values: &[f64]) -> Result<f64, Cause> {
    let sum = values.iter().sum::<f64>();
    if sum <= LARGEST_COUNT { Ok(sum) } else { Err(Cause::Malformed) }
}

fn mean_share(page: &Page<'_>, shares: &[Share]) -> Result<f64, Cause> {
    first(shares, |share| {
        let values = values(page, share.name)?;
        let mean = values.iter().sum::<f64>() / values.len() as f64 / share.whole;
        if mean > LARGEST_SHARE { Err(Cause::Malformed) } else { Ok(mean.min(1.0)) }
    })
}

fn lookups(page: &Page<'_>, pairs: &[Lookup]) -> Result<Lookups, Cause> {
    first(pairs, |pair| {
        let queried = count(&values(page, pair.queried)?)? as u64;
        // Found tokens are counted from the first hit on, so their absence beside the other counter means none.
        let found = match values(page, pair.found) {
            Err(Cause::NotConfigured) => 0,
            found => count(&found?)? as u64,
        };
        Ok(Lookups { queried, found })
    })
}

/// What the first candidate that the page has says; a candidate that it has but that cannot be counted is not passed
/// over in favor of another.
fn first<C, T>(candidates: &[C], mut read: impl FnMut(&C) -> Result<T, Cause>) -> Result<T, Cause> {
    for candidate in candidates {
        match read(candidate) {
            Err(Cause::NotConfigured) => {}
            answer => return answer,
        }
    }
    Err(Cause::NotConfigured)
}
