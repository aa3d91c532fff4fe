//! Fleets to live through faults, made up from a seed: one to three tiers with valid specs, and their demand.

use super::dice::Dice;
use super::load::Load;
use super::{TICK, TICK_SPAN};
use evenkeel_core::profile::Profile;
use evenkeel_core::spec::{
    Behavior, Blind, FleetSpec, LatencyMetric, Lengths, Objective, Pace, Per, PolicySpec, RequestShape, Signal, Slo,
    StepLimit, TierSpec,
};
use evenkeel_core::units::{MicroUsd, Span};

/// A fleet and what is asked of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The fleet.
    pub spec: FleetSpec,
    /// The demand of each tier, in the fleet's order.
    pub loads: Vec<Load>,
    /// The demand of each tier once all is well, requests a second: whole, so that every tick counts the same.
    pub healed: Vec<u32>,
}

/// What one replica does. It is as fast with a full batch as with one request ([`profile`]), so everything is a product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Work {
    /// Requests a second of a full batch.
    pub per_second: f64,
    /// Seconds that a request is inside.
    pub inside: f64,
    /// Requests inside at most.
    pub batch: f64,
}

impl Work {
    /// By the tier's profile, which has to be a flat one.
    pub fn of(tier: &TierSpec) -> Self {
        let inside = tier.profile.iteration_ms * tier.requests.output_tokens.mean / 1e3;
        let batch = f64::from(tier.profile.max_sequences);
        Self { per_second: batch / inside, inside, batch }
    }

    /// Requests inside where so many a second are served: one at least while any is, but for rounding errors.
    pub fn requests_inside(&self, per_second: f64) -> f64 {
        libm::ceil(per_second * self.inside - 1e-9)
    }
}

/// An engine whose iterations last `iteration_ms` whatever is in them, with batches of `sequences`.
pub const fn profile(iteration_ms: f64, sequences: u32) -> Profile {
    Profile {
        iteration_ms,
        per_sequence_ms: 0.0,
        decode_steps: Vec::new(),
        per_cached_token_ms: 0.0,
        per_prefill_token_ms: 0.0,
        per_prefill_chunk_ms: 0.0,
        per_prefill_token_squared_ms: 0.0,
        max_batched_tokens: 8_192,
        max_sequences: sequences,
        kv_tokens: 1_000_000,
        max_model_tokens: 4_096,
        prefix_hit_share: 0.0,
        overhead_ms: 0.0,
    }
}

/// A tier without limits on how it moves: `policies` between `minimum` and `maximum`, replicas of 40 requests a second.
pub fn plain(name: &str, minimum: u32, maximum: u32, policies: Vec<PolicySpec>) -> TierSpec {
    TierSpec {
        name: name.into(),
        minimum,
        maximum,
        priority: 0,
        price_per_hour: MicroUsd::from_micros(1_000_000),
        slo: Slo { objectives: vec![objective()] },
        attainment: 0.95,
        requests: RequestShape {
            prompt_tokens: Lengths { mean: 100.0, sigma: 0.0 },
            output_tokens: Lengths { mean: 40.0, sigma: 0.0 },
            per_player_per_minute: 3.0,
        },
        profile: profile(5.0, 8),
        start_up: Span::from_secs(60),
        policies,
        behavior: Behavior::default(),
        blind: Blind::Hold,
    }
}

/// One that every replica of [`plain`] meets while no request waits.
const fn objective() -> Objective {
    Objective { metric: LatencyMetric::Tpot, quantile: 0.95, bound: Span::from_secs(1) }
}

/// Names of the tiers.
pub const TIERS: [&str; 3] = ["gold", "silver", "bronze"];

impl Setting {
    /// The fleet that `seed` makes up.
    pub fn drawn(seed: u64) -> Self {
        let mut dice = Dice::named(seed, "fleet", "setting");
        let count = dice.pick(&[1, 1, 2, 2, 3]);
        let tiers: Vec<TierSpec> = TIERS[..count].iter().map(|name| tier(&mut dice, name)).collect();
        let least: u32 = tiers.iter().map(|it| it.minimum).sum::<u32>().max(1);
        let most: u32 = tiers.iter().map(|it| it.maximum).sum();
        // Where a shared maximum is short for long, a tier by latency goes on asking for a replica and giving it back, as
        // nothing tells it how many it needs (seed 4053, were it not for this).
        let by_latency = tiers.iter().flat_map(|it| &it.policies).any(|it| matches!(it, PolicySpec::Latency { .. }));
        let shared_maximum = (dice.percent(50) && !by_latency).then(|| dice.between(least, most));
        let carried = |it: &TierSpec| Work::of(it).per_second * f64::from(it.maximum);
        let loads = tiers.iter().map(|it| Load::drawn(seed, &it.name, carried(it))).collect();
        let healed = tiers.iter().map(|it| healed(&mut dice, it)).collect();
        Self { spec: FleetSpec { name: "made up".into(), tick: TICK_SPAN, shared_maximum, tiers }, loads, healed }
    }
}

/// At most what the maximum carries with room, or, where a policy goes by what waits and so never comes to rest otherwise,
/// what the fewest replicas carry that it leaves while something is asked for.
fn healed(dice: &mut Dice, tier: &TierSpec) -> u32 {
    let fewest = |policy: &PolicySpec| match policy {
        PolicySpec::BacklogPerReplica { .. } => tier.minimum.max(1),
        PolicySpec::TargetTracking { signal: Signal::QueueDepth, .. } => tier.minimum,
        _ => tier.maximum,
    };
    let replicas = tier.policies.iter().map(fewest).min().unwrap_or(tier.minimum);
    let most = (0.8 * Work::of(tier).per_second * f64::from(replicas)) as u32;
    dice.between(10.min(most), most)
}

