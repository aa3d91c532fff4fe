//! How closely supply followed demand: the elasticity metrics of SPEC's Research Group (Herbst et al., ToMPECS 2018; Bauer
//! et al., TPDS 2019). The shares of time are as in BUNGEE, their tool; the accuracies are over demand as in an independent
//! port of it, where its own are plain areas.
//!
//! Demand is the least whole count of replicas that carries it, supply the ready ones. Slots without demand are left out,
//! as if those before and after them were neighbours. What the papers give as per cent are shares here.

use super::SECONDS_AN_HOUR;
use serde::Serialize;

/// Supply against demand, over the slots that have any.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Elasticity {
    /// Theta U: mean of the replicas that were short over those needed.
    pub under_provisioned_share: f64,
    /// Theta O: mean of the replicas that were too many over those needed; may exceed 1.
    pub over_provisioned_share: f64,
    /// Tau U: share of time in which replicas were short.
    pub under_provisioned_time_share: f64,
    /// Tau O: share of time in which there were too many.
    pub over_provisioned_time_share: f64,
    /// Share of time in which supply and demand did not change the same way; `None` for a single slot.
    pub instability_share: Option<f64>,
    /// Changes of supply less changes of demand: above 0 it swung more often than it had to.
    pub jitter_changes_per_hour: f64,
    /// How much nearer to demand supply was than without an autoscaler, with a count that never changes: mean demand,
    /// rounded up. The fourth root of the product of that count's two thetas and two taus over those here; `None` where
    /// one of the eight is zero.
    pub elastic_speedup: Option<f64>,
}

impl Elasticity {
    /// Of `demand` in replicas and the `ready` ones in slots of so many seconds; `None` where there is no demand.
    pub fn of(demand: &[f64], ready: &[u32], slot_seconds: f64) -> Option<Self> {
        let mean = demand.iter().sum::<f64>() / demand.len() as f64;
        let (with, without) = (Pairs::of(demand, ready), Pairs::at(demand, libm::ceil(mean)));
        let accuracy = with.accuracy()?;
        let hours = with.0.len() as f64 * slot_seconds / SECONDS_AN_HOUR;
        Some(Self {
            under_provisioned_share: accuracy.theta_u,
            over_provisioned_share: accuracy.theta_o,
            under_provisioned_time_share: accuracy.tau_u,
            over_provisioned_time_share: accuracy.tau_o,
            instability_share: with.instability(),
            jitter_changes_per_hour: with.more_changes_of_supply() as f64 / hours,
            elastic_speedup: without.accuracy().and_then(|without| without.over(&accuracy)),
        })
    }
}

/// Demand and supply of each slot, whole, where there is demand.
struct Pairs(Vec<(i64, i64)>);

struct Accuracy {
    theta_u: f64,
    theta_o: f64,
    tau_u: f64,
    tau_o: f64,
}

impl Pairs {
    fn of(demand: &[f64], ready: &[u32]) -> Self {
        let whole = demand.iter().zip(ready).map(|(&demand, &ready)| (libm::ceil(demand) as i64, i64::from(ready)));
        Self(whole.filter(|&(demand, _)| demand > 0).collect())
    }

    fn at(demand: &[f64], count: f64) -> Self {
        Self::of(demand, &vec![count as u32; demand.len()])
    }

    /// `None` without a slot.
    fn accuracy(&self) -> Option<Accuracy> {
        let mean = |of: fn(i64, i64) -> f64| {
            self.0.iter().map(|&(demand, supply)| of(demand, supply)).sum::<f64>() / self.0.len() as f64
        };
        (!self.0.is_empty()).then(|| Accuracy {
            theta_u: mean(|demand, supply| (demand - supply).max(0) as f64 / demand as f64),
            theta_o: mean(|demand, supply| (supply - demand).max(0) as f64 / demand as f64),
            tau_u: mean(|demand, supply| f64::from(u8::from(demand > supply))),
            tau_o: mean(|demand, supply| f64::from(u8::from(supply > demand))),
        })
    }

    /// Changes of demand and of supply from each slot to the next.
    fn changes(&self) -> impl Iterator<Item = (i64, i64)> {
        self.0.windows(2).map(|two| (two[1].0 - two[0].0, two[1].1 - two[0].1))
    }

    fn instability(&self) -> Option<f64> {
        let apart = self.changes().filter(|(demand, supply)| demand.signum() != supply.signum()).count();
        (self.0.len() > 1).then(|| apart as f64 / (self.0.len() - 1) as f64)
    }

    fn more_changes_of_supply(&self) -> i64 {
        self.changes().map(|(demand, supply)| i64::from(supply != 0) - i64::from(demand != 0)).sum()
    }
}

impl Accuracy {
    /// The fourth root of the four ratios' product.
    fn over(&self, other: &Self) -> Option<f64> {
        let all = |accuracy: &Self| accuracy.theta_u * accuracy.theta_o * accuracy.tau_u * accuracy.tau_o;
        let (one, two) = (all(self), all(other));
        (one > 0.0 && two > 0.0).then(|| libm::sqrt(libm::sqrt(one / two)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_metrics_of_four_slots_are_those_of_a_pencil() {
        // Whole demand 1, 2, 4, 2; supply 2, 2, 2, 4: half an hour each.
        let found = Elasticity::of(&[0.5, 2.0, 3.5, 2.0], &[2, 2, 2, 4], 1_800.0).unwrap();
        assert_eq!((found.under_provisioned_share, found.under_provisioned_time_share), (0.5 / 4.0, 0.25));
        assert_eq!((found.over_provisioned_share, found.over_provisioned_time_share), ((1.0 + 1.0) / 4.0, 0.5));
        // Demand goes up, up, down and supply stays, stays, goes up: never the same way; three changes against one.
        assert_eq!((found.instability_share, found.jitter_changes_per_hour), (Some(1.0), -2.0 / 2.0));
        // Mean demand of 2 is a count of 2: short by half once, too many by 1 of 1 once.
        let without = (0.5 / 4.0) * (1.0 / 4.0) * 0.25 * 0.25;
        let ratio = without / ((0.5 / 4.0) * (2.0 / 4.0) * 0.25 * 0.5);
        assert!((libm::pow(found.elastic_speedup.unwrap(), 4.0) - ratio).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn supply_that_is_demand_has_no_speedup_to_state_and_nothing_wrong() {
        let found = Elasticity::of(&[1.0, 3.0, 2.0], &[1, 3, 2], 5.0).unwrap();
        assert_eq!((found.under_provisioned_share, found.over_provisioned_share), (0.0, 0.0));
        assert_eq!((found.under_provisioned_time_share, found.over_provisioned_time_share), (0.0, 0.0));
        assert_eq!((found.instability_share, found.jitter_changes_per_hour), (Some(0.0), 0.0));
        assert_eq!(found.elastic_speedup, None);
    }

    #[test]
    fn slots_without_demand_are_left_out() {
        let found = Elasticity::of(&[2.0, 0.0, 2.0], &[2, 9, 1], 1_800.0).unwrap();
        assert_eq!((found.over_provisioned_share, found.under_provisioned_time_share), (0.0, 0.5));
        assert_eq!((found.instability_share, found.jitter_changes_per_hour), (Some(1.0), 1.0));
        assert_eq!(Elasticity::of(&[0.0], &[1], 5.0), None);
        assert_eq!(Elasticity::of(&[1.0], &[1], 5.0).unwrap().instability_share, None);
    }
}
