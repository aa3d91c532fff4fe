//! What the demand would have cost those who know more than any autoscaler: the oracle at three attainments and at the one
//! that was asked for, and the causal floor at that one.

use crate::compare::World;
use crate::demand::MeanCurve;
use crate::oracle::floor::Floor;
use crate::oracle::{Optimum, Oracle};
use serde::Serialize;

const SECONDS_AN_HOUR: f64 = 3_600.0;
/// The attainments that reports draw: each but the first allows a fifth or a tenth of the misses of the one before.
const FRONTIER: [f64; 3] = [0.95, 0.99, 0.999];

/// Replica hours that an attainment costs in hindsight, start-up included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct HindsightPoint {
    /// 1 - violated / offered demand, at least.
    pub attainment: f64,
    /// Of the best plan of whole replicas.
    pub replica_hours: f64,
    /// No plan takes fewer.
    pub bound_replica_hours: f64,
    /// The plan's, at the tier's price, or at the cloud's if it has one: its spot price where replicas run on spot.
    pub cost_usd: f64,
}

/// What hindsight pays.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hindsight {
    /// For 95, 99 and 99.9 %.
    pub frontier: Vec<HindsightPoint>,
    /// For what was asked.
    pub asked: HindsightPoint,
    /// Replica hours for the same of one who knows the mean of demand and not its noise; `None` where the mean is not known,
    /// or where noise that nobody foresees breaks the attainment at any price.
    pub causal_floor_replica_hours: Option<f64>,
}

impl Hindsight {
    /// Over the slots of `world` that are scored; `mean` as [`mean_curve`](crate::demand::mean_curve) has it, in replicas.
    pub fn of(world: &World<'_>, mean: Option<&MeanCurve>) -> Self {
        let setting = world.setting;
        let demand = &world.demand[setting.scored_from..];
        let start_up_slots = world.cloud.start_up_slots(setting);
        let oracle = Oracle::new(demand, start_up_slots, setting.minimum, setting.violation);
        let hours = |slots: f64| slots * setting.slot.as_secs_f64() / SECONDS_AN_HOUR;
        let asked = world.terms.attainment;
        let tier_price = world.terms.price_per_hour.as_usd_f64();
        let spot = world.cloud.weather.spot.is_some();
        let price = world.cloud.pricing.map_or(tier_price, |pricing| pricing.per_replica_hour_usd(spot));
        let point = |attainment: f64| {
            let Optimum { plan, bound } = oracle.within((1.0 - attainment) * demand.iter().sum::<f64>());
            let replica_hours = hours(plan.cost);
            let cost_usd = replica_hours * price;
            HindsightPoint { attainment, replica_hours, bound_replica_hours: hours(bound), cost_usd }
        };
        let budget = (1.0 - asked) * demand.iter().sum::<f64>();
        let floor =
            mean.and_then(|mean| Floor::new(oracle, &mean.values[setting.scored_from..], mean.noise_cv).within(budget));
        let frontier = FRONTIER.iter().map(|&attainment| point(attainment)).collect();
        Self { frontier, asked: point(asked), causal_floor_replica_hours: floor.map(|plan| hours(plan.cost)) }
    }
}
