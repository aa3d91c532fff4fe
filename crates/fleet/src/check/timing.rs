//! Times that must fit each other.

use crate::file::Draft;
use crate::file::behavior::PaceDraft;
use crate::file::policy::PolicyDraft;
use crate::file::tier::TierDraft;
use crate::report::Report;
use evenkeel_core::spec::{Blind, PolicySpec};
use evenkeel_core::units::Span;

/// An average over fewer ticks is a single reading.
const WINDOW_TICKS: i64 = 2;
/// Somebody has to come and ask why before it is gone. A replay can begin at any twelfth of the retention.
const SHORTEST_RETENTION: Span = Span::from_secs(600);

pub(super) fn fleet(draft: &Draft, report: &mut Report) {
    let Some(controller) = &draft.controller else { return };
    let tick = tick(draft);
    let least = ticks(tick);
    if controller.freshness < least {
        let message = format!("signals would be stale after {}, under two ticks of {tick}", controller.freshness);
        report.problem(
            "controller.freshness",
            message,
            format!("write {least} or more: one late reading is not an outage"),
        );
    }
    if controller.retention < SHORTEST_RETENTION {
        let message = format!("what led to a decision is dropped after {}", controller.retention);
        report.warning("controller.retention", message, "write 10m or more, or little can be replayed or explained");
    }
}

pub(super) fn tier(tier: &TierDraft, draft: &Draft, report: &mut Report) {
    windows(tier, tick(draft), report);
    steadied(tier, report);
    blind(tier, tick(draft), report);
    deadlines(tier, report);
    let hold = draft.gateway.as_ref().map(|gateway| gateway.hold);
    if let (Some(0), false, Some(start_up), Some(hold)) =
        (tier.replicas.minimum, tier.is_asynchronous, tier.start_up, hold)
        && hold <= start_up
    {
        let message =
            format!("the tier may sleep, but requests wait {hold} at most and a replica takes {start_up} to start");
        let help = "raise `gateway: {hold: {time: ...}}` above it, or the first requests after each sleep get 503";
        report.warning(&tier.at("replicas.minimum"), message, help);
    }
}

/// A tick that could not be read lacks its unit, most often: then the default is the best guess.
fn tick(draft: &Draft) -> Span {
    draft.tick.unwrap_or(Span::from_secs(1))
}

fn ticks(tick: Span) -> Span {
    Span::from_micros(tick.as_micros().saturating_mul(WINDOW_TICKS))
}

fn windows(tier: &TierDraft, tick: Span, report: &mut Report) {
    let least = ticks(tick);
    let mut short = |path: String, what: &str, span: Span| {
        if span < least {
            let message = format!("{what} of {span} is under two ticks of {tick}");
            report.problem(&path, message, format!("write {least} or more, or a shorter `tick`"));
        }
    };
    for (path, policy) in &tier.policies {
        // The default policy has no place of its own, so it is told at its tier.
        let name = policy_name(policy);
        if let Some(window) = policy.window() {
            short(format!("{path}.{name}.window"), "a window", window);
        }
        if let PolicyDraft::Ready(PolicySpec::Capacity { hold, .. }) = policy {
            short(format!("{path}.{name}.hold"), "a hold", *hold);
        }
    }
    let directions = [("scale_out", tier.behavior.scale_out), ("scale_in", tier.behavior.scale_in)];
    for (direction, PaceDraft { window, step, .. }) in directions {
        let path = tier.at(&format!("behavior.{direction}"));
        if let Some(window) = window.filter(|window| *window != Span::ZERO) {
            short(format!("{path}.window"), "a window", window);
        }
        if let Some(step) = step {
            short(format!("{path}.step.period"), "a period", step.period);
        }
    }
}

/// A classic policy follows one number at once; only a window or a cooldown keeps it from ending what it just started.
fn steadied(tier: &TierDraft, report: &mut Report) {
    let PaceDraft { window, cooldown, .. } = tier.behavior.scale_in;
    let off = |span: Option<Span>| span.unwrap_or_default() == Span::ZERO;
    if tier.policies.iter().any(|(_, policy)| policy.is_classic()) && cooldown == Some(Span::ZERO) && off(window) {
        let message = "neither a window nor a cooldown steadies it, so replicas end and start again with each swing";
        report.warning(&tier.at("behavior.scale_in.cooldown"), message, "write `window: 300s` or `cooldown: 300s`");
    }
}

fn blind(tier: &TierDraft, tick: Span, report: &mut Report) {
    if let Some(Blind::AtLeast { after, .. }) = tier.when_blind
        && after < ticks(tick)
    {
        let message = format!("blind for {after} is one late reading, which would start replicas");
        report.warning(&tier.at("when_blind.after"), message, "write `after: 60s`, as when it is left out");
    }
}

const fn policy_name(policy: &PolicyDraft) -> &'static str {
    match policy {
        PolicyDraft::Ready(spec) => spec.name(),
        PolicyDraft::Latency { .. } => "latency",
        PolicyDraft::Schedule(_) => "schedule",
    }
}

fn deadlines(tier: &TierDraft, report: &mut Report) {
    let (Some(start_up), Some(backend)) = (tier.start_up, tier.backend.as_ref()) else { return };
    if let Some(deadline) = backend.start_deadline.filter(|deadline| *deadline <= start_up) {
        let message =
            format!("a replica would be given up after {deadline}, before its start-up of {start_up} is over");
        let help = format!("write more than {start_up}, or leave it out for twice that");
        report.problem(&format!("{}.start_deadline", backend.path), message, help);
    }
}
