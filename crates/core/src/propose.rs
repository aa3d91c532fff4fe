//! One tier's proposal: what its policies want, after the guards that look at this tier alone.

use crate::decision::{ActiveSchedule, Clamp, Forecast, Override, Recommendation, Why};
use crate::guard::{self, Chain, Context};
use crate::observe::{Cause, Observation, Replica, Supply};
use crate::policy::{Advice, View};
use crate::spec::TierSpec;
use crate::state::TierState;
use crate::units::Time;
use alloc::string::ToString;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Everything that a tier's proposal depends on besides its state and spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TierInputs {
    /// What is.
    pub observation: Observation,
    /// A forecast, where one is made.
    pub forecast: Option<Forecast>,
    /// The schedule entry that is active.
    pub schedule: Option<ActiveSchedule>,
    /// An operator's order.
    pub operator: Option<Override>,
}

/// What a tier asks of the arbitration.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal<'a> {
    /// When it was made.
    pub at: Time,
    /// The replicas counted; what was counted last when they could not be listed.
    pub supply: Supply,
    /// How many may be there. It is more than `supply` where they cannot be listed and some that were decided to go may not
    /// have gone.
    pub present: u32,
    /// Replicas that may be chosen to go; empty when they could not be listed.
    pub candidates: &'a [Replica],
    /// The count wanted.
    pub wanted: u32,
    /// What the winner would have at once. A cooldown or a step limit delays it, and does not make it need less.
    pub wish: u32,
    /// What each policy recommended.
    pub recommendations: Vec<Recommendation>,
    /// Which of them won.
    pub winner: Option<usize>,
    /// The guards' changes so far.
    pub clamps: Vec<Clamp>,
    /// A policy could not tell, or not for sure, or the replicas could not be listed.
    pub blind: bool,
    /// Its present replicas stay its own when a shared limit is short: it cannot see, or has only just begun to look.
    pub reserved: bool,
    /// The replicas could not be listed: nothing may be changed.
    pub unlisted: bool,
    /// They never could: nobody knows how many there are.
    pub uncounted: bool,
    /// The winner holds a level that is not needed at this moment.
    pub holding: bool,
    /// When the answer may change with nothing new observed.
    pub next_change: Option<Time>,
}

/// One tick of one tier. Pure: the same arguments give the same bits.
pub fn propose<'a>(
    mut state: TierState,
    spec: &TierSpec,
    inputs: &'a TierInputs,
    now: Time,
) -> (TierState, Proposal<'a>) {
    let listed = inputs.observation.replicas.fresh();
    let supply = listed.map_or_else(|| unlisted_supply(&state), |replicas| Supply::of(replicas));
    if listed.is_some() {
        state.counted = supply.current();
    }
    let view = View {
        now,
        spec,
        signals: &inputs.observation.signals,
        supply,
        forecast: inputs.forecast,
        schedule: inputs.schedule.as_ref(),
    };
    let advices = advise(&mut state, &view);
    let winner = winner(&advices);
    let context = Context { now, spec, current: supply.current(), operator: inputs.operator.as_ref() };
    let asleep = context.standing(&state) == 0 && winner.is_some();
    let blind = listed.is_none() || advices.iter().any(|advice| is_blind(advice, asleep));
    let wanted = winner.and_then(|index| advices[index].desired).unwrap_or_else(|| context.standing(&state));
    let mut chain = Chain { count: wanted, clamps: Vec::new() };
    guard::guard(&mut chain, &mut state, &context, blind);
    let policy_change = advices.iter().filter_map(|advice| advice.until).min();
    let guard_change = guard::next_change(&state, &context);
    let proposal = Proposal {
        at: now,
        supply,
        present: supply.current().max(state.counted),
        candidates: listed.map_or(&[], Vec::as_slice),
        wanted: chain.count,
        wish: winner.map_or(0, |index| advices[index].wish.or(advices[index].desired).unwrap_or(0)),
        winner,
        clamps: chain.clamps,
        blind,
        reserved: blind || now < state.settled_at(spec),
        unlisted: listed.is_none(),
        uncounted: listed.is_none() && state.desired.is_none(),
        holding: winner.is_some_and(|index| advices[index].holding),
        next_change: [policy_change, guard_change].into_iter().flatten().min(),
        recommendations: recommendations(spec, advices),
    };
    (state, proposal)
}

/// Of a tier that was let go to zero, and of which another policy sees what would wake it, there is nothing to measure in its
/// replicas: that is no blindness.
const fn is_blind(advice: &Advice, asleep: bool) -> bool {
    let nothing_to_measure = matches!(advice.why, Why::Blind { cause: Cause::NoReplica, .. });
    advice.partial || (advice.desired.is_none() && !(asleep && nothing_to_measure))
}

/// Unknown replicas are taken to be as many as were last decided: nothing is started or ended for want of a list.
fn unlisted_supply(state: &TierState) -> Supply {
    Supply { ready: state.desired.unwrap_or(0), ..Supply::default() }
}

fn advise(state: &mut TierState, view: &View<'_>) -> Vec<Advice> {
    state.policies.iter_mut().zip(&view.spec.policies).map(|(policy, spec)| policy.advise(spec, view)).collect()
}

/// The largest count wins, the first in the file among equals.
fn winner(advices: &[Advice]) -> Option<usize> {
    let mut best: Option<(usize, u32)> = None;
    for (index, advice) in advices.iter().enumerate() {
        if let Some(desired) = advice.desired
            && best.is_none_or(|(_, most)| desired > most)
        {
            best = Some((index, desired));
        }
    }
    best.map(|(index, _)| index)
}

fn recommendations(spec: &TierSpec, advices: Vec<Advice>) -> Vec<Recommendation> {
    let named = spec.policies.iter().map(|policy| policy.name().to_string());
    named
        .zip(advices)
        .map(|(policy, advice)| Recommendation { policy, desired: advice.desired, why: advice.why })
        .collect()
}

impl Proposal<'_> {
    /// The winning policy says that no number of replicas meets the objective.
    pub(crate) fn unachievable(&self) -> bool {
        self.winner.is_some_and(|index| matches!(self.recommendations[index].why, Why::Unachievable { .. }))
    }
}
