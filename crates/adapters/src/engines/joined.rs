//! Many replicas' parts as one reading of their tier. A replica that is missing makes the reading missing: a sum over
//! the others would look like less load than there is.

use super::reading::{Lookups, PageReading};
use evenkeel_core::observe::{Cause, Mean, Portion, Reading, ReplicaId, Signals};
use evenkeel_core::units::Time;
use std::collections::BTreeMap;

/// Every part, or the cause that they share, or `Partial` where some are there and some are not, or are missing for
/// different causes.
pub(super) fn all_of<T>(parts: Vec<Result<T, Cause>>) -> Result<Vec<T>, Cause> {
    let mut gaps = parts.iter().filter_map(|part| part.as_ref().err().copied());
    let Some(first) = gaps.next() else {
        return if parts.is_empty() { Err(Cause::NoReplica) } else { Ok(parts.into_iter().flatten().collect()) };
    };
    let all_for_one_cause = gaps.filter(|cause| *cause == first).count() + 1 == parts.len();
    Err(if all_for_one_cause { first } else { Cause::Partial })
}

/// A tier's signals from its ready replicas' pages, in a fixed order. `previous` holds each replica's lookups at the
/// last read that had them.
pub(super) fn signals(
    pages: &[(&ReplicaId, PageReading)],
    previous: &BTreeMap<ReplicaId, Lookups>,
    now: Time,
) -> Signals {
    let each = |value: fn(&PageReading) -> Result<f64, Cause>| {
        all_of(pages.iter().map(|(_, page)| value(page)).collect()).map(mean)
    };
    let waiting = all_of(pages.iter().map(|(_, page)| page.waiting).collect());
    let misses = all_of(pages.iter().map(|(id, page)| missed(previous.get(*id), page.lookups)).collect());
    Signals {
        gpu_utilization: reading(each(|page| page.gpu), now),
        kv_utilization: reading(each(|page| page.kv), now),
        engine_waiting: reading(waiting.map(|waiting| waiting.into_iter().fold(0, u64::saturating_add)), now),
        prefix_cache_miss: reading(misses.map(|misses| together(&misses)), now),
        ..Signals::default()
    }
}

/// One replica's lookups since the last read, and how many of them missed.
fn missed(before: Option<&Lookups>, now: Result<Lookups, Cause>) -> Result<Portion, Cause> {
    let now = now?;
    let before = before.ok_or(Cause::FirstReading)?;
    let queried = now.queried.checked_sub(before.queried).ok_or(Cause::CounterReset)?;
    let found = now.found.checked_sub(before.found).ok_or(Cause::CounterReset)?;
    Ok(Portion { part: queried.saturating_sub(found), whole: queried })
}

fn mean(values: Vec<f64>) -> Mean {
    Mean { sum: values.iter().sum(), count: values.len() as u64 }
}

fn together(portions: &[Portion]) -> Portion {
    portions.iter().fold(Portion::default(), |all, one| Portion {
        part: all.part.saturating_add(one.part),
        whole: all.whole.saturating_add(one.whole),
    })
}

fn reading<T>(value: Result<T, Cause>, at: Time) -> Reading<T> {
    match value {
        Ok(value) => Reading::Fresh { value, at },
        Err(cause) => Reading::Missing { cause },
    }
}
