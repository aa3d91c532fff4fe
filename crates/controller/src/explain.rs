//! A decision in words.

use evenkeel_core::decision::{Clamp, Decision, Guard, Reason, Recommendation, Why};
use evenkeel_core::observe::Cause;

/// One sentence: what happened and why.
pub fn sentence(decision: &Decision) -> String {
    let (current, desired) = (decision.supply.current(), decision.desired);
    let outcome = match decision.reason {
        Reason::GrewForDemand => format!("grew {current} -> {desired}"),
        Reason::GrewToMinimum => format!("grew {current} -> {desired}, the minimum"),
        Reason::GrewForOverride => format!("grew {current} -> {desired} by an operator's override"),
        Reason::GrewWhenBlind => {
            format!("grew {current} -> {desired} while blind, to what was decided before or the declared fallback")
        }
        Reason::GrewInWindow => {
            format!("grew {current} -> {desired}, back to what was there: the windows are not full yet")
        }
        Reason::ShrankUnneeded => format!("shrank {current} -> {desired}"),
        Reason::ShrankForOverride => format!("shrank {current} -> {desired} by an operator's override"),
        Reason::ShrankForPriority => {
            format!("shrank {current} -> {desired}: a tier with a higher priority needs the room")
        }
        Reason::HeldSteady => format!("held {current}: that is what is needed"),
        Reason::HeldInWindow => format!("held {current}: less is needed now, but the window is not over"),
        Reason::HeldInCooldown => format!("held {current}: the cooldown is not over"),
        Reason::HeldByStepLimit => format!("held {current}: this period's step is used up"),
        Reason::HeldBlind => format!("held {current}: it cannot see, and missing data removes nothing"),
        Reason::HeldByOverride => format!("held {current} by an operator's override"),
        Reason::HeldAtMaximum => format!("held {current}: more is needed, the tier's maximum forbids it"),
        Reason::HeldAtSharedMaximum => format!("held {current}: more is needed, the shared maximum forbids it"),
        Reason::HeldAtMinimum => format!("held {current}: less is needed, the minimum keeps it"),
        Reason::Unachievable => format!("held {current}: no number of replicas meets the objective"),
    };
    let failed = decision.supply.failed;
    let outcome = if failed > 0 { format!("{outcome}; {failed} failed") } else { outcome };
    let blind = || decision.recommendations.iter().find(|it| it.desired.is_none());
    let told = match decision.reason {
        // What cannot be seen says more than what would be wanted without it.
        Reason::HeldBlind => blind(),
        _ => None,
    };
    match told.or_else(|| decision.winner.and_then(|index| decision.recommendations.get(index))).or_else(blind) {
        Some(recommendation) => format!("{outcome}. {}", figures(recommendation)),
        None => outcome,
    }
}

/// A recommendation's figures in words.
pub fn figures(recommendation: &Recommendation) -> String {
    let count = recommendation.desired.map_or_else(|| "no count".to_owned(), |it| it.to_string());
    let policy = &recommendation.policy;
    match &recommendation.why {
        Why::Blind { signal, cause } => format!("{policy} cannot tell: {} {}", signal.name(), cause_in_words(*cause)),
        Why::Demand {
            requests_per_second: rate,
            demand_replicas: demand,
            peak_demand_replicas: peak,
            staffing_gain: gain,
            slowdown,
            forecast_replicas: forecast,
        } => format!(
            "{policy} wants {count}: {rate:.2} requests/s are {demand:.2} replicas of demand inside the SLO, staffed x {gain:.3}{}",
            besides(*demand, *peak, *slowdown, *forecast)
        ),
        Why::Unachievable { metric, requests_per_second, throughput_replicas, slowdown } => format!(
            "{policy} wants {count}, for throughput alone: {requests_per_second:.2} requests/s fill {throughput_replicas:.2} replicas, and {} cannot be met at {slowdown:.2} x the declared time per token even on an idle replica",
            metric.name()
        ),
        Why::Target { signal, value, target } => {
            format!("{policy} wants {count}: {} is {value:.3}, the target {target}", signal.name())
        }
        Why::Backlog { waiting, target } => {
            format!("{policy} wants {count}: {waiting} requests wait, {target} a replica may")
        }
        Why::Objective { metric, above_share, allowed_share } => format!(
            "{policy} wants {count}: {:.1} % of {} are above the bound, {:.1} % may be",
            above_share * 100.0,
            metric.name(),
            allowed_share * 100.0
        ),
        Why::Players { players, per_replica } => {
            format!("{policy} wants {count}: {players} players, {per_replica} a replica")
        }
        Why::Scheduled { entry: Some(entry) } => format!("{policy} wants {count}: '{entry}' is active"),
        Why::Scheduled { entry: None } => format!("{policy} wants {count}: no entry is active"),
    }
}

/// What besides the demand of this moment made the capacity policy's count.
fn besides(demand: f64, peak: f64, slowdown: f64, forecast: Option<f64>) -> String {
    let mut words = String::new();
    if peak > demand + 0.005 {
        words.push_str(&format!("; within the hold it was {peak:.2}"));
    }
    if (slowdown - 1.0).abs() >= 0.05 {
        words.push_str(&format!("; replicas measure {slowdown:.2} x the declared time per token"));
    }
    if let Some(forecast) = forecast {
        words.push_str(&format!("; the forecast is {forecast:.2}"));
    }
    words
}

/// One guard's change in words.
pub fn clamp(clamp: &Clamp) -> String {
    let guard = match clamp.guard {
        Guard::Freshness => "missing data removes nothing",
        Guard::Window => "the stabilization window",
        Guard::Cooldown => "the cooldown",
        Guard::StepLimit => "the step limit",
        Guard::Override => "an operator's override",
        Guard::Maximum => "the tier's maximum",
        Guard::SharedMaximum => "the shared maximum",
        Guard::Minimum => "the minimum",
    };
    format!("{} -> {} by {guard}", clamp.before, clamp.after)
}

/// Why a signal may not be used, to follow its name.
pub fn cause_in_words(cause: Cause) -> &'static str {
    match cause {
        Cause::NotConfigured => "has no source",
        Cause::Unreachable => "has a source that does not answer",
        Cause::TimedOut => "has a source that took longer than a quarter of a tick",
        Cause::Refused => "has a source that refuses",
        Cause::Malformed => "has a source whose answer cannot be read",
        Cause::NotANumber => "is not a number",
        Cause::FirstReading => "needs a second reading",
        Cause::CounterReset => "was counted anew",
        Cause::Partial => "is missing from some replicas",
        Cause::LowerBound => "is not all counted while an earlier gateway still ends its answers",
        Cause::NoReplica => "has no ready replica to be measured on",
        Cause::NoRequest => "has no ended request to be measured on",
        Cause::Contradicted => "is contradicted by another signal",
        Cause::FutureDated => "is dated in the future",
        Cause::Stale => "is too old",
    }
}
