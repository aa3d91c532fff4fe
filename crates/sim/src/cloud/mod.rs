//! The cloud under the simulator: how long a start takes, what is refused and taken away, what is billed, and how old a metric
//! is when it is read.
//!
//! Data alone; `Instances` plays it, for both models alike. The default cloud has a fixed start-up, no weather, and the
//! tier's own price for each replica.

mod bill;
mod instances;
mod pipeline;
mod prices;
mod start_up;
mod weather;

pub use bill::{Bill, Life, MINIMUM, Pricing, VOLUME_USD_PER_GB_MONTH};
pub use instances::Losses;
pub(crate) use instances::{Event, Instance, Instances, Place};
pub(crate) use pipeline::OnItsWay;
pub use pipeline::{Pipeline, UnknownPipeline};
pub use prices::{PRICES, Price, price};
pub use start_up::{Preset, Stage, StartUp, UnknownStartUp};
pub use weather::{NOTICE, Spot, Weather};

use crate::setting::Setting;
use evenkeel_core::units::Span;

/// What all policies of a comparison run on.
///
/// The oracle is billed the mean start-up and knows no weather: it pays for capacity that a cloud in trouble would not have
/// given, so beside a weather `cost_over_oracle` also tells what the weather cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cloud {
    /// From a replica's order to ready; `None` for the fixed one of the [`Setting`].
    pub start_up: Option<StartUp>,
    /// What is refused and taken away.
    pub weather: Weather,
    /// What replicas run on; `None` for the tier's own price for each.
    pub pricing: Option<Pricing>,
    /// How Evenkeel reads what is offered. Peers have their own ways.
    pub pipeline: Pipeline,
    /// A reading older than this is stale to Evenkeel, as the fleet file's `controller.freshness`; `None` where none is.
    pub freshness: Option<Span>,
    /// Of everything that is drawn here.
    pub seed: u64,
}

impl Cloud {
    /// Mean slots from a replica's order to ready.
    pub fn start_up_slots(&self, setting: &Setting) -> f64 {
        match self.start_up {
            Some(start_up) => start_up.mean().as_secs_f64() / setting.slot.as_secs_f64(),
            None => f64::from(setting.start_up_slots),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Violation;
    use evenkeel_core::units::Time;

    #[test]
    fn the_oracle_is_billed_the_mean_start_up_which_is_above_the_median() {
        let (slot, start, violation) = (Span::from_secs(10), Time::default(), Violation::Excess);
        let setting = Setting { slot, start_up_slots: 18, minimum: 1, maximum: 9, scored_from: 0, start, violation };
        let slots = |start_up| Cloud { start_up, ..Cloud::default() }.start_up_slots(&setting);
        assert_eq!((slots(None), slots(Some(StartUp::Fixed(Span::from_secs(65))))), (18.0, 6.5));
        // 25 s e^(0.38^2 / 2) and 45 s e^(0.2^2 / 2), where the medians add up to 70.
        let process = slots(Some(StartUp::Staged(Preset::Process)));
        assert!((process - (2.6872 + 4.5909)).abs() < 1e-4, "{process}");
    }
}
