//! NVIDIA Dynamo's planner on aggregated engines, with latencies as its objective (`optimization_target: sla`).
//!
//! Source: ai-dynamo/dynamo `components/src/dynamo/planner`: `core/load_scaling.py`@0c6da1e,
//! `core/throughput_scaling.py`@1b55410, `core/state_machine.py`@0272cbd, `core/perf_model/agg.py`@518a702,
//! `config/defaults.py`@1ca6015. Two loops. Each 180 s **throughput** scaling sets what the requests of the last
//! interval need (the `constant` predictor; the default, an ARIMA whose order a library picks from the first five
//! intervals, is not to be had here), at most 8 replicas from where it is. Each 5 s **load** scaling adds a replica or
//! lets one go by the latencies that it estimates. With both on, the first is the floor under the second. While
//! replicas start nothing changes. Objectives that the tier does not state are as shipped: 500 ms to the first token,
//! 50 ms between two. What the planner fits to benchmarks and to each engine's forward passes it is given here: the
//! profile, as the straight line that its regression is.

mod load;
mod regression;
mod throughput;

use super::engine_load::SteadyState;
use crate::autoscaler::{Autoscaler, EngineLoad, Seen};
use evenkeel_core::spec::{LatencyMetric, TierSpec};
use evenkeel_core::units::Span;
use load::Engine;
use regression::Model;
use throughput::Limits;

const LOAD_INTERVAL: Span = Span::from_secs(5);
const THROUGHPUT_INTERVAL: Span = Span::from_secs(180);
const TTFT_MS: f64 = 500.0;
const ITL_MS: f64 = 50.0;

/// Latencies that are to be kept, ms.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Sla {
    ttft_ms: f64,
    itl_ms: f64,
}

impl Sla {
    /// What `tier` states, or else what is shipped, both times `share`.
    fn of(tier: &TierSpec, share: f64) -> Self {
        let bound = |metrics: &[LatencyMetric]| {
            let stated = tier.slo.objectives.iter().filter(|it| metrics.contains(&it.metric));
            stated.map(|it| it.bound.as_millis_f64()).reduce(f64::min)
        };
        Self {
            ttft_ms: share * bound(&[LatencyMetric::Ttft]).unwrap_or(TTFT_MS),
            itl_ms: share * bound(&[LatencyMetric::Tpot, LatencyMetric::Itl]).unwrap_or(ITL_MS),
        }
    }
}

/// Which of its loops run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::peers) enum Loops {
    /// `enable_load_scaling` alone.
    Load,
    /// `enable_throughput_scaling` alone.
    Throughput,
    /// Both: throughput sets the floor under load.
    Both,
}

/// Dynamo's planner.
#[derive(Clone, Debug)]
pub(in crate::peers) struct Planner<'a> {
    engine: &'a SteadyState,
    loops: Loops,
    sla: Sla,
    /// Requests a second that one engine carries inside the objectives.
    engine_rate: f64,
    /// What throughput scaling last set.
    floor: u32,
}

impl<'a> Planner<'a> {
    /// Keeps the latencies at `share` of the objectives.
    pub(in crate::peers) fn new(engine: &'a SteadyState, loops: Loops, share: f64) -> Self {
        let (tier, sla) = (engine.tier(), Sla::of(engine.tier(), share));
        let engine_rate = throughput::engine_rate(&Limits::of(tier), &Model::unloaded(tier), sla);
        Self { engine, loops, sla, engine_rate, floor: 1 }
    }

    /// What the last interval's requests need.
    fn by_throughput(&self, seen: &Seen<'_>) -> u32 {
        let offered = self.engine.requests_per_second(seen.mean_demand(THROUGHPUT_INTERVAL));
        throughput::capped(throughput::by_rate(offered, self.engine_rate), seen.ready)
    }

