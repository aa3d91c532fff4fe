//! AIBrix's APA.
//!
//! Source: vllm-project/aibrix `pkg/controller/podautoscaler/algorithm/apa.go`: each 10 s; up where the load a pod is more
//! than 1.1 of its target, at most doubling; down where it is less than 0.9, at most halving. While pods are pending, what the
//! metrics recommend is computed anew as an HPA does it: pending pods count as idle for growing and as at their target for
//! shrinking (pull request 2671 of September 2026, on by default; before it a slow start doubled the fleet each 10 s).

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

    /// By the load of each of the `ready` pods, some more being `pending`.
    fn guarded(&self, load_a_pod: f64, ready: u32, pending: u32) -> u32 {
        let current = ready + pending;
        if ready == 0 {
            // No pod tells anything.
            return current;
        }
        let raw = self.scale(load_a_pod, current);
        if pending == 0 || raw == current {
            return raw;
        }
        let assumed = if raw > current { 0.0 } else { self.target };
        let load = load_a_pod * f64::from(ready) + assumed * f64::from(pending);
        let again = self.scale(load / f64::from(current), current);
        // It dampens, and turns nothing round.
        if raw > current { again.max(current) } else { again.min(current) }
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
        let each = seen.mean_demand(PERIOD) / f64::from(seen.ready.max(1));
        self.guarded(each, seen.ready, seen.starting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pending_pods_are_idle_for_growing_and_at_their_target_for_shrinking() {
        let apa = Apa::new(0.5);
        // Two ready pods with twice their target need four: with two of them pending there are four.
        assert_eq!((apa.guarded(1.0, 2, 0), apa.guarded(1.0, 2, 2)), (4, 4));
        // Three times their target need six.
        assert_eq!(apa.guarded(1.5, 2, 2), 6);
        assert_eq!(apa.guarded(9.0, 0, 1), 1, "nobody tells anything");
        // A tenth of their target: with two pending ones at theirs it is half of it.
        assert_eq!((apa.guarded(0.05, 4, 0), apa.guarded(0.05, 2, 2)), (2, 3));
    }

    #[test]
    fn it_holds_within_a_tenth_and_at_most_doubles_or_halves() {
        let apa = Apa::new(0.5);
        let counts = [0.5, 0.55, 0.56, 5.0, 0.45, 0.44, 0.0].map(|load| apa.scale(load, 10));
        assert_eq!(counts, [10, 10, 12, 20, 10, 9, 5]);
    }
}
