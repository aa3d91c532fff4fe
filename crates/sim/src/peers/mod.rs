//! The autoscalers that others run, each from its own source, which its file names.
//!
//! All look at the same load: demand in replicas, that is work offered over what a replica carries inside the SLO. A
//! target of 0.7 keeps replicas at 70 % of that. Those that go by an engine's figures (Dynamo,
//! workload-variant-autoscaler, SageServe) see what a replica's engine shows under this load (`engine_load`), and a
//! target of 1 leaves the first two as shipped.

mod agones;
mod aibrix;
mod aws_predictive;
mod aws_step_scaling;
mod aws_target_tracking;
mod dynamo;
mod engine_load;
mod history;
mod hpa;
mod kpa;
mod persistent;
mod points;
mod sageserve;
mod static_count;
mod wva_v1;
mod wva_v2;

use crate::autoscaler::{Autoscaler, Seen};
use agones::Buffer;
use aibrix::Apa;
use aws_predictive::Predictive;
use aws_step_scaling::StepScaling;
use aws_target_tracking::TargetTracking;
use dynamo::{Loops, Planner};
pub use engine_load::SteadyState;
#[cfg(test)]
pub(crate) use engine_load::tests::tier as example_tier;
use evenkeel_core::units::Span;
use hpa::{Hpa, Metric};
use kpa::Kpa;
use persistent::Persistent;
use sageserve::SageServe;
use static_count::Static;
use wva_v1::Saturation;
use wva_v2::Tokens;

/// A peer by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// Kubernetes' HorizontalPodAutoscaler on a metric of the pods.
    Hpa,
    /// KEDA: the same on an outside metric.
    Keda,
    /// Knative's pod autoscaler.
    Kpa,
    /// AWS target tracking on metrics of a minute.
    AwsTargetTracking,
    /// The same on metrics of 20 s.
    AwsTargetTracking20s,
    /// Target tracking on metrics of a minute with AWS's predictive scaling beside it.
    AwsPredictive,
    /// AWS step scaling on metrics of a minute.
    AwsStepScaling,
    /// Target tracking on a SageMaker endpoint's metrics of 10 s.
    SageMaker,
    /// Ray Serve.
    RayServe,
    /// SkyServe.
    SkyServe,
    /// AIBrix's APA.
    Aibrix,
    /// Agones' fleet autoscaler with a buffer.
    Agones,
    /// NVIDIA Dynamo's planner, both loops: throughput scaling is the floor under load scaling.
    Dynamo,
    /// Its load scaling alone.
    DynamoLoad,
    /// Its throughput scaling alone.
    DynamoThroughput,
    /// llm-d's workload-variant-autoscaler by saturation in percent.
    WvaV1,
    /// The same by tokens.
    WvaV2,
    /// SageServe's hourly plan with its reactive hours between.
    SageServe,
    /// A count that never changes.
    Static,
}

impl Peer {
    /// Every peer.
    pub const ALL: [Self; 19] = [
        Self::Hpa,
        Self::Keda,
        Self::Kpa,
        Self::AwsTargetTracking,
        Self::AwsTargetTracking20s,
        Self::AwsPredictive,
        Self::AwsStepScaling,
        Self::SageMaker,
        Self::RayServe,
        Self::SkyServe,
        Self::Aibrix,
        Self::Agones,
        Self::Dynamo,
        Self::DynamoLoad,
        Self::DynamoThroughput,
        Self::WvaV1,
        Self::WvaV2,
        Self::SageServe,
        Self::Static,
    ];

