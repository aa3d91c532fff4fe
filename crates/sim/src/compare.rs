//! Policies side by side on the same demand.

use crate::fluid::{Autoscaler, Run, Setting, run};
use crate::oracle::Violation;
use crate::ours::Ours;
use crate::peers::{Peer, SteadyState};
use crate::score::{Score, Terms};
use evenkeel_core::spec::TierSpec;
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
}

/// Why nothing was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CompareError {
    /// A policy that needs what the model does not have.
    #[error("the policy `{0}` goes by signals that the fluid model does not have; `--model requests` has them")]
    NeedsRequests(&'static str),
}

/// What all policies meet.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// Demand in replicas, a value a slot.
    pub demand: &'a [f64],
    /// Cloud and limits.
    pub setting: &'a Setting,
    /// What they are judged by.
    pub terms: &'a Terms,
    /// The tier's engine, for peers that go by its figures.
    pub engine: &'a SteadyState,
}

impl World<'_> {
    /// Runs Evenkeel's own policy for `tier`.
    ///
    /// # Errors
    /// When the tier's policies need more than rates.
    pub fn ours(&self, tier: &TierSpec) -> Result<Cell, CompareError> {
        let mut ours =
            Ours::new(tier.clone(), self.setting.slot, self.setting.start).map_err(CompareError::NeedsRequests)?;
        Ok(self.cell("evenkeel", None, None, &self.run(&mut ours)))
    }

    /// Runs a peer, set by `tuning`.
    pub fn peer(&self, peer: Peer, tuning: Tuning) -> Cell {
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
        let run = self.run(peer.with_target(target, self.engine).as_mut());
        self.cell(peer.name(), Some(tuning), Some(target), &run)
    }

    /// Of a peer's targets the cheapest that keeps the attainment, or else the one that misses least.
    fn cheapest(&self, peer: Peer) -> f64 {
        let mut best: Option<(bool, f64, f64)> = None;
        for target in peer.targets(self.demand) {
            let run = self.run(peer.with_target(target, self.engine).as_mut());
            let keeps = run.capacity_attainment() >= self.terms.attainment;
            let key = if keeps { run.billed_slots as f64 } else { run.violated };
            let better = best.is_none_or(|(kept, least, _)| (keeps && !kept) || (keeps == kept && key < least));
            if better {
                best = Some((keeps, key, target));
            }
        }
        best.map_or(1.0, |(_, _, target)| target)
    }

    fn run(&self, autoscaler: &mut dyn Autoscaler) -> Run {
        run(self.demand, self.setting, autoscaler)
    }

    fn cell(&self, policy: &'static str, tuning: Option<Tuning>, target: Option<f64>, run: &Run) -> Cell {
        Cell {
            policy,
            tuning,
            parameters: Parameters { target },
            attainment_requested: self.terms.attainment,
            violation: self.setting.violation,
            score: Score::of(run, self.demand, self.setting, self.terms),
        }
    }
}
