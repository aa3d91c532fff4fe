//! Which steps of a run are scored, and its limits.

use super::choices::Peers;
use crate::failure::Failure;
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::{Span, Time};
use evenkeel_sim::oracle::Violation;
use evenkeel_sim::setting::Setting;

/// A run's steps.
pub(in crate::commands) struct Scored {
    /// What is simulated, for whoever finds it too short.
    pub(in crate::commands) what: &'static str,
    pub(in crate::commands) step: Span,
    pub(in crate::commands) slots: usize,
    /// Not scored; a quarter of the whole, `longest_history` at most, where that was not asked for.
    pub(in crate::commands) history: Option<Span>,
    pub(in crate::commands) longest_history: Span,
    pub(in crate::commands) start: Time,
    /// How peers are set: some need a history.
    pub(in crate::commands) peers: Peers,
}

impl Scored {
    /// The limits of `spec` on these steps.
    ///
    /// # Errors
    /// When nothing is left to score, or nothing to tune on.
    pub(in crate::commands) fn setting(&self, spec: &TierSpec, violation: Violation) -> Result<Setting, Failure> {
        let Self { what, step, slots, start, peers, .. } = *self;
        let length = Span::from_micros(step.as_micros() * slots as i64);
        let quarter = Span::from_micros(length.as_micros() / 4);
        let history = self.history.unwrap_or(self.longest_history.min(quarter));
        if peers == Peers::TunedOnHistory && history == Span::ZERO {
            return Err(Failure::usage(
                "`--peers tuned-on-history` needs a history to tune on, and `--history 0s` leaves none; write a longer one",
            ));
        }
        let in_slots = |span: Span| (span.as_micros() + step.as_micros() - 1) / step.as_micros();
        let scored_from = in_slots(history) as usize;
        if scored_from >= slots {
            return Err(Failure::usage(format!(
                "the {what} lasts {length} and `--history` takes {history} of it: nothing is left to score; write a shorter one"
            )));
        }
        let start_up_slots = u32::try_from(in_slots(spec.start_up)).unwrap_or(u32::MAX);
        let (minimum, maximum) = (spec.minimum, spec.maximum);
        Ok(Setting { slot: step, start_up_slots, minimum, maximum, scored_from, start, violation })
    }
}