    /// What the last forward passes suggest.
    fn by_load(&self, seen: &Seen<'_>) -> u32 {
        let Some(load) = self.engine.loads(seen, LOAD_INTERVAL).last() else { return seen.ready };
        let tier = self.engine.tier();
        let engine = Engine {
            queued_prefill_tokens: load.waiting * tier.requests.prompt_tokens.mean,
            decode_kv_tokens: load.kv_share * f64::from(tier.profile.kv_tokens),
        };
        load::by_load(&[engine], &model(tier, &load), self.sla, seen.ready)
    }
}

/// The regression with the averages of engines that bear this load.
fn model(tier: &TierSpec, load: &EngineLoad) -> Model {
    let computed = tier.requests.prompt_tokens.mean * (1.0 - tier.profile.prefix_hit_share);
    let batched = f64::from(tier.profile.max_batched_tokens);
    let held = load.kv_share * f64::from(tier.profile.kv_tokens);
    Model {
        prefill_tokens: (load.requests_per_second * load.itl_seconds * computed).min(batched),
        context_tokens: if load.running > 0.0 { held / load.running } else { 0.0 },
        ..Model::unloaded(tier)
    }
}

impl Autoscaler for Planner<'_> {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        if seen.demand.is_empty() {
            return seen.current();
        }
        if self.loops != Loops::Load && seen.is_due(THROUGHPUT_INTERVAL) {
            self.floor = self.by_throughput(seen);
        }
        let due = match self.loops {
            Loops::Throughput => seen.is_due(THROUGHPUT_INTERVAL),
            Loops::Load | Loops::Both => seen.is_due(LOAD_INTERVAL),
        };
        if !due || seen.starting > 0 {
            return seen.current();
        }
        match self.loops {
            Loops::Load => self.by_load(seen),
            Loops::Throughput => self.floor,
            Loops::Both => self.by_load(seen).max(self.floor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::engine_load::tests::tier;
    use super::*;
    use crate::fluid::run;
    use crate::oracle::Violation;
    use crate::setting::Setting;
    use evenkeel_core::units::Time;

    fn ready(demand: &[f64], loops: Loops) -> Vec<u32> {
        let engine = SteadyState::new(&tier());
        let (slot, start, violation) = (Span::from_secs(5), Time::default(), Violation::Excess);
        let setting = Setting { slot, start_up_slots: 0, minimum: 1, maximum: 50, scored_from: 0, start, violation };
        run(demand, &setting, &mut Planner::new(&engine, loops, 1.0)).ready
    }

    /// Ten minutes of little, ten of much, ten of little.
    fn step() -> Vec<f64> {
        [vec![1.0; 120], vec![8.0; 120], vec![1.0; 120]].concat()
    }

    #[test]
    fn load_moves_by_one_each_five_seconds() {
        let ready = ready(&step(), Loops::Load);
        assert!(ready.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 1), "{ready:?}");
        assert!(ready[122] > ready[119] && ready[239] > 4 && ready[359] < ready[239], "{ready:?}");
    }

    #[test]
    fn throughput_moves_each_three_minutes_to_what_the_last_three_needed() {
        let ready = ready(&step(), Loops::Throughput);
        let moved: Vec<usize> = (1..ready.len()).filter(|&slot| ready[slot] != ready[slot - 1]).collect();
        assert!(!moved.is_empty() && moved.iter().all(|slot| slot.is_multiple_of(36)), "{moved:?}");
    }

    #[test]
    fn with_both_the_count_is_at_least_what_throughput_set() {
        let (both, throughput) = (ready(&step(), Loops::Both), ready(&step(), Loops::Throughput));
        assert!(both.iter().zip(&throughput).all(|(both, floor)| both >= floor), "{both:?}\n{throughput:?}");
        assert!(both[125] > throughput[125], "load reacts before the interval is over");
    }

    #[test]
    fn objectives_that_the_tier_does_not_state_are_as_shipped_and_all_are_scaled() {
        assert_eq!(Sla::of(&tier(), 0.5), Sla { ttft_ms: 250.0, itl_ms: 12.5 });
    }
}
