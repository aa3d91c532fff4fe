//! The capacity policy in its first form: staff the measured demand, by the stated attainment, and let a level go when
//! demand has not needed it for a while (policy.md's cold line).

use super::{Advice, View, whole};
use crate::capacity::{Capacity, Service, full_batch, work_ms};
use crate::decision::Why;
use crate::observe::{Cause, Reading};
use crate::spec::{Signal, TierSpec};
use crate::units::Span;
use crate::window::{Extreme, ExtremeWindow, RatioWindow};
use serde::{Deserialize, Serialize};

/// Staffing gain by 1 - attainment: policy.md's cold line, measured on the fluid model.
const COLD_GAINS: [(f64, f64); 3] = [(0.05, 1.063), (0.01, 1.345), (0.001, 1.936)];
/// Each ended request makes what was learned from the earlier ones count this much less (theory.md: 0.98 to 0.995).
const FORGETTING: f64 = 0.995;
/// The declared profile counts as much as this many ended requests.
const PRIOR_REQUESTS: f64 = 100.0;
/// Measured figures move the declared ones by at most these factors.
const SLOWDOWN_RANGE: (f64, f64) = (0.8, 4.0);
const WORK_RANGE: (f64, f64) = (0.25, 4.0);

/// What the policy remembers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    offered: RatioWindow,
    levels: ExtremeWindow,
    slowdown: Learned,
    work: Learned,
    /// Derived from the spec alone, so it is not part of what is saved.
    #[serde(skip)]
    capacity: Capacity,
}

/// A measured figure over its declared value: recursive least squares of one ratio, with forgetting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Learned {
    measured: f64,
    declared: f64,
}

impl Learned {
    fn learn(&mut self, measured: f64, declared: f64, requests: u64) {
        let kept = libm::pow(FORGETTING, requests as f64);
        self.measured = self.measured * kept + measured;
        self.declared = self.declared * kept + declared;
    }

    /// The ratio, drawn to 1 by a prior of `PRIOR_REQUESTS` requests of `declared_each`, inside `range`.
    fn ratio(&self, declared_each: f64, range: (f64, f64)) -> f64 {
        let prior = PRIOR_REQUESTS * declared_each;
        ((self.measured + prior) / (self.declared + prior)).clamp(range.0, range.1)
    }
}

/// The staffing gain for an attainment: linear in the gain over the logarithm of 1 - A between policy.md's three
/// points, and their ends beyond.
fn staffing_gain(attainment: f64) -> f64 {
    let missed = (1.0 - attainment).clamp(COLD_GAINS[2].0, COLD_GAINS[0].0);
    let [(_, mut gain), ..] = COLD_GAINS;
    for pair in COLD_GAINS.windows(2) {
        let ((more, low), (less, high)) = (pair[0], pair[1]);
        if missed <= more {
            let way = (libm::log(more) - libm::log(missed)) / (libm::log(more) - libm::log(less));
            gain = low + (high - low) * way.min(1.0);
        }
    }
    gain
}

impl State {
    /// The demand seen stays; what was learned of the engine goes with its profile, and the tables with the tier.
    pub(super) fn carried_over(&self, old: &TierSpec, new: &TierSpec) -> Self {
        let same_engine = old.profile == new.profile && old.requests == new.requests;
        let (slowdown, work) = if same_engine { (self.slowdown, self.work) } else { Default::default() };
        let (offered, levels) = (self.offered.clone(), self.levels.clone());
        Self { offered, levels, slowdown, work, capacity: Capacity::default() }
    }

    pub(super) fn advise(&mut self, view: &View<'_>, window: Span, hold: Span) -> Advice {
        let Reading::Fresh { value: offered, .. } = view.signals.offered else {
            return Advice::blind(Signal::Offered, view.signals.offered.blind().unwrap_or(Cause::NotConfigured));
        };
        // A reading over a longer time, after a gap, counts as much as the window holds: it is a mean, not the present.
        let share = (window.as_secs_f64() / offered.over.as_secs_f64()).min(1.0);
        self.offered.push(view.now, offered.requests as f64 * share, offered.over.as_secs_f64() * share, window);
        self.learn(view);
        let Some(rate) = self.offered.ratio() else {
            return Advice::blind(Signal::Offered, Cause::FirstReading);
        };
        self.staff(view, rate, hold)
    }

