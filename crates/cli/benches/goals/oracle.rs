//! What hindsight would have paid, over 22 days of steps of 5 s at a mean of 10 replicas: the time for one price of
//! violation, and how near plan and bound come for 99.9 % of a noisy day shape.

use crate::goal::Goal;
use evenkeel_core::units::Span;
use evenkeel_sim::demand;
use evenkeel_sim::oracle::{Oracle, Violation};
use evenkeel_workload::Day;
use std::hint::black_box;
use std::time::Instant;

const DAYS: i64 = 22;
const PRICES: u32 = 20;

pub(crate) fn measure() -> Vec<Goal> {
    let players = Day { duration: Span::from_secs(DAYS * 86_400), ..Day::default() }.generate().unwrap();
    let slots = demand::slots(&players, Span::from_secs(5), 0.1, 1).unwrap();
    let demand = demand::with_mean(slots, 10.0).unwrap();
    let oracle = Oracle::new(&demand, 60.0, 1, Violation::Excess);
    let began = Instant::now();
    for price in 1..=PRICES {
        black_box(oracle.at_price(f64::from(price)));
    }
    let a_price = began.elapsed().as_secs_f64() * 1e3 / f64::from(PRICES);
    let optimum = oracle.within(0.001 * demand.iter().sum::<f64>());
    vec![
        Goal::at_most("oracle_22_days_at_5_s", a_price, "ms/price", 50.0),
        Goal::at_most("oracle_cost_over_bound", (optimum.plan.cost / optimum.bound - 1.0) * 1e6, "ppm", 100.0),
    ]
}
