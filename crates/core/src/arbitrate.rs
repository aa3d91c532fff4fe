//! From proposals to decisions: the tier's maximum, the shared maximum by priority, the minimum; then victims and the
//! reason.

use crate::decision::{Decision, Guard, Reason};
use crate::guard::Chain;
use crate::observe::{Replica, ReplicaId, ReplicaState};
use crate::propose::Proposal;
use crate::spec::{FleetSpec, TierSpec};
use alloc::vec::Vec;
use core::cmp::{Ordering, Reverse};

/// Decides over the whole fleet. `proposals` are in the order of the fleet's tiers.
pub fn arbitrate(spec: &FleetSpec, mut proposals: Vec<Proposal<'_>>) -> Vec<Decision> {
    let mut chains: Vec<Chain> =
        proposals.iter_mut().map(|it| Chain { count: it.wanted, clamps: core::mem::take(&mut it.clamps) }).collect();
    for ((chain, proposal), tier) in chains.iter_mut().zip(&proposals).zip(&spec.tiers) {
        // A maximum forbids to start more; it does not by itself end what is there, or lowering it in the file would.
        chain.apply(Guard::Maximum, chain.count.min(tier.maximum.max(proposal.supply.current())));
    }
    if let Some(maximum) = spec.shared_maximum {
        let claims: Vec<Claim> = chains
            .iter()
            .zip(&proposals)
            .zip(&spec.tiers)
            .map(|((chain, proposal), tier)| Claim::new(chain.count, proposal, tier))
            .collect();
        let uncounted = proposals.iter().any(|it| it.uncounted);
        for (chain, granted) in chains.iter_mut().zip(share(maximum, &claims, uncounted)) {
            // It only takes away: what raises a count to the minimum is the minimum.
            chain.apply(Guard::SharedMaximum, granted.min(chain.count));
        }
    }
    let tiers = spec.tiers.iter().zip(proposals).zip(chains);
    tiers.map(|((tier, proposal), chain)| decide(spec, tier, proposal, chain)).collect()
}

fn decide(spec: &FleetSpec, tier: &TierSpec, proposal: Proposal<'_>, mut chain: Chain) -> Decision {
    let current = proposal.supply.current();
    chain.apply(Guard::Minimum, chain.count.max(tier.minimum));
    if proposal.unlisted {
        chain.apply(Guard::Freshness, current);
    }
    let reason = reason(&proposal, &chain);
    let leaving = current.saturating_sub(chain.count);
    Decision {
        tier: tier.name.clone(),
        at: proposal.at,
        supply: proposal.supply,
        desired: chain.count,
        victims: victims(proposal.candidates, leaving),
        recommendations: proposal.recommendations,
        winner: proposal.winner,
        clamps: chain.clamps,
        reason,
        look_again: proposal.next_change.unwrap_or(proposal.at + spec.tick),
    }
}

/// The order in which replicas go, by the fields from first to last: those that serve nothing yet, then the least loaded
/// (an unknown load counts as the highest), then the youngest; the name decides between equals.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Leaving<'a> {
    serving: bool,
    in_flight: u32,
    youngest: Reverse<crate::units::Time>,
    id: &'a ReplicaId,
}

fn victims(candidates: &[Replica], count: u32) -> Vec<ReplicaId> {
    if count == 0 {
        return Vec::new();
    }
    let mut ranked: Vec<Leaving<'_>> = candidates
        .iter()
        .filter(|it| matches!(it.state, ReplicaState::Ready | ReplicaState::Starting))
        .map(|it| Leaving {
            serving: it.state == ReplicaState::Ready,
            in_flight: it.in_flight.unwrap_or(u32::MAX),
            youngest: Reverse(it.since),
            id: &it.id,
        })
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().take(count as usize).map(|it| it.id.clone()).collect()
}

/// What a tier claims of the shared maximum.
struct Claim {
    /// Granted at most: the count after this tier's own guards.
    wanted: u32,
    /// What its policies would have at once.
    wish: u32,
    /// Granted before any priority: the minimum, and what a tier has that cannot see or has only just begun to look.
    floor: u32,
    current: u32,
    priority: u32,
    price: f64,
}

impl Claim {
    fn new(count: u32, proposal: &Proposal<'_>, tier: &TierSpec) -> Self {
        let current = proposal.present;
        let reserved = if proposal.reserved { current.min(count) } else { 0 };
        let floor = tier.minimum.max(reserved);
        let price = (tier.price_per_hour.as_micros() as f64).max(1.0);
        let wanted = count.max(floor);
        let wish = proposal.wish.min(tier.maximum).max(wanted);
        Self { wanted, wish, floor, current, priority: tier.priority, price }
    }

