//! The autoscalers that others run, each from its own source, which its file names.
//!
//! All look at the same load: demand in replicas, that is work offered over what a replica carries inside the SLO. A
//! target of 0.7 keeps replicas at 70 % of that.

mod hpa;
mod static_count;

pub use hpa::Hpa;
pub use static_count::Static;

use crate::compare::World;
use crate::fluid::Autoscaler;

/// A peer by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// Kubernetes' HorizontalPodAutoscaler.
    Hpa,
    /// A count that never changes.
    Static,
}

impl Peer {
    /// Every peer.
    pub const ALL: [Self; 2] = [Self::Hpa, Self::Static];

    /// The name used on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hpa => "hpa",
            Self::Static => "static",
        }
    }

    /// The peer set to `target`: load a replica, or for `static` the count.
    pub fn with_target(self, target: f64) -> Box<dyn Autoscaler> {
        match self {
            Self::Hpa => Box::new(Hpa::new(target)),
            Self::Static => Box::new(Static { replicas: target as u32 }),
        }
    }

    /// As its documentation ships it; for `static` the peak before scoring began, as a team would buy it.
    pub fn default_target(self, world: &World<'_>) -> f64 {
        match self {
            Self::Hpa => 0.7,
            Self::Static => peak(&world.demand[..world.setting.scored_from.max(1)]),
        }
    }

    /// What is tried when it is tuned.
    pub fn targets(self, world: &World<'_>) -> Vec<f64> {
        match self {
            Self::Hpa => (1..=150).map(|percent| f64::from(percent) / 100.0).collect(),
            Self::Static => (1..=peak(world.demand) as u32).map(f64::from).collect(),
        }
    }
}

fn peak(demand: &[f64]) -> f64 {
    libm::ceil(demand.iter().copied().fold(1.0, f64::max))
}
