//! What must hold at every step, besides `evenkeel_core::check`: judged by the truth, with code of its own.

use super::breach::{Breach, Tick};
use super::pace::PaceJudge;
use super::world::Tier;
use evenkeel_core::decision::Decision;
use evenkeel_core::spec::{Blind, FleetSpec, Pace, PolicySpec, TierSpec};
use evenkeel_core::units::{Span, Time};

/// What the judge remembers of a tier.
#[derive(Clone, Debug)]
pub struct TierJudge {
    /// The longest time for which anything in the tier looks back before it lets a replica go.
    longest: Span,
    /// By the controller's clock, until then nothing may go.
    quiet_until: Time,
    blind_since: Option<Time>,
    /// Ticks in a row that it was blind and could have acted.
    blind_for: u32,
    /// The ticks after which the fallback has to be reached.
    fallback_due: u32,
    pace: PaceJudge,
}

impl TierJudge {
    /// A tier whose controller begins at `now`.
    pub fn new(spec: &TierSpec, now: Time) -> Self {
        let longest = longest_memory(spec);
        let fallback_due = match spec.blind {
            Blind::AtLeast { replicas, after } => ticks(after) + ticks(time_to_grow(spec, replicas)) + 2,
            Blind::Hold => u32::MAX,
        };
        Self {
            longest,
            quiet_until: now + longest,
            blind_since: None,
            blind_for: 0,
            fallback_due,
            pace: PaceJudge::default(),
        }
    }

    /// A controller that knows nothing begins at `now`.
    pub fn restart(&mut self, now: Time) {
        self.quiet_until = now + self.longest;
        self.blind_since = None;
        self.blind_for = 0;
        self.pace = PaceJudge::default();
    }

    /// The first breach of a tick, if there is one.
    pub fn judge(&mut self, tick: &Tick<'_>) -> Option<Breach> {
        let decision = tick.decision;
        let there = decision.supply.ready + decision.supply.starting;
        let asleep = there.max(self.pace.desired().unwrap_or(0)) == 0;
        let blind = tick.senses.is_blind(tick.spec, tick.weather, tick.signals, asleep);
        self.remember(blind, tick);
        let before = self.pace.desired();
        let pace = self.pace.judge(tick);
        let changed = decision.desired != there || before.is_some_and(|it| it != decision.desired);
        if tick.weather.unlisted && (changed || !decision.victims.is_empty()) {
            return Some(Breach::ActedUnlisted);
        }
        let ordered = tick.weather.order.and_then(|(_, at_most)| at_most).is_some_and(|most| decision.desired >= most);
        if decision.desired < there && !ordered {
            if blind {
                return Some(Breach::BlindScaleIn);
            }
            if tick.now < self.quiet_until {
                return Some(Breach::HastyScaleIn);
            }
        }
        pace.or_else(|| self.misses_fallback(tick).then_some(Breach::NoFallback))
    }

    fn remember(&mut self, blind: bool, tick: &Tick<'_>) {
        if blind {
            self.blind_since.get_or_insert(tick.now);
        } else if let Some(since) = self.blind_since.take()
            && tick.steady_clock
        {
            let gap = tick.now.since(since);
            self.quiet_until = self.quiet_until.max(tick.now + gap.min(self.longest));
        }
        let may_grow = blind && !tick.weather.unlisted && tick.weather.order.is_none();
        self.blind_for = if may_grow { self.blind_for + 1 } else { 0 };
    }

    fn misses_fallback(&self, tick: &Tick<'_>) -> bool {
        let Blind::AtLeast { replicas, .. } = tick.spec.blind else { return false };
        self.blind_for > self.fallback_due
            && tick.steady_clock
            && tick.alone
            && tick.decision.desired < replicas.min(tick.spec.maximum)
    }
}

/// What carrying a decision out would break, by the truth.
pub fn order_breaks(spec: &TierSpec, tier: &Tier, decision: &Decision) -> Option<Breach> {
    let living = tier.living();
    let launches = decision.desired.saturating_sub(decision.supply.current());
    let leaving = decision.victims.len() as u32;
    if launches > 0 && living + launches > spec.maximum.max(spec.minimum) {
        return Some(Breach::BeyondMaximum);
    }
    (leaving > 0 && living < spec.minimum + leaving).then_some(Breach::BelowMinimum)
}

/// Launches may not push the sum beyond the shared maximum; those that fill a minimum may, so they are not counted.
pub fn orders_break_sum(spec: &FleetSpec, tiers: &[Tier], decisions: &[Decision]) -> bool {
    let Some(maximum) = spec.shared_maximum else { return false };
    let above = |(tier, it): (&TierSpec, &Decision)| it.desired.saturating_sub(it.supply.current().max(tier.minimum));
    let launches: u32 = spec.tiers.iter().zip(decisions).map(above).sum();
    let living: u32 = tiers.iter().map(Tier::living).sum();
    launches > 0 && living + launches > maximum
}

/// The longest time for which anything in the tier looks back before it lets a replica go.
pub fn longest_memory(spec: &TierSpec) -> Span {
    let policies = spec.policies.iter().map(|policy| match *policy {
        PolicySpec::Capacity { window, hold } => window.max(hold),
        PolicySpec::TargetTracking { window, .. } | PolicySpec::Latency { window, .. } => window,
        _ => Span::ZERO,
    });
    let back = &spec.behavior.scale_in;
    policies.max().unwrap_or(Span::ZERO).max(back.window).max(back.cooldown)
}

/// How long growing to `replicas` may take once it is wanted.
pub fn time_to_grow(spec: &TierSpec, replicas: u32) -> Span {
    moves(&spec.behavior.scale_out, replicas)
}

/// Window, cooldown, and a period for each replica where there is a step limit.
pub(super) fn moves(pace: &Pace, replicas: u32) -> Span {
    let period = pace.step.map_or(0, |step| step.period.as_micros());
    let each = period.max(if pace.step.is_some() { pace.cooldown.as_micros() } else { 0 });
    Span::from_micros(pace.window.as_micros() + pace.cooldown.as_micros() + each * i64::from(replicas))
}

/// Whole ticks, rounded up.
pub(super) fn ticks(span: Span) -> u32 {
    let tick = super::TICK_SPAN.as_micros();
    u32::try_from((span.as_micros() + tick - 1) / tick).unwrap_or(u32::MAX)
}