fn tier(dice: &mut Dice, name: &str) -> TierSpec {
    let engine = profile(dice.pick(&[1.0, 5.0, 20.0]), dice.pick(&[4, 8, 16]));
    let base = TierSpec { profile: engine, ..plain(name, 0, 0, Vec::new()) };
    let policies: Vec<PolicySpec> = (0..dice.pick(&[1, 1, 2])).map(|_| policy(dice, &base)).collect();
    // Solving the chain for an objective takes as long as a thousand ticks, so most tiers have one only to be judged by.
    let judged = policies.iter().any(|it| matches!(it, PolicySpec::Latency { .. })) || dice.percent(25);
    let slo = if judged { base.slo.clone() } else { Slo::default() };
    let falls_back = dice.percent(50);
    let minimum = dice.pick(&[0, 0, 1, 1, 2, 3]).max(u32::from(!may_sleep(&policies, falls_back)));
    let maximum = minimum + dice.pick(&[1, 2, 3, 4, 6, 8, 12]);
    let blind = if falls_back {
        Blind::AtLeast { replicas: dice.between(0, maximum), after: span(dice, &[0, 60, 300]) }
    } else {
        Blind::Hold
    };
    TierSpec {
        minimum,
        maximum,
        priority: dice.below(3),
        price_per_hour: MicroUsd::from_micros(i64::from(dice.between(5, 40)) * 100_000),
        attainment: dice.pick(&[0.95, 0.99, 0.999]),
        start_up: span(dice, &[10, 30, 60, 120, 300]),
        slo,
        policies,
        behavior: Behavior { scale_out: pace(dice), scale_in: pace(dice) },
        blind,
        ..base
    }
}

/// Whether the tier may be at zero. Nothing is busy or inside where there is no replica, so nothing would wake a tier that
/// goes by that alone; and utilization cannot be seen there, so a tier with a fallback would never stay.
fn may_sleep(policies: &[PolicySpec], falls_back: bool) -> bool {
    let by = |signals: &[Signal], policy: &PolicySpec| matches!(policy, PolicySpec::TargetTracking { signal, .. } if signals.contains(signal));
    let wakes = |it: &PolicySpec| !by(&[Signal::GpuUtilization, Signal::InFlight], it) && *it != PolicySpec::Schedule;
    policies.iter().any(wakes) && !(falls_back && policies.iter().any(|it| by(&[Signal::GpuUtilization], it)))
}

fn span(dice: &mut Dice, seconds: &[i64]) -> Span {
    Span::from_secs(dice.pick(seconds))
}

fn policy(dice: &mut Dice, tier: &TierSpec) -> PolicySpec {
    let work = Work::of(tier);
    let window = span(dice, &[i64::from(TICK), 30, 60, 120]);
    let tracking = |signal, target| PolicySpec::TargetTracking { signal, target, per: Per::Replica, window };
    match dice.below(10) {
        0..=2 => PolicySpec::Capacity { window, hold: span(dice, &[30, 60, 300]) },
        3 => tracking(Signal::GpuUtilization, 0.75),
        4 => tracking(Signal::InFlight, 0.75 * work.batch),
        5 => tracking(Signal::Offered, 0.7 * work.per_second),
        6 => PolicySpec::BacklogPerReplica { target: work.batch * 4.0 },
        7 => PolicySpec::Latency { objective: 0, window },
        8 => {
            let players = 0.7 * work.per_second * 60.0 / tier.requests.per_player_per_minute;
            PolicySpec::PlayersPerReplica { players }
        }
        _ if dice.percent(50) => PolicySpec::Schedule,
        _ => tracking(Signal::QueueDepth, work.batch * 2.0),
    }
}

fn pace(dice: &mut Dice) -> Pace {
    if dice.percent(40) {
        return Pace::default();
    }
    let step = dice.percent(30).then(|| StepLimit {
        replicas: dice.between(1, 3),
        percent: dice.pick(&[0, 50, 100]),
        period: span(dice, &[15, 60, 120]),
    });
    Pace { window: span(dice, &[0, 0, 30, 60, 300]), cooldown: span(dice, &[0, 0, 30, 60, 300]), step }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_make_up_every_policy_and_every_number_of_tiers_within_their_limits() {
        let settings: Vec<Setting> = (0..200).map(Setting::drawn).collect();
        let tiers = || settings.iter().flat_map(|it| &it.spec.tiers);
        for name in ["capacity", "target_tracking", "backlog_per_replica", "latency", "players_per_replica", "schedule"]
        {
            assert!(tiers().flat_map(|it| &it.policies).any(|it| it.name() == name), "{name}");
        }
        assert!((1..=3).all(|count| settings.iter().any(|it| it.spec.tiers.len() == count)));
        assert!(tiers().all(|it| it.minimum < it.maximum && it.maximum <= 15));
        for setting in &settings {
            let least: u32 = setting.spec.tiers.iter().map(|it| it.minimum).sum();
            assert!(setting.spec.shared_maximum.is_none_or(|it| it >= least.max(1)));
        }
    }

    #[test]
    fn a_replica_does_what_its_profile_says() {
        let work = Work::of(&plain("gold", 0, 1, Vec::new()));
        assert_eq!(work, Work { per_second: 40.0, inside: 0.2, batch: 8.0 });
    }
}
