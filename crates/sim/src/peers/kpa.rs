//! Knative's pod autoscaler.
//!
//! Source: knative/serving `pkg/autoscaler/scaling/autoscaler.go`, and the defaults of `config-autoscaler`: tick 2 s,
//! stable window 60 s, panic window 10 % of it, panic threshold 200 %, at most 1,000 times up and half down in a tick.

use crate::autoscaler::{Autoscaler, Seen};
use evenkeel_core::units::{Span, Time};

/// How a KPA is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Settings {
    /// Load of a pod.
    pub(super) target: f64,
    pub(super) stable_window: Span,
    pub(super) panic_window: Span,
    /// Panics where the panic window wants so many times the ready pods.
    pub(super) panic_threshold: f64,
    pub(super) max_scale_up: f64,
    pub(super) max_scale_down: f64,
}

impl Settings {
    /// As shipped, but for the target.
    pub(super) const fn shipped(target: f64) -> Self {
        Self {
            target,
            stable_window: Span::from_secs(60),
            panic_window: Span::from_secs(6),
            panic_threshold: 2.0,
            max_scale_up: 1_000.0,
            max_scale_down: 2.0,
        }
    }
}

/// A KPA on load.
#[derive(Clone, Debug)]
pub(super) struct Kpa {
    settings: Settings,
    panics_since: Option<Time>,
    most_in_panic: u32,
    began: bool,
}

impl Kpa {
    pub(super) const fn new(settings: Settings) -> Self {
        Self { settings, panics_since: None, most_in_panic: 0, began: false }
    }

    /// A start over more than one pod is one in panic at their count: nothing is known of the load before.
    fn begin(&mut self, now: Time, ready: u32) {
        self.began = true;
        if ready > 1 {
            (self.panics_since, self.most_in_panic) = (Some(now), ready);
        }
    }

    /// The count by the load of both windows.
    fn scale(&mut self, now: Time, stable: f64, panic: f64, ready: u32) -> u32 {
        let settings = self.settings;
        let ready = f64::from(ready.max(1));
        let (most, least) = (libm::ceil(settings.max_scale_up * ready), libm::floor(ready / settings.max_scale_down));
        let wanted = |load: f64| libm::ceil(load / settings.target);
        let limited = |load: f64| wanted(load).max(least).min(most) as u32;
        if wanted(panic) / ready >= settings.panic_threshold {
            self.panics_since = Some(now);
        } else if self.panics_since.is_some_and(|since| since + settings.stable_window < now) {
            (self.panics_since, self.most_in_panic) = (None, 0);
        }
        if self.panics_since.is_none() {
            return limited(stable);
        }
        self.most_in_panic = self.most_in_panic.max(limited(stable)).max(limited(panic));
        self.most_in_panic
    }
}

impl Autoscaler for Kpa {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        if !self.began {
            self.begin(seen.now, seen.ready);
        }
        if seen.demand.is_empty() {
            return seen.current();
        }
        let (stable, panic) =
            (seen.mean_demand(self.settings.stable_window), seen.mean_demand(self.settings.panic_window));
        self.scale(seen.now, stable, panic, seen.ready)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the tests there have it.
    fn tested(target: f64) -> Kpa {
        Kpa::new(Settings { max_scale_up: 10.0, max_scale_down: 10.0, ..Settings::shipped(target) })
    }

    fn at(seconds: i64) -> Time {
        Time::from_micros(1) + Span::from_secs(seconds)
    }

