//! Step limits: how far one period may move, from the count at its start (HPA's scaling policies with `selectPolicy:
//! Max`). What was decided and is not carried out yet counts as moved, or the next tick would take it back.

use super::Context;
use crate::spec::StepLimit;
use crate::state::{Change, TierState};
use crate::units::{Span, Time};
use core::cmp::Ordering;

pub(super) fn guard(count: u32, state: &TierState, context: &Context<'_>) -> u32 {
    let current = context.current;
    let pace = &context.spec.behavior;
    match (count.cmp(&current), pace.scale_out.step, pace.scale_in.step) {
        (Ordering::Greater, Some(step), _) => {
            let start = context.standing(state).saturating_sub(moved(state, context, step.period).0);
            count.min(start.saturating_add(largest_step(step, start)).max(current))
        }
        (Ordering::Less, _, Some(step)) => {
            let start = context.remaining(state).saturating_add(moved(state, context, step.period).1);
            count.max(start.saturating_sub(largest_step(step, start)).min(current))
        }
        _ => count,
    }
}

fn largest_step(step: StepLimit, start: u32) -> u32 {
    let by_share = (u64::from(start) * u64::from(step.percent)).div_ceil(100);
    step.replicas.max(u32::try_from(by_share).unwrap_or(u32::MAX))
}

/// When the oldest change leaves its period.
pub(super) fn next_change(state: &TierState, context: &Context<'_>) -> Option<Time> {
    let leaves = |change: &Change| {
        let pace = if change.added > 0 { &context.spec.behavior.scale_out } else { &context.spec.behavior.scale_in };
        pace.step.map(|step| change.at + step.period)
    };
    state.changes.iter().filter_map(leaves).filter(|&at| at > context.now).min()
}

/// Added and removed within the period.
fn moved(state: &TierState, context: &Context<'_>, period: Span) -> (u32, u32) {
    let recent = state.changes.iter().filter(|change| context.now.since(change.at) < period);
    recent.fold((0, 0), |(added, removed), change| (added + change.added, removed + change.removed))
}
