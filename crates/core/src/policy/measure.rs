//! A signal as two sums, so that any window over it is a ratio of sums.

use super::View;
use crate::observe::{Cause, Mean, Portion, Reading};
use crate::spec::Signal;

/// One tick's worth of a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measure {
    /// Why the true sum may be larger: some ready replicas did not report, or a part could not be counted.
    pub(super) in_part: Option<Cause>,
    /// Added up in the numerator.
    pub(super) over: f64,
    /// Added up in the denominator.
    pub(super) under: f64,
    /// How the signal relates to the count.
    pub(super) kind: Kind,
}

/// How a signal relates to the count of replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The tier's total: it is shared among replicas.
    Total,
    /// Each replica's own, added up: a target for it can only be meant for each replica.
    Mean,
    /// A share of something that does not add up over replicas.
    Share,
}

/// What `signal` says in this tick. A mean over replicas comes as their sum: the load, which does not depend on how
/// many replicas carry it.
pub(super) fn measure(view: &View<'_>, signal: Signal) -> Result<Measure, Cause> {
    let signals = view.signals;
    match signal {
        Signal::Offered => {
            value(&signals.offered).map(|it| ratio(it.requests as f64, it.over.as_secs_f64(), Kind::Total))
        }
        Signal::QueueDepth => level(&signals.queue_depth, |&it| total(it as f64)),
        Signal::OldestQueued => level(&signals.oldest_queued, |it| share(it.as_secs_f64())),
        Signal::InFlight => level(&signals.in_flight, |&it| total(it as f64)),
        Signal::EngineWaiting => value(&signals.engine_waiting).map(|&it| total(it as f64)),
        Signal::Players => value(&signals.players).map(|&it| total(it as f64)),
        Signal::GpuUtilization => value(&signals.gpu_utilization).and_then(|it| sum_over_replicas(view, it)),
        Signal::KvUtilization => value(&signals.kv_utilization).and_then(|it| sum_over_replicas(view, it)),
        Signal::Pace => value(&signals.pace).map(|it| ratio(it.sum, it.count as f64, Kind::Share)),
        Signal::PrefixCacheMiss => value(&signals.prefix_cache_miss).map(portion),
        Signal::ErrorShare => value(&signals.error_share).map(portion),
        Signal::Finished => {
            level(&signals.finished, |it| ratio(it.succeeded as f64, it.over.as_secs_f64(), Kind::Total))
        }
        Signal::Latency => Err(Cause::NotConfigured),
    }
}

fn value<T>(reading: &Reading<T>) -> Result<&T, Cause> {
    match reading {
        Reading::Fresh { value, .. } => Ok(value),
        other => Err(other.blind().unwrap_or(Cause::NotConfigured)),
    }
}

/// The same of what perhaps was counted only in part.
fn level<T>(reading: &Reading<T>, measured: impl FnOnce(&T) -> Measure) -> Result<Measure, Cause> {
    match reading.at_least() {
        Some(value) => Ok(Measure { in_part: reading.blind(), ..measured(value) }),
        None => value(reading).map(measured),
    }
}

const fn total(value: f64) -> Measure {
    ratio(value, 1.0, Kind::Total)
}

const fn share(value: f64) -> Measure {
    ratio(value, 1.0, Kind::Share)
}

const fn ratio(over: f64, under: f64, kind: Kind) -> Measure {
    Measure { in_part: None, over, under, kind }
}

fn portion(portion: &Portion) -> Measure {
    ratio(portion.part as f64, portion.whole as f64, Kind::Share)
}

const fn sum_over_replicas(view: &View<'_>, mean: &Mean) -> Result<Measure, Cause> {
    if mean.count == 0 {
        return Err(Cause::NoReplica);
    }
    let in_part = if mean.count < view.supply.ready as u64 { Some(Cause::Partial) } else { None };
    Ok(Measure { in_part, ..ratio(mean.sum, 1.0, Kind::Mean) })
}
