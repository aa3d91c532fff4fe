//! How much of the ready replicas' time was used.

use serde::Serialize;

/// Utilization that operators of GPUs aim at: below it replicas idle, above it a burst finds no room.
const BAND: std::ops::RangeInclusive<f64> = 0.70..=0.85;
/// With fewer ready replicas one more or less leaves the band.
const LARGE_FLEET: u32 = 5;

/// Demand over ready replicas, over all slots that are scored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Utilization {
    /// Ready replica-slots that carried nothing, over all ready ones; `None` where none was ready.
    pub idle_share: Option<f64>,
    /// Slots in which demand was 70 to 85 % of the ready replicas.
    pub share_of_time_in_band: f64,
    /// The same among the slots with 5 ready replicas or more; `None` where there is none.
    pub share_of_time_in_band_from_5_replicas: Option<f64>,
}

impl Utilization {
    /// Of `demand` in replicas and the `ready` ones, slot by slot.
    pub fn of(demand: &[f64], ready: &[u32]) -> Self {
        let slots = || demand.iter().copied().zip(ready.iter().copied());
        let supplied: f64 = slots().map(|(_, ready)| f64::from(ready)).sum();
        let idle: f64 = slots().map(|(demand, ready)| (f64::from(ready) - demand).max(0.0)).sum();
        Self {
            idle_share: (supplied > 0.0).then(|| idle / supplied),
            share_of_time_in_band: share_in_band(slots()).unwrap_or(0.0),
            share_of_time_in_band_from_5_replicas: share_in_band(slots().filter(|&(_, ready)| ready >= LARGE_FLEET)),
        }
    }
}

fn share_in_band(slots: impl Iterator<Item = (f64, u32)>) -> Option<f64> {
    let (mut all, mut inside) = (0u64, 0u64);
    for (demand, ready) in slots {
        all += 1;
        inside += u64::from(ready > 0 && BAND.contains(&(demand / f64::from(ready))));
    }
    (all > 0).then(|| inside as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ready_and_not_used_is_idle_and_what_is_short_is_not() {
        let found = Utilization::of(&[1.0, 3.0, 0.0, 4.0], &[2, 2, 0, 4]);
        assert_eq!(found.idle_share, Some(1.0 / 8.0));
        assert_eq!(Utilization::of(&[1.0], &[0]).idle_share, None);
    }

    #[test]
    fn the_band_has_both_of_its_borders_and_large_fleets_stand_apart() {
        // 0.5, 0.75, 0.7, 0.85 and 0.9 of 2, 4, 10, 20 and 10 replicas, and none ready.
        let found = Utilization::of(&[1.0, 3.0, 7.0, 17.0, 9.0, 0.0], &[2, 4, 10, 20, 10, 0]);
        assert_eq!(found.share_of_time_in_band, 3.0 / 6.0);
        assert_eq!(found.share_of_time_in_band_from_5_replicas, Some(2.0 / 3.0));
        assert_eq!(Utilization::of(&[3.0], &[4]).share_of_time_in_band_from_5_replicas, None);
    }
}
