//! Kubernetes' HorizontalPodAutoscaler with a pods metric.
//!
//! Source: kubernetes/kubernetes `pkg/controller/podautoscaler/replica_calculator.go` and `horizontal.go`; defaults of
//! `autoscaling/v2`: sync 15 s, tolerance 0.1, no stabilization up, 300 s down, up by the larger of 100 % and 4 pods in 15
//! s, down by 100 % in 15 s.

use crate::fluid::{Autoscaler, Seen};
use evenkeel_core::units::{Span, Time};
use std::collections::VecDeque;

const SYNC: Span = Span::from_secs(15);
const TOLERANCE: f64 = 0.1;
const DOWN_STABILIZATION: Span = Span::from_secs(300);
const UP_PODS: u32 = 4;

/// An HPA on load a replica.
#[derive(Clone, Debug)]
pub struct Hpa {
    target: f64,
    /// What was recommended within the stabilization window, oldest first.
    recommended: VecDeque<(Time, u32)>,
    wanted: Option<u32>,
}

impl Hpa {
    /// Keeps the load a ready replica at `target`.
    pub fn new(target: f64) -> Self {
        Self { target, recommended: VecDeque::new(), wanted: None }
    }

    /// The count that the metric asks for. Pods that are not ready have no metric; they count as idle when that keeps the
    /// fleet from growing.
    fn of_metric(&self, load: f64, ready: u32, starting: u32) -> u32 {
        let current = ready + starting;
        if ready == 0 {
            return current;
        }
        let ratio = load / f64::from(ready) / self.target;
        let grows = ratio > 1.0;
        if !(grows && starting > 0) {
            return if (ratio - 1.0).abs() <= TOLERANCE { current } else { ceil(ratio * f64::from(ready)) };
        }
        let with_unready = load / f64::from(current) / self.target;
        if (with_unready - 1.0).abs() <= TOLERANCE || with_unready < 1.0 {
            return current;
        }
        ceil(with_unready * f64::from(current))
    }

    fn stabilized(&mut self, now: Time, recommended: u32, current: u32) -> u32 {
        self.recommended.push_back((now, recommended));
        while self.recommended.pop_front_if(|(at, _)| now.since(*at) > DOWN_STABILIZATION).is_some() {}
        if recommended >= current {
            return recommended;
        }
        let most = self.recommended.iter().map(|&(_, count)| count).max().unwrap_or(recommended);
        most.min(current)
    }
}

fn ceil(replicas: f64) -> u32 {
    libm::ceil(replicas) as u32
}

impl Autoscaler for Hpa {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        let current = seen.current();
        if !seen.is_due(SYNC) || seen.demand.is_empty() {
            return self.wanted.unwrap_or(current);
        }
        let load = seen.mean_demand(SYNC);
        let recommended = self.of_metric(load, seen.ready, seen.starting);
        let stable = self.stabilized(seen.now, recommended, current);
        let limited = stable.min((2 * current).max(current + UP_PODS));
        self.wanted = Some(limited);
        limited
    }
}
