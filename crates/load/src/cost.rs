//! What the replicas cost while a run lasted.

use crate::fleet_point::FleetPoint;
use crate::scaling::usual_distance;
use serde::{Deserialize, Serialize};

/// A sample's price is taken to hold on at most for so many usual distances of samples; beyond that nothing is known.
const HOLDS_FACTOR: f64 = 5.0;

/// Money spent, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// US dollars.
    pub usd: f64,
    /// How long the price was known.
    pub known_seconds: f64,
}

impl Cost {
    /// The price of each sample, held until the next; `None` where none told a price.
    pub(crate) fn of(points: &[FleetPoint]) -> Option<Self> {
        points.iter().any(|point| point.cost_usd_per_hour.is_some()).then(|| {
            let longest = HOLDS_FACTOR * usual_distance(points);
            let held = points.windows(2).filter_map(|pair| {
                let seconds = pair[1].at_seconds - pair[0].at_seconds;
                Some((pair[0].cost_usd_per_hour?, seconds.min(longest)))
            });
            held.fold(Self::default(), |sum, (usd_per_hour, seconds)| Self {
                usd: sum.usd + usd_per_hour * seconds / 3_600.0,
                known_seconds: sum.known_seconds + seconds,
            })
        })
    }

    /// All tiers' cost; the time known is that of the tier of which least is known. `None` unless every tier has one.
    pub(crate) fn sum(tiers: impl Iterator<Item = Option<Self>>) -> Option<Self> {
        let costs = tiers.collect::<Option<Vec<_>>>()?;
        let known_seconds = costs.iter().map(|cost| cost.known_seconds).reduce(f64::min)?;
        Some(Self { usd: costs.iter().map(|cost| cost.usd).sum(), known_seconds })
    }

    /// For a thousand requests; `None` for no request.
    pub fn per_thousand(self, requests: u64) -> Option<f64> {
        (requests > 0).then(|| self.usd * 1_000.0 / requests as f64)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(second: u32, cost_usd_per_hour: Option<f64>) -> FleetPoint {
        FleetPoint { at_seconds: f64::from(second), cost_usd_per_hour, ..FleetPoint::default() }
    }

    #[test]
    fn each_sample_s_price_holds_until_the_next() {
        let cost = Cost::of(&[at(0, Some(1.0)), at(1_800, Some(3.0)), at(3_600, Some(9.0))]).unwrap();
        assert!((cost.usd - 2.0).abs() < 1e-9 && cost.known_seconds == 3_600.0, "{cost:?}");
        assert_eq!(cost.per_thousand(4_000), Some(0.5));
        assert_eq!(cost.per_thousand(0), None);
    }

    #[test]
    fn what_is_not_known_costs_nothing_and_is_told_by_the_time_known() {
        assert_eq!(Cost::of(&[at(0, None), at(1, None)]), None);
        let cost = Cost::of(&[at(0, Some(3_600.0)), at(1, None), at(2, Some(3_600.0)), at(3, None)]).unwrap();
        assert!((cost.usd - 2.0).abs() < 1e-9 && cost.known_seconds == 2.0, "{cost:?}");
        // A controller that was away for a minute: five seconds of it are taken for granted.
        let cost = Cost::of(&[at(0, Some(1.0)), at(1, Some(1.0)), at(61, Some(1.0)), at(62, Some(1.0))]).unwrap();
        assert_eq!(cost.known_seconds, 7.0);
    }

    #[test]
    fn a_fleet_costs_what_its_tiers_do_and_is_unknown_when_one_of_them_is() {
        let tier = |usd| Some(Cost { usd, known_seconds: 10.0 });
        assert_eq!(Cost::sum([tier(1.0), tier(2.0)].into_iter()).unwrap().usd, 3.0);
        assert_eq!(Cost::sum([tier(1.0), None].into_iter()), None);
        assert_eq!(Cost::sum(std::iter::empty()), None);
    }
}
