//! Measures a real engine and fits the profile of a replica to it.
//!
//! Bursts of requests of known lengths show what one iteration takes: decoding at several concurrencies and context
//! lengths, prompts that come alone, and prompts that join others at decoding. Least squares over all of them give the
//! constants of `evenkeel_core::profile::Profile`.

mod client;
mod engine;
mod fit;
mod latencies;
mod limits;
mod model;
mod observation;
mod open_run;
mod solve;
mod sweep;
mod verify;
mod written;

pub use fit::{Constants, Fit, FitError, Unfit, fit};
pub use latencies::Figure;
pub use limits::Limits;
pub use observation::{Kind, Observation};
pub use verify::{Comparing, Comparison, FigureComparison, LoadComparison, verify};
pub use written::yaml;

use crate::failure::{Failed, Failure};
use crate::plan::ApiKey;
use crate::target::Target;
use client::Client;
use evenkeel_core::profile::Profile;
use evenkeel_workload::random::Stream;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;

/// What shall be measured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The model to ask for; needed where several are served.
    pub model: Option<String>,
    /// What proves to the engine that it may be asked.
    pub api_key: Option<ApiKey>,
    /// `max_num_batched_tokens`; no engine tells it.
    pub max_batched_tokens: u32,
    /// `max_num_seqs`; no engine tells it.
    pub max_sequences: u32,
    /// Tokens of the KV cache, where the engine does not tell them or is to be held to fewer.
    pub kv_tokens: Option<u32>,
    /// Longest request, where the engine does not tell it.
    pub max_model_tokens: Option<u32>,
    /// Most sequences that are tried at once.
    pub top_concurrency: u32,
    /// Longest prompt that is tried.
    pub longest_prompt: u32,
    /// How often the whole sweep is done.
    pub rounds: u32,
    /// Seed of prompts and moments.
    pub seed: u64,
    /// A request that takes longer has failed.
    pub timeout: Duration,
}

/// Why an engine could not be measured.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CalibrationError {
    /// Nothing answers there.
    #[error("nothing to measure: {}", .0.meaning())]
    Unreachable(Failure),
    /// Something else answers there.
    #[error("no engine answers there: GET /v1/models {}", not_an_engine(*.0))]
    NotAnEngine(Option<StatusCode>),
    /// Another model is served.
    #[error("the model `{wanted}` is not served there; there are {}", served.join(", "))]
    NotServed {
        /// What was asked for.
        wanted: String,
        /// What there is.
        served: Vec<String>,
    },
    /// Several models, or none, and no choice.
    #[error("say with `--model` which of the served models is measured; there are {}", served.join(", "))]
    WhichModel {
        /// What there is.
        served: Vec<String>,
    },
    /// The engine does not tell a limit.
    #[error("the engine does not tell {0}; say it with `{1}`")]
    Untold(&'static str, &'static str),
    /// A request of the sweep failed; a profile of an engine that fails would be none.
    #[error("a request of the sweep failed: {0}")]
    Failed(Failed),
    /// The engine tells no usage.
    #[error("the engine does not count tokens: its streams end without `usage`, though `stream_options` ask for it")]
    NotCounted,
    /// The engine stops where it wants.
    #[error("asked for {asked} tokens the engine generated {generated}; it must obey `max_tokens` with `ignore_eos`")]
    OtherLength {
        /// Tokens asked for.
        asked: u32,
        /// Tokens that came.
        generated: u64,
    },
    /// Too little room to vary anything.
    #[error("too few points can be measured with {0:?}: at least 2 sequences and prompts of 64 tokens are needed")]
    TooSmall(Limits),
    /// The measurements determine no profile.
    #[error(transparent)]
    Unfit(#[from] Unfit),
    /// The engine model cannot be asked.
    #[error("the measured profile cannot be compared: {0}")]
    NoModel(String),
    /// This process ends.
    #[error("interrupted")]
    Interrupted,
}

fn not_an_engine(status: Option<StatusCode>) -> String {
    status.map_or_else(|| "gives no list of models".to_owned(), |status| format!("answers {status}"))
}

/// A measured engine.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// What a replica of it can do.
    pub profile: Profile,
    /// The constants with their errors.
    pub fit: Fit,
    /// The model that was measured.
    pub model: String,
    /// Engine and version, where told.
    pub engine: Option<String>,
    /// All that was measured.
    pub observations: Vec<Observation>,
}

/// An engine that answers, is warm and can be measured.
#[derive(Debug)]
pub struct Engine {
    client: Arc<Client>,
    limits: Limits,
    model: String,
    about: Option<String>,
    rounds: u32,
    random: Stream,
}

impl Engine {
    /// Asks the engine what it is, and warms it.
    ///
    /// # Errors
    /// When it cannot be measured.
    pub async fn prepare(target: Target, settings: Settings) -> Result<Self, CalibrationError> {
        let about = engine::about(&target, settings.api_key.as_ref(), settings.model.as_deref()).await?;
        let untold = CalibrationError::Untold;
        let limits = Limits {
            max_batched_tokens: settings.max_batched_tokens,
            max_sequences: settings.max_sequences,
            kv_tokens: settings
                .kv_tokens
                .or(about.kv_tokens)
                .ok_or_else(|| untold("how many tokens its KV cache holds", "--kv-tokens"))?,
            max_model_tokens: settings
                .max_model_tokens
                .or(about.max_model_tokens)
                .ok_or_else(|| untold("its longest request", "--max-model-tokens"))?,
            top_concurrency: settings.top_concurrency,
            longest_prompt: settings.longest_prompt,
        };
        limits.check()?;
        let seed = settings.seed;
        let client = Client::warmed(target, about.model.clone(), settings.api_key, settings.timeout, seed).await?;
        Ok(Self {
            client: Arc::new(client),
            limits,
            model: about.model,
            about: about.engine,
            rounds: settings.rounds,
            random: Stream::named(seed, "calibration", "moments"),
        })
    }

    /// Measures all rounds, and tells before each which it is.
    ///
    /// # Errors
    /// When a request fails: a profile of an engine that fails would be none.
    pub async fn measure(&mut self, told: &mut dyn FnMut(&str)) -> Result<Vec<Observation>, CalibrationError> {
        let mut observations = Vec::new();
        for round in 0..self.rounds {
            told(&format!("measuring, round {} of {}", round + 1, self.rounds));
            observations.extend(sweep::round(&self.client, &self.limits, &mut self.random).await?);
        }
        Ok(observations)
    }

    /// Fits a profile to what was measured.
    ///
    /// # Errors
    /// When it does not determine one.
    pub fn calibration(&self, observations: Vec<Observation>) -> Result<Calibration, CalibrationError> {
        let fit = fit(&observations)?;
        Ok(Calibration {
            profile: fit.constants.profile(&self.limits),
            fit,
            model: self.model.clone(),
            engine: self.about.clone(),
            observations,
        })
    }
}
