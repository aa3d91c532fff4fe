//! Stabilization windows: growing follows the smallest, shrinking the largest count wanted in the window. After a start
//! or a reload nothing shrinks until every window is full, not by a crash either: what it takes is brought back.

use super::Context;
use crate::state::TierState;
use crate::window::Extreme;

pub(super) fn guard(count: u32, state: &mut TierState, context: &Context<'_>) -> u32 {
    let (now, current) = (context.now, context.current);
    let pace = &context.spec.behavior;
    state.out_window.push(now, count, 0.0, pace.scale_out.window, Extreme::Smallest);
    state.in_window.push(now, count, 0.0, pace.scale_in.window, Extreme::Largest);
    let unsettled = now < state.settled_at(context.spec);
    let kept = if unsettled { state.seen.max(current) } else { 0 };
    if count > current {
        let smallest = state.out_window.extreme().map_or(count, |(count, _)| count);
        return smallest.max(current).max(kept);
    }
    if unsettled {
        return kept.max(count);
    }
    let largest = state.in_window.extreme().map_or(count, |(count, _)| count);
    largest.min(current).max(count)
}
