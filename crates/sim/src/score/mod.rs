//! What a run cost and missed, beside what hindsight would have paid to miss as little.

mod elasticity;
mod reaction;
mod utilization;

pub use elasticity::Elasticity;
pub use utilization::Utilization;

use crate::cloud::{Bill, Cloud, Losses};
use crate::fluid::Run;
use crate::oracle::Oracle;
use crate::requests::Served;
use crate::setting::Setting;
use evenkeel_core::units::{MicroUsd, Span};
use serde::Serialize;

const SECONDS_AN_HOUR: f64 = 3_600.0;

/// One policy on one trace.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// 1 - violated / offered demand.
    pub capacity_attainment: f64,
    /// Billed, start-up included.
    pub replica_hours: f64,
    /// The same at the tier's price, or what the cloud bills if it has prices.
    pub cost_usd: f64,
    /// The cloud's bill; `None` for a cloud without prices.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bill: Option<Bill>,
    /// What nobody pays less than who misses as little as this policy did: the oracle's bound.
    pub oracle_replica_hours: f64,
    /// `replica_hours` over `oracle_replica_hours`; `None` where the oracle needs none at all.
    pub cost_over_oracle: Option<f64>,
    /// Violated demand over what the stated attainment allows: 1 uses it up.
    pub budget_used: f64,
    /// Time with any violation.
    pub violation_minutes: f64,
    /// Replicas ordered.
    pub launches: u64,
    /// What the cloud refused and took away; left out where that is nothing.
    #[serde(skip_serializing_if = "Losses::are_none")]
    pub losses: Losses,
    /// Median time that demand which rose above the ready replicas waited for enough of them; `None` where it never did.
    pub reaction_seconds: Option<f64>,
    /// How much of the ready replicas was used.
    #[serde(flatten)]
    pub utilization: Utilization,
    /// How closely supply followed demand; `None` without demand.
    pub elasticity: Option<Elasticity>,
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
    /// Judges `run` over `demand`, both as [`crate::fluid::run_on`] took and gave them.
    pub fn of(run: &Run, demand: &[f64], setting: &Setting, cloud: &Cloud, terms: &Terms) -> Self {
        let slot_seconds = setting.slot.as_secs_f64();
        let hours = |slots: f64| slots * slot_seconds / SECONDS_AN_HOUR;
        let (scored, ready) = (&demand[setting.scored_from..], &run.ready[setting.scored_from..]);
        let oracle =
            Oracle::new(scored, cloud.start_up_slots(setting), setting.minimum, setting.violation).within(run.violated);
        let replica_hours = hours(run.billed_slots);
        let oracle_replica_hours = hours(oracle.bound);
        let time = Span::from_micros(setting.slot.as_micros() * scored.len() as i64);
        let bill = cloud.pricing.map(|pricing| pricing.bill(&run.lives, setting.at(demand.len()), time));
        Self {
            capacity_attainment: run.capacity_attainment(),
            replica_hours,
            cost_usd: bill.map_or(replica_hours * terms.price_per_hour.as_micros() as f64 / 1e6, |bill| bill.usd),
            bill,
            oracle_replica_hours,
            cost_over_oracle: (oracle_replica_hours > 0.0).then(|| replica_hours / oracle_replica_hours),
            budget_used: (1.0 - run.capacity_attainment()) / (1.0 - terms.attainment),
            violation_minutes: hours(run.violated_slots as f64) * 60.0,
            launches: run.launches,
            losses: run.losses,
            reaction_seconds: reaction::median_slots(scored, ready).map(|slots| slots * slot_seconds),
            utilization: Utilization::of(scored, ready),
            elasticity: Elasticity::of(scored, ready, slot_seconds),
            served: Served::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autoscaler::{Autoscaler, Seen};
    use crate::fluid::run;
    use crate::oracle::Violation;
    use evenkeel_core::units::{Span, Time};

    struct Two;

    impl Autoscaler for Two {
        fn decide(&mut self, _: &Seen<'_>) -> u32 {
            2
        }
    }

    #[test]
    fn only_what_is_scored_counts_in_any_figure() {
        let (slot, start, violation) = (Span::from_secs(1_800), Time::default(), Violation::Excess);
        let setting = Setting { slot, start_up_slots: 0, minimum: 2, maximum: 9, scored_from: 2, start, violation };
        let demand = [9.0, 9.0, 1.5, 3.0, 1.5];
        let terms = Terms { attainment: 0.5, price_per_hour: MicroUsd::from_micros(2_000_000) };
        let of = |demand: &[f64], setting: &Setting| {
            let run = run(demand, setting, &mut Two);
            Score::of(&run, demand, setting, &Cloud::default(), &terms)
        };
        let score = of(&demand, &setting);
        assert_eq!(score, of(&demand[2..], &Setting { scored_from: 0, ..setting }));
        // Two replicas for an hour and a half, of which half of one idles in two slots of three.
        assert_eq!((score.replica_hours, score.cost_usd, score.violation_minutes), (3.0, 6.0, 30.0));
        assert_eq!((score.utilization.idle_share, score.reaction_seconds), (Some(1.0 / 6.0), Some(1_800.0)));
    }
}
