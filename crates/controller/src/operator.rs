//! What an operator has ordered: mode, pause, overrides. Durable: the journal keeps it and a restart reads it back.

use evenkeel_core::decision::Override;
use evenkeel_core::units::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the controller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Decide and journal; tell no one, touch nothing. Routes are no decision: they go on telling what serves.
    Observe,
    /// Tell decisions as events too; touch nothing.
    Advise,
    /// Act.
    Act,
}

impl Mode {
    /// Its name in the fleet file, in JSON and in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Advise => "advise",
            Self::Act => "act",
        }
    }
}

impl From<evenkeel_fleet::model::Mode> for Mode {
    fn from(mode: evenkeel_fleet::model::Mode) -> Self {
        match mode {
            evenkeel_fleet::model::Mode::Observe => Self::Observe,
            evenkeel_fleet::model::Mode::Advise => Self::Advise,
            evenkeel_fleet::model::Mode::Act => Self::Act,
        }
    }
}

/// Everything ordered by operators that is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorOrders {
    /// The mode, where `evenkeel mode` was used; it wins over the fleet file's.
    pub mode: Option<Mode>,
    /// No action before this moment; decisions go on.
    pub paused_until: Option<Time>,
    /// Overrides by tier.
    pub overrides: BTreeMap<String, Override>,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorOrder {
    /// Set the mode.
    Mode(Mode),
    /// Take no action until a moment; a moment in the past ends the pause.
    Pause(Time),
    /// Set a tier's override; `None` ends it.
    Override {
        /// The tier.
        tier: String,
        /// The override.
        order: Option<Override>,
    },
}

impl OperatorOrders {
    /// Takes in one order.
    pub fn take(&mut self, order: OperatorOrder) {
        match order {
            OperatorOrder::Mode(mode) => self.mode = Some(mode),
            OperatorOrder::Pause(until) => self.paused_until = Some(until),
            OperatorOrder::Override { tier, order: Some(order) } => {
                self.overrides.insert(tier, order);
            }
            OperatorOrder::Override { tier, order: None } => {
                self.overrides.remove(&tier);
            }
        }
    }

    /// Whether actions are paused at `now`.
    pub fn paused(&self, now: Time) -> bool {
        self.paused_until.is_some_and(|until| now < until)
    }

    /// The override in force for `tier` at `now`.
    pub fn override_of(&self, tier: &str, now: Time) -> Option<&Override> {
        self.overrides.get(tier).filter(|order| now < order.until)
    }
}
