//! Policies: each looks at one tier and recommends a count. A policy never sees limits, cooldowns or other tiers.

pub(crate) mod backlog;
pub(crate) mod capacity;
pub(crate) mod latency;
pub(crate) mod measure;
pub(crate) mod players;
pub(crate) mod schedule;
pub(crate) mod target_tracking;

use crate::decision::{ActiveSchedule, Forecast, Why};
use crate::observe::{Cause, Signals, Supply};
use crate::spec::{PolicySpec, Signal, TierSpec};
use crate::units::{Span, Time};
use serde::{Deserialize, Serialize};

/// What a policy looks at.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Now.
    pub now: Time,
    /// The tier.
    pub spec: &'a TierSpec,
    /// Its signals.
    pub signals: &'a Signals,
    /// Its replicas, counted.
    pub supply: Supply,
    /// A forecast, where one is made.
    pub forecast: Option<Forecast>,
    /// The schedule entry that is active.
    pub schedule: Option<&'a ActiveSchedule>,
}

impl View<'_> {
    /// It is known that no request waits or is inside a replica.
    pub(crate) fn idle(&self) -> bool {
        self.signals.queue_depth.fresh() == Some(&0) && self.signals.in_flight.fresh() == Some(&0)
    }
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// The count; `None` when it cannot tell.
    pub desired: Option<u32>,
    /// What it expects to need, where it asks for less as long as it waits for what starts: its weight where replicas are short.
    pub wish: Option<u32>,
    /// The count may be too low: a part could not be counted.
    pub partial: bool,
    /// Held above what is needed at this moment: a level's hold is not over.
    pub holding: bool,
    /// When the hold ends, where there is one.
    pub until: Option<Time>,
    /// The figures.
    pub why: Why,
}

impl Advice {
    pub(crate) const fn count(desired: u32, why: Why) -> Self {
        Self { desired: Some(desired), wish: None, partial: false, holding: false, until: None, why }
    }

    pub(crate) const fn blind(signal: Signal, cause: Cause) -> Self {
        Self {
            desired: None,
            wish: None,
            partial: false,
            holding: false,
            until: None,
            why: Why::Blind { signal, cause },
        }
    }

    /// The same from a part of `signal`: what that needs already may add replicas; that the rest is not known, for this
    /// `cause`, removes none.
    pub(crate) fn of_a_part(self, view: &View<'_>, signal: Signal, cause: Cause) -> Self {
        match self.desired {
            Some(desired) if desired > view.supply.current() => Self { partial: true, ..self },
            _ => Self::blind(signal, cause),
        }
    }
}

/// What a policy remembers between ticks: one variant for each policy that remembers anything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyState {
    /// The capacity policy's.
    Capacity(alloc::boxed::Box<capacity::State>),
    /// Target tracking's.
    TargetTracking(target_tracking::State),
    /// The latency policy's.
    Latency(latency::State),
    /// Nothing to remember.
    Stateless,
}

impl PolicyState {
    /// The state before the first tick.
    pub fn new(spec: &PolicySpec) -> Self {
        match spec {
            PolicySpec::Capacity { .. } => Self::Capacity(alloc::boxed::Box::default()),
            PolicySpec::TargetTracking { .. } => Self::TargetTracking(target_tracking::State::default()),
            PolicySpec::Latency { .. } => Self::Latency(latency::State::default()),
            PolicySpec::BacklogPerReplica { .. } | PolicySpec::PlayersPerReplica { .. } | PolicySpec::Schedule => {
                Self::Stateless
            }
        }
    }

    /// What stays of it when the tier changes from `old` to `new` and keeps this policy.
    pub(crate) fn carried_over(&self, old: &TierSpec, new: &TierSpec) -> Self {
        match self {
            Self::Capacity(state) => Self::Capacity(alloc::boxed::Box::new(state.carried_over(old, new))),
            // Counts above another bound are no counts above this one.
            Self::Latency(_) if old.slo != new.slo => Self::Latency(latency::State::default()),
            Self::TargetTracking(_) | Self::Latency(_) | Self::Stateless => self.clone(),
        }
    }

    /// One tick of the policy `spec`. A state that belongs to another policy is begun anew: the fleet file changed.
    pub fn advise(&mut self, spec: &PolicySpec, view: &View<'_>) -> Advice {
        match (spec, &mut *self) {
            (&PolicySpec::Capacity { window, hold }, Self::Capacity(state)) => state.advise(view, window, hold),
            (&PolicySpec::TargetTracking { signal, target, per, window }, Self::TargetTracking(state)) => {
                state.advise(view, signal, target_tracking::Target { target, per, window })
            }
            (&PolicySpec::Latency { objective, window }, Self::Latency(state)) => state.advise(view, objective, window),
            (&PolicySpec::BacklogPerReplica { target }, Self::Stateless) => backlog::advise(view, target),
            (&PolicySpec::PlayersPerReplica { players }, Self::Stateless) => players::advise(view, players),
            (PolicySpec::Schedule, Self::Stateless) => schedule::advise(view),
            _ => {
                *self = Self::new(spec);
                self.advise(spec, view)
            }
        }
    }
}

/// The longest time for which a policy looks back: until it is over after a start, the policy does not know enough to
/// let a replica go.
pub(crate) fn memory(spec: &PolicySpec) -> Span {
    match *spec {
        PolicySpec::Capacity { window, hold } => window.max(hold),
        PolicySpec::TargetTracking { window, .. } | PolicySpec::Latency { window, .. } => window,
        PolicySpec::BacklogPerReplica { .. } | PolicySpec::PlayersPerReplica { .. } | PolicySpec::Schedule => {
            Span::ZERO
        }
    }
}

/// A count from a real number of replicas: rounded up, and never below zero or beyond what fits.
pub(crate) fn whole(replicas: f64) -> u32 {
    // Sums of rates carry rounding errors of 1e-12 and less; without the slack 3.0000000000001 would be four replicas.
    libm::ceil(replicas - 1e-9).clamp(0.0, 1e9) as u32
}
