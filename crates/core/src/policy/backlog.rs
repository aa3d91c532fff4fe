//! Backlog per replica: waiting requests divided by what one replica may have waiting. AWS's advice for queues, without
//! its division by zero at no replica.

use super::{Advice, View, whole};
use crate::decision::Why;
use crate::observe::Cause;
use crate::spec::Signal;

pub(super) fn advise(view: &View<'_>, target: f64) -> Advice {
    let (queued, inside) = (&view.signals.queue_depth, &view.signals.in_flight);
    let Some((&waiting, &in_flight)) = queued.at_least().zip(inside.at_least()) else {
        let unknown =
            if queued.at_least().is_none() { (Signal::QueueDepth, queued) } else { (Signal::InFlight, inside) };
        return Advice::blind(unknown.0, unknown.1.blind().unwrap_or(Cause::NotConfigured));
    };
    // Work inside a replica is not backlog, but while there is any the tier is not idle.
    let working = u32::from(in_flight > 0);
    let advice = Advice::count(whole(waiting as f64 / target).max(working), Why::Backlog { waiting, target });
    let in_part = queued.blind().map(|cause| (Signal::QueueDepth, cause));
    let in_part = in_part.or_else(|| inside.blind().map(|cause| (Signal::InFlight, cause)));
    match in_part {
        Some((signal, cause)) => advice.of_a_part(view, signal, cause),
        None => advice,
    }
}