    /// The name used on the command line and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hpa => "hpa",
            Self::Keda => "keda",
            Self::Kpa => "kpa",
            Self::AwsTargetTracking => "aws-target-tracking",
            Self::AwsTargetTracking20s => "aws-target-tracking-20s",
            Self::AwsPredictive => "aws-predictive",
            Self::AwsStepScaling => "aws-step-scaling",
            Self::SageMaker => "sagemaker",
            Self::RayServe => "ray-serve",
            Self::SkyServe => "sky-serve",
            Self::Aibrix => "aibrix",
            Self::Agones => "agones",
            Self::Dynamo => "dynamo",
            Self::DynamoLoad => "dynamo-load",
            Self::DynamoThroughput => "dynamo-throughput",
            Self::WvaV1 => "wva-v1",
            Self::WvaV2 => "wva-v2",
            Self::SageServe => "sageserve",
            Self::Static => "static",
        }
    }

    /// The peer set to `target` on a tier whose replicas run `engine`: load a replica, for `static` the count, and for
    /// those that go by the engine's figures a share of their thresholds, which their files name.
    pub fn with_target<'a>(self, target: f64, engine: &'a SteadyState) -> Box<dyn Autoscaler + 'a> {
        let set = self.set(target, engine);
        if self.wakes() { set } else { Box::new(KeepsOne(set)) }
    }

    /// The time between two of its looks, or the shortest that it averages over: in longer steps it would be another autoscaler.
    /// `None` for one that never looks.
    pub const fn looks_each(self) -> Option<Span> {
        let seconds = match self {
            Self::Hpa | Self::Keda => 15,
            Self::Kpa => 6,
            Self::AwsTargetTracking | Self::AwsPredictive | Self::AwsStepScaling => 60,
            Self::AwsTargetTracking20s | Self::SkyServe => 20,
            Self::SageMaker | Self::RayServe | Self::Aibrix => 10,
            Self::Agones => 30,
            Self::Dynamo | Self::DynamoLoad => 5,
            Self::DynamoThroughput => 180,
            Self::WvaV1 | Self::WvaV2 | Self::SageServe => 60,
            Self::Static => return None,
        };
        Some(Span::from_secs(seconds))
    }

    /// Whether it sees demand where there is no replica. The others go by figures of replicas, and nobody who runs one of them
    /// lets it go to zero: it would stay there. (Agones refuses a minimum of zero beside a buffer in per cent.)
    const fn wakes(self) -> bool {
        matches!(
            self,
            Self::Keda
                | Self::Kpa
                | Self::RayServe
                | Self::SkyServe
                | Self::Dynamo
                | Self::DynamoThroughput
                | Self::Static
        )
    }

    fn set<'a>(self, target: f64, engine: &'a SteadyState) -> Box<dyn Autoscaler + 'a> {
        match self {
            Self::Hpa => Box::new(Hpa::new(Metric::OfPods, target)),
            Self::Keda => Box::new(Hpa::new(Metric::Total, target)),
            Self::Kpa => Box::new(Kpa::new(kpa::Settings::shipped(target))),
            Self::AwsTargetTracking => Box::new(TargetTracking::new(target, Span::from_secs(60))),
            Self::AwsTargetTracking20s => Box::new(TargetTracking::new(target, Span::from_secs(20))),
            Self::AwsPredictive => Box::new(Predictive::new(target)),
            Self::AwsStepScaling => Box::new(StepScaling::new(target)),
            Self::SageMaker => Box::new(TargetTracking::new(target, Span::from_secs(10))),
            Self::RayServe => Box::new(Persistent::new(persistent::Settings::ray_serve(target))),
            Self::SkyServe => Box::new(Persistent::new(persistent::Settings::sky_serve(target))),
            Self::Aibrix => Box::new(Apa::new(target)),
            Self::Agones => Box::new(Buffer::new(target)),
            Self::Dynamo => Box::new(Planner::new(engine, Loops::Both, target)),
            Self::DynamoLoad => Box::new(Planner::new(engine, Loops::Load, target)),
            Self::DynamoThroughput => Box::new(Planner::new(engine, Loops::Throughput, target)),
            Self::WvaV1 => Box::new(Saturation::new(engine, target)),
            Self::WvaV2 => Box::new(Tokens::new(engine, target)),
            Self::SageServe => Box::new(SageServe::new(engine, target)),
            Self::Static => Box::new(Static { replicas: target as u32 }),
        }
    }

    /// As its documentation ships it; for `static` the peak of the `history`, as a team would buy it.
    pub fn default_target(self, history: &[f64]) -> f64 {
        match self {
            Self::AwsTargetTracking | Self::AwsTargetTracking20s | Self::AwsPredictive | Self::SageMaker => 0.75,
            Self::Dynamo | Self::DynamoLoad | Self::DynamoThroughput | Self::WvaV1 | Self::WvaV2 => 1.0,
            Self::AwsStepScaling | Self::SageServe => 0.5,
            Self::Static => peak(history),
            _ => 0.7,
        }
    }

    /// What is tried when it is tuned to `demand`.
    pub fn targets(self, demand: &[f64]) -> Vec<f64> {
        match self {
            Self::Static => (1..=peak(demand) as u32).map(f64::from).collect(),
            // Its thresholds are shares of a cache that may hold far more than the largest batch.
            Self::WvaV1 => (0..150).map(|step| libm::round(1.5e4 * libm::pow(0.95, f64::from(step))) / 1e4).collect(),
            _ => (1..=150).map(|percent| f64::from(percent) / 100.0).collect(),
        }
    }
}

