//! How many replicas.

use crate::file::Draft;
use crate::file::tier::TierDraft;
use crate::report::Report;
use evenkeel_core::spec::Blind;

pub(super) fn shared(draft: &Draft, report: &mut Report) {
    let Some(shared) = draft.shared_maximum else { return };
    let sum = |limit: fn(&TierDraft) -> Option<u32>| {
        draft.tiers.iter().map(|tier| limit(tier).map(u64::from)).sum::<Option<u64>>()
    };
    if let Some(minimums) = sum(|tier| tier.replicas.minimum).filter(|sum| *sum > u64::from(shared)) {
        let message = format!("the tiers' minimums add up to {minimums}, above the shared maximum of {shared}");
        report.problem("shared.maximum", message, "raise it, or lower a tier's `replicas: {minimum: ...}`");
    }
    if let Some(maximums) = sum(|tier| tier.replicas.maximum).filter(|sum| *sum <= u64::from(shared)) {
        let message = format!("the tiers' maximums add up to {maximums}, so the shared maximum never limits");
        report.warning("shared.maximum", message, "lower or remove it");
    }
}

/// Shares may add up to more than all players, as one player uses several tiers; less leaves players out.
pub(super) fn players(draft: &Draft, report: &mut Report) {
    let shares = draft.tiers.iter().map(|tier| tier.requests.players_share).sum::<Option<f64>>();
    if let Some(sum) = shares.filter(|sum| *sum < 1.0 - 1e-9 && !draft.tiers.is_empty()) {
        let message = format!("the tiers' players_share add up to {:.0} %, so some players use no tier", sum * 100.0);
        report.warning("tiers", message, "raise a share if that is not meant");
    }
}

pub(super) fn tier(tier: &TierDraft, report: &mut Report) {
    let (minimum, maximum) = (tier.replicas.minimum, tier.replicas.maximum);
    if let (Some(minimum), Some(maximum)) = (minimum, maximum)
        && minimum > maximum
    {
        let message = format!("the minimum of {minimum} is above the maximum of {maximum}");
        report.problem(&tier.at("replicas.minimum"), message, "swap them, or raise the maximum");
    }
    let Some(maximum) = maximum else { return };
    if let Some(Blind::AtLeast { replicas, .. }) = tier.when_blind.filter(|blind| above(*blind, maximum)) {
        let message = format!("{replicas} replicas when blind are above the maximum of {maximum}");
        report.problem(&tier.at("when_blind.at_least"), message, "lower it, or raise the maximum");
    }
    for (path, entry) in tier.schedule() {
        let path = format!("{path}.at_least");
        if entry.at_least > maximum {
            let message = format!("{} scheduled replicas are above the maximum of {maximum}", entry.at_least);
            report.problem(&path, message, "lower it, or raise the maximum");
        } else if minimum.is_some_and(|minimum| entry.at_least <= minimum) {
            let message = format!("{} scheduled replicas are not more than the minimum", entry.at_least);
            report.warning(&path, message, "the entry never adds anything; raise or remove it");
        }
    }
    gpus(tier, maximum, report);
}

fn above(blind: Blind, maximum: u32) -> bool {
    matches!(blind, Blind::AtLeast { replicas, .. } if replicas > maximum)
}

fn gpus(tier: &TierDraft, maximum: u32, report: &mut Report) {
    let Some(backend) = &tier.backend else { return };
    let listed = backend.gpus.len();
    if listed > 0 && listed < maximum as usize {
        let message = format!("{maximum} replicas need a GPU each, but only {listed} are listed");
        report.problem(&format!("{}.gpus", backend.path), message, "list more, or lower `replicas: {maximum: ...}`");
    }
}
