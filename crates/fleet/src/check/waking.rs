//! Tiers that may sleep must notice that somebody waits.

use crate::file::policy::PolicyDraft;
use crate::file::tier::TierDraft;
use crate::report::Report;
use evenkeel_core::spec::{Blind, PolicySpec, Signal};

pub(super) fn check(tier: &TierDraft, report: &mut Report) {
    let policies = tier.at("policies");
    if tier.replicas.minimum != Some(0) || tier.policies.is_empty() || !report.is_clean(&policies) {
        return;
    }
    let Some(deaf) = tier.policies.iter().map(|(_, policy)| deaf_signal(policy)).collect::<Option<Vec<_>>>() else {
        return;
    };
    let names: Vec<_> = deaf.iter().map(|signal| format!("`{}`", signal.name())).collect();
    let tells = if names.len() == 1 { "tells" } else { "tell" };
    let message = format!("{} {tells} nothing of waiting requests while no replica runs", names.join(" and "));
    let help = "write 1, or add a policy that sees them: `- capacity: {}` or `- backlog_per_replica: {target: 2}`";
    let path = tier.at("replicas.minimum");
    if deaf.contains(&Signal::ErrorShare) || matches!(tier.when_blind, Some(Blind::AtLeast { .. })) {
        report.warning(&path, format!("{message}: it wakes once some have failed, or when blind"), help);
    } else {
        report.problem(&path, format!("{message}, so nothing ever wakes the tier"), help);
    }
}

/// The signal that alone drives the policy and is silent at no replica; `None` for a policy that can wake a tier.
fn deaf_signal(policy: &PolicyDraft) -> Option<Signal> {
    let PolicyDraft::Ready(PolicySpec::TargetTracking { signal, .. }) = policy else { return None };
    match signal {
        Signal::Offered | Signal::QueueDepth | Signal::OldestQueued | Signal::Players => None,
        Signal::InFlight
        | Signal::Finished
        | Signal::Latency
        | Signal::Pace
        | Signal::GpuUtilization
        | Signal::KvUtilization
        | Signal::EngineWaiting
        | Signal::PrefixCacheMiss
        | Signal::ErrorShare => Some(*signal),
    }
}