    /// Share of the wish that is not granted, per dollar an hour. A replica that is there counts by what would be unmet
    /// without it, one to be started by what is unmet even with it: among equals none is moved for less than its worth.
    fn unmet_per_dollar(&self, granted: u32) -> f64 {
        let to_be_started = u32::from(granted >= self.current);
        f64::from(self.wish - granted - to_be_started) / f64::from(self.wish) / self.price
    }
}

/// Floors first, then strict priority, ties by unmet share per dollar. What a tier gains from another is granted only
/// once the other has let it go, so that the sum never passes the maximum in between.
fn share(maximum: u32, claims: &[Claim], uncounted: bool) -> Vec<u32> {
    let present: u32 = claims.iter().map(|it| it.current).sum();
    if uncounted || present > maximum {
        // A tier that was never counted may have any number, or the maximum was lowered: nobody can gain, so nothing is
        // taken from anyone for another's sake.
        return claims.iter().map(|it| it.wanted.min(it.current)).collect();
    }
    let mut grants: Vec<u32> = claims.iter().map(|it| it.floor).collect();
    let mut left = maximum.saturating_sub(grants.iter().sum());
    while left > 0 {
        let Some(next) = neediest(claims, &grants) else { break };
        grants[next] += 1;
        left -= 1;
    }
    let mut free = maximum - present;
    let mut order: Vec<usize> = (0..claims.len()).collect();
    order.sort_by_key(|&index| (Reverse(claims[index].priority), index));
    // Minimums take their free places before anything above one does: they are filled whatever is granted here.
    let limits: [fn(&Claim) -> u32; 2] = [|claim| claim.floor, |_| u32::MAX];
    let mut places: Vec<u32> = claims.iter().map(|claim| claim.current).collect();
    for limit in limits {
        for &index in &order {
            let wanted = grants[index].min(limit(&claims[index]));
            let more = wanted.saturating_sub(places[index]).min(free);
            places[index] += more;
            free -= more;
        }
    }
    grants.iter().zip(places).map(|(&granted, place)| granted.min(place)).collect()
}

fn neediest(claims: &[Claim], grants: &[u32]) -> Option<usize> {
    let mut best: Option<(u32, f64, usize)> = None;
    for (index, claim) in claims.iter().enumerate().filter(|(index, claim)| grants[*index] < claim.wanted) {
        let unmet = claim.unmet_per_dollar(grants[index]);
        let ahead = best.is_none_or(|(priority, most, _)| {
            claim.priority > priority || (claim.priority == priority && unmet > most)
        });
        if ahead {
            best = Some((claim.priority, unmet, index));
        }
    }
    best.map(|(_, _, index)| index)
}

fn reason(proposal: &Proposal<'_>, chain: &Chain) -> Reason {
    match chain.count.cmp(&proposal.supply.current()) {
        Ordering::Greater => grew(proposal, chain),
        Ordering::Less => shrank(chain),
        Ordering::Equal => held(proposal, chain),
    }
}

/// The last guard that raised the count, or else the winner.
fn grew(proposal: &Proposal<'_>, chain: &Chain) -> Reason {
    let raised = chain.clamps.iter().rev().find(|it| it.after > it.before);
    match raised.map(|it| it.guard) {
        Some(Guard::Minimum) => Reason::GrewToMinimum,
        Some(Guard::Override) => Reason::GrewForOverride,
        Some(Guard::Freshness) => Reason::GrewWhenBlind,
        Some(Guard::Window) => Reason::GrewInWindow,
        // No policy could tell: what was decided before is restored.
        _ if proposal.winner.is_none() => Reason::GrewWhenBlind,
        _ => Reason::GrewForDemand,
    }
}

/// The last guard that lowered the count, or else the winner.
fn shrank(chain: &Chain) -> Reason {
    let lowered = chain.clamps.iter().rev().find(|it| it.after < it.before);
    match lowered.map(|it| it.guard) {
        Some(Guard::Override) => Reason::ShrankForOverride,
        Some(Guard::SharedMaximum) => Reason::ShrankForPriority,
        _ => Reason::ShrankUnneeded,
    }
}

fn held(proposal: &Proposal<'_>, chain: &Chain) -> Reason {
    match chain.clamps.last().map(|it| it.guard) {
        Some(Guard::Window) => Reason::HeldInWindow,
        Some(Guard::Cooldown) => Reason::HeldInCooldown,
        Some(Guard::StepLimit) => Reason::HeldByStepLimit,
        Some(Guard::Override) => Reason::HeldByOverride,
        Some(Guard::Maximum) => Reason::HeldAtMaximum,
        Some(Guard::SharedMaximum) => Reason::HeldAtSharedMaximum,
        Some(Guard::Minimum) => Reason::HeldAtMinimum,
        Some(Guard::Freshness) => Reason::HeldBlind,
        None if proposal.blind => Reason::HeldBlind,
        None if proposal.unachievable() => Reason::Unachievable,
        None if proposal.holding => Reason::HeldInWindow,
        None => Reason::HeldSteady,
    }
}
