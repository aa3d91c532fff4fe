//! Players per replica: as many replicas as the players online need.

use super::{Advice, View, whole};
use crate::decision::Why;
use crate::observe::{Cause, Reading};
use crate::spec::Signal;

pub(super) fn advise(view: &View<'_>, per_replica: f64) -> Advice {
    match view.signals.players.fresh() {
        Some(0) if contradicted(view) => Advice::blind(Signal::Players, Cause::Contradicted),
        // Perhaps what is not counted contradicts it.
        Some(0) if counted_in_part(view) => Advice::blind(Signal::InFlight, Cause::LowerBound),
        Some(&players) => Advice::count(whole(players as f64 / per_replica), Why::Players { players, per_replica }),
        None => Advice::blind(Signal::Players, view.signals.players.blind().unwrap_or(Cause::NotConfigured)),
    }
}

/// Nobody plays, and more requests wait or are inside than the tier's minimum takes at once: the count is broken, and
/// shrinking to the minimum by it would be an outage.
fn contradicted(view: &View<'_>) -> bool {
    let count = |reading: &Reading<u64>| reading.at_least().copied().unwrap_or(0);
    let requests = count(&view.signals.queue_depth).saturating_add(count(&view.signals.in_flight));
    requests > u64::from(view.spec.minimum) * u64::from(view.spec.profile.max_sequences)
}

fn counted_in_part(view: &View<'_>) -> bool {
    let levels = [&view.signals.queue_depth, &view.signals.in_flight];
    levels.iter().any(|reading| reading.blind() == Some(Cause::LowerBound))
}
