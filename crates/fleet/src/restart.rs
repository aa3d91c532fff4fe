//! What a changed file asks for that a running controller cannot take over.

use crate::model::{ControllerSettings, Fleet, PlayersSource};
use std::mem::discriminant;

/// The keys that differ and that a controller or a gateway reads only when it starts, as the user writes them; none where all of the
/// change can be taken over while it runs.
pub fn needs_restart(before: &Fleet, after: &Fleet) -> Vec<&'static str> {
    // Named one by one, so that a new setting must be put on one of the two sides.
    let ControllerSettings { listen, retention, events, mode: _, freshness: _ } = &before.controller;
    let kind = |fleet: &Fleet| fleet.players.as_ref().map(discriminant::<PlayersSource>);
    let fixed = [
        ("fleet", before.spec.name != after.spec.name),
        ("tick", before.spec.tick != after.spec.tick),
        ("controller.listen", *listen != after.controller.listen),
        ("controller.retention", *retention != after.controller.retention),
        ("controller.events", *events != after.controller.events),
        ("gateway.listen", before.gateway.listen != after.gateway.listen),
        ("players", kind(before) != kind(after)),
    ];
    fixed.into_iter().filter(|(_, differs)| *differs).map(|(path, _)| path).collect()
}
