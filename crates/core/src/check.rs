//! Verifies any decision against the invariants. It shares no code with `propose` and `arbitrate`: it reads only the
//! inputs and the decisions, so a mistake there is not repeated here. It runs in tests, in the simulator and live.

use crate::autoscaler::FleetInputs;
use crate::decision::{Decision, Guard};
use crate::observe::{Cause, Mean, Reading, ReplicaState, Signals};
use crate::propose::TierInputs;
use crate::spec::{FleetSpec, PolicySpec, Signal, TierSpec};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A decision that breaks an invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// The tier; empty for the fleet as a whole.
    pub tier: String,
    /// Which invariant.
    pub broken: Invariant,
}

/// The invariants that one tick's inputs and decisions can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Invariant {
    /// A tier has no decision, or two, or is not of the fleet.
    OneDecisionForEachTier,
    /// Missing, stale or partial data removed a replica.
    BlindRemovesNothing,
    /// A replica would be started beyond the tier's maximum.
    StartsWithinMaximum,
    /// Replicas would be started beyond the shared maximum.
    StartsWithinSharedMaximum,
    /// Fewer than the minimum would remain.
    KeepsMinimum,
    /// The victims are not just as many living replicas as leave, each once.
    VictimsLeave,
    /// The chain from recommendation to desired count has a gap or is out of order.
    ChainIsWhole,
}

/// Every violation in one tick.
pub fn check(spec: &FleetSpec, inputs: &FleetInputs, decisions: &[Decision]) -> Vec<Violation> {
    let mut violations = Vec::new();
    let named = decisions.len() == spec.tiers.len()
        && spec.tiers.iter().zip(decisions).all(|(tier, decision)| tier.name == decision.tier);
    if !named || inputs.tiers.len() != spec.tiers.len() {
        return Vec::from([Violation { tier: String::new(), broken: Invariant::OneDecisionForEachTier }]);
    }
    for ((tier, input), decision) in spec.tiers.iter().zip(&inputs.tiers).zip(decisions) {
        let broken = check_tier(tier, input, decision, inputs.now);
        violations.extend(broken.into_iter().map(|broken| Violation { tier: tier.name.clone(), broken }));
    }
    if let Some(maximum) = spec.shared_maximum
        && breaks_shared_maximum(spec, maximum, decisions)
    {
        violations.push(Violation { tier: String::new(), broken: Invariant::StartsWithinSharedMaximum });
    }
    violations
}

fn check_tier(tier: &TierSpec, input: &TierInputs, decision: &Decision, now: crate::units::Time) -> Vec<Invariant> {
    let mut broken = Vec::new();
    let there = decision.supply.ready + decision.supply.starting;
    let at_most = input.operator.as_ref().filter(|it| now < it.until).and_then(|it| it.at_most).unwrap_or(u32::MAX);
    if decision.desired < there.min(at_most) && is_blind(tier, input) {
        broken.push(Invariant::BlindRemovesNothing);
    }
    if decision.desired > there && decision.desired > tier.maximum {
        broken.push(Invariant::StartsWithinMaximum);
    }
    if input.observation.replicas.fresh().is_some() && decision.desired < tier.minimum {
        broken.push(Invariant::KeepsMinimum);
    }
    if !victims_leave(input, decision, there) {
        broken.push(Invariant::VictimsLeave);
    }
    if !chain_is_whole(decision, input.observation.replicas.fresh().is_some()) {
        broken.push(Invariant::ChainIsWhole);
    }
    broken
}

/// Whether anything that a policy of this tier lives on may not be used.
fn is_blind(tier: &TierSpec, input: &TierInputs) -> bool {
    let signals = &input.observation.signals;
    let replicas = input.observation.replicas.fresh();
    let ready = replicas.into_iter().flatten().filter(|it| it.state == ReplicaState::Ready).count() as u64;
    let known_idle = signals.queue_depth.fresh() == Some(&0) && signals.in_flight.fresh() == Some(&0);
    let needed = tier.policies.iter().any(|policy| match policy {
        PolicySpec::Capacity { .. } => signals.offered.fresh().is_none(),
        PolicySpec::TargetTracking { signal, .. } => !is_usable(signals, *signal, ready, known_idle),
        PolicySpec::BacklogPerReplica { .. } => {
            signals.queue_depth.fresh().is_none() || signals.in_flight.fresh().is_none()
        }
        PolicySpec::PlayersPerReplica { .. } => {
            // That nobody plays cannot be held against what is inside while that is known in part.
            let in_part = matches!(signals.queue_depth, Reading::AtLeast { .. })
                || matches!(signals.in_flight, Reading::AtLeast { .. });
            signals.players.fresh().is_none_or(|&players| players == 0 && in_part)
        }
        PolicySpec::Latency { objective, .. } => {
            !signals.latency.get(*objective).is_some_and(|it| fresh_or_idle(it, known_idle))
        }
        PolicySpec::Schedule => false,
    });
    needed || replicas.is_none()
}