    /// Cases of knative/serving `autoscaler_test.go`, `TestAutoscalerScale`, by their labels there.
    #[test]
    fn the_published_cases_give_the_published_counts() {
        for (label, target, stable, panic, ready, expected) in [
            ("StableModeUnlimitedTBC", 181.0, 21.0, 26.0, 1, 1),
            ("0TBC", 10.0, 50.0, 49.0, 1, 5),
            ("StableModeNoChange", 10.0, 50.0, 50.0, 1, 5),
            ("StableModeNoChangeAlreadyScaled", 10.0, 50.0, 50.0, 5, 5),
            ("PanicModeDoublePodCount", 10.0, 50.0, 100.0, 1, 10),
            ("NoDataAtZeroNoAutoscale", 10.0, 0.0, 0.0, 1, 0),
        ] {
            assert_eq!(tested(target).scale(at(0), stable, panic, ready), expected, "{label}");
        }
        let mut panics = tested(1.0);
        (panics.panics_since, panics.most_in_panic) = (Some(at(-5)), 5);
        assert_eq!(panics.clone().scale(at(0), 50.0, 30.0, 5), 50, "PanicStableLargerThanPanic");
        assert_eq!(panics.scale(at(0), 20.0, 30.0, 5), 30, "PanicStableLessThanPanic");
        let slow = |rate| Kpa::new(Settings { max_scale_up: rate, max_scale_down: rate, ..Settings::shipped(1.0) });
        assert_eq!(slow(1.1).scale(at(0), 3.0, 3.1, 2), 3, "StableModeIncreaseWithSmallScaleUpRate");
        let mut slow = slow(1.1);
        slow.settings.target = 10.0;
        assert_eq!(slow.scale(at(0), 1.0, 1.0, 100), 90, "StableModeDecreaseWithSmallScaleDownRate");
    }

    #[test]
    fn test_autoscaler_rate_limit_scale_up_and_down() {
        assert_eq!(tested(10.0).scale(at(0), 1_000.0, 1_001.0, 1), 10);
        assert_eq!(tested(10.0).scale(at(0), 1_000.0, 1_001.0, 10), 100);
        assert_eq!(tested(10.0).scale(at(0), 1.0, 1.0, 100), 10);
        assert_eq!(tested(10.0).scale(at(0), 1.0, 1.0, 10), 1);
    }

    #[test]
    fn test_autoscaler_panic_then_unpanic_scale_down() {
        let mut kpa = tested(10.0);
        assert_eq!(kpa.scale(at(0), 100.0, 100.0, 1), 10);
        assert_eq!(kpa.scale(at(0), 100.0, 1_000.0, 10), 100);
        assert_eq!(kpa.scale(at(30), 1.0, 1.0, 10), 100, "still in panic");
        assert_eq!(kpa.scale(at(61), 1.0, 1.0, 10), 1);
    }

    #[test]
    fn test_autoscaler_unpanic_after_slow_increase() {
        let mut kpa = tested(1.0);
        assert_eq!(kpa.scale(at(0), 11.0, 25.0, 10), 25);
        assert_eq!(kpa.scale(at(30), 30.0, 41.0, 40), 41);
        assert_eq!(kpa.panics_since, Some(at(0)));
        assert_eq!(kpa.scale(at(62), 50.0, 56.0, 55), 50);
        assert_eq!(kpa.panics_since, None);
    }

    #[test]
    fn test_autoscaler_extend_panic_window() {
        let mut kpa = tested(1.0);
        assert_eq!(kpa.scale(at(0), 11.0, 25.0, 10), 25);
        assert_eq!(kpa.scale(at(30), 30.0, 80.0, 40), 80);
        assert_eq!(kpa.panics_since, Some(at(30)));
    }

    #[test]
    fn test_autoscaler_panic_mode_exponential_track_and_stabilize() {
        let mut kpa = tested(1.0);
        for (load, ready) in [(6.0, 1), (36.0, 6), (216.0, 36), (1_296.0, 216), (1_296.0, 1_296)] {
            assert_eq!(kpa.scale(at(0), load, load, ready), load as u32);
        }
    }

    #[test]
    fn test_start_in_panic_mode() {
        for (ready, panics) in [(0, false), (1, false), (2, true)] {
            let mut kpa = tested(100.0);
            kpa.begin(at(0), ready);
            assert_eq!(kpa.panics_since.is_some(), panics, "{ready} ready");
        }
    }
}
