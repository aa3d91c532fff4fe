//! A signal as two sums, so that any window over it is a ratio of sums.

use super::View;
use crate::observe::{Cause, Mean, Portion, Reading};
use crate::spec::Signal;

/// One tick's worth of a signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measure {
    /// Some ready replicas did not report: the true sum is at least this large.
    pub(super) partial: bool,
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
        Signal::QueueDepth => value(&signals.queue_depth).map(|&it| total(it as f64)),
        Signal::OldestQueued => value(&signals.oldest_queued).map(|it| share(it.as_secs_f64())),
        Signal::InFlight => value(&signals.in_flight).map(|&it| total(it as f64)),
        Signal::EngineWaiting => value(&signals.engine_waiting).map(|&it| total(it as f64)),
        Signal::Players => value(&signals.players).map(|&it| total(it as f64)),
        Signal::GpuUtilization => value(&signals.gpu_utilization).and_then(|it| sum_over_replicas(view, it)),
        Signal::KvUtilization => value(&signals.kv_utilization).and_then(|it| sum_over_replicas(view, it)),
        Signal::Pace => value(&signals.pace).map(|it| ratio(it.sum, it.count as f64, Kind::Share)),
        Signal::PrefixCacheMiss => value(&signals.prefix_cache_miss).map(portion),
        Signal::ErrorShare => value(&signals.error_share).map(portion),
        Signal::Finished => {
            value(&signals.finished).map(|it| ratio(it.succeeded as f64, it.over.as_secs_f64(), Kind::Total))
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

const fn total(value: f64) -> Measure {
    ratio(value, 1.0, Kind::Total)
}

const fn share(value: f64) -> Measure {
    ratio(value, 1.0, Kind::Share)
}

const fn ratio(over: f64, under: f64, kind: Kind) -> Measure {
    Measure { partial: false, over, under, kind }
}

fn portion(portion: &Portion) -> Measure {
    ratio(portion.part as f64, portion.whole as f64, Kind::Share)
}

const fn sum_over_replicas(view: &View<'_>, mean: &Mean) -> Result<Measure, Cause> {
    if mean.count == 0 {
        return Err(Cause::NoReplica);
    }
    Ok(Measure { partial: mean.count < view.supply.ready as u64, ..ratio(mean.sum, 1.0, Kind::Mean) })
}
