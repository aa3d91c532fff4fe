//! Guards: each may change the count that the policies want, and every change is recorded. They are applied in the order
//! of [`Guard`]; those that look at one tier alone are here, the shared ones in `arbitrate`.

mod cooldown;
mod freshness;
mod operator;
mod step;
mod window;

use crate::decision::{Clamp, Guard, Override};
use crate::spec::{Blind, TierSpec};
use crate::state::TierState;
use crate::units::Time;
use alloc::vec::Vec;

/// The count on its way through the guards.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chain {
    pub(crate) count: u32,
    pub(crate) clamps: Vec<Clamp>,
}

impl Chain {
    /// Records that `guard` leaves `after`, if that is a change.
    pub(crate) fn apply(&mut self, guard: Guard, after: u32) {
        if after != self.count {
            self.clamps.push(Clamp { guard, before: self.count, after });
            self.count = after;
        }
    }
}

/// What the guards of one tier look at.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) spec: &'a TierSpec,
    /// Ready and starting.
    pub(crate) current: u32,
    pub(crate) operator: Option<&'a Override>,
}

impl Context<'_> {
    /// The count to come back to: what was decided and is not there yet or any more, or else what is there.
    pub(crate) fn standing(&self, state: &TierState) -> u32 {
        state.desired.unwrap_or(self.current).max(self.current)
    }

    /// The count that is left once what was decided to go is gone.
    pub(crate) fn remaining(&self, state: &TierState) -> u32 {
        state.desired.unwrap_or(self.current).min(self.current)
    }
}

/// Freshness, window, cooldown, step limit, override.
pub(crate) fn guard(chain: &mut Chain, state: &mut TierState, context: &Context<'_>, blind: bool) {
    chain.apply(Guard::Freshness, freshness::guard(chain.count, state, context, blind));
    chain.apply(Guard::Window, window::guard(chain.count, state, context));
    chain.apply(Guard::Cooldown, cooldown::guard(chain.count, state, context));
    chain.apply(Guard::StepLimit, step::guard(chain.count, state, context));
    chain.apply(Guard::Override, operator::guard(chain.count, context));
}

/// The earliest moment after now at which a guard's answer may change by itself.
pub(crate) fn next_change(state: &TierState, context: &Context<'_>) -> Option<Time> {
    let pace = &context.spec.behavior;
    let fallback = match context.spec.blind {
        Blind::AtLeast { after, .. } => state.blind_since.map(|at| at + after),
        Blind::Hold => None,
    };
    let moments = [
        fallback,
        step::next_change(state, context),
        Some(state.settled_at(context.spec)),
        state.in_window.leaves_at(pace.scale_in.window),
        state.out_window.leaves_at(pace.scale_out.window),
        state.last_out.map(|at| at + pace.scale_out.cooldown),
        state.last_in.max(state.last_out).map(|at| at + pace.scale_in.cooldown),
        context.operator.map(|it| it.until),
    ];
    moments.into_iter().flatten().filter(|&at| at > context.now).min()
}
