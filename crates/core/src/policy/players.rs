//! Players per replica: as many replicas as the players online need.

use super::{Advice, View, whole};
use crate::decision::Why;
use crate::observe::Cause;
use crate::spec::Signal;

pub(super) fn advise(view: &View<'_>, per_replica: f64) -> Advice {
    match view.signals.players.fresh() {
        Some(&players) => Advice::count(whole(players as f64 / per_replica), Why::Players { players, per_replica }),
        None => Advice::blind(Signal::Players, view.signals.players.blind().unwrap_or(Cause::NotConfigured)),
    }
}
