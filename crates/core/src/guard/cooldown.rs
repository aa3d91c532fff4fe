//! Cooldowns: after growing, no further growing, and after any change, no shrinking, for a while. A count decided before
//! and not reached yet, or lost to a crash, is not a further change.

use super::Context;
use crate::state::TierState;
use crate::units::{Span, Time};
use core::cmp::Ordering;

pub(super) fn guard(count: u32, state: &TierState, context: &Context<'_>) -> u32 {
    let pace = &context.spec.behavior;
    let cooling = |last: Option<Time>, cooldown: Span| last.is_some_and(|at| context.now.since(at) < cooldown);
    match count.cmp(&context.current) {
        Ordering::Greater if cooling(state.last_out, pace.scale_out.cooldown) => count.min(context.standing(state)),
        Ordering::Less if cooling(state.last_in.max(state.last_out), pace.scale_in.cooldown) => {
            count.max(context.remaining(state))
        }
        Ordering::Greater | Ordering::Less | Ordering::Equal => count,
    }
}
