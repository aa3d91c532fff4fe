//! What of a tick is judged, and what may be wrong with it.

use super::senses::Senses;
use super::weather::TierWeather;
use core::fmt;
use evenkeel_core::check::Violation;
use evenkeel_core::decision::Decision;
use evenkeel_core::observe::Signals;
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::Time;

/// Something that must hold and did not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// When, seconds from the run's start.
    pub at: u32,
    /// The tier; `None` for the fleet as a whole.
    pub tier: Option<usize>,
    /// What.
    pub breach: Breach,
}

/// What did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// `check` found violations.
    Checked(Vec<Violation>),
    /// The decision panicked, with these words.
    Panicked(String),
    /// Replicas were to go while a policy could not see.
    BlindScaleIn,
    /// Replicas were to go before the windows were full after a start or a gap.
    HastyScaleIn,
    /// Replicas were to go that were wanted within the stabilization window.
    InWindow,
    /// Replicas were to go in a cooldown.
    InCooldown,
    /// More were to go in a period than its step.
    TooFast,
    /// Replicas were to start or go that nobody could list.
    ActedUnlisted,
    /// More would be there than the tier's maximum.
    BeyondMaximum,
    /// More would be there than the shared maximum.
    BeyondSharedMaximum,
    /// Fewer would be left than the minimum.
    BelowMinimum,
    /// A plan of an earlier epoch was carried out.
    StalePlan,
    /// A state that was written down and read again decides otherwise.
    RestoredDiffers,
    /// Blind for longer than the fallback may take, and the fallback is not reached.
    NoFallback,
    /// So many replicas long after all was well, where so many were needed.
    NotSettled {
        /// Replicas.
        count: u32,
        /// Needed, at least and at most.
        needed: (u32, u32),
    },
    /// The fleet settled beyond the shared maximum, or below it where more was wanted.
    SharedNotSettled,
    /// The same seed gave other decisions.
    NotRepeatable,
    /// A fault of another tier changed what this one decided.
    Leaked,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {} s", self.breach, self.at)?;
        self.tier.map_or(Ok(()), |tier| write!(f, " in tier {tier}"))
    }
}

/// What of a tick is judged.
#[derive(Clone, Copy)]
pub struct Tick<'a> {
    /// The tier's spec.
    pub spec: &'a TierSpec,
    /// What happens to it.
    pub weather: &'a TierWeather,
    /// What was told of it.
    pub senses: &'a Senses,
    /// The same as the decision saw it.
    pub signals: &'a Signals,
    /// What was decided.
    pub decision: &'a Decision,
    /// By the controller's clock.
    pub now: Time,
    /// The controller's clock was never set during the run, so spans of it are spans.
    pub steady_clock: bool,
    /// The tier shares no limit, so only its own are in its way.
    pub alone: bool,
}
