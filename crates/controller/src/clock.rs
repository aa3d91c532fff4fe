//! The live clock: anchored once to the wall clock, monotone after.

use crate::ports::Clock;
use evenkeel_core::units::{Span, Time};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock time as it was at the start plus the monotone time since. Setting the wall clock moves nothing.
#[derive(Debug)]
pub struct AnchoredClock {
    anchor: Time,
    started: Instant,
}

impl AnchoredClock {
    /// Anchors to the wall clock now.
    #[expect(clippy::disallowed_methods, reason = "the one place where the controller reads the wall clock")]
    pub fn start() -> Self {
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
        Self { anchor: Time::from_micros(i64::try_from(micros).unwrap_or(i64::MAX)), started: Instant::now() }
    }
}

impl Clock for AnchoredClock {
    fn now(&self) -> Time {
        self.anchor + Span::from_micros(i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}
