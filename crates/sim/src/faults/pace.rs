//! How fast a tier lets go: nothing that was wanted within its window, nothing in a cooldown, and no more in a period than
//! its step.

use super::breach::{Breach, Tick};
use evenkeel_core::spec::StepLimit;
use evenkeel_core::units::{Span, Time};
use std::collections::VecDeque;

/// What was decided lately of one tier.
#[derive(Clone, Debug, Default)]
pub(super) struct PaceJudge {
    desired: Option<u32>,
    changed: Option<Time>,
    /// When how many went, and how many had been there.
    removed: VecDeque<(Time, u32, u32)>,
    /// What was wanted within the window, and is not outdone by what was wanted later.
    wanted: VecDeque<(Time, u32)>,
}

impl PaceJudge {
    /// The count last decided.
    pub(super) const fn desired(&self) -> Option<u32> {
        self.desired
    }

    /// Whether the decision lets go too early or too many. Only what a tier does by itself is judged: not for an operator,
    /// nor for another tier, nor by a clock that was set.
    pub(super) fn judge(&mut self, tick: &Tick<'_>) -> Option<Breach> {
        let decision = tick.decision;
        let there = decision.supply.ready + decision.supply.starting;
        let before = self.desired.replace(decision.desired).unwrap_or(there);
        let added = decision.desired.saturating_sub(before.max(there));
        let removed = before.min(there).saturating_sub(decision.desired);
        let pace = &tick.spec.behavior.scale_in;
        let wanted = self.most_wanted(tick, pace.window);
        let cooling = self.changed.is_some_and(|at| tick.now.since(at) < pace.cooldown);
        if added + removed > 0 {
            self.changed = Some(tick.now);
        }
        if tick.weather.order.is_some() || !tick.alone || !tick.steady_clock {
            self.removed.clear();
            return None;
        }
        let fast = pace.step.is_some_and(|step| removed > 0 && self.is_too_many(step, removed, there, tick.now));
        if decision.desired < there.min(wanted) {
            Some(Breach::InWindow)
        } else if removed > 0 && cooling {
            Some(Breach::InCooldown)
        } else {
            fast.then_some(Breach::TooFast)
        }
    }

    /// The largest count that a policy wanted within `window`.
    fn most_wanted(&mut self, tick: &Tick<'_>, window: Span) -> u32 {
        let now = tick.now;
        if let Some(count) = tick.decision.recommendations.iter().filter_map(|it| it.desired).max() {
            while self.wanted.pop_back_if(|&mut (_, earlier)| earlier <= count).is_some() {}
            self.wanted.push_back((now, count));
        }
        while self.wanted.pop_front_if(|&mut (at, _)| now.since(at) >= window && at != now).is_some() {}
        self.wanted.front().map_or(0, |&(_, count)| count)
    }

    fn is_too_many(&mut self, step: StepLimit, removed: u32, there: u32, now: Time) -> bool {
        self.removed.push_back((now, removed, there));
        let old = |at: Time, period: Span| now.since(at) >= period;
        while self.removed.pop_front_if(|&mut (at, ..)| old(at, step.period)).is_some() {}
        let gone: u32 = self.removed.iter().map(|&(_, removed, _)| removed).sum();
        let most = self.removed.iter().map(|&(.., there)| there).max().unwrap_or(there) + gone;
        gone > step.replicas.max((most * step.percent).div_ceil(100))
    }
}
