//! What a tier's queue allows.

use evenkeel_core::units::Span;

/// Limits of one tier's queue.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueSettings {
    /// Requests that may wait at once; one more is rejected. Those that come back from a replica are let in regardless,
    /// as they were taken before.
    pub max_queued: usize,
    /// How long a request may wait while no replica can be reached, counted from its arrival or from the moment the
    /// last one was lost, whichever is later.
    pub hold: Span,
    /// Tries that an error or a time-out may use up, the first included.
    pub max_tries: u32,
    /// How often a request whose connection broke comes back free of charge; after that a break counts as an error. A
    /// request that itself kills replicas is stopped by this.
    pub max_broken: u32,
    /// How often a request that never reached its replica comes back free of charge; after that it counts as an error.
    pub max_unreached: u32,
    /// Which retries are allowed.
    pub retry_budget: RetryBudgetSettings,
    /// Errors, time-outs and broken connections in a row after which a replica is ejected for a while.
    pub ejection_failures: u32,
    /// How long an ejected replica gets no work.
    pub ejection: Backoff,
    /// How long a replica that could not be reached is left alone. Short: a replica that starts again is soon back.
    pub unreachable: Backoff,
}

impl QueueSettings {
    /// The usual limits: 3 tries, a retry budget of 20 %, 3 free returns of a broken connection and 32 of one never
    /// made, ejection after 5 failures for 1 s doubling to 30 s, 100 ms doubling to 5 s between attempts to reach a
    /// replica.
    pub fn new(max_queued: usize, hold: Span) -> Self {
        Self {
            max_queued,
            hold,
            max_tries: 3,
            max_broken: 3,
            max_unreached: 32,
            retry_budget: RetryBudgetSettings::default(),
            ejection_failures: 5,
            ejection: Backoff { first: Span::from_secs(1), longest: Span::from_secs(30) },
            unreachable: Backoff { first: Span::from_millis(100), longest: Span::from_secs(5) },
        }
    }
}

/// How many retries the recent requests pay for.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryBudgetSettings {
    /// Retries allowed per request first dispatched within the window, 0 to 1.
    pub share: f64,
    /// Retries allowed in a window whatever its traffic, so that a quiet tier retries at all.
    pub reserve: u32,
    /// How long a request, and a retry, is remembered.
    pub window: Span,
}

impl Default for RetryBudgetSettings {
    /// 20 % of the requests of the last 10 s, and 10 retries besides.
    fn default() -> Self {
        Self { share: 0.2, reserve: 10, window: Span::from_secs(10) }
    }
}

/// A pause that doubles with every failure in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The first pause.
    pub first: Span,
    /// The longest.
    pub longest: Span,
}

impl Backoff {
    /// The pause after `strikes` failures in a row, counted from 1.
    pub(super) fn pause(&self, strikes: u32) -> Span {
        let doublings = strikes.saturating_sub(1).min(62);
        let micros = self.first.as_micros().saturating_mul(1_i64 << doublings);
        Span::from_micros(micros.min(self.longest.as_micros()))
    }
}
