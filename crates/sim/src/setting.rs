//! The limits of a run: the same in both models.

use crate::autoscaler::{Autoscaler, Seen};
use crate::oracle::Violation;
use evenkeel_core::units::{Span, Time};

/// The limits of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Length of a slot.
    pub slot: Span,
    /// Slots from the order to ready, unless the cloud has a start-up of its own.
    pub start_up_slots: u32,
    /// Replicas at least.
    pub minimum: u32,
    /// Replicas at most, ready and starting.
    pub maximum: u32,
    /// Scoring starts in this slot; before it the autoscaler learns.
    pub scored_from: usize,
    /// Moment of the first slot.
    pub start: Time,
    /// How demand above the ready replicas is counted.
    pub violation: Violation,
}

impl Setting {
    /// Time from the order to ready.
    pub(crate) const fn start_up(&self) -> Span {
        Span::from_micros(self.slot.as_micros() * self.start_up_slots as i64)
    }

    /// Moment of a slot's beginning.
    pub(crate) fn at(&self, slot: usize) -> Time {
        self.start + Span::from_micros(self.slot.as_micros() * slot as i64)
    }

    /// What the autoscaler wants, inside the limits.
    pub(crate) fn decide(&self, autoscaler: &mut dyn Autoscaler, seen: &Seen<'_>) -> u32 {
        autoscaler.decide(seen).clamp(self.minimum, self.maximum)
    }
}
