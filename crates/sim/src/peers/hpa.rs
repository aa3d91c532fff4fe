//! Kubernetes' HorizontalPodAutoscaler (`autoscaling/v2`), with a metric of the pods or with an outside one.
//!
//! Source: kubernetes/kubernetes `pkg/controller/podautoscaler/replica_calculator.go` and `horizontal.go`; its defaults:
//! sync every 15 s, tolerance 0.1, no stabilization up, 300 s down, up by the larger of 100 % and 4 pods in 15 s, down by
//! 100 % in 15 s.

use super::history::Recent;
use crate::autoscaler::{Autoscaler, Seen};
use evenkeel_core::units::{Span, Time};

const SYNC: Span = Span::from_secs(15);
const TOLERANCE: f64 = 0.1;
const DOWN_STABILIZATION: Span = Span::from_secs(300);
const UP_PODS: u32 = 4;

/// What the metrics API has of a pod.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pod {
    /// It reports.
    Reports(f64),
    /// It runs and does not report.
    Missing,
    /// It is pending: set aside.
    Pending,
}

/// The count by a metric of the pods, `current` of which are wanted.
pub(super) fn by_pods(pods: &[Pod], target: f64, current: u32) -> u32 {
    let reported = || pods.iter().filter_map(|pod| if let Pod::Reports(value) = pod { Some(*value) } else { None });
    let count = |kind: Pod| pods.iter().filter(|pod| **pod == kind).count();
    let (reporting, missing, pending) = (reported().count(), count(Pod::Missing), count(Pod::Pending));
    if reporting == 0 {
        return current;
    }
    let ratio = reported().sum::<f64>() / reporting as f64 / target;
    let sets_aside = pending > 0 && ratio > 1.0;
    if !sets_aside && missing == 0 {
        return if within_tolerance(ratio) { current } else { ceil(ratio * reporting as f64) };
    }
    // What does not report is taken for what keeps the count as it is.
    let assumed = if ratio < 1.0 { missing as f64 * target } else { 0.0 };
    let all = reporting + missing + if sets_aside { pending } else { 0 };
    let again = (reported().sum::<f64>() + assumed) / all as f64 / target;
    let turns = (ratio < 1.0 && again > 1.0) || (ratio > 1.0 && again < 1.0);
    if within_tolerance(again) || turns { current } else { ceil(again * all as f64) }
}

/// The count by an outside metric with a target for each pod (`AverageValue`).
pub(super) fn by_average_value(total: f64, target: f64, current: u32) -> u32 {
    if within_tolerance(total / (target * f64::from(current))) { current } else { ceil(total / target) }
}

fn within_tolerance(ratio: f64) -> bool {
    (ratio - 1.0).abs() <= TOLERANCE
}

fn ceil(replicas: f64) -> u32 {
    libm::ceil(replicas) as u32
}

/// What an HPA goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Metric {
    /// Load of each pod, scraped each sync.
    OfPods,
    /// The total, polled by KEDA.
    Total,
}

/// From KEDA's `pkg/scaling`: a scaler is polled each 30 s, and the HPA finds what was polled last.
const POLL: Span = Span::from_secs(30);

/// An HPA on load.
#[derive(Clone, Debug)]
pub(super) struct Hpa {
    metric: Metric,
    target: f64,
    polled: f64,
    recommended: Recent,
}

impl Hpa {
    /// Keeps the load of a replica at `target`.
    pub(super) fn new(metric: Metric, target: f64) -> Self {
        Self { metric, target, polled: 0.0, recommended: Recent::of(DOWN_STABILIZATION) }
    }

    fn of_metric(&mut self, seen: &Seen<'_>) -> u32 {
        match self.metric {
            Metric::OfPods => {
                let each = seen.mean_demand(SYNC) / f64::from(seen.ready.max(1));
                let pods = [vec![Pod::Reports(each); seen.ready as usize], vec![Pod::Pending; seen.starting as usize]];
                by_pods(&pods.concat(), self.target, seen.current())
            }
            Metric::Total => {
                if seen.is_due(POLL) {
                    self.polled = seen.mean_demand(POLL);
                }
                by_average_value(self.polled, self.target, seen.current())
            }
        }
    }

    /// Down only to the largest count recommended within the window.
    fn stabilized(&mut self, now: Time, recommended: u32, current: u32) -> u32 {
        let most = self.recommended.largest_with(now, recommended);
        if recommended >= current { recommended } else { most.min(current) }
    }
}

impl Autoscaler for Hpa {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        let current = seen.current();
        if seen.demand.is_empty() || !seen.is_due(SYNC) {
            return current;
        }
        let recommended = self.of_metric(seen);
        let stable = self.stabilized(seen.now, recommended, current);
        stable.min((2 * current).max(current + UP_PODS))
    }
}

#[cfg(test)]
mod tests {
    use super::Pod::{Missing, Pending, Reports};
    use super::*;

    /// Cases of kubernetes/kubernetes `replica_calculator_test.go`, by their names there.
    #[test]
    fn the_published_cases_for_a_metric_of_the_pods_give_the_published_counts() {
        let reports = |values: &[f64]| values.iter().map(|&value| Reports(value)).collect::<Vec<_>>();
        for (name, pods, target, current, expected) in [
            ("ScaleUpCM", reports(&[20.0, 10.0, 30.0]), 15.0, 3, 4),
            ("ScaleUpCMUnreadyHotCpuNoLessScale", reports(&[50.0, 10.0, 30.0]), 15.0, 3, 6),
            ("ScaleUpCMUnreadyHotCpuScaleWouldScaleDown", reports(&[50.0, 15.0, 30.0]), 15.0, 3, 7),
            ("ScaleUpCMExternal", reports(&[8.6]), 4.4, 1, 2),
            ("ScaleDownCM", reports(&[12.0; 5]), 20.0, 5, 3),
        ] {
            assert_eq!(by_pods(&pods, target, current), expected, "TestReplicaCalc{name}");
        }
    }

    #[test]
    fn the_published_cases_for_an_outside_metric_with_a_target_a_pod_give_the_published_counts() {
        for (name, total, target, current, expected) in [
            ("ScaleUpPerPodCMExternal", 8_600.0, 2_150.0, 3, 4),
            ("ScaleUpCMPerPodObject", 20_000.0, 5_000.0, 3, 4),
            ("ScaleDownPerPodCMExternal", 8_600.0, 2_867.0, 5, 3),
            ("ScaleDownPerPodCMObject", 6_000.0, 2_000.0, 5, 3),
        ] {
            assert_eq!(by_average_value(total, target, current), expected, "TestReplicaCalc{name}");
        }
    }

    #[test]
    fn pods_that_do_not_report_dampen_and_never_turn_the_change() {
        // Two at 1.5 of the target want three; a pending one counts as idle, and 1.0 changes nothing.
        assert_eq!(by_pods(&[Reports(1.5), Reports(1.5), Pending], 1.0, 3), 3);
        // A missing one counts as idle on the way up and as just loaded on the way down.
        assert_eq!(by_pods(&[Reports(3.0), Reports(3.0), Missing], 1.0, 3), 6);
        assert_eq!(by_pods(&[Reports(0.2), Reports(0.2), Missing], 1.0, 3), 2);
        assert_eq!(by_pods(&[Pending, Missing], 1.0, 2), 2, "no metric, no change");
    }
}
