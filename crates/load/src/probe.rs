//! What the controller says about the fleet while the run lasts. Clients cannot see it, and some criteria need it.

use crate::cost::Cost;
use crate::fleet_point::FleetPoint;
use crate::scaling::Scaling;
use crate::waiting::{Waiting, WaitingReader};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::time::MissedTickBehavior;

/// Asks the controller for the state of the fleet. Implemented by whoever knows its address.
#[async_trait]
pub trait FleetProbe: Send + Sync {
    /// One sample for each tier that is known.
    ///
    /// # Errors
    /// The controller gives no usable answer. The run goes on; the moment counts as not sampled.
    async fn sample(&self) -> Result<Vec<TierSample>, ProbeError>;
}

/// Why there is no sample, in words.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ProbeError(pub String);

/// One tier at one moment. What is not known is `None`, never zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TierSample {
    /// The tier.
    pub tier: String,
    /// What was told of it; the moment is that of the asking, and is set by whoever asked.
    pub point: FleetPoint,
}

/// One tier's replicas over the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TierFleet {
    /// The tier.
    pub tier: String,
    /// How fast it scaled; `None` where the samples do not tell.
    pub scaling: Option<Scaling>,
    /// How long requests waited on end; `None` where no sample told how many wait.
    pub waiting: Option<Waiting>,
    /// What it cost; `None` where no sample told a price.
    pub cost: Option<Cost>,
    /// Samples in order of time.
    pub timeline: Vec<FleetPoint>,
}

/// Points kept of each tier's timeline. When it is full every other one is dropped, and from then on only every other
/// sample is kept, so a run of any length has a timeline of bounded size.
const TIMELINE_POINTS: usize = 4_096;

/// What a run has sampled.
#[derive(Debug, Default)]
pub(crate) struct FleetRecord {
    /// Samples asked for.
    pub(crate) asked: u64,
    /// Why the last failed one failed.
    pub(crate) last_error: Option<String>,
    tiers: BTreeMap<String, TierRecord>,
}

/// What a run has sampled of one tier.
#[derive(Debug, Default)]
pub(crate) struct TierRecord {
    timeline: Vec<FleetPoint>,
    stride: u64,
    samples: u64,
    /// Most replicas ready in a sample; `None` where none told.
    pub(crate) most_ready: Option<u32>,
    /// Samples that told the queue depth, and the largest.
    pub(crate) queue_readings: u64,
    pub(crate) largest_queue_depth: u64,
    waiting: WaitingReader,
    /// Sum and number of the GPU readings at each count of ready replicas.
    gpu_by_ready: BTreeMap<u32, (f64, u64)>,
}

impl FleetRecord {
    pub(crate) fn take(&mut self, elapsed: Duration, sampled: Result<Vec<TierSample>, ProbeError>) {
        self.asked += 1;
        match sampled {
            Ok(samples) => {
                let untold = self.tiers.iter_mut().filter(|(name, _)| samples.iter().all(|it| it.tier != **name));
                untold.for_each(|(_, tier)| tier.waiting.take(elapsed.as_secs_f64(), None));
                for sample in samples {
                    self.tiers.entry(sample.tier).or_default().take(elapsed, sample.point);
                }
            }
            Err(error) => {
                self.last_error = Some(error.0);
                self.tiers.values_mut().for_each(|tier| tier.waiting.take(elapsed.as_secs_f64(), None));
            }
        }
    }

    pub(crate) fn tier(&self, name: &str) -> Option<&TierRecord> {
        self.tiers.get(name)
    }

    pub(crate) fn timelines(&self) -> Vec<TierFleet> {
        let timeline = |(tier, record): (&String, &TierRecord)| TierFleet {
            tier: tier.clone(),
            scaling: Scaling::of(&record.timeline),
            waiting: record.waiting.seen(),
            cost: Cost::of(&record.timeline),
            timeline: record.timeline.clone(),
        };
        self.tiers.iter().map(timeline).collect()
    }
}

impl TierRecord {
    fn take(&mut self, elapsed: Duration, told: FleetPoint) {
        let finite = |value: Option<f64>| value.filter(|it| it.is_finite());
        let point = FleetPoint {
            at_seconds: elapsed.as_secs_f64(),
            demand_replicas: finite(told.demand_replicas),
            cost_usd_per_hour: finite(told.cost_usd_per_hour),
            // A share that is no share was not measured.
            gpu_utilization: told.gpu_utilization.filter(|share| (0.0..=1.0).contains(share)),
            ..told
        };
        self.waiting.take(point.at_seconds, point.queue_depth);
        if let Some(depth) = point.queue_depth {
            self.queue_readings += 1;
            self.largest_queue_depth = self.largest_queue_depth.max(depth);
        }
        self.most_ready = self.most_ready.max(point.ready);
        if let (Some(ready), Some(utilization)) = (point.ready, point.gpu_utilization) {
            let (sum, count) = self.gpu_by_ready.entry(ready).or_default();
            *sum += utilization;
            *count += 1;
        }
        self.keep(point);
    }

