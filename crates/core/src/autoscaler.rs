//! From observation to decision. Ours is one autoscaler; each peer in a comparison is another.

use crate::arbitrate::arbitrate;
use crate::decision::Decision;
use crate::propose::{TierInputs, propose};
use crate::spec::FleetSpec;
use crate::state::TierState;
use crate::units::Time;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Everything that the decisions of one tick depend on besides state and spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetInputs {
    /// The moment of the tick.
    pub now: Time,
    /// The tiers, in the fleet's order.
    pub tiers: Vec<TierInputs>,
}

/// Turns observations into decisions.
pub trait Autoscaler {
    /// One tick. `inputs` has the fleet's tiers in order; the decisions come in the same order.
    fn decide(&mut self, inputs: &FleetInputs) -> Vec<Decision>;
}

/// Evenkeel's own: a proposal for each tier, then arbitration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evenkeel {
    spec: FleetSpec,
    states: Vec<TierState>,
}

impl Evenkeel {
    /// Begins at `now` with nothing remembered.
    pub fn new(spec: FleetSpec, now: Time) -> Self {
        let states = spec.tiers.iter().map(|tier| TierState::new(tier, now)).collect();
        Self { spec, states }
    }

    /// The fleet that is decided over.
    pub const fn spec(&self) -> &FleetSpec {
        &self.spec
    }

    /// Whether the last decision of the tier at `index` could not see all that its policies go by.
    pub fn is_blind(&self, index: usize) -> bool {
        self.states[index].blind_since.is_some()
    }

    /// Takes over a changed fleet at `now`. Tiers are known by their names; a tier that changed keeps what it learned
    /// and lets nothing go until its windows are full again. Under a shared maximum a change of one tier may take from
    /// any other, so there all wait.
    pub fn reload(&mut self, spec: FleetSpec, now: Time) {
        let apart = self.spec.shared_maximum.is_none() && spec.shared_maximum.is_none();
        let unchanged = self.spec == spec;
        let states = spec.tiers.iter().map(|tier| {
            let Some(index) = self.spec.tiers.iter().position(|old| old.name == tier.name) else {
                return TierState::new(tier, now);
            };
            let (old, mut state) = (&self.spec.tiers[index], self.states[index].clone());
            if !(unchanged || (apart && old == tier)) {
                state.reload(old, tier, now);
            }
            state
        });
        self.states = states.collect();
        self.spec = spec;
    }
}

impl Autoscaler for Evenkeel {
    fn decide(&mut self, inputs: &FleetInputs) -> Vec<Decision> {
        let mut proposals = Vec::with_capacity(self.states.len());
        for ((state, spec), tier) in self.states.iter_mut().zip(&self.spec.tiers).zip(&inputs.tiers) {
            let taken = core::mem::replace(state, TierState::new(spec, inputs.now));
            let (next, proposal) = propose(taken, spec, tier, inputs.now);
            *state = next;
            proposals.push(proposal);
        }
        let decisions = arbitrate(&self.spec, proposals);
        for ((state, spec), decision) in self.states.iter_mut().zip(&self.spec.tiers).zip(&decisions) {
            state.settle(spec, decision);
        }
        decisions
    }
}
