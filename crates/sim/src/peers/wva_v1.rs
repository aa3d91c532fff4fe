//! llm-d's workload-variant-autoscaler with its first analyzer: saturation in percent.
//!
//! Source: llm-d/llm-d-workload-variant-autoscaler@36587f8 `internal/saturation/analyzer.go` (before
//! `internal/capacity`) and `internal/config/saturation_scaling.go`: a replica is saturated from 80 % of its KV cache
//! or 5 waiting requests on. Over the others, less than 10 % of the cache or 3 requests spare adds one replica; one
//! goes where both would still be spare with the load on one replica less. While replicas start nothing changes. It
//! looks each 60 s, at the peaks of the last minute. One variant here, so its choice of the cheapest one has nothing to
//! choose.

use super::engine_load::SteadyState;
use crate::autoscaler::EngineLoad;
use crate::autoscaler::{Autoscaler, Seen};
use evenkeel_core::units::Span;

pub(super) const PERIOD: Span = Span::from_secs(60);
/// The fewest replicas that are not saturated for one to go.
const LEAST_TO_SHRINK: usize = 2;

/// What counts as saturated, and how much of it must be spare.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Thresholds {
    kv_share: f64,
    waiting: f64,
    spare_kv_share: f64,
    spare_waiting: f64,
}

impl Thresholds {
    const SHIPPED: Self = Self { kv_share: 0.8, waiting: 5.0, spare_kv_share: 0.1, spare_waiting: 3.0 };

    const fn times(self, share: f64) -> Self {
        Self {
            kv_share: self.kv_share * share,
            waiting: self.waiting * share,
            spare_kv_share: self.spare_kv_share * share,
            spare_waiting: self.spare_waiting * share,
        }
    }
}

/// What one replica reports.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Replica {
    kv_share: f64,
    waiting: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Analysis {
    unsaturated: usize,
    grow: bool,
    may_shrink: bool,
}

impl Analysis {
    fn of(replicas: &[Replica], limits: Thresholds) -> Self {
        let unsaturated = || replicas.iter().filter(|it| it.kv_share < limits.kv_share && it.waiting < limits.waiting);
        let count = unsaturated().count();
        let spare = |limit: f64, used: f64| if count > 0 { limit - used / count as f64 } else { 0.0 };
        let spare_kv_share = spare(limits.kv_share, unsaturated().map(|it| it.kv_share).sum());
        let spare_waiting = spare(limits.waiting, unsaturated().map(|it| it.waiting).sum());
        // What is left of a limit once the load of all of them is on one less.
        let left = |limit: f64, spare: f64| limit - (limit - spare) * count as f64 / (count as f64 - 1.0);
        Self {
            unsaturated: count,
            grow: !replicas.is_empty()
                && (spare_kv_share < limits.spare_kv_share || spare_waiting < limits.spare_waiting),
            may_shrink: count >= LEAST_TO_SHRINK
                && left(limits.kv_share, spare_kv_share) >= limits.spare_kv_share
                && left(limits.waiting, spare_waiting) >= limits.spare_waiting,
        }
    }

    /// The count, where `ready` report and `pending` start.
    const fn count(self, ready: u32, pending: u32) -> u32 {
        if pending > 0 {
            ready + pending
        } else if self.grow {
            ready + 1
        } else if self.may_shrink && ready > 1 {
            ready - 1
        } else {
            ready
        }
    }
}

/// One replica more or less by saturation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Saturation<'a> {
    engine: &'a SteadyState,
    limits: Thresholds,
}

impl<'a> Saturation<'a> {
    /// All thresholds at `share` of what is shipped.
    pub(super) const fn new(engine: &'a SteadyState, share: f64) -> Self {
        Self { engine, limits: Thresholds::SHIPPED.times(share) }
    }
}

