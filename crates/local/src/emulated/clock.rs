//! Real time as the engine counts it: anchored once, monotone after, so a jump of the wall clock moves no token.

use evenkeel_core::units::{Span, Time};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// Turns instants into the engine's moments and back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    began: Instant,
    /// The wall clock at `began`, microseconds since the Unix epoch.
    anchor: i64,
}

impl Clock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the emulated replica reads the wall clock")]
    pub(super) fn anchored() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self { began: Instant::now(), anchor: i64::try_from(wall.as_micros()).unwrap_or(i64::MAX) }
    }

    pub(super) fn now(&self) -> Time {
        let elapsed = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
        Time::from_micros(self.anchor) + Span::from_micros(elapsed)
    }

    /// The instant at which `time` is reached; `began` for anything before it.
    pub(super) fn instant(&self, time: Time) -> Instant {
        let micros = time.since(Time::from_micros(self.anchor)).as_micros();
        self.began + Duration::from_micros(micros.unsigned_abs())
    }
}
