//! The autoscalers that others run, each from its own source, which its file names.
//!
//! All look at the same load: demand in replicas, that is work offered over what a replica carries inside the SLO. A
//! target of 0.7 keeps replicas at 70 % of that.

mod agones;
mod aibrix;
mod aws_predictive;
mod aws_target_tracking;
mod history;
mod hpa;
mod kpa;
mod persistent;
mod points;
mod static_count;

use crate::fluid::Autoscaler;
use agones::Buffer;
use aibrix::Apa;
use aws_predictive::Predictive;
use aws_target_tracking::TargetTracking;
use evenkeel_core::units::Span;
use hpa::{Hpa, Metric};
use kpa::Kpa;
use persistent::Persistent;
use static_count::Static;

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
    /// A count that never changes.
    Static,
}

impl Peer {
    /// Every peer.
    pub const ALL: [Self; 12] = [
        Self::Hpa,
        Self::Keda,
        Self::Kpa,
        Self::AwsTargetTracking,
        Self::AwsTargetTracking20s,
        Self::AwsPredictive,
        Self::SageMaker,
        Self::RayServe,
        Self::SkyServe,
        Self::Aibrix,
        Self::Agones,
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
            Self::SageMaker => "sagemaker",
            Self::RayServe => "ray-serve",
            Self::SkyServe => "sky-serve",
            Self::Aibrix => "aibrix",
            Self::Agones => "agones",
            Self::Static => "static",
        }
    }

    /// The peer set to `target`: load a replica, or for `static` the count.
    pub fn with_target(self, target: f64) -> Box<dyn Autoscaler> {
        match self {
            Self::Hpa => Box::new(Hpa::new(Metric::OfPods, target)),
            Self::Keda => Box::new(Hpa::new(Metric::Total, target)),
            Self::Kpa => Box::new(Kpa::new(kpa::Settings::shipped(target))),
            Self::AwsTargetTracking => Box::new(TargetTracking::new(target, Span::from_secs(60))),
            Self::AwsTargetTracking20s => Box::new(TargetTracking::new(target, Span::from_secs(20))),
            Self::AwsPredictive => Box::new(Predictive::new(target)),
            Self::SageMaker => Box::new(TargetTracking::new(target, Span::from_secs(10))),
            Self::RayServe => Box::new(Persistent::new(persistent::Settings::ray_serve(target))),
            Self::SkyServe => Box::new(Persistent::new(persistent::Settings::sky_serve(target))),
            Self::Aibrix => Box::new(Apa::new(target)),
            Self::Agones => Box::new(Buffer::new(target)),
            Self::Static => Box::new(Static { replicas: target as u32 }),
        }
    }

    /// As its documentation ships it; for `static` the peak of the `history`, as a team would buy it.
    pub fn default_target(self, history: &[f64]) -> f64 {
        match self {
            Self::AwsTargetTracking | Self::AwsTargetTracking20s | Self::AwsPredictive | Self::SageMaker => 0.75,
            Self::Static => peak(history),
            _ => 0.7,
        }
    }

    /// What is tried when it is tuned to `demand`.
    pub fn targets(self, demand: &[f64]) -> Vec<f64> {
        match self {
            Self::Static => (1..=peak(demand) as u32).map(f64::from).collect(),
            _ => (1..=150).map(|percent| f64::from(percent) / 100.0).collect(),
        }
    }
}

fn peak(demand: &[f64]) -> f64 {
    libm::ceil(demand.iter().copied().fold(1.0, f64::max))
}
