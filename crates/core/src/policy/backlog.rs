//! Backlog per replica: waiting requests divided by what one replica may have waiting. AWS's advice for queues, without
//! its division by zero at no replica.

use super::{Advice, View, whole};
use crate::decision::Why;
use crate::observe::Cause;
use crate::spec::Signal;

pub(super) fn advise(view: &View<'_>, target: f64) -> Advice {
    let Some(&waiting) = view.signals.queue_depth.fresh() else {
        return Advice::blind(Signal::QueueDepth, view.signals.queue_depth.blind().unwrap_or(Cause::NotConfigured));
    };
    let Some(&in_flight) = view.signals.in_flight.fresh() else {
        return Advice::blind(Signal::InFlight, view.signals.in_flight.blind().unwrap_or(Cause::NotConfigured));
    };
    // Work inside a replica is not backlog, but while there is any the tier is not idle.
    let working = u32::from(in_flight > 0);
    Advice::count(whole(waiting as f64 / target).max(working), Why::Backlog { waiting, target })
}