fn is_usable(signals: &Signals, signal: Signal, ready: u64, known_idle: bool) -> bool {
    match signal {
        Signal::Offered => signals.offered.fresh().is_some(),
        Signal::QueueDepth => signals.queue_depth.fresh().is_some(),
        Signal::OldestQueued => signals.oldest_queued.fresh().is_some(),
        Signal::InFlight => signals.in_flight.fresh().is_some(),
        Signal::Finished => fresh_or_idle(&signals.finished, known_idle),
        // A latency is counts against a bound, not a figure to track.
        Signal::Latency => false,
        Signal::Pace => fresh_or_idle(&signals.pace, known_idle),
        Signal::GpuUtilization => of_all(&signals.gpu_utilization, ready),
        Signal::KvUtilization => of_all(&signals.kv_utilization, ready),
        Signal::EngineWaiting => signals.engine_waiting.fresh().is_some(),
        Signal::PrefixCacheMiss => fresh_or_idle(&signals.prefix_cache_miss, known_idle),
        Signal::ErrorShare => fresh_or_idle(&signals.error_share, known_idle),
        Signal::Players => signals.players.fresh().is_some(),
    }
}

/// That no request ended is no outage while it is known that none is under way.
fn fresh_or_idle<T>(reading: &Reading<T>, known_idle: bool) -> bool {
    reading.fresh().is_some() || (known_idle && reading.blind() == Some(Cause::NoRequest))
}

/// Every ready replica reported.
fn of_all(reading: &Reading<Mean>, ready: u64) -> bool {
    reading.fresh().is_some_and(|it| it.count > 0 && it.count >= ready)
}

fn victims_leave(input: &TierInputs, decision: &Decision, there: u32) -> bool {
    let Some(replicas) = input.observation.replicas.fresh() else {
        return decision.victims.is_empty() && decision.desired == there;
    };
    let living = replicas.iter().filter(|it| matches!(it.state, ReplicaState::Ready | ReplicaState::Starting));
    if decision.victims.is_empty() {
        return living.count() == there as usize && there <= decision.desired;
    }
    let living: BTreeSet<_> = living.map(|it| &it.id).collect();
    let leaving: BTreeSet<_> = decision.victims.iter().collect();
    living.len() == there as usize
        && leaving.len() == decision.victims.len()
        && leaving.is_subset(&living)
        && leaving.len() == there.saturating_sub(decision.desired) as usize
}

fn chain_is_whole(decision: &Decision, listed: bool) -> bool {
    let won = decision.winner.and_then(|index| decision.recommendations.get(index)).and_then(|it| it.desired);
    let mut count = won.or_else(|| decision.clamps.first().map(|it| it.before)).unwrap_or(decision.desired);
    let mut last: Option<Guard> = None;
    for (index, clamp) in decision.clamps.iter().enumerate() {
        // Freshness comes first, and once more last where the replicas could not be listed at all.
        let closes = clamp.guard == Guard::Freshness && !listed && index + 1 == decision.clamps.len();
        let in_order = last.is_none_or(|before| before < clamp.guard) || closes;
        if clamp.before != count || clamp.before == clamp.after || !in_order {
            return false;
        }
        (count, last) = (clamp.after, Some(clamp.guard));
    }
    let largest = decision.recommendations.iter().filter_map(|it| it.desired).max();
    count == decision.desired && largest == won
}

/// Growing tiers may not push the sum beyond the maximum; only minimums may, because they win.
fn breaks_shared_maximum(spec: &FleetSpec, maximum: u32, decisions: &[Decision]) -> bool {
    let (mut there, mut started, mut above_minimums) = (0, 0, 0);
    for (tier, decision) in spec.tiers.iter().zip(decisions) {
        let present = decision.supply.ready + decision.supply.starting;
        there += present;
        started += decision.desired.saturating_sub(present);
        above_minimums += decision.desired.saturating_sub(present.max(tier.minimum));
    }
    // Minimums are filled whatever the maximum says; nothing else is started beside them beyond it.
    above_minimums > 0 && there + started > maximum
}
