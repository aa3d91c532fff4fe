//! What a run cost and missed, beside what hindsight would have paid to miss as little.

use crate::fluid::{Run, Setting};
use crate::oracle::Oracle;
use crate::requests::Served;
use evenkeel_core::units::MicroUsd;
use serde::Serialize;

const SECONDS_AN_HOUR: f64 = 3_600.0;

/// One policy on one trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// 1 - violated / offered demand.
    pub capacity_attainment: f64,
    /// Billed, start-up included.
    pub replica_hours: f64,
    /// The same at the tier's price.
    pub cost_usd: f64,
    /// What the oracle pays to miss as little as this policy did.
    pub oracle_replica_hours: f64,
    /// `replica_hours` over `oracle_replica_hours`.
    pub cost_over_oracle: f64,
    /// Violated demand over what the stated attainment allows: 1 uses it up.
    pub budget_used: f64,
    /// Time with any violation.
    pub violation_minutes: f64,
    /// Replicas ordered.
    pub launches: u64,
    /// What single requests saw.
    #[serde(flatten)]
    pub served: Served,
}

/// What a run is judged by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// Attainment that was asked for, below 1.
    pub attainment: f64,
    /// What a replica costs an hour.
    pub price_per_hour: MicroUsd,
}

impl Score {
    /// Judges `run` over `demand`, both as [`crate::fluid::run`] took and gave them.
    pub fn of(run: &Run, demand: &[f64], setting: &Setting, terms: &Terms) -> Self {
        let hours = |slots: f64| slots * setting.slot.as_secs_f64() / SECONDS_AN_HOUR;
        let scored = &demand[setting.scored_from..];
        let oracle = Oracle::new(scored, f64::from(setting.start_up_slots), setting.minimum, setting.violation)
            .within(run.violated);
        let replica_hours = hours(run.billed_slots);
        let oracle_replica_hours = hours(oracle.plan.cost);
        Self {
            capacity_attainment: run.capacity_attainment(),
            replica_hours,
            cost_usd: replica_hours * terms.price_per_hour.as_micros() as f64 / 1e6,
            oracle_replica_hours,
            cost_over_oracle: replica_hours / oracle_replica_hours,
            budget_used: (1.0 - run.capacity_attainment()) / (1.0 - terms.attainment),
            violation_minutes: hours(run.violated_slots as f64) * 60.0,
            launches: run.launches,
            served: Served::default(),
        }
    }
}
