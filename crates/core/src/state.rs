//! What a tier remembers between ticks.

use crate::decision::Decision;
use crate::policy::{PolicyState, memory};
use crate::spec::{Pace, PolicySpec, TierSpec};
use crate::units::{Span, Time};
use crate::window::ExtremeWindow;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One tier's state. It can be saved and read back; a controller that starts without one begins anew and lets no replica
/// go until every window is full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TierState {
    /// Nothing is removed before the windows that begin here are full.
    pub(crate) since: Time,
    pub(crate) policies: Vec<PolicyState>,
    pub(crate) out_window: ExtremeWindow,
    pub(crate) in_window: ExtremeWindow,
    pub(crate) last_out: Option<Time>,
    pub(crate) last_in: Option<Time>,
    pub(crate) changes: VecDeque<Change>,
    pub(crate) blind_since: Option<Time>,
    /// The count last decided.
    pub(crate) desired: Option<u32>,
    /// The count when the replicas were last listed.
    #[serde(default)]
    pub(crate) counted: u32,
    /// The most replicas seen since the windows began to fill, without those that were decided to go.
    pub(crate) seen: u32,
}

/// A change that was decided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) at: Time,
    pub(crate) added: u32,
    pub(crate) removed: u32,
}

impl TierState {
    /// The state of a tier that begins to be decided at `now`.
    pub fn new(spec: &TierSpec, now: Time) -> Self {
        Self {
            since: now,
            policies: spec.policies.iter().map(PolicyState::new).collect(),
            out_window: ExtremeWindow::default(),
            in_window: ExtremeWindow::default(),
            last_out: None,
            last_in: None,
            changes: VecDeque::new(),
            blind_since: None,
            desired: None,
            counted: 0,
            seen: 0,
        }
    }

    /// The tier changed from `old` to `new` at `now`: what was learned stays where it still means the same, and the
    /// windows begin anew, so that the change alone removes nothing.
    pub fn reload(&mut self, old: &TierSpec, new: &TierSpec, now: Time) {
        self.since = now;
        let carried = new.policies.iter().map(|policy| {
            let alike =
                |it: &PolicySpec| matches!((it, policy), (PolicySpec::Capacity { .. }, PolicySpec::Capacity { .. }));
            let same = old.policies.iter().position(|it| it == policy).or_else(|| old.policies.iter().position(alike));
            let state = same.and_then(|index| self.policies.get(index));
            state.map_or_else(|| PolicyState::new(policy), |state| state.carried_over(old, new))
        });
        self.policies = carried.collect();
    }

    /// From this moment on every window is full and a replica may go.
    pub(crate) fn settled_at(&self, spec: &TierSpec) -> Time {
        self.since + longest_window(spec)
    }

    /// The windows have a gap of `gap` that ends at `now`: what happened in it is unknown, so nothing goes for as long
    /// again, at most until every window is full.
    pub(crate) fn wait_out(&mut self, spec: &TierSpec, gap: Span, now: Time) {
        let longest = longest_window(spec);
        self.since = self.since.max(now + gap.min(longest) - longest);
    }

    /// Remembers what was decided. A count that stays as decided before, or comes back to it after a crash, is no change.
    pub fn settle(&mut self, spec: &TierSpec, decision: &Decision) {
        let current = decision.supply.current();
        let before = self.desired.unwrap_or(current);
        let (added, removed) = (
            decision.desired.saturating_sub(before.max(current)),
            before.min(current).saturating_sub(decision.desired),
        );
        if added > 0 {
            self.last_out = Some(decision.at);
        }
        if removed > 0 {
            self.last_in = Some(decision.at);
        }
        if added + removed > 0 {
            self.changes.push_back(Change { at: decision.at, added, removed });
        }
        let period = |pace: &Pace| pace.step.map_or(Span::ZERO, |step| step.period);
        let longest = period(&spec.behavior.scale_out).max(period(&spec.behavior.scale_in));
        while self.changes.front().is_some_and(|change| decision.at.since(change.at) >= longest) {
            self.changes.pop_front();
        }
        // Nothing decided of nothing seen may only mean that the replicas could not be listed yet.
        if self.desired.is_some() || decision.desired > 0 {
            self.desired = Some(decision.desired);
        }
        let settled = decision.at >= self.settled_at(spec);
        self.seen = if settled { 0 } else { self.seen.max(current).min(decision.desired) };
    }
}

/// The longest time for which anything in the tier looks back before it lets a replica go.
fn longest_window(spec: &TierSpec) -> Span {
    let pace = &spec.behavior.scale_in;
    let policies = spec.policies.iter().map(memory).max().unwrap_or(Span::ZERO);
    policies.max(pace.window).max(pace.cooldown)
}
