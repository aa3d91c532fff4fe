//! Autoscalers that act once what they want has lasted: Ray Serve's and SkyServe's.
//!
//! Sources: ray-project/ray `python/ray/serve/autoscaling_policy.py` (ongoing requests over the target a replica; up after
//! 30 s, down after 600 s) and skypilot-org/skypilot `sky/serve/autoscalers.py` (requests of the last 60 s over the target a
//! replica; looked at each 20 s; up after 300 s, down after 1,200 s).

use crate::autoscaler::{Autoscaler, Seen};
use evenkeel_core::units::{Span, Time};

/// How one is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Settings {
    /// Load of a replica.
    pub(super) target: f64,
    /// Load is averaged over this long.
    pub(super) window: Span,
    pub(super) period: Span,
    pub(super) up_after: Span,
    pub(super) down_after: Span,
}

impl Settings {
    pub(super) const fn ray_serve(target: f64) -> Self {
        let (window, period) = (Span::from_secs(30), Span::from_secs(10));
        Self { target, window, period, up_after: Span::from_secs(30), down_after: Span::from_secs(600) }
    }

    pub(super) const fn sky_serve(target: f64) -> Self {
        let (window, period) = (Span::from_secs(60), Span::from_secs(20));
        Self { target, window, period, up_after: Span::from_secs(300), down_after: Span::from_secs(1_200) }
    }
}

/// Acts on what lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Persistent {
    settings: Settings,
    above_since: Option<Time>,
    below_since: Option<Time>,
}

impl Persistent {
    pub(super) const fn new(settings: Settings) -> Self {
        Self { settings, above_since: None, below_since: None }
    }

    fn judge(&mut self, now: Time, desired: u32, current: u32) -> u32 {
        let lasts = |since: &mut Option<Time>, holds: bool, long: Span| {
            *since = if holds { since.or(Some(now)) } else { None };
            since.is_some_and(|since| now.since(since) >= long)
        };
        let up = lasts(&mut self.above_since, desired > current, self.settings.up_after);
        let down = lasts(&mut self.below_since, desired < current, self.settings.down_after);
        if !(up || down) {
            return current;
        }
        (self.above_since, self.below_since) = (None, None);
        desired
    }
}

impl Autoscaler for Persistent {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        if seen.demand.is_empty() || !seen.is_due(self.settings.period) {
            return seen.current();
        }
        let desired = libm::ceil(seen.mean_demand(self.settings.window) / self.settings.target) as u32;
        self.judge(seen.now, desired.max(1), seen.current())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ray_serve_waits_half_a_minute_to_grow_and_ten_to_shrink() {
        let mut ray = Persistent::new(Settings::ray_serve(1.0));
        let at = |seconds| Time::default() + Span::from_secs(seconds);
        assert_eq!([0, 20, 30].map(|second| ray.judge(at(second), 4, 2)), [2, 2, 4]);
        assert_eq!([40, 639, 640].map(|second| ray.judge(at(second), 1, 4)), [4, 4, 1]);
        assert_eq!(
            [700, 720, 725, 740].map(|second| ray.judge(at(second), if second == 725 { 1 } else { 2 }, 1)),
            [1; 4]
        );
    }
}