    fn keep(&mut self, point: FleetPoint) {
        let stride = self.stride.max(1);
        if self.samples.is_multiple_of(stride) {
            self.timeline.push(point);
        }
        self.samples += 1;
        if self.timeline.len() >= TIMELINE_POINTS {
            let mut index = 0;
            self.timeline.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride = stride * 2;
        }
    }

    /// Mean GPU utilization over the samples with at least `ready` replicas, and their number.
    pub(crate) fn gpu_while_ready(&self, ready: u32) -> Option<(f64, u64)> {
        let enough = || self.gpu_by_ready.range(ready..).map(|(_, readings)| readings);
        let (sum, count) = enough().fold((0.0, 0), |(sum, count), reading| (sum + reading.0, count + reading.1));
        (count > 0).then(|| (sum / count as f64, count))
    }
}

/// Samples until it is dropped.
pub(crate) struct Sampler {
    record: Arc<Mutex<FleetRecord>>,
    task: tokio::task::JoinHandle<()>,
}

impl Sampler {
    /// A sample that takes longer than `every` is given up and counts as missing.
    pub(crate) fn start(probe: Arc<dyn FleetProbe>, started: Instant, every: Duration) -> Self {
        let record = Arc::new(Mutex::new(FleetRecord::default()));
        let kept = Arc::clone(&record);
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let late = || Err(ProbeError(format!("no answer within {} ms", every.as_millis())));
                let sampled = tokio::time::timeout(every, probe.sample()).await.unwrap_or_else(|_| late());
                kept.lock().unwrap_or_else(PoisonError::into_inner).take(started.elapsed(), sampled);
            }
        });
        Self { record, task }
    }

    /// What was sampled so far.
    pub(crate) fn take(&self) -> FleetRecord {
        std::mem::take(&mut *self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sample(ready: u32, gpu_utilization: Option<f64>) -> Result<Vec<TierSample>, ProbeError> {
        let point = FleetPoint { ready: Some(ready), gpu_utilization, ..FleetPoint::default() };
        Ok(vec![TierSample { tier: "gold".into(), point }])
    }

    #[test]
    fn gpu_utilization_is_averaged_over_the_samples_with_enough_ready() {
        let mut record = FleetRecord::default();
        for (ready, utilization) in [(1, 0.1), (5, 0.7), (6, 0.9)] {
            record.take(Duration::ZERO, sample(ready, Some(utilization)));
        }
        let gold = record.tier("gold").unwrap();
        let (mean, count) = gold.gpu_while_ready(5).unwrap();
        assert!((mean - 0.8).abs() < 1e-12 && count == 2);
        assert_eq!(gold.gpu_while_ready(7), None);
    }

    #[test]
    fn a_missing_or_senseless_reading_is_no_zero() {
        let mut record = FleetRecord::default();
        record.take(Duration::ZERO, sample(5, None));
        record.take(Duration::ZERO, sample(5, Some(f64::NAN)));
        record.take(Duration::ZERO, Err(ProbeError("refused".into())));
        let gold = record.tier("gold").unwrap();
        assert_eq!((gold.gpu_while_ready(1), gold.queue_readings, record.asked), (None, 0, 3));
        assert_eq!(record.last_error.as_deref(), Some("refused"));
    }

    #[test]
    fn a_long_run_keeps_a_bounded_timeline_from_its_start_to_its_end() {
        let mut record = FleetRecord::default();
        for second in 0..20_000 {
            record.take(Duration::from_secs(second), sample(1, None));
        }
        let timeline = &record.timelines()[0].timeline;
        assert!((TIMELINE_POINTS / 2..TIMELINE_POINTS).contains(&timeline.len()), "{}", timeline.len());
        assert_eq!(timeline[0].at_seconds, 0.0);
        assert!(timeline.last().unwrap().at_seconds > 19_980.0);
        let gaps: Vec<f64> = timeline.windows(2).map(|pair| pair[1].at_seconds - pair[0].at_seconds).collect();
        assert!(gaps.iter().all(|gap| *gap == gaps[0]), "evenly thinned");
    }
}
