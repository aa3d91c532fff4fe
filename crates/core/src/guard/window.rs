//! Stabilization windows: growing follows the smallest, shrinking the largest count wanted in the window. After a start
//! or a reload nothing shrinks until every window is full, not by a crash either: what it takes is brought back.

use super::Context;
use crate::state::TierState;
use crate::window::{Extreme, ExtremeWindow};
use core::cmp::Ordering;

pub(super) fn guard(count: u32, state: &mut TierState, context: &Context<'_>) -> u32 {
    let (now, current) = (context.now, context.current);
    let pace = &context.spec.behavior;
    state.out_window.push(now, count, 0.0, pace.scale_out.window, Extreme::Smallest);
    state.in_window.push(now, count, 0.0, pace.scale_in.window, Extreme::Largest);
    let unsettled = now < state.settled_at(context.spec);
    let kept = if unsettled { state.seen.max(current) } else { 0 };
    let extreme = |window: &ExtremeWindow| window.extreme().map_or(count, |(count, _)| count);
    match count.cmp(&current) {
        Ordering::Greater => extreme(&state.out_window).max(current).max(kept),
        Ordering::Equal | Ordering::Less if unsettled => kept.max(count),
        Ordering::Equal | Ordering::Less => extreme(&state.in_window).min(current).max(count),
    }
}
