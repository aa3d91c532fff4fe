//! Stabilization windows: growing follows the smallest, shrinking the largest count wanted in the window. After a start
//! or a reload nothing shrinks until every window is full.

use super::Context;
use crate::state::TierState;
use crate::window::Extreme;

pub(super) fn guard(count: u32, state: &mut TierState, context: &Context<'_>) -> u32 {
    let (now, current) = (context.now, context.current);
    let pace = &context.spec.behavior;
    state.out_window.push(now, count, 0.0, pace.scale_out.window, Extreme::Smallest);
    state.in_window.push(now, count, 0.0, pace.scale_in.window, Extreme::Largest);
    if count > current {
        let smallest = state.out_window.extreme().map_or(count, |(count, _)| count);
        return smallest.max(current);
    }
    if count < current && now < state.settled_at(context.spec) {
        return current;
    }
    let largest = state.in_window.extreme().map_or(count, |(count, _)| count);
    largest.min(current).max(count)
}
