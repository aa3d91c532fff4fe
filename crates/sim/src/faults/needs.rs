//! What steady demand needs, by arithmetic of its own: each policy's answer where nothing waits and all replicas serve.

use super::setting::Work;
use evenkeel_core::capacity::Table;
use evenkeel_core::spec::{Per, PolicySpec, Signal, TierSpec};

/// HPA's tolerance, which target tracking takes over.
const TOLERANCE: f64 = 0.1;

/// One tier under steady demand.
#[derive(Clone, Debug)]
pub struct Needs<'a> {
    tier: &'a TierSpec,
    work: Work,
    /// Demand in replicas, where a policy goes by it.
    demand: f64,
    requests_per_second: f64,
    /// What was learned of the engine may still be off by this share.
    slack: f64,
}

impl<'a> Needs<'a> {
    /// At `requests_per_second`; `slack` is the share by which what was learned of the engine may be too high.
    pub fn new(tier: &'a TierSpec, requests_per_second: f64, slack: f64) -> Self {
        let by_demand =
            requests_per_second > 0.0 && tier.policies.iter().any(|it| matches!(it, PolicySpec::Capacity { .. }));
        let table = || Table::solve(&tier.profile, &tier.requests, &tier.slo.objectives, tier.maximum.max(1));
        let demand = if by_demand { table().demand(requests_per_second) } else { 0.0 };
        Self { tier, work: Work::of(tier), demand, requests_per_second, slack }
    }

    /// Whether the tier stays at `count` replicas: what its policies answer there, within its limits, is that count.
    pub fn stays_at(&self, count: u32) -> bool {
        let (low, high) = self.wants(count);
        (low..=high).contains(&count)
    }

    /// What the tier wants while it has `count` replicas, at least and at most, within its own limits.
    pub fn wants(&self, count: u32) -> (u32, u32) {
        let answers = self.tier.policies.iter().map(|policy| self.answer(policy, count));
        let (low, high) = answers.fold((0, 0), |(low, high), (a, b)| (low.max(a), high.max(b)));
        let limits = |it: u32| it.min(self.tier.maximum).max(self.tier.minimum);
        (limits(low), limits(high))
    }

    fn answer(&self, policy: &PolicySpec, count: u32) -> (u32, u32) {
        let exactly = |replicas: f64| (up(replicas), up(replicas));
        let inside = self.work.requests_inside(self.requests_per_second);
        match *policy {
            PolicySpec::Capacity { .. } => {
                let staffed = gain(self.tier.attainment) * self.demand;
                (up(staffed), up(staffed * (1.0 + self.slack)))
            }
            PolicySpec::TargetTracking { signal, target, per: Per::Replica, .. } => match signal {
                Signal::Offered => tracked(self.requests_per_second / target, count),
                Signal::InFlight => tracked(inside / target, count),
                Signal::GpuUtilization => tracked(self.requests_per_second / self.work.per_second / target, count),
                _ => (0, 0),
            },
            PolicySpec::TargetTracking { .. } | PolicySpec::Schedule => (0, 0),
            PolicySpec::BacklogPerReplica { .. } => exactly(inside.min(1.0)),
            PolicySpec::Latency { .. } => {
                let fits_fewer = inside <= f64::from(count.saturating_sub(1)) * self.work.batch / 2.0;
                exactly(f64::from(if fits_fewer { count.saturating_sub(1) } else { count }))
            }
            PolicySpec::PlayersPerReplica { players } => {
                exactly(players_online(self.tier, self.requests_per_second) as f64 / players)
            }
        }
    }
}

/// Players that send so many requests a second.
pub(super) fn players_online(tier: &TierSpec, requests_per_second: f64) -> u64 {
    libm::round(requests_per_second * 60.0 / tier.requests.per_player_per_minute) as u64
}

/// Within the tolerance the present count stays; at its edge rounding decides.
fn tracked(replicas: f64, count: u32) -> (u32, u32) {
    let off = if count > 0 { libm::fabs(replicas / f64::from(count) - 1.0) } else { f64::INFINITY };
    let moved = up(replicas);
    if off > TOLERANCE + 1e-9 {
        (moved, moved)
    } else if off < TOLERANCE - 1e-9 {
        (count, count)
    } else {
        (count.min(moved), count.max(moved))
    }
}

/// The next whole number, but for rounding errors of sums.
fn up(replicas: f64) -> u32 {
    libm::ceil(replicas - 1e-9).max(0.0) as u32
}

/// policy.md's cold line at the three attainments that fleets are made up with.
fn gain(attainment: f64) -> f64 {
    if attainment < 0.97 {
        1.063
    } else if attainment < 0.995 {
        1.345
    } else {
        1.936
    }
}

#[cfg(test)]
mod tests {
    use super::super::setting::plain;
    use super::*;
    use evenkeel_core::units::Span;

    fn stays_at(policy: PolicySpec, requests_per_second: f64) -> Vec<u32> {
        let tier = plain("gold", 1, 9, vec![policy]);
        let needs = Needs::new(&tier, requests_per_second, 0.0);
        (0..12).filter(|&count| needs.stays_at(count)).collect()
    }

    #[test]
    fn a_tier_stays_where_its_policy_asks_for_what_it_has() {
        let window = Span::from_secs(5);
        let tracking = |signal, target| PolicySpec::TargetTracking { signal, target, per: Per::Replica, window };
        assert_eq!(stays_at(PolicySpec::PlayersPerReplica { players: 500.0 }, 100.0), [4]);
        assert_eq!(stays_at(tracking(Signal::Offered, 28.0), 100.0), [4]);
        // 100 of 28 are 3.6 replicas; ten percent above four are 4.4.
        assert_eq!(stays_at(tracking(Signal::Offered, 28.0), 122.0), [4, 5]);
        assert_eq!(stays_at(tracking(Signal::Offered, 28.0), 0.0), [1]);
        assert_eq!(stays_at(tracking(Signal::Offered, 28.0), 1e6), [9]);
        // 90 % of 40 requests a second for each replica, at an attainment of 95 %.
        assert_eq!(stays_at(PolicySpec::Capacity { window, hold: window }, 100.0), [3]);
    }

    #[test]
    fn by_latency_it_stays_wherever_one_replica_fewer_would_be_more_than_half_full() {
        let latency = PolicySpec::Latency { objective: 0, window: Span::from_secs(5) };
        assert_eq!(stays_at(latency, 100.0), [1, 2, 3, 4, 5]);
    }
}