impl Autoscaler for Saturation<'_> {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        if !seen.is_due(PERIOD) {
            return seen.current();
        }
        let Some(peak) = self.engine.loads(seen, PERIOD).reduce(EngineLoad::peak) else { return seen.current() };
        let replica = Replica { kv_share: peak.kv_share, waiting: peak.waiting };
        Analysis::of(&vec![replica; seen.ready as usize], self.limits).count(seen.ready, seen.starting)
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

    fn replicas(reported: &[(f64, f64)]) -> Vec<Replica> {
        reported.iter().map(|&(kv_share, waiting)| Replica { kv_share, waiting }).collect()
    }

    /// Cases of `internal/saturation/analyzer_test.go`, by their names there.
    #[test]
    fn the_published_cases_grow_where_they_should() {
        for (name, reported, expected) in [
            ("scale up due to low KV spare Saturation", &[(0.75, 2.0), (0.76, 2.0)][..], true),
            ("scale up due to low queue spare Saturation", &[(0.5, 3.0), (0.5, 3.0)], true),
            ("no scale up - healthy Saturation", &[(0.5, 1.0), (0.5, 1.0)], false),
            ("TestAnalyzeModelSaturation_AllSaturated", &[(0.85, 2.0), (0.5, 6.0), (0.9, 7.0)], true),
            ("TestAnalyzeModelSaturation_EmptyMetrics", &[], false),
        ] {
            assert_eq!(Analysis::of(&replicas(reported), Thresholds::SHIPPED).grow, expected, "{name}");
        }
    }

    #[test]
    fn the_published_cases_may_shrink_where_they_should() {
        for (name, reported, expected) in [
            ("scale down safe - adequate headroom", &[(0.2, 1.0), (0.3, 1.0), (0.25, 1.0)][..], true),
            ("scale down unsafe - insufficient headroom", &[(0.7, 2.0), (0.75, 2.0)], false),
            ("scale down unsafe - only one non-saturated replica", &[(0.5, 2.0)], false),
            ("TestAnalyzeModelSaturation_AllSaturated", &[(0.85, 2.0), (0.5, 6.0), (0.9, 7.0)], false),
            ("TestAnalyzeModelSaturation_EmptyMetrics", &[], false),
        ] {
            assert_eq!(Analysis::of(&replicas(reported), Thresholds::SHIPPED).may_shrink, expected, "{name}");
        }
    }

    #[test]
    fn the_published_replicas_are_saturated() {
        for (name, reported, unsaturated) in [
            ("TestAnalyzeVariant_SaturatedReplicas", &[(0.85, 2.0), (0.5, 6.0), (0.6, 2.0)][..], 1),
            ("TestAnalyzeModelSaturation_AllSaturated", &[(0.85, 2.0), (0.5, 6.0), (0.9, 7.0)], 0),
            ("TestAnalyzeModelSaturation_MultiVariant", &[(0.7, 2.0), (0.75, 3.0), (0.6, 1.0), (0.65, 2.0)], 4),
        ] {
            assert_eq!(Analysis::of(&replicas(reported), Thresholds::SHIPPED).unsaturated, unsaturated, "{name}");
        }
    }

    /// The variant that each of the published cases moves or holds.
    #[test]
    fn the_published_advice_gives_the_published_counts() {
        let advice = |grow, may_shrink| Analysis { unsaturated: 2, grow, may_shrink };
        for (name, analysis, ready, pending, expected) in [
            ("ScaleUpCheapest", advice(true, false), 2, 0, 3),
            ("ScaleDownMostExpensive", advice(false, true), 2, 0, 1),
            ("ModelLevelTransitionBlocking", advice(true, false), 2, 2, 4),
            ("PendingReplicasBlocksScaling", advice(true, false), 2, 1, 3),
            ("LWSGroupSizeDoesNotBlock", advice(true, false), 1, 0, 2),
        ] {
            assert_eq!(analysis.count(ready, pending), expected, "TestCalculatesaturationTargets_{name}");
        }
    }

    #[test]
    fn it_adds_one_replica_a_minute_while_the_cache_fills_and_lets_one_go_a_minute_after() {
        let mut spec = tier();
        // A full batch of 20 holds 2,500 tokens.
        spec.profile.kv_tokens = 2_600;
        let engine = SteadyState::new(&spec);
        let mut demand = vec![1.0; 60];
        demand.extend([4.0; 60]);
        demand.extend([0.2; 120]);
        let (slot, start, violation) = (Span::from_secs(5), Time::default(), Violation::Excess);
        let setting = Setting { slot, start_up_slots: 0, minimum: 1, maximum: 20, scored_from: 0, start, violation };
        let ready = run(&demand, &setting, &mut Saturation::new(&engine, 1.0)).ready;
        let minutes: Vec<u32> = ready.iter().step_by(12).copied().collect();
        assert!(minutes.windows(2).all(|pair| pair[0].abs_diff(pair[1]) <= 1), "{minutes:?}");
        let (before, grown, idle) = (minutes[5], minutes[10], minutes[19]);
        assert!(before < 4 && grown > before && idle == 1, "{minutes:?}");
    }
}
