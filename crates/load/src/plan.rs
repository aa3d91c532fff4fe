//! What a run sends, and what it is judged by.

use evenkeel_core::spec::Objective;
use evenkeel_core::units::Span;
use evenkeel_fleet::model::{Criterion, Fleet};
use evenkeel_workload::{Arrivals, PlayersSeries, TierTraffic, TrafficError};
use std::time::Duration;
use thiserror::Error;

/// A tenth of what the engine takes is left for the chat template and for tokenizers that count more than we do.
const LENGTH_MARGIN: f64 = 0.9;

/// A run: who sends what, for how long, and what must hold at the end.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The tiers, in the fleet file's order.
    pub tiers: Vec<TierPlan>,
    /// Players over the run, already compressed.
    pub players: PlayersSeries,
    /// How long requests are sent.
    pub duration: Span,
    /// Windows of objective attainment: one minute, or that over the compression of windows.
    pub window: Span,
    /// What is judged.
    pub criteria: Vec<Criterion>,
    /// Seed of arrivals and lengths.
    pub seed: u64,
}

/// One tier's part of a run.
#[derive(Clone, Debug)]
pub struct TierPlan {
    /// The tier's name.
    pub name: String,
    /// The model that its clients ask for.
    pub model: String,
    /// Whether requests are accepted first and answered later.
    pub asynchronous: bool,
    /// The tier's latency objectives.
    pub objectives: Vec<Objective>,
    /// What its players send.
    pub traffic: TierTraffic,
}

/// Why a run makes no sense.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PlanError {
    /// A tier's traffic is out of range.
    #[error(transparent)]
    Traffic(#[from] TrafficError),
    /// A run of no length.
    #[error("a run of {0}; give a longer duration, or a players file with more than one point")]
    Duration(Span),
    /// A window of no length.
    #[error("windows of {0}; expected at least 100ms")]
    Window(Span),
}

impl Plan {
    /// The traffic of a whole fleet over `players`, judged by the fleet's criteria.
    ///
    /// # Errors
    /// Numbers out of range; a run of no length; windows under 100 ms.
    pub fn new(fleet: &Fleet, players: PlayersSeries, window: Span, seed: u64) -> Result<Self, PlanError> {
        let duration = players.duration();
        if duration <= Span::ZERO {
            return Err(PlanError::Duration(duration));
        }
        if window < Span::from_millis(100) {
            return Err(PlanError::Window(window));
        }
        let tiers = fleet.spec.tiers.iter().zip(&fleet.tiers).map(|(spec, settings)| {
            let takes = spec.profile.max_model_tokens.min(spec.profile.kv_tokens);
            let longest = (f64::from(takes) * LENGTH_MARGIN) as u32;
            let traffic = TierTraffic::new(&spec.name, settings.players_share, spec.requests, longest)?;
            Ok(TierPlan {
                name: spec.name.clone(),
                model: settings.model.clone(),
                asynchronous: settings.asynchronous.is_some(),
                objectives: spec.slo.objectives.clone(),
                traffic,
            })
        });
        let tiers = tiers.collect::<Result<_, TrafficError>>()?;
        Ok(Self { tiers, players, duration, window, criteria: fleet.criteria.clone(), seed })
    }

    /// The requests, in order of time, as they are asked for.
    pub(crate) fn arrivals(&self) -> Arrivals {
        let traffic: Vec<TierTraffic> = self.tiers.iter().map(|tier| tier.traffic.clone()).collect();
        Arrivals::new(&self.players, &traffic, self.duration, self.seed)
    }
}

/// How a run is carried out.
#[derive(Clone, Debug)]
pub struct Options {
    /// A request that has no complete answer after this long has failed.
    pub timeout: Duration,
    /// The same for an asynchronous request, from its sending to its answer.
    pub asynchronous_timeout: Duration,
    /// After the last request was sent, those under way are given this long.
    pub drain: Duration,
    /// Requests under way at most. One that comes due beyond it is not sent, and counts as failed.
    pub max_in_flight: usize,
    /// Requests sent at most; the run ends with the last.
    pub max_requests: Option<u64>,
    /// Whether engines are told to generate the drawn output length even where the model would stop.
    pub ignore_eos: bool,
    /// Time between two updates of the progress.
    pub progress_every: Duration,
    /// Time between two samples of the fleet.
    pub probe_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            asynchronous_timeout: Duration::from_secs(600),
            drain: Duration::from_secs(60),
            max_in_flight: 20_000,
            max_requests: None,
            ignore_eos: true,
            progress_every: Duration::from_millis(500),
            probe_every: Duration::from_secs(1),
        }
    }
}