    fn staff(&mut self, view: &View<'_>, rate: f64, hold: Span) -> Advice {
        let spec = view.spec;
        let slowdown = self.slowdown.ratio(pace_at(spec, 1.0), SLOWDOWN_RANGE);
        let work =
            self.work.ratio(work(spec, spec.requests.prompt_tokens.mean, spec.requests.output_tokens.mean), WORK_RANGE);
        let gain = staffing_gain(spec.attainment);
        let table =
            self.capacity.table(&spec.profile, &spec.requests, &spec.slo.objectives, spec.maximum.max(1), slowdown);
        let unachievable = table.unachievable;
        let demand = table.demand(rate * work);
        // A forecast that is no number is none: it adds nothing.
        let forecast = view.forecast.filter(|it| it.requests_per_second.is_finite());
        let forecast = forecast.map(|it| table.demand(it.requests_per_second.max(0.0) * work));
        let needed = whole(gain * demand.max(forecast.unwrap_or(0.0)));
        self.levels.push(view.now, needed, demand, hold, Extreme::Largest);
        let (level, peak) = self.levels.extreme().unwrap_or((needed, demand));
        let why = match unachievable {
            Some(metric) => {
                Why::Unachievable { metric, requests_per_second: rate, throughput_replicas: demand, slowdown }
            }
            None => Why::Demand {
                requests_per_second: rate,
                demand_replicas: demand,
                peak_demand_replicas: peak,
                staffing_gain: gain,
                slowdown,
                forecast_replicas: forecast,
            },
        };
        Advice { holding: level > needed, until: self.levels.leaves_at(hold), ..Advice::count(level, why) }
    }

    /// Corrects the declared profile by live pace, and the declared request by live token counts.
    fn learn(&mut self, view: &View<'_>) {
        if let (Some(pace), Some(&in_flight)) = (view.signals.pace.fresh(), view.signals.in_flight.fresh())
            && pace.count > 0
            && view.supply.ready > 0
        {
            let inside = in_flight as f64 / f64::from(view.supply.ready);
            let declared = pace_at(view.spec, inside) * pace.count as f64;
            self.slowdown.learn(pace.sum, declared, pace.count);
        }
        if let Some(finished) = view.signals.finished.fresh()
            && finished.succeeded > 0
        {
            let requests = view.spec.requests;
            let count = finished.succeeded as f64;
            let measured = work(view.spec, finished.prompt_tokens as f64, finished.output_tokens as f64);
            let declared = work(view.spec, requests.prompt_tokens.mean, requests.output_tokens.mean) * count;
            self.work.learn(measured, declared, finished.succeeded);
        }
    }
}

/// The declared time per output token, ms, with `inside` requests in a replica.
fn pace_at(spec: &TierSpec, inside: f64) -> f64 {
    Service::new(&spec.profile, &spec.requests).iteration_ms(inside.clamp(1.0, full_batch(&spec.profile)))
}

/// Engine time, ms, that tokens cost in a full batch where the prefix cache finds the declared share of prompts.
fn work(spec: &TierSpec, prompt_tokens: f64, output_tokens: f64) -> f64 {
    let computed = prompt_tokens * (1.0 - spec.profile.prefix_hit_share);
    work_ms(&spec.profile, &spec.requests, computed, output_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cold_line_passes_through_its_three_points_and_rises_between() {
        for (missed, gain) in COLD_GAINS {
            assert!((staffing_gain(1.0 - missed) - gain).abs() < 1e-9);
        }
        // Halfway in the logarithm of what may be missed is halfway in the gain.
        for [(more, low), (less, high)] in [[COLD_GAINS[0], COLD_GAINS[1]], [COLD_GAINS[1], COLD_GAINS[2]]] {
            assert!((staffing_gain(1.0 - libm::sqrt(more * less)) - (low + high) / 2.0).abs() < 1e-9);
        }
        assert!((staffing_gain(0.5) - 1.063).abs() < 1e-12);
        assert!((staffing_gain(0.99999) - 1.936).abs() < 1e-12);
    }

    #[test]
    fn a_few_slow_requests_hardly_move_the_declared_profile_and_many_do() {
        let mut learned = Learned::default();
        learned.learn(2.0 * 10.0 * 5.0, 10.0 * 5.0, 5);
        assert!(learned.ratio(10.0, SLOWDOWN_RANGE) < 1.06);
        for _ in 0..200 {
            learned.learn(2.0 * 10.0 * 5.0, 10.0 * 5.0, 5);
        }
        assert!(learned.ratio(10.0, SLOWDOWN_RANGE) > 1.6);
    }
}
