//! Objective attainment, live: the share of one-minute windows, weighted by offered requests, in which every objective's
//! quantile was inside its bound and nothing failed. A window in which requests came and none ended says nothing yet: it
//! goes on until one has, ten minutes at most, and then it is bad. (Capacity attainment is another figure and is never mixed
//! with it.)

use evenkeel_core::observe::Signals;
use evenkeel_core::spec::Slo;
use evenkeel_core::units::{Span, Time};
use serde::Serialize;

/// A window without an end to any of its requests is judged after this long.
const LONGEST_WINDOW: Span = Span::from_secs(600);

/// Counts windows for one tier.
#[derive(Clone, Debug)]
pub struct ObjectiveAttainment {
    window: Span,
    started: Option<Time>,
    offered: u64,
    failed: u64,
    /// For each objective: counted, above.
    objectives: Vec<(u64, u64)>,
    judged: Attained,
}

/// What was attained so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Attained {
    /// Offered requests in windows that were judged.
    pub offered: u64,
    /// Of these, in windows that met everything.
    pub offered_in_good_windows: u64,
    /// Windows judged.
    pub windows: u64,
    /// Of these, good ones.
    pub good_windows: u64,
}

impl Attained {
    /// The attainment, 0 to 1; `None` before the first window with a request in it ends.
    pub fn share(&self) -> Option<f64> {
        (self.offered > 0).then(|| self.offered_in_good_windows as f64 / self.offered as f64)
    }
}

impl ObjectiveAttainment {
    /// Windows of one minute.
    pub fn new() -> Self {
        Self {
            window: Span::from_secs(60),
            started: None,
            offered: 0,
            failed: 0,
            objectives: Vec::new(),
            judged: Attained::default(),
        }
    }

    /// Takes in one tick's signals.
    pub fn take(&mut self, now: Time, slo: &Slo, signals: &Signals) {
        let started = *self.started.get_or_insert(now);
        let age = now.since(started);
        if age >= self.window && (!self.says_nothing() || age >= LONGEST_WINDOW) {
            self.judge(slo);
            self.started = Some(now);
        }
        self.objectives.resize(slo.objectives.len(), (0, 0));
        self.offered += signals.offered.fresh().map_or(0, |it| it.requests);
        self.failed += signals.finished.fresh().map_or(0, |it| it.failed);
        for (counted, latency) in self.objectives.iter_mut().zip(&signals.latency) {
            if let Some(latency) = latency.fresh() {
                *counted = (counted.0 + latency.count, counted.1 + latency.above);
            }
        }
    }

    /// Requests came, none failed, and an objective has nothing to be measured on.
    fn says_nothing(&self) -> bool {
        self.offered > 0 && self.failed == 0 && self.objectives.iter().any(|&(count, _)| count == 0)
    }

    fn judge(&mut self, slo: &Slo) {
        let met = !self.says_nothing()
            && slo.objectives.iter().zip(&self.objectives).all(|(objective, &(count, above))| {
                // 1 - 0.9 is a little less than a tenth.
                above as f64 <= (1.0 - objective.quantile) * count as f64 + 1e-6
            });
        if self.offered > 0 {
            let good = met && self.failed == 0;
            self.judged.offered += self.offered;
            self.judged.offered_in_good_windows += if good { self.offered } else { 0 };
            self.judged.windows += 1;
            self.judged.good_windows += u64::from(good);
        }
        (self.offered, self.failed) = (0, 0);
        self.objectives.clear();
    }

    /// What was attained so far.
    pub const fn attained(&self) -> Attained {
        self.judged
    }
}

impl Default for ObjectiveAttainment {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_core::observe::{Latency, Offered, Reading};
    use evenkeel_core::spec::{LatencyMetric, Objective};

    /// A request in each of so many seconds; ten ends, so many `above`, in those that `ends` tells.
    fn attained(seconds: i64, ends: impl Fn(i64) -> bool, above: u64) -> Attained {
        let objective = Objective { metric: LatencyMetric::QueueTime, quantile: 0.9, bound: Span::from_secs(1) };
        let slo = Slo { objectives: vec![objective] };
        let mut attainment = ObjectiveAttainment::new();
        for second in 0..=seconds {
            let at = Time::from_micros(second * 1_000_000);
            let count = if ends(second) { 10 } else { 0 };
            let latency = Latency { count, above: above.min(count), ..Latency::default() };
            let offered = Offered { requests: 1, prompt_tokens: 0, over: Span::from_secs(1) };
            let signals = Signals {
                offered: Reading::Fresh { value: offered, at },
                latency: vec![Reading::Fresh { value: latency, at }],
                ..Signals::default()
            };
            attainment.take(at, &slo, &signals);
        }
        attainment.attained()
    }

    #[test]
    fn one_of_ten_may_be_late_at_p90() {
        assert_eq!((attained(120, |_| true, 1).good_windows, attained(120, |_| true, 2).good_windows), (2, 0));
    }

    #[test]
    fn a_window_in_which_nothing_ended_goes_on_until_something_has() {
        let late = attained(120, |second| second > 90, 0);
        assert_eq!((late.windows, late.good_windows), (1, 1));
        assert_eq!(attained(599, |_| false, 0).share(), None, "nobody can tell");
        assert_eq!(attained(600, |_| false, 0).share(), Some(0.0), "nothing ended in ten minutes");
    }
}
