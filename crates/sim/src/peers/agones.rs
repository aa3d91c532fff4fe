//! Agones' fleet autoscaler with a buffer in percent.
//!
//! Source: googleforgames/agones `pkg/fleetautoscalers/fleetautoscalers.go`, `applyBufferPolicy`: so many servers that the
//! buffer is its share of all of them; looked at each 30 s, the fleet autoscaler's default. An allocated server is here a
//! replica's worth of demand.

use crate::autoscaler::{Autoscaler, Seen};
use evenkeel_core::units::Span;

const SYNC: Span = Span::from_secs(30);

/// A buffer of idle replicas.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    /// Share of the fleet that is allocated: 1 less the buffer.
    allocated: f64,
}

impl Buffer {
    /// Keeps so large a share of the fleet allocated.
    pub(super) const fn new(allocated: f64) -> Self {
        Self { allocated }
    }

    fn scale(&self, allocated: f64) -> u32 {
        // 8 of 70 % are 11.43 either way; what is whole by its decimals must not be rounded up.
        libm::ceil(libm::ceil(allocated) / self.allocated - 1e-9) as u32
    }
}

impl Autoscaler for Buffer {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        let latest = seen.demand.last().filter(|_| seen.is_due(SYNC));
        latest.map_or_else(|| seen.current(), |&demand| self.scale(demand))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_in_its_source_gives_the_count_told_there() {
        // 'We have 8 allocated replicas, 10 total replicas and bufferSize set to 30%'.
        assert_eq!(Buffer::new(0.7).scale(8.0), 12);
        assert_eq!(Buffer::new(0.8).scale(8.0), 10);
        assert_eq!(Buffer::new(0.8).scale(0.0), 0);
    }
}
