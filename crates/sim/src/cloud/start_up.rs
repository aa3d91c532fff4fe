//! How long a replica takes from its order to its first request: a time, or stages that follow each other.
//!
//! A stage's time is log-normal about the median that was measured: it is never negative, and what goes wrong makes it
//! longer. Stages are drawn each for itself. A spread is the standard deviation of the time's logarithm.
//!
//! Every figure is one that somebody published, named at its preset; none was measured by us on AWS. How far repeated starts
//! lie apart is known of loading a model alone, so the other spreads are **assumed**.

use evenkeel_core::units::Span;
use evenkeel_workload::random::Stream;
use evenkeel_workload::written;
use thiserror::Error;

/// Loading a model: p50, p90 and p99 of 7,531 loads in production are 22.7, 42.0 and 51.8 s (alibaba/clusterdata@7a6c496,
/// cluster-trace-v2026-GenAI). The line through zero that fits the two normal quantiles 1.2816 and 2.3263 best has this
/// slope; it gives 36.9 and 54.9 s, as the measured tail is the shorter one.
const OF_LOADING: f64 = 0.38;

/// All else. Assumed: the published ranges, 180 to 240 s for pulling an image and 120 to 180 s for a node, reach 14 and 20 %
/// to either side of their middle, and are taken to hold two starts of three.
const ASSUMED: f64 = 0.2;

/// A part of a start-up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stage {
    /// What is done in it.
    pub name: &'static str,
    /// Half of the starts take no longer.
    pub median_seconds: f64,
    /// Standard deviation of the time's logarithm.
    pub spread: f64,
}

impl Stage {
    const fn new(name: &'static str, median_seconds: f64, spread: f64) -> Self {
        Self { name, median_seconds, spread }
    }

    /// A log-normal time's mean.
    fn mean_seconds(&self) -> f64 {
        self.median_seconds * libm::exp(self.spread * self.spread / 2.0)
    }

    fn sample_seconds(&self, stream: &mut Stream) -> f64 {
        self.median_seconds * libm::exp(self.spread * stream.normal())
    }
}

/// A start-up that somebody measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Preset {
    /// A new EC2 instance for an ECS task, nothing kept: the Deep Learning AMI answers after 45 s (Ubuntu 22.04 on
    /// c5.18xlarge), and the image, the model and the engine take what [`Self::KubernetesNode`] takes. Put together from these;
    /// nobody published an ECS task with a GPU from order to ready.
    Ecs,
    /// The same with the image inside the AMI.
    EcsCached,
    /// A stopped instance of an EC2 warm pool: 36 s until it is in service (t2.micro,
    /// aws-samples/amazon-ec2-auto-scaling-group-examples@cffadfc), then the engine as of [`Self::Process`]. The pool is taken
    /// to hold one whenever it is asked.
    WarmPool,
    /// A new SageMaker instance without container caching: 346 s, the median of a customer on ml.g5.xlarge with an image of
    /// 10.6 GB and a model of 6.5 GB (AWS, 2026-06-17).
    SageMaker,
    /// The same customer with it: 216 s. What caching saves is the image's stage; how the rest divides was not told.
    SageMakerCached,
    /// A new Kubernetes node by Karpenter, nothing optimized, 360 to 480 s in all as its author states: 47 s until the node is
    /// registered (measured, g5.2xlarge spot), 180 to 240 s for an image of 8 to 10 GB, 120 to 180 s for the model (both stated),
    /// 17 s until the engine is warm (measured, Mistral-7B AWQ; chrismld/ai-on-eks-demos@925c682).
    KubernetesNode,
    /// The same with every shortcut, all measured there: 44 s for a lazily loaded image, 25 s for streaming and loading 3.9 GiB,
    /// and 45 s for the rest of the 70 s from process to ready, with a compile cache.
    KubernetesOptimized,
    /// A process on a machine that runs already, with image and weights: the last two stages of the one before.
    Process,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 8] = [
        Self::Ecs,
        Self::EcsCached,
        Self::WarmPool,
        Self::SageMaker,
        Self::SageMakerCached,
        Self::KubernetesNode,
        Self::KubernetesOptimized,
        Self::Process,
    ];

    /// The name used on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ecs => "ecs",
            Self::EcsCached => "ecs-cached",
            Self::WarmPool => "warm-pool",
            Self::SageMaker => "sagemaker",
            Self::SageMakerCached => "sagemaker-cached",
            Self::KubernetesNode => "kubernetes-node",
            Self::KubernetesOptimized => "kubernetes-optimized",
            Self::Process => "process",
        }
    }

    /// Its stages, one after the other.
    pub const fn stages(self) -> &'static [Stage] {
        const LAUNCH: Stage = Stage::new("launch", 45.0, ASSUMED);
        const STOPPED: Stage = Stage::new("launch", 36.0, ASSUMED);
        const NODE: Stage = Stage::new("launch", 47.0, ASSUMED);
        const PULL: Stage = Stage::new("image", 210.0, ASSUMED);
        const LAZY: Stage = Stage::new("image", 44.0, ASSUMED);
        const LOAD: Stage = Stage::new("load", 150.0, OF_LOADING);
        const WARM: Stage = Stage::new("warm", 17.0, ASSUMED);
        const STREAMED: Stage = Stage::new("load", 25.0, OF_LOADING);
        const COMPILED: Stage = Stage::new("warm", 45.0, ASSUMED);
        const SAGEMAKER_IMAGE: Stage = Stage::new("image", 346.0 - 216.0, ASSUMED);
        const SAGEMAKER: Stage = Stage::new("all but the image", 216.0, ASSUMED);
        match self {
            Self::Ecs => &[LAUNCH, PULL, LOAD, WARM],
            Self::EcsCached => &[LAUNCH, LOAD, WARM],
            Self::WarmPool => &[STOPPED, STREAMED, COMPILED],
            Self::SageMaker => &[SAGEMAKER_IMAGE, SAGEMAKER],
            Self::SageMakerCached => &[SAGEMAKER],
            Self::KubernetesNode => &[NODE, PULL, LOAD, WARM],
            Self::KubernetesOptimized => &[NODE, LAZY, STREAMED, COMPILED],
            Self::Process => &[STREAMED, COMPILED],
        }
    }
}

