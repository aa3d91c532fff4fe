//! The gateway's time: read from the wall clock once and from the monotonic clock ever after, so that a jump of the wall
//! clock makes no request older and no latency negative.

use evenkeel_core::units::{Span, Time};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock anchored when it was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    anchor: Instant,
    at_anchor: i64,
}

impl Clock {
    /// Reads the wall clock, for the only time.
    #[expect(clippy::disallowed_methods, reason = "the one reading that anchors the clock")]
    pub(crate) fn anchored() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { anchor: Instant::now(), at_anchor: micros(since_epoch) }
    }

    /// Now.
    pub(crate) fn now(&self) -> Time {
        Time::from_micros(self.at_anchor.saturating_add(micros(self.anchor.elapsed())))
    }

    /// The instant at which this clock will read `at`, for timers; the present when `at` is past.
    pub(crate) fn instant(&self, at: Time) -> Instant {
        let micros = u64::try_from(at.as_micros().saturating_sub(self.at_anchor)).unwrap_or(0);
        self.anchor + Duration::from_micros(micros)
    }
}

/// As the gateway's clock counts it.
pub(crate) fn span(duration: Duration) -> Span {
    Span::from_micros(micros(duration))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A span in whole seconds, rounded up, at least one: what `Retry-After` carries.
pub(crate) fn retry_seconds(span: Span) -> u64 {
    span.to_duration().as_millis().div_ceil(1_000).clamp(1, 86_400) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_for_a_later_moment_rings_when_the_clock_reads_it() {
        let clock = Clock::anchored();
        let later = clock.now() + Span::from_secs(5);
        let wait = clock.instant(later).saturating_duration_since(Instant::now());
        assert!(wait > Duration::from_secs(4) && wait <= Duration::from_secs(5), "{wait:?}");
        assert!(clock.instant(Time::from_micros(0)) <= Instant::now());
    }

    #[test]
    fn retry_after_is_rounded_up_and_never_zero() {
        assert_eq!(retry_seconds(Span::ZERO), 1);
        assert_eq!(retry_seconds(Span::from_millis(1_001)), 2);
        assert_eq!(retry_seconds(Span::from_secs(30)), 30);
    }
}
