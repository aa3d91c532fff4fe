//! One replica by itself: what a real engine is compared with.

use super::{Distributions, Gateway, Traffic, run};
use crate::autoscaler::{Autoscaler, Seen};
use crate::oracle::Violation;
use crate::setting::Setting;
use evenkeel_core::profile::Profile;
use evenkeel_core::spec::{Behavior, Blind, Lengths, RequestShape, Slo, TierSpec};
use evenkeel_core::units::{MicroUsd, Span, Time};
use evenkeel_engine::replica::InvalidProfile;
use evenkeel_workload::RequestTrace;
use thiserror::Error;

/// Longer than a request waits for anything.
const FOREVER: Span = Span::from_secs(366 * 86_400);
const SLOT: Span = Span::from_secs(5);

/// Why a replica cannot be asked.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum AloneError {
    /// A profile that drives no engine.
    #[error(transparent)]
    Profile(#[from] InvalidProfile),
    /// Requests that are longer than it takes.
    #[error("{0} of the requests are longer than the profile's max_model_tokens and kv_tokens take")]
    Refused(u64),
}

/// Latencies of the requests of `trace` on a single replica that is given all of them as they come.
///
/// # Errors
/// A profile that drives no engine, and requests that it does not take.
pub fn alone(profile: &Profile, trace: &RequestTrace) -> Result<Distributions, AloneError> {
    let slots = (trace.duration().as_micros() / SLOT.as_micros()) as usize + 1;
    let gateway = Gateway::new(u32::MAX, FOREVER, u32::MAX);
    let (start, violation) = (Time::default(), Violation::Excess);
    let setting = Setting { slot: SLOT, start_up_slots: 0, minimum: 1, maximum: 1, scored_from: 0, start, violation };
    let tier = without_objective(profile);
    let outcome = run(Traffic::traced(trace), &vec![1.0; slots], &setting, (&tier, &gateway), &mut One)?;
    match outcome.served.requests.map_or(0, |requests| requests.failed) {
        0 => Ok(outcome.served.distributions.unwrap_or_default()),
        refused => Err(AloneError::Refused(refused)),
    }
}

struct One;

impl Autoscaler for One {
    fn decide(&mut self, _: &Seen<'_>) -> u32 {
        1
    }
}

fn without_objective(profile: &Profile) -> TierSpec {
    let token = Lengths { mean: 1.0, sigma: 0.0 };
    TierSpec {
        name: "alone".into(),
        minimum: 1,
        maximum: 1,
        priority: 0,
        price_per_hour: MicroUsd::default(),
        slo: Slo::default(),
        attainment: 0.5,
        requests: RequestShape { prompt_tokens: token, output_tokens: token, per_player_per_minute: 0.0 },
        profile: profile.clone(),
        start_up: Span::ZERO,
        policies: Vec::new(),
        behavior: Behavior::default(),
        blind: Blind::Hold,
    }
}
