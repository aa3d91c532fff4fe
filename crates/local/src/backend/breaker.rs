//! When a tier may launch again after replicas failed: backoff that doubles, and a circuit that opens.
//!
//! Failures in a row wait 1, 2, 4, 8 seconds, but the first of them is replaced at once where the replica had served:
//! that the tier can run is known then, and traffic waits. The fifth opens the circuit: a minute without launches, then
//! one replica as a probe; if it becomes ready the circuit closes, if not it stays open twice as long, ten minutes at most.

use evenkeel_controller::ports::BackendError;
use evenkeel_core::units::{Span, Time};

const FIRST_DELAY: Span = Span::from_secs(1);
const FAILURES_TO_OPEN: u32 = 5;
const FIRST_OPEN: Span = Span::from_secs(60);
const LONGEST_OPEN: Span = Span::from_secs(600);
/// A replica that has been ready this long proves that the tier can run: failures are counted anew after it.
pub(crate) const STABLE_AFTER: Span = Span::from_secs(60);

/// One tier's record of failed replicas.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    last_failure: Option<Failure>,
    /// The circuit is half open and its one replica is on its way.
    probing: bool,
}

#[derive(Debug)]
struct Failure {
    at: Time,
    why: String,
    /// The replica had served until then.
    served: bool,
}

impl Breaker {
    /// Asks for one launch.
    pub(crate) fn admit(&mut self, tier: &str, now: Time) -> Result<(), BackendError> {
        let Some(last) = &self.last_failure else { return Ok(()) };
        let at_once = last.served && self.failures == 1;
        let left = if at_once { Span::ZERO } else { (last.at + delay(self.failures)).since(now) };
        let open = self.failures >= FAILURES_TO_OPEN;
        let (failures, why) = (self.failures, &last.why);
        if open && self.probing {
            return Err(BackendError::NoCapacity(format!(
                "tier {tier} failed {failures} times in a row and now tries one replica ({why})"
            )));
        }
        if left > Span::ZERO {
            let left = left.as_secs_f64();
            return Err(if open {
                BackendError::NoCapacity(format!(
                    "tier {tier} failed {failures} times in a row; next try in {left:.0} s ({why})"
                ))
            } else {
                BackendError::Busy(format!("tier {tier} launches again in {left:.1} s, after a failure ({why})"))
            });
        }
        self.probing = open;
        Ok(())
    }

    /// A replica launched at `launched` failed; it had `served`, or never became ready. Replicas that were on their way
    /// when the last failure was counted tell nothing new: eight that one cause takes down together count once.
    pub(crate) fn failed(&mut self, launched: Time, now: Time, why: String, served: bool) {
        self.probing = false;
        if self.last_failure.as_ref().is_some_and(|last| launched < last.at) {
            return;
        }
        self.failures = self.failures.saturating_add(1);
        self.last_failure = Some(Failure { at: now, why, served });
    }

    /// A replica became ready. An open circuit closes, but one more failure opens it again.
    pub(crate) fn became_ready(&mut self) {
        self.probing = false;
        self.failures = self.failures.min(FAILURES_TO_OPEN - 1);
    }

    /// A replica has been ready for [`STABLE_AFTER`].
    pub(crate) fn proved_stable(&mut self) {
        *self = Self::default();
    }

    /// A replica was ended on order before it became ready: if it was the probe, another may be sent.
    pub(crate) fn abandoned(&mut self) {
        self.probing = false;
    }
}

fn delay(failures: u32) -> Span {
    let (first, doublings, longest) = match failures {
        0 => return Span::ZERO,
        n if n < FAILURES_TO_OPEN => (FIRST_DELAY, n - 1, LONGEST_OPEN),
        n => (FIRST_OPEN, n - FAILURES_TO_OPEN, LONGEST_OPEN),
    };
    Span::from_micros(first.as_micros().saturating_mul(1 << doublings.min(20))).min(longest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn at(secs: i64) -> Time {
        Time::from_micros(0) + Span::from_secs(secs)
    }

    fn busy(result: Result<(), BackendError>) -> bool {
        matches!(result, Err(BackendError::Busy(_)))
    }

    fn no_capacity(result: Result<(), BackendError>) -> bool {
        matches!(result, Err(BackendError::NoCapacity(_)))
    }

    #[test]
    fn waits_double_with_each_failure_in_a_row() {
        let mut breaker = Breaker::default();
        let mut now = 0;
        for wait in [1, 2, 4, 8] {
            breaker.admit("gold", at(now)).unwrap();
            breaker.failed(at(now), at(now), "exited with status 1".to_owned(), false);
            assert!(busy(breaker.admit("gold", at(now + wait) - Span::from_millis(1))), "before {wait} s");
            now += wait;
        }
        breaker.admit("gold", at(now)).unwrap();
    }

    #[test]
    fn the_fifth_failure_opens_the_circuit_and_one_probe_closes_or_reopens_it() {
        let mut breaker = Breaker::default();
        for failure in 0..5 {
            breaker.failed(at(failure), at(failure), "exited".to_owned(), false);
        }
        // +4 s open, +64 s half open: one launch only.
        assert!(no_capacity(breaker.admit("gold", at(63))));
        breaker.admit("gold", at(64)).unwrap();
        assert!(no_capacity(breaker.admit("gold", at(65))));
        // The probe fails at +70 s: open for two minutes.
        breaker.failed(at(64), at(70), "exited".to_owned(), false);
        assert!(no_capacity(breaker.admit("gold", at(189))));
        breaker.admit("gold", at(190)).unwrap();
        // The next one becomes ready: others may follow, but one more failure opens it again.
        breaker.became_ready();
        breaker.admit("gold", at(200)).unwrap();
        breaker.failed(at(200), at(201), "exited".to_owned(), false);
        assert!(no_capacity(breaker.admit("gold", at(202))));
    }

    #[test]
    fn replicas_that_one_cause_takes_down_together_count_once() {
        let mut breaker = Breaker::default();
        for _ in 0..8 {
            breaker.failed(at(0), at(10), "was ended by signal 9".to_owned(), false);
        }
        assert!(busy(breaker.admit("gold", at(10))));
        breaker.admit("gold", at(11)).unwrap();
    }

    #[test]
    fn the_first_that_served_is_replaced_at_once_and_the_next_in_a_row_waits() {
        let mut breaker = Breaker::default();
        breaker.failed(at(0), at(10), "was ended by signal 9".to_owned(), true);
        breaker.admit("gold", at(10)).unwrap();
        breaker.failed(at(10), at(20), "was ended by signal 9".to_owned(), true);
        assert!(busy(breaker.admit("gold", at(21))));
        breaker.admit("gold", at(22)).unwrap();
    }

    #[test]
    fn a_stable_replica_clears_the_record() {
        let mut breaker = Breaker::default();
        breaker.failed(at(0), at(0), "exited".to_owned(), false);
        breaker.proved_stable();
        breaker.admit("gold", at(0)).unwrap();
    }

    #[test]
    fn a_probe_that_was_ended_on_order_does_not_block_the_tier() {
        let mut breaker = Breaker::default();
        (0..5).for_each(|failure| breaker.failed(at(failure), at(failure), "exited".to_owned(), false));
        breaker.admit("gold", at(64)).unwrap();
        breaker.abandoned();
        breaker.admit("gold", at(65)).unwrap();
    }
}
