//! The oracle's bound against a linear programme that knows nothing of prices, levels that nest or two states: a variable
//! for each level and slot, free between off and on, solved by an independent solver.

#![allow(clippy::unwrap_used)]

use evenkeel_sim::oracle::{Oracle, Violation};
use evenkeel_workload::random::Stream;
use microlp::{ComparisonOp, LinearExpr, OptimizationDirection, Problem, Variable};

const INSTANCES: u64 = 1_000;
/// How far bound and programme may lie apart, as a share.
const TOLERANCE: f64 = 1e-9;

struct Instance {
    demand: Vec<f64>,
    start_up_slots: f64,
    minimum: u32,
    budget: f64,
}

impl Instance {
    /// A few slots with a few levels; every fifth instance may miss nothing, every fourth demands whole replicas, so that
    /// many plans are as good as each other.
    fn drawn(seed: u64) -> Self {
        let mut stream = Stream::named(seed, "oracle", "instances of the linear programme");
        let slots = 1 + (20.0 * stream.uniform()) as usize;
        let peak = 5.0 * stream.uniform();
        let whole = seed.is_multiple_of(4);
        let demand: Vec<f64> = (0..slots)
            .map(|_| peak * stream.uniform())
            .map(|value| if whole { libm::round(value) } else { value })
            .collect();
        let start_up_slots = libm::round(6.0 * stream.uniform());
        let minimum = (3.0 * stream.uniform()) as u32;
        let share = if seed.is_multiple_of(5) { 0.0 } else { 0.5 * stream.uniform() };
        let budget = share * demand.iter().sum::<f64>();
        Self { demand, start_up_slots, minimum, budget }
    }

    fn bound(&self) -> f64 {
        Oracle::new(&self.demand, self.start_up_slots, self.minimum, Violation::Excess).within(self.budget).bound
    }

    /// The optimum of `min sum y + s * sum started` with `started_kt >= y_kt - y_k(t-1)` and the violations within the budget.
    fn optimum(&self) -> f64 {
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let peak = self.demand.iter().copied().fold(0.0, f64::max);
        let (mut served, mut needed) = (LinearExpr::empty(), 0.0);
        for level in self.minimum..libm::ceil(peak) as u32 {
            let mut before: Option<Variable> = None;
            for &demand in &self.demand {
                let on = problem.add_var(1.0, (0.0, 1.0));
                let part = (demand - f64::from(level)).clamp(0.0, 1.0);
                served.add(on, part);
                needed += part;
                if let Some(before) = before {
                    let started = problem.add_var(self.start_up_slots, (0.0, f64::INFINITY));
                    problem.add_constraint([(started, 1.0), (on, -1.0), (before, 1.0)], ComparisonOp::Ge, 0.0);
                }
                before = Some(on);
            }
        }
        problem.add_constraint(served, ComparisonOp::Ge, needed - self.budget);
        let always_on = f64::from(self.minimum) * self.demand.len() as f64;
        always_on + problem.solve().unwrap().into_solution().unwrap().objective()
    }
}

#[test]
fn the_bound_is_the_optimum_of_the_linear_programme_by_levels() {
    for seed in 0..INSTANCES {
        let instance = Instance::drawn(seed);
        let (bound, optimum) = (instance.bound(), instance.optimum());
        assert!((bound - optimum).abs() <= TOLERANCE * optimum.max(1.0), "seed {seed}: {bound} against {optimum}");
    }
}
