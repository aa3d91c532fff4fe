//! AIBrix's APA.
//!
//! Source: vllm-project/aibrix `pkg/controller/podautoscaler/algorithm/apa.go`: each 10 s; up where the load a pod is more
//! than 1.1 of its target, at most doubling; down where it is less than 0.9, at most halving.

use crate::autoscaler::{Autoscaler, Seen};
use evenkeel_core::units::Span;

const PERIOD: Span = Span::from_secs(10);
const TOLERANCE: f64 = 0.1;

/// An APA on load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Apa {
    target: f64,
}

impl Apa {
    pub(super) const fn new(target: f64) -> Self {
        Self { target }
    }

    fn scale(&self, load_a_pod: f64, current: u32) -> u32 {
        let ratio = load_a_pod / self.target;
        let proportional = libm::ceil(f64::from(current) * ratio) as u32;
        if ratio > 1.0 + TOLERANCE {
            proportional.min(2 * current)
        } else if ratio < 1.0 - TOLERANCE {
            proportional.max(current / 2)
        } else {
            current
        }
    }
}

impl Autoscaler for Apa {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        if seen.demand.is_empty() || !seen.is_due(PERIOD) {
            return seen.current();
        }
        // It multiplies by the pods there are, so what starts counts twice: aibrix issue 2670.
        let each = seen.mean_demand(PERIOD) / f64::from(seen.ready.max(1));
        self.scale(each, seen.current())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_within_a_tenth_and_at_most_doubles_or_halves() {
        let apa = Apa::new(0.5);
        let counts = [0.5, 0.55, 0.56, 5.0, 0.45, 0.44, 0.0].map(|load| apa.scale(load, 10));
        assert_eq!(counts, [10, 10, 12, 20, 10, 9, 5]);
    }
}
