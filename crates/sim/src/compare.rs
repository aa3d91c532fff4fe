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

/// Of a history that targets are tuned on, the first of so many parts warms the policies up and is not judged.
const WARM_UP_PART: usize = 4;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Parameters {
    /// Load a replica that is aimed at, or for `static` the count; `None` for a policy without a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// Whether a target was found that kept the attainment; `None` where none was sought. Where it is false, the one is
    /// taken that missed least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_when_tuned: Option<bool>,
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

impl Cell {
    /// Whether it kept what was asked: of demand, and of the minutes in which every objective held where single requests
    /// tell.
    pub fn kept(&self) -> bool {
        let objectives = self.score.served.objective_attainment.unwrap_or(1.0);
        self.score.capacity_attainment.min(objectives) >= self.attainment_requested
    }
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
        self.cell("evenkeel", None, Parameters::default(), &mut ours)
    }

    /// Runs a peer, set by `tuning`. Targets are searched in the fluid model, which is the same but for the queue.
    ///
    /// # Errors
    /// A profile that drives no engine.
    pub fn peer(&self, peer: Peer, tuning: Tuning) -> Result<Cell, CompareError> {
        let history = &self.demand[..self.setting.scored_from];
        let parameters = match tuning {
            // Without a history the first slot is all that a team could know.
            Tuning::Default => {
                let target = peer.default_target(&self.demand[..history.len().max(1)]);
                Parameters { target: Some(target), kept_when_tuned: None }
            }
            Tuning::TunedOnHistory => {
                // A service that has run for a while is not judged by how it first came to its size.
                let setting = Setting { scored_from: history.len() / WARM_UP_PART, ..*self.setting };
                World { demand: history, setting: &setting, ..*self }.cheapest(peer)
            }
            Tuning::TunedInHindsight => self.cheapest(peer),
        };
        let mut set = peer.with_target(parameters.target.unwrap_or(1.0), self.engine);
        self.cell(peer.name(), Some(tuning), parameters, set.as_mut())
    }

    /// Of a peer's targets the cheapest that keeps the attainment, or else the one that misses least.
    fn cheapest(&self, peer: Peer) -> Parameters {
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
        let kept_when_tuned = Some(best.is_some_and(|(kept, ..)| kept));
        Parameters { target: best.map(|(.., target)| target), kept_when_tuned }
    }

    fn cell(
        &self,
        policy: &'static str,
        tuning: Option<Tuning>,
        parameters: Parameters,
        autoscaler: &mut dyn Autoscaler,
    ) -> Result<Cell, CompareError> {
        let outcome = self.run(autoscaler)?;
        Ok(self.judged(policy, tuning, parameters, outcome))
    }

    /// Judges a run that something else made, as it was recorded. It has no lives to be billed for, so its cost is at the
    /// tier's price.
    pub fn recorded(&self, run: Run) -> Cell {
        let cloud = Cloud { pricing: None, ..self.cloud.clone() };
        let world = World { cloud: &cloud, ..*self };
        world.judged("recorded", None, Parameters::default(), Outcome { run, served: Served::default() })
    }

    fn judged(&self, policy: &'static str, tuning: Option<Tuning>, parameters: Parameters, outcome: Outcome) -> Cell {
        let Outcome { run, served } = outcome;
        Cell {
            policy,
            tuning,
            parameters,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::example_tier;
    use evenkeel_core::units::{MicroUsd, Span, Time};

    /// Two hours of steps of 5 s with a hill in the middle.
    fn hill() -> Vec<f64> {
        (0..1_440)
            .map(|slot| 2.5 + 2.0 * libm::sin(f64::from(slot) / 229.0) + 0.3 * libm::sin(f64::from(slot)))
            .collect()
    }

    #[test]
    fn nobody_pays_less_than_the_oracle_that_misses_as_little() {
        let (demand, tier) = (hill(), example_tier());
        let (slot, start) = (Span::from_secs(5), Time::default());
        let terms = Terms { attainment: 0.99, price_per_hour: MicroUsd::from_micros(1_000_000) };
        let engine = SteadyState::new(&tier);
        for violation in [Violation::Excess, Violation::Step] {
            for (scored_from, start_up_slots) in [(0, 12), (360, 60), (1_430, 6)] {
                let setting = Setting { slot, start_up_slots, minimum: 0, maximum: 20, scored_from, start, violation };
                let (model, cloud) = (Model::Fluid, &Cloud::default());
                let world = World { model, demand: &demand, setting: &setting, cloud, terms: &terms, engine: &engine };
                for peer in Peer::ALL {
                    let cell = world.peer(peer, Tuning::Default).expect("a fluid run");
                    let over = cell.score.cost_over_oracle.unwrap_or(1.0);
                    assert!(over >= 1.0 - 1e-9, "{} under {violation:?} from {scored_from}: {over}", cell.policy);
                }
            }
        }
    }

    #[test]
    fn what_was_asked_is_kept_of_demand_and_of_the_minutes_in_which_the_objectives_held() {
        let (demand, tier) = (vec![0.5; 60], example_tier());
        let (slot, start, violation) = (Span::from_secs(5), Time::default(), Violation::Excess);
        let setting = Setting { slot, start_up_slots: 0, minimum: 1, maximum: 2, scored_from: 0, start, violation };
        let terms = Terms { attainment: 0.99, price_per_hour: MicroUsd::from_micros(1_000_000) };
        let engine = SteadyState::new(&tier);
        let (model, cloud) = (Model::Fluid, &Cloud::default());
        let world = World { model, demand: &demand, setting: &setting, cloud, terms: &terms, engine: &engine };
        let mut cell = world.peer(Peer::Static, Tuning::Default).expect("a fluid run");
        assert!(cell.kept(), "one replica carries half of one, and nothing is known of single requests");
        for (objectives, kept) in [(1.0, true), (0.5, false)] {
            cell.score.served.objective_attainment = Some(objectives);
            assert_eq!(cell.kept(), kept);
        }
        (cell.score.capacity_attainment, cell.score.served.objective_attainment) = (0.5, Some(1.0));
        assert!(!cell.kept());
    }
}