/// From the order to ready.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StartUp {
    /// Always as long.
    Fixed(Span),
    /// As long as its stages take.
    Staged(Preset),
}

/// What is neither a time nor a preset's name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is neither a time of at most a year, for example `180s`, nor one of {}", Preset::ALL.map(Preset::name).join(", "))]
pub struct UnknownStartUp {
    /// What was written.
    pub text: String,
}

impl StartUp {
    /// A time, or a preset's name.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(text: &str) -> Result<Self, UnknownStartUp> {
        let preset = Preset::ALL.into_iter().find(|preset| preset.name() == text).map(Self::Staged);
        preset.or_else(|| written::time(text).map(Self::Fixed)).ok_or_else(|| UnknownStartUp { text: text.to_owned() })
    }

    /// One start. A fixed one draws nothing.
    pub fn sample(&self, stream: &mut Stream) -> Span {
        match self {
            Self::Fixed(span) => *span,
            Self::Staged(preset) => {
                Span::from_secs_f64(preset.stages().iter().map(|stage| stage.sample_seconds(stream)).sum())
            }
        }
    }

    /// The mean over many: what the oracle is billed.
    pub fn mean(&self) -> Span {
        match self {
            Self::Fixed(span) => *span,
            Self::Staged(preset) => Span::from_secs_f64(preset.stages().iter().map(Stage::mean_seconds).sum()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(start_up: StartUp, count: usize) -> Vec<f64> {
        let mut stream = Stream::named(1, "tests", "start-up");
        let mut drawn: Vec<f64> = (0..count).map(|_| start_up.sample(&mut stream).as_secs_f64()).collect();
        drawn.sort_by(f64::total_cmp);
        drawn
    }

    #[test]
    fn the_medians_of_the_stages_add_up_to_what_was_published_from_end_to_end() {
        let whole = |preset: Preset| preset.stages().iter().map(|stage| stage.median_seconds).sum::<f64>();
        assert_eq!((whole(Preset::SageMaker), whole(Preset::SageMakerCached)), (346.0, 216.0));
        // 47 + 44 + 70 s, and 360 to 480 s.
        assert_eq!((whole(Preset::KubernetesOptimized), whole(Preset::Process)), (161.0, 70.0));
        assert!((360.0..=480.0).contains(&whole(Preset::KubernetesNode)));
    }

    #[test]
    fn loading_spreads_as_it_does_in_production() {
        let stage = Stage::new("load", 22.7, OF_LOADING);
        let at = |normal: f64| stage.median_seconds * libm::exp(stage.spread * normal);
        assert!((at(1.2816) - 36.9).abs() < 0.1 && (at(2.3263) - 54.9).abs() < 0.1);
        // Within an eighth of the two quantiles that were measured.
        assert!((at(1.2816) / 42.0 - 1.0).abs() < 0.125 && (at(2.3263) / 51.8 - 1.0).abs() < 0.125);
    }

    #[test]
    fn every_preset_has_the_mean_that_it_tells_and_is_found_by_its_name() {
        for preset in Preset::ALL {
            let start_up = StartUp::Staged(preset);
            let drawn = drawn(start_up, 20_000);
            let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
            // Six standard errors: no preset's standard deviation is above a third of its mean.
            assert!((mean / start_up.mean().as_secs_f64() - 1.0).abs() < 0.015, "{preset:?}: {mean}");
            assert!(drawn[0] > 0.0 && drawn[0] < drawn[19_999] / 2.0, "{preset:?} spreads");
            assert_eq!(StartUp::parse(preset.name()), Ok(start_up));
        }
    }

    #[test]
    fn a_fixed_one_is_what_was_written_and_draws_nothing() {
        let fixed = StartUp::Fixed(Span::from_secs(180));
        assert_eq!(StartUp::parse("3m"), Ok(fixed));
        let mut stream = Stream::named(1, "tests", "start-up");
        let before = stream.clone().uniform();
        assert_eq!((fixed.sample(&mut stream), fixed.mean()), (Span::from_secs(180), Span::from_secs(180)));
        assert_eq!(stream.uniform(), before);
    }

    #[test]
    fn what_is_neither_is_refused_with_what_there_is() {
        let refused = StartUp::parse("lambda").map_err(|error| error.to_string());
        assert_eq!(
            refused,
            Err("`lambda` is neither a time of at most a year, for example `180s`, nor one of ecs, ecs-cached, warm-pool, sagemaker, \
                 sagemaker-cached, kubernetes-node, kubernetes-optimized, process"
                .to_owned())
        );
        assert!(StartUp::parse("180").is_err(), "a time has a unit");
    }
}
