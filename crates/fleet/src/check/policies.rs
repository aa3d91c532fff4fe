//! Policies that cannot see what they need, or that would run away.

use crate::file::Draft;
use crate::file::policy::{PolicyDraft, Unit, matching};
use crate::file::tier::TierDraft;
use crate::report::Report;
use evenkeel_core::capacity::Service;
use evenkeel_core::spec::{Per, PolicySpec, Signal};

pub(super) fn check(tier: &TierDraft, draft: &Draft, report: &mut Report) {
    for (path, policy) in &tier.policies {
        match policy {
            PolicyDraft::Latency { objective, .. } => {
                latency(tier, &format!("{path}.latency.objective"), objective, report)
            }
            PolicyDraft::Ready(PolicySpec::TargetTracking { signal, target, per, .. }) => {
                let path = format!("{path}.target_tracking");
                per_whom(&path, *signal, *per, *target, report);
                if *signal == Signal::Players {
                    needs_players(&format!("{path}.signal"), draft, report);
                }
                if *signal == Signal::Pace {
                    pace(tier, &format!("{path}.target"), *target, report);
                }
            }
            PolicyDraft::Ready(PolicySpec::PlayersPerReplica { .. }) => {
                needs_players(&format!("{path}.players_per_replica"), draft, report);
            }
            PolicyDraft::Ready(_) | PolicyDraft::Schedule(_) => {}
        }
    }
    if tier.policies.iter().all(|(_, policy)| matches!(policy, PolicyDraft::Schedule(_))) && !tier.policies.is_empty() {
        let message = "only a schedule decides here, so demand is never followed";
        report.warning(&tier.at("policies"), message, "add `- capacity: {}`");
    }
}

fn latency(tier: &TierDraft, path: &str, name: &str, report: &mut Report) {
    let found = matching(name, &tier.slo.objectives);
    if found.len() == 1 {
        return;
    }
    let known: Vec<_> = tier
        .slo
        .objectives
        .iter()
        .map(|(_, objective)| {
            format!("`{} {}`", objective.metric.name(), crate::unit::quantile_name(objective.quantile))
        })
        .collect();
    if known.is_empty() || !report.is_clean(&tier.at("slo")) {
        // The one that is meant may be among those that could not be read.
        return;
    }
    let message = match found.len() {
        0 => format!("`{name}` is not an objective of this tier"),
        _ => format!("`{name}` names several objectives of this tier"),
    };
    report.problem(path, message, format!("its objectives: {}", known.join(", ")));
}

fn needs_players(path: &str, draft: &Draft, report: &mut Report) {
    if draft.players.is_none() {
        report.problem(
            path,
            "nobody tells the number of players",
            "add `players:` with http, push or file at the top level",
        );
    }
}

/// A replica's pace moves between that of one request alone and that of a full batch; a target outside of these tells
/// nothing about the count.
fn pace(tier: &TierDraft, path: &str, target: f64, report: &mut Report) {
    let alone = Service::new(&tier.profile.fastest(), &tier.requests.shortest()).iteration_ms(1.0);
    if target <= alone {
        let message = format!("one request alone takes {alone:.1} ms a token, so the count would run to the maximum");
        return report.problem(path, message, "raise the target, or correct `profile`");
    }
    let (Some(profile), Some(requests)) = (tier.profile.build(), tier.requests.shape()) else { return };
    let full = Service::new(&profile, &requests).iteration_ms(f64::from(profile.max_sequences));
    if target >= full {
        let message = format!("a full batch takes {full:.1} ms a token, so this policy never adds a replica");
        report.warning(path, message, "lower the target, or add `- capacity: {}`");
    }
}

fn per_whom(path: &str, signal: Signal, per: Per, target: f64, report: &mut Report) {
    let unit = Unit::of(signal);
    let path = format!("{path}.per");
    match per {
        Per::Tier if unit == Unit::ShareOfReplica => {
            let message = format!("`{}` is a mean over replicas, so its target holds for each of them", signal.name());
            report.problem(&path, message, "write `per: replica`, or leave it out");
        }
        Per::Tier if unit.adds_up() => {
            let message = format!(
                "the tier's total {} does not shrink when replicas are added, so a proportional count overshoots",
                signal.name()
            );
            let help = format!("write `per: replica` with a target of `{target}` for each, or `backlog_per_replica`");
            report.warning(&path, message, help);
        }
        Per::Replica if !unit.adds_up() => {
            let message = format!("`{}` is not divided among replicas", signal.name());
            report.problem(&path, message, "write `per: tier`, or leave it out");
        }
        Per::Tier | Per::Replica => {}
    }
}
