//! What a cloud refuses and takes away, as data.
//!
//! **The same weather for everyone.** Periods and traces go by the time. What befalls a single launch (how long it starts,
//! whether it is healthy, when it crashes, whose turn an interruption is) is drawn from streams that are named by the moment of
//! its order and by how many were granted in that moment before it. So two policies that order in the same moment get
//! the same replicas, whatever each did before, and one that orders more in a moment gets the others' and some more.

use evenkeel_core::units::Span;
use evenkeel_workload::{Availability, AvailabilityError};
use std::ops::Range;
use std::path::Path;

/// From the notice of an interruption to the end of the instance (AWS, EC2 user guide, spot instance interruption notices).
pub const NOTICE: Span = Span::from_secs(120);

/// Refusals and losses; the default has none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weather {
    /// Since the first slot: while one lasts, no launch succeeds.
    pub without_capacity: Vec<Range<Span>>,
    /// Launches granted in any 60 s at most; the rest is not ordered, and may be asked for again.
    pub launches_per_minute: Option<u32>,
    /// Share of launches that fail their health check. It is noticed when the start-up is over, and billed until then.
    pub failed_share: f64,
    /// Spot instances; `None` where all are on demand.
    pub spot: Option<Spot>,
    /// Of a ready replica, from exponential lives: it has no age. `None` where none crashes.
    pub mean_time_between_crashes: Option<Span>,
}

impl Weather {
    /// Whether there is capacity so long after the first slot.
    pub(super) fn has_capacity(&self, at: Span) -> bool {
        !self.without_capacity.iter().any(|period| period.contains(&at))
    }
}

/// A pool of spot instances that follows a trace. Where it falls below what runs on it, random ones are told to go: AWS decides
/// which, and does not say how. One that is ready gets the notice of [`NOTICE`] and drains; one that starts ends at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Spot {
    /// What of the pool is there.
    pub trace: Availability,
    /// The pool when all of it is there; `None` for the maximum of the fleet.
    pub pool: Option<u32>,
    /// Replicas that run on demand, and are launched before any on spot.
    pub on_demand: u32,
}

impl Spot {
    /// The trace in this file, a pool for the whole fleet, and nothing on demand.
    ///
    /// # Errors
    /// The first line that makes no sense, or an unreadable file.
    pub fn open(path: &Path) -> Result<Self, AvailabilityError> {
        Availability::open(path).map(Self::of)
    }

    /// The same of a trace.
    pub const fn of(trace: Availability) -> Self {
        Self { trace, pool: None, on_demand: 0 }
    }
}
