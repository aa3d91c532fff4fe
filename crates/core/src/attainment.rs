//! Objective attainment: the share of windows, weighted by offered requests, in which each objective's quantile was
//! inside its bound and nothing failed. A request belongs to the window in which it was to be sent.

use crate::spec::Objective;
use crate::units::Span;
use alloc::vec;
use alloc::vec::Vec;

/// Values counted against a bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BoundCount {
    /// Values.
    pub count: u64,
    /// Those above the bound.
    pub above: u64,
}

impl BoundCount {
    /// One value more.
    pub fn add(&mut self, is_above: bool) {
        self.count += 1;
        self.above += u64::from(is_above);
    }

    /// Whether the quantile is at or below the bound: the smallest value that at least `quantile` of all values do not
    /// exceed (nearest rank). `failed` requests have no value and count as above every bound.
    pub fn holds(self, quantile: f64, failed: u64) -> bool {
        let all = (self.count + failed) as f64;
        let within = (self.count - self.above) as f64;
        // The product may miss a whole number by a rounding error.
        within + 1e-9 >= quantile * all
    }
}

/// One tier's windows.
#[derive(Debug)]
pub struct Windows {
    length: Span,
    objectives: Vec<Objective>,
    windows: Vec<Window>,
}

#[derive(Clone, Debug, Default)]
struct Window {
    offered: u64,
    failed: u64,
    /// One for each objective.
    values: Vec<BoundCount>,
}

/// One tier's objective attainment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attainment {
    /// Offered requests in windows in which all held, over all offered requests.
    pub share: f64,
    /// Windows in which all held.
    pub held: u64,
    /// Windows with requests.
    pub windows: u64,
}

impl Windows {
    /// None yet, each `length` long.
    pub fn new(length: Span, objectives: Vec<Objective>) -> Self {
        Self { length, objectives, windows: Vec::new() }
    }

    /// A request was to be sent at `at`.
    pub fn offered(&mut self, at: Span) {
        self.window(at).offered += 1;
    }

    /// The request that was to be sent at `at` failed.
    pub fn failed(&mut self, at: Span) {
        self.window(at).failed += 1;
    }

    /// A value of the objective with this index, of the request that was to be sent at `at`.
    pub fn value(&mut self, at: Span, objective: usize, is_above: bool) {
        self.values(at, objective, BoundCount { count: 1, above: u64::from(is_above) });
    }

    /// Several values at once.
    pub fn values(&mut self, at: Span, objective: usize, values: BoundCount) {
        if let Some(count) = self.window(at).values.get_mut(objective) {
            count.count += values.count;
            count.above += values.above;
        }
    }

    /// `None` when nothing was offered.
    pub fn attainment(&self) -> Option<Attainment> {
        let busy = || self.windows.iter().filter(|window| window.offered > 0);
        let held = || busy().filter(|window| self.held(window));
        let weight = |windows: u64, window: &Window| windows + window.offered;
        let offered = busy().fold(0, weight);
        let share = held().fold(0, weight) as f64 / offered as f64;
        (offered > 0).then(|| Attainment { share, held: held().count() as u64, windows: busy().count() as u64 })
    }

    /// An objective that was never measured; attainment then says nothing about it.
    pub fn unmeasured(&self) -> Option<&Objective> {
        let measured = |index: usize| self.windows.iter().any(|window| window.values[index].count > 0);
        self.objectives.iter().enumerate().find(|(index, _)| !measured(*index)).map(|(_, objective)| objective)
    }

    /// What is judged, in the tier's order.
    pub fn objectives(&self) -> &[Objective] {
        &self.objectives
    }

    fn held(&self, window: &Window) -> bool {
        let holds = |(objective, values): (&Objective, &BoundCount)| values.holds(objective.quantile, 0);
        window.failed == 0 && self.objectives.iter().zip(&window.values).all(holds)
    }

    fn window(&mut self, at: Span) -> &mut Window {
        let index = usize::try_from(at.as_micros() / self.length.as_micros().max(1)).unwrap_or(0);
        if index >= self.windows.len() {
            let empty = Window { values: vec![BoundCount::default(); self.objectives.len()], ..Window::default() };
            self.windows.resize(index + 1, empty);
        }
        &mut self.windows[index]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::spec::LatencyMetric;

    fn minute(index: i64) -> Span {
        Span::from_secs(60 * index + 30)
    }

    fn windows() -> Windows {
        let bound = Span::from_millis(250);
        let objective = Objective { metric: LatencyMetric::Ttft, quantile: 0.9, bound };
        Windows::new(Span::from_secs(60), vec![objective])
    }

    /// Offers `within` requests inside the bound and `above` beyond it.
    fn offer(windows: &mut Windows, at: Span, within: u64, above: u64) {
        for index in 0..within + above {
            windows.offered(at);
            windows.value(at, 0, index >= within);
        }
    }

    #[test]
    fn a_quantile_at_its_bound_holds_and_one_value_more_breaks_it() {
        assert!(BoundCount { count: 10, above: 1 }.holds(0.9, 0));
        assert!(!BoundCount { count: 10, above: 2 }.holds(0.9, 0));
        assert!(BoundCount { count: 100, above: 5 }.holds(0.95, 0));
        // A failed request is above every bound.
        assert!(!BoundCount { count: 100, above: 5 }.holds(0.95, 1));
    }

    #[test]
    fn windows_weigh_by_their_requests() {
        let mut windows = windows();
        offer(&mut windows, minute(0), 90, 10);
        offer(&mut windows, minute(1), 89, 11);
        offer(&mut windows, minute(2), 300, 0);
        let seen = windows.attainment().unwrap();
        assert_eq!(seen, Attainment { share: 0.8, held: 2, windows: 3 });
    }

    #[test]
    fn one_failed_request_spoils_its_window_only() {
        let mut windows = windows();
        offer(&mut windows, minute(0), 50, 0);
        offer(&mut windows, minute(1), 49, 0);
        windows.offered(minute(1));
        windows.failed(minute(1));
        assert_eq!(windows.attainment().unwrap().share, 0.5);
    }

    #[test]
    fn a_window_without_requests_counts_neither_way() {
        let mut windows = windows();
        offer(&mut windows, minute(5), 10, 0);
        assert_eq!(windows.attainment().unwrap(), Attainment { share: 1.0, held: 1, windows: 1 });
        assert_eq!(self::windows().attainment(), None);
    }

    #[test]
    fn an_objective_without_a_single_value_is_named() {
        let mut windows = windows();
        windows.offered(minute(0));
        assert_eq!(windows.unmeasured().unwrap().metric, LatencyMetric::Ttft);
        windows.value(minute(0), 0, false);
        assert_eq!(windows.unmeasured(), None);
    }
}