/// The same, with one replica at least.
struct KeepsOne<'a>(Box<dyn Autoscaler + 'a>);

impl Autoscaler for KeepsOne<'_> {
    fn decide(&mut self, seen: &Seen<'_>) -> u32 {
        self.0.decide(seen).max(1)
    }

    fn reason(&self) -> Option<&'static str> {
        self.0.reason()
    }
}

fn peak(demand: &[f64]) -> f64 {
    libm::ceil(demand.iter().copied().fold(1.0, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fluid::run;
    use crate::oracle::Violation;
    use crate::setting::Setting;
    use evenkeel_core::units::Time;

    #[test]
    fn each_peer_grows_in_two_hours_of_much_and_is_back_at_the_minimum_after_three_of_nothing() {
        let engine = SteadyState::new(&engine_load::tests::tier());
        let demand = [vec![6.0; 2 * 720], vec![0.0; 3 * 720]].concat();
        let (slot, start, violation) = (Span::from_secs(5), Time::default(), Violation::Excess);
        let setting = Setting { slot, start_up_slots: 12, minimum: 1, maximum: 40, scored_from: 0, start, violation };
        for peer in Peer::ALL.into_iter().filter(|peer| *peer != Peer::Static) {
            let target = peer.default_target(&demand[..1]);
            let ready = run(&demand, &setting, peer.with_target(target, &engine).as_mut()).ready;
            let (much, nothing) = (ready[2 * 720 - 1], ready.last().copied());
            assert!(much >= 4 && nothing == Some(1), "{}: {much}, then {nothing:?}", peer.name());
        }
    }

    #[test]
    fn from_a_minimum_of_zero_each_peer_comes_back_when_players_do() {
        let engine = SteadyState::new(&engine_load::tests::tier());
        let demand = [vec![6.0; 720], vec![0.0; 2 * 720], vec![6.0; 2 * 720]].concat();
        let (slot, start, violation) = (Span::from_secs(5), Time::default(), Violation::Excess);
        let setting = Setting { slot, start_up_slots: 12, minimum: 0, maximum: 40, scored_from: 0, start, violation };
        for peer in Peer::ALL.into_iter().filter(|peer| *peer != Peer::Static) {
            let target = peer.default_target(&demand[..1]);
            let ready = run(&demand, &setting, peer.with_target(target, &engine).as_mut()).ready;
            let last = ready.last().copied();
            assert!(last >= Some(4), "{}: {last:?} at last", peer.name());
        }
    }

    #[test]
    fn a_peer_is_found_by_its_name_alone() {
        let mut names = Peer::ALL.map(Peer::name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
