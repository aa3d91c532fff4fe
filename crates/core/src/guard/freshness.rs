//! Missing, stale or partial data removes no replica; blind for too long, the declared fallback may add some.

use super::Context;
use crate::spec::Blind;
use crate::state::TierState;

pub(super) fn guard(count: u32, state: &mut TierState, context: &Context<'_>, blind: bool) -> u32 {
    if !blind {
        if let Some(since) = state.blind_since.take() {
            state.wait_out(context.spec, context.now.since(since), context.now);
        }
        return count;
    }
    let since = *state.blind_since.get_or_insert(context.now);
    let held = count.max(context.standing(state));
    match context.spec.blind {
        Blind::AtLeast { replicas, after } if context.now.since(since) >= after => held.max(replicas),
        Blind::AtLeast { .. } | Blind::Hold => held,
    }
}
