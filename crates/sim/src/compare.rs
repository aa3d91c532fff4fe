//! Policies side by side on the same demand.

use crate::autoscaler::Autoscaler;
use crate::cloud::Cloud;
use crate::fluid::{self, Run};
use crate::oracle::Violation;
use crate::ours::Ours;
use crate::peers::{Peer, SteadyState};
use crate::requests::{self, Gateway, Outcome, Served, Traffic};
use crate::score::{Score, Terms};
use crate::setting::Setting;
use evenkeel_core::spec::TierSpec;
use evenkeel_engine::replica::InvalidProfile;
use serde::Serialize;
use thiserror::Error;

/// How a peer's target is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tuning {
    /// As its documentation ships it.
    Default,
    /// The cheapest that kept the attainment before scoring began, then frozen.
    TunedOnHistory,
    /// The cheapest that keeps the attainment while scored: no one can do so, and nothing of its kind does better.
    TunedInHindsight,
}

/// How a policy was set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Parameters {
    /// Load a replica that is aimed at, or for `static` the count; `None` for a policy without a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
}

/// One policy's run, judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    /// Its name.
    pub policy: &'static str,
    /// How it was set; `None` where there is nothing to set.
    pub tuning: Option<Tuning>,
    /// What this gave.
    pub parameters: Parameters,
    /// What was asked for.
    pub attainment_requested: f64,
    /// How violations are counted.
    pub violation: Violation,
    /// What it came to.
    #[serde(flatten)]
    pub score: Score,
    /// The fleet, slot by slot: for pictures.
    #[serde(skip)]
    pub run: Run,
}

/// Why nothing was compared.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum CompareError {
    /// A policy that needs what the model does not have.
    #[error("the policy `{0}` goes by signals that the fluid model does not have; `--model requests` has them")]
    NeedsRequests(&'static str),
    /// A profile that drives no engine.
    #[error("the tier's profile: {0}")]
    Profile(#[from] InvalidProfile),
}

/// How demand is served.
#[derive(Clone, Copy, Debug)]
pub enum Model<'a> {
    /// As rates.
    Fluid,
    /// Request by request.
    Requests {
        /// The requests.
        traffic: &'a Traffic<'a>,
        /// The tier whose replicas serve them.
        tier: &'a TierSpec,
        /// The gateway before them.
        gateway: &'a Gateway,
    },
}

/// What all policies meet.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// How it is served.
    pub model: Model<'a>,
    /// Demand in replicas, a value a slot.
    pub demand: &'a [f64],
    /// Limits.
    pub setting: &'a Setting,
    /// What replicas run on.
    pub cloud: &'a Cloud,
    /// What they are judged by.
    pub terms: &'a Terms,
    /// The tier's engine, for peers that go by its figures.
    pub engine: &'a SteadyState,
}

impl World<'_> {
    /// Runs Evenkeel's own policy for `tier`.
    ///
    /// # Errors
    /// When the tier's policies need more than rates, or its profile drives no engine.
    pub fn ours(&self, tier: &TierSpec) -> Result<Cell, CompareError> {
        if let (Model::Fluid, Some(name)) = (self.model, Ours::needs_requests(tier)) {
            return Err(CompareError::NeedsRequests(name));
        }
        let ours = Ours::new(tier.clone(), self.setting.slot, self.setting.start);
        let mut ours = ours.through(self.cloud.pipeline, self.cloud.freshness);
        self.cell("evenkeel", None, None, &mut ours)
    }

    /// Runs a peer, set by `tuning`. Targets are searched in the fluid model, which is the same but for the queue.
    ///
    /// # Errors
    /// A profile that drives no engine.
    pub fn peer(&self, peer: Peer, tuning: Tuning) -> Result<Cell, CompareError> {
        let history = &self.demand[..self.setting.scored_from];
        let target = match tuning {
            // Without a history the first slot is all that a team could know.
            Tuning::Default => peer.default_target(&self.demand[..history.len().max(1)]),
            Tuning::TunedOnHistory => {
                let setting = Setting { scored_from: 0, ..*self.setting };
                World { demand: history, setting: &setting, ..*self }.cheapest(peer)
            }
            Tuning::TunedInHindsight => self.cheapest(peer),
        };
        self.cell(peer.name(), Some(tuning), Some(target), peer.with_target(target, self.engine).as_mut())
    }

    /// Of a peer's targets the cheapest that keeps the attainment, or else the one that misses least.
    fn cheapest(&self, peer: Peer) -> f64 {
        let mut best: Option<(bool, f64, f64)> = None;
        for target in peer.targets(self.demand) {
            let mut set = peer.with_target(target, self.engine);
            let run = fluid::run_on(self.cloud, self.demand, self.setting, set.as_mut());
            let keeps = run.capacity_attainment() >= self.terms.attainment;
            let key = if keeps { run.billed_slots } else { run.violated };
            let better = best.is_none_or(|(kept, least, _)| (keeps && !kept) || (keeps == kept && key < least));
            if better {
                best = Some((keeps, key, target));
            }
        }
        best.map_or(1.0, |(_, _, target)| target)
    }

    fn cell(
        &self,
        policy: &'static str,
        tuning: Option<Tuning>,
        target: Option<f64>,
        autoscaler: &mut dyn Autoscaler,
    ) -> Result<Cell, CompareError> {
        let outcome = self.run(autoscaler)?;
        Ok(self.judged(policy, tuning, target, outcome))
    }

    /// Judges a run that something else made, as it was recorded. It has no lives to be billed for, so its cost is at the
    /// tier's price.
    pub fn recorded(&self, run: Run) -> Cell {
        let cloud = Cloud { pricing: None, ..self.cloud.clone() };
        let world = World { cloud: &cloud, ..*self };
        world.judged("recorded", None, None, Outcome { run, served: Served::default() })
    }

    fn judged(&self, policy: &'static str, tuning: Option<Tuning>, target: Option<f64>, outcome: Outcome) -> Cell {
        let Outcome { run, served } = outcome;
        Cell {
            policy,
            tuning,
            parameters: Parameters { target },
            attainment_requested: self.terms.attainment,
            violation: self.setting.violation,
            score: Score { served, ..Score::of(&run, self.demand, self.setting, self.cloud, self.terms) },
            run,
        }
    }

    fn run(&self, autoscaler: &mut dyn Autoscaler) -> Result<Outcome, InvalidProfile> {
        match self.model {
            Model::Fluid => {
                let run = fluid::run_on(self.cloud, self.demand, self.setting, autoscaler);
                Ok(Outcome { run, served: Served::default() })
            }
            Model::Requests { traffic, tier, gateway } => {
                let traffic = traffic.clone();
                requests::run_on(self.cloud, traffic, self.demand, self.setting, (tier, gateway), autoscaler)
            }
        }
    }
}
