//! The retry budget: retries may be at most a share of the recent requests, so that a tier in trouble is not asked
//! even more often.
//!
//! A token bucket over a sliding window, after Finagle's `RetryBudget`: each request deposits its share of a token,
//! each retry takes a whole one, and both are forgotten after the window. Ten slots make the window, so memory is fixed.

use super::settings::RetryBudgetSettings;
use evenkeel_core::units::Time;

const SLOTS: usize = 10;
/// Shares are counted in thousandths of a retry, as whole numbers.
const RETRY: i64 = 1_000;

#[derive(Debug)]
pub(super) struct RetryBudget {
    deposit: i64,
    reserve: i64,
    slot_micros: i64,
    /// Deposits less retries, by slot.
    balances: [i64; SLOTS],
    /// The slot that `now` falls in, counted from the epoch.
    current: i64,
}

impl RetryBudget {
    pub(super) fn new(settings: &RetryBudgetSettings) -> Self {
        // A share that is no number allows none; above 1 would be more retries than requests.
        let share = if settings.share.is_nan() { 0.0 } else { settings.share.clamp(0.0, 1.0) };
        Self {
            deposit: libm::round(share * RETRY as f64) as i64,
            reserve: i64::from(settings.reserve) * RETRY,
            slot_micros: (settings.window.as_micros() / SLOTS as i64).max(1),
            balances: [0; SLOTS],
            current: i64::MIN,
        }
    }

    /// A request went out for the first time.
    pub(super) fn deposit(&mut self, now: Time) {
        let deposit = self.deposit;
        *self.slot(now) += deposit;
    }

    /// Pays for one retry, if the budget has it.
    pub(super) fn withdraw(&mut self, now: Time) -> bool {
        self.slot(now);
        let affordable = self.balances.iter().sum::<i64>() + self.reserve >= RETRY;
        if affordable {
            *self.slot(now) -= RETRY;
        }
        affordable
    }

    /// The balance of the present slot, after forgetting those that have left the window.
    fn slot(&mut self, now: Time) -> &mut i64 {
        let slot = now.as_micros().div_euclid(self.slot_micros);
        let elapsed = slot.saturating_sub(self.current).clamp(0, SLOTS as i64);
        self.current = self.current.max(slot);
        for step in 0..elapsed {
            self.balances[index(self.current - step)] = 0;
        }
        &mut self.balances[index(self.current)]
    }
}

fn index(slot: i64) -> usize {
    slot.rem_euclid(SLOTS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::units::Span;

    fn at(millis: i64) -> Time {
        Time::from_micros(millis * 1_000)
    }

    fn budget(share: f64, reserve: u32) -> RetryBudget {
        RetryBudget::new(&RetryBudgetSettings { share, reserve, window: Span::from_secs(10) })
    }

    fn retries(budget: &mut RetryBudget, now: Time) -> usize {
        (0..1_000).take_while(|_| budget.withdraw(now)).count()
    }

    #[test]
    fn a_hundred_requests_pay_for_twenty_retries() {
        let mut budget = budget(0.2, 0);
        (0..100).for_each(|i| budget.deposit(at(i * 10)));
        assert_eq!(retries(&mut budget, at(1_000)), 20);
    }

    #[test]
    fn requests_and_retries_are_forgotten_after_the_window() {
        let mut budget = budget(0.2, 3);
        (0..10).for_each(|_| budget.deposit(at(0)));
        assert_eq!(retries(&mut budget, at(500)), 5, "two earned, three from the reserve");
        assert_eq!(retries(&mut budget, at(9_900)), 0);
        assert_eq!(retries(&mut budget, at(10_000)), 3, "the reserve is back");
        assert_eq!(retries(&mut budget, at(1_000_000)), 3);
    }

    #[test]
    fn a_clock_that_stands_or_steps_back_forgets_nothing() {
        let mut budget = budget(1.0, 0);
        budget.deposit(at(5_000));
        budget.deposit(at(1_000));
        assert_eq!(retries(&mut budget, at(1_000)), 2);
    }

    #[test]
    fn a_share_that_is_no_number_allows_no_retries() {
        let mut budget = budget(f64::NAN, 0);
        budget.deposit(at(0));
        assert_eq!(retries(&mut budget, at(0)), 0);
    }
}
