//! How fast a tier scaled, read off the samples of a run.
//!
//! **Scale-up time** counts from the first sample in which demand exceeds the ready replicas until the first one in which
//! ready replicas cover demand again. **Scale-down time** counts from the last sample in which demand needed a replica
//! until that replica takes no more requests; one that demand never needed counts from its becoming ready. **Order to
//! ready** counts from the first sample in which a replica is wanted until it is ready: what the platform takes of a
//! scale-up, whenever it was ordered. Demand is in replicas, as the capacity policy tells it. A tier whose policies tell
//! none is counted by what was ordered instead.

use crate::fleet_point::FleetPoint;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::ops::Range;

/// Samples further apart than so many usual distances have an outage between them, over which nothing is concluded.
const OUTAGE_FACTOR: f64 = 5.0;

/// How fast one tier scaled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaling {
    /// What the times count by.
    pub basis: Basis,
    /// Each time that ready replicas did not cover what was needed.
    pub shortages: Vec<Shortage>,
    /// Each replica that became ready after it was ordered.
    pub starts: Vec<Start>,
    /// Each time that replicas went because they were not needed any more.
    pub scale_downs: Vec<ScaleDown>,
    /// Ready replicas that were gone although they were wanted: they failed.
    pub lost_replicas: u32,
}

/// What is taken for the number of replicas that a tier needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Demand in replicas, as the capacity policy tells.
    Demand,
    /// The count that was ordered.
    Desired,
}

/// A time during which ready replicas did not cover what was needed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shortage {
    /// When it began, since the start of the run.
    pub at_seconds: f64,
    /// How long it lasted.
    pub seconds: f64,
    /// Ready replicas at its beginning.
    pub ready_before: u32,
    /// Ready replicas at its end.
    pub ready_after: u32,
    /// Most replicas that were missing.
    pub missing_replicas: f64,
    /// What ended it.
    pub ended: ShortageEnd,
}

/// What ends a shortage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortageEnd {
    /// New replicas became ready and cover demand: its length is a scale-up time.
    Scaled,
    /// Demand fell back before a further replica was ready.
    DemandFell,
    /// The run ended before.
    RunEnded,
    /// Samples are missing; how long it lasted is not known.
    NotSeen,
}

/// A replica that became ready.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// When it was ready, since the start of the run.
    pub at_seconds: f64,
    /// How long before it was wanted.
    pub seconds: f64,
}

/// Replicas that went because they were not needed any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScaleDown {
    /// When they took no more requests, since the start of the run.
    pub at_seconds: f64,
    /// How long ago demand last needed one of them.
    pub seconds: f64,
    /// Ready replicas before.
    pub ready_before: u32,
    /// Ready replicas after.
    pub ready_after: u32,
}

/// The two figures of many times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// How many there are.
    pub count: usize,
    /// Their median.
    pub median_seconds: f64,
    /// The longest.
    pub longest_seconds: f64,
}

impl Times {
    /// `None` for none at all.
    pub(crate) fn of(seconds: impl Iterator<Item = f64>) -> Option<Self> {
        let mut seconds: Vec<f64> = seconds.collect();
        seconds.sort_by(f64::total_cmp);
        let longest_seconds = *seconds.last()?;
        Some(Self { count: seconds.len(), median_seconds: seconds[(seconds.len() - 1) / 2], longest_seconds })
    }
}

impl Scaling {
    /// Reads the times off a tier's samples; `None` where they tell neither demand nor orders beside ready replicas.
    pub(crate) fn of(points: &[FleetPoint]) -> Option<Self> {
        let known =
            |need: fn(&FleetPoint) -> Option<f64>| points.iter().any(|it| it.ready.is_some() && need(it).is_some());
        let (basis, need) = match () {
            () if known(demand) => (Basis::Demand, demand as fn(&FleetPoint) -> Option<f64>),
            () if known(desired) => (Basis::Desired, desired as fn(&FleetPoint) -> Option<f64>),
            () => return None,
        };
        let outage_seconds = OUTAGE_FACTOR * usual_distance(points);
        let mut reader = Reader { outage_seconds, ..Reader::default() };
        for point in points {
            reader.take(point, need(point));
        }
        let Reader { last, mut shortages, open, starts, scale_downs, lost_replicas, .. } = reader;
        shortages
            .extend(open.zip(last).map(|(open, last)| open.end(last.at_seconds, last.ready, ShortageEnd::RunEnded)));
        Some(Self { basis, shortages, starts, scale_downs, lost_replicas })
    }

    /// Times from the beginning of a shortage until new replicas covered demand.
    pub fn scale_up(&self) -> Option<Times> {
        Times::of(self.scale_up_seconds())
    }

    /// Times from the order of a replica until it was ready.
    pub fn order_to_ready(&self) -> Option<Times> {
        Times::of(self.starts.iter().map(|it| it.seconds))
    }

    /// Times from the last need of a replica until it took no more requests.
    pub fn scale_down(&self) -> Option<Times> {
        Times::of(self.scale_down_seconds())
    }

    /// Each scale-up time.
    pub(crate) fn scale_up_seconds(&self) -> impl Iterator<Item = f64> {
        self.shortages.iter().filter(|it| it.ended == ShortageEnd::Scaled).map(|it| it.seconds)
    }

    /// Each scale-down time.
    pub(crate) fn scale_down_seconds(&self) -> impl Iterator<Item = f64> {
        self.scale_downs.iter().map(|it| it.seconds)
    }

    /// How long ready replicas did not cover demand, all together.
    pub fn short_seconds(&self) -> f64 {
        self.shortages.iter().filter(|it| it.ended != ShortageEnd::NotSeen).fold(0.0, |sum, it| sum + it.seconds)
    }
}

fn demand(point: &FleetPoint) -> Option<f64> {
    point.demand_replicas
}

fn desired(point: &FleetPoint) -> Option<f64> {
    point.desired.map(f64::from)
}

/// Median distance of two samples, seconds.
pub(crate) fn usual_distance(points: &[FleetPoint]) -> f64 {
    let distances = points.windows(2).map(|pair| pair[1].at_seconds - pair[0].at_seconds);
    Times::of(distances).map_or(f64::INFINITY, |times| times.median_seconds)
}

#[derive(Clone, Copy)]
struct Seen {
    at_seconds: f64,
    ready: u32,
    draining: u32,
}

struct Open {
    at_seconds: f64,
    ready: u32,
    missing: f64,
}

impl Open {
    fn end(self, at_seconds: f64, ready_after: u32, ended: ShortageEnd) -> Shortage {
        Shortage {
            at_seconds: self.at_seconds,
            seconds: at_seconds - self.at_seconds,
            ready_before: self.ready,
            ready_after,
            missing_replicas: self.missing,
            ended,
        }
    }
}

/// Goes through the samples in order of time.
#[derive(Default)]
struct Reader {
    outage_seconds: f64,
    last: Option<Seen>,
    open: Option<Open>,
    /// For each number of ready replicas, when more than that were last needed.
    needed_more: Vec<f64>,
    /// Since when each replica is wanted, by its number; `None` for one that is not, or of which that was not seen.
    wanted_since: Vec<Option<f64>>,
    shortages: Vec<Shortage>,
    starts: Vec<Start>,
    scale_downs: Vec<ScaleDown>,
    lost_replicas: u32,
}

impl Reader {
    fn take(&mut self, point: &FleetPoint, need: Option<f64>) {
        let at_seconds = point.at_seconds;
        if self.last.is_some_and(|last| at_seconds - last.at_seconds > self.outage_seconds) {
            self.forget();
        }
        let (Some(ready), Some(need)) = (point.ready, need) else { return self.forget() };
        let now = Seen { at_seconds, ready, draining: point.draining.unwrap_or(0) };
        self.shortage(now, need);
        self.counts(now, point.desired);
        self.remember(at_seconds, need);
        self.last = Some(now);
    }

    /// Something is not known: what was under way has no end that was seen.
    fn forget(&mut self) {
        if let Some((open, last)) = self.open.take().zip(self.last) {
            self.shortages.push(open.end(last.at_seconds, last.ready, ShortageEnd::NotSeen));
        }
        self.last = None;
        self.wanted_since.clear();
    }

    fn counts(&mut self, now: Seen, desired: Option<u32>) {
        let wanted = |least: u32| desired.unwrap_or(0).max(least) as usize;
        let Some(last) = self.last else {
            return self.wanted_since.resize(wanted(now.ready), None);
        };
        self.wanted_since.resize(wanted(now.ready.max(last.ready)), Some(now.at_seconds));
        match now.ready.cmp(&last.ready) {
            Ordering::Less => self.fewer(last, now, desired),
            Ordering::Equal => {}
            Ordering::Greater => self.more(last, now),
        }
    }

    fn more(&mut self, before: Seen, now: Seen) {
        let since = &mut self.wanted_since[before.ready as usize..now.ready as usize];
        let starts = since.iter_mut().filter_map(Option::take);
        self.starts.extend(starts.map(|since| Start { at_seconds: now.at_seconds, seconds: now.at_seconds - since }));
        // Nobody can call it spare before it was there.
        self.needed(before.ready as usize..now.ready as usize, now.at_seconds);
    }

    fn shortage(&mut self, now: Seen, need: f64) {
        let missing = need - f64::from(now.ready);
        match self.open.take() {
            Some(open) if missing <= 0.0 => {
                let ended = if now.ready > open.ready { ShortageEnd::Scaled } else { ShortageEnd::DemandFell };
                self.shortages.push(open.end(now.at_seconds, now.ready, ended));
            }
            Some(open) => self.open = Some(Open { missing: open.missing.max(missing), ..open }),
            None if missing > 0.0 => {
                self.open = Some(Open { at_seconds: now.at_seconds, ready: now.ready, missing });
            }
            None => {}
        }
    }

    fn fewer(&mut self, before: Seen, now: Seen, desired: Option<u32>) {
        // Nobody ordered fewer, and they do not drain for an order taken back since: they died.
        let drain = now.draining.saturating_sub(before.draining);
        let died = (before.ready - now.ready).saturating_sub(drain);
        if died > 0 && desired.is_some_and(|desired| desired >= before.ready) {
            self.lost_replicas += died;
            // Each is wanted anew from now on.
            self.wanted_since[now.ready as usize..before.ready as usize].fill(Some(now.at_seconds));
            return;
        }
        let needed = self.needed_more.get(now.ready as usize).copied().unwrap_or(0.0);
        self.scale_downs.push(ScaleDown {
            at_seconds: now.at_seconds,
            seconds: now.at_seconds - needed,
            ready_before: before.ready,
            ready_after: now.ready,
        });
    }

    fn remember(&mut self, at_seconds: f64, need: f64) {
        // More than 0, 1, 2, ... are needed up to the next whole number below the need.
        self.needed(0..need.ceil().clamp(0.0, 1e6) as usize, at_seconds);
    }

    fn needed(&mut self, replicas: Range<usize>, at_seconds: f64) {
        if self.needed_more.len() < replicas.end {
            self.needed_more.resize(replicas.end, 0.0);
        }
        self.needed_more[replicas].fill(at_seconds);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn at(second: u32, demand_replicas: f64, ready: u32, desired: u32) -> FleetPoint {
        FleetPoint {
            at_seconds: f64::from(second),
            ready: Some(ready),
            desired: Some(desired),
            demand_replicas: Some(demand_replicas),
            ..FleetPoint::default()
        }
    }

    #[test]
    fn a_scale_up_lasts_from_demand_crossing_capacity_until_ready_replicas_cover_it() {
        let timeline = [
            at(0, 0.8, 1, 1),
            at(1, 1.3, 1, 2),
            at(2, 2.4, 1, 3),
            at(5, 2.4, 1, 3),
            at(8, 2.4, 2, 3),
            at(9, 2.4, 3, 3),
            at(10, 2.0, 3, 3),
        ];
        let scaling = Scaling::of(&timeline).unwrap();
        let [shortage] = &scaling.shortages[..] else { panic!("{scaling:?}") };
        assert_eq!((shortage.at_seconds, shortage.seconds, shortage.ended), (1.0, 8.0, ShortageEnd::Scaled));
        assert_eq!((shortage.ready_before, shortage.ready_after), (1, 3));
        assert!((shortage.missing_replicas - 1.4).abs() < 1e-9);
        let times = scaling.scale_up().unwrap();
        assert_eq!((times.count, times.median_seconds, times.longest_seconds), (1, 8.0, 8.0));
        // The second was ordered at 1 s and ready at 8 s, the third at 2 s and 9 s.
        let started: Vec<f64> = scaling.starts.iter().map(|start| start.seconds).collect();
        assert_eq!((started, scaling.order_to_ready().unwrap().longest_seconds), (vec![7.0, 7.0], 7.0));
    }

    #[test]
    fn demand_that_falls_back_by_itself_is_a_shortage_and_no_scale_up() {
        let scaling = Scaling::of(&[at(0, 1.2, 1, 2), at(1, 1.1, 1, 2), at(2, 0.9, 1, 2)]).unwrap();
        assert_eq!((scaling.shortages[0].ended, scaling.scale_up()), (ShortageEnd::DemandFell, None));
        assert_eq!(scaling.short_seconds(), 2.0);
    }

    #[test]
    fn a_shortage_at_the_end_of_the_run_is_told_as_such() {
        let scaling = Scaling::of(&[at(0, 0.5, 1, 1), at(1, 1.5, 1, 2), at(4, 1.5, 1, 2)]).unwrap();
        assert_eq!((scaling.shortages[0].seconds, scaling.shortages[0].ended), (3.0, ShortageEnd::RunEnded));
    }

    #[test]
    fn a_scale_down_lasts_from_the_last_need_of_the_replica_until_it_is_gone() {
        // The third is last needed at 2 s, the second at 5 s.
        let timeline = [
            at(0, 2.5, 3, 3),
            at(1, 2.5, 3, 3),
            at(2, 2.1, 3, 3),
            at(3, 1.9, 3, 3),
            at(4, 1.5, 3, 2),
            at(5, 1.2, 2, 2),
            at(6, 0.5, 2, 2),
            at(9, 0.5, 2, 1),
            at(10, 0.5, 1, 1),
        ];
        let scaling = Scaling::of(&timeline).unwrap();
        let downs: Vec<_> = scaling.scale_downs.iter().map(|it| (it.at_seconds, it.seconds, it.ready_after)).collect();
        assert_eq!(downs, [(5.0, 3.0, 2), (10.0, 5.0, 1)]);
        assert_eq!((scaling.lost_replicas, scaling.shortages.len()), (0, 0));
    }

    #[test]
    fn a_replica_that_demand_never_needed_is_spare_from_its_becoming_ready() {
        let points = [at(0, 0.5, 1, 1), at(1, 0.9, 1, 2), at(5, 0.9, 2, 2), at(9, 0.5, 2, 1), at(10, 0.5, 1, 1)];
        let scaling = Scaling::of(&points).unwrap();
        assert_eq!((scaling.scale_downs[0].seconds, scaling.short_seconds()), (5.0, 0.0));
        assert!(scaling.short_seconds().is_sign_positive(), "a zero that reads `-0 s` is none");
    }

    #[test]
    fn a_replica_that_dies_is_lost_and_no_scale_down() {
        let scaling = Scaling::of(&[at(0, 1.5, 2, 2), at(1, 1.5, 1, 2), at(2, 1.5, 2, 2)]).unwrap();
        assert_eq!((scaling.lost_replicas, scaling.scale_downs.len()), (1, 0));
        assert_eq!(scaling.order_to_ready().unwrap().longest_seconds, 1.0, "it was wanted anew when it was gone");
        assert_eq!((scaling.shortages[0].seconds, scaling.shortages[0].ended), (1.0, ShortageEnd::Scaled));
    }

    #[test]
    fn a_replica_that_drains_for_an_order_that_was_taken_back_is_not_lost() {
        let drains = FleetPoint { draining: Some(1), ..at(1, 1.5, 1, 2) };
        let scaling = Scaling::of(&[at(0, 1.5, 2, 2), drains, at(2, 1.5, 2, 2)]).unwrap();
        assert_eq!((scaling.lost_replicas, scaling.scale_downs.len()), (0, 1));
    }

    #[test]
    fn over_missing_samples_nothing_is_concluded() {
        let blind = FleetPoint { ready: None, ..at(3, 1.5, 0, 2) };
        let timeline = [at(0, 0.5, 1, 1), at(1, 1.5, 1, 2), at(2, 1.5, 1, 2), blind, at(4, 1.5, 2, 2)];
        let scaling = Scaling::of(&timeline).unwrap();
        assert_eq!((scaling.shortages[0].ended, scaling.scale_up()), (ShortageEnd::NotSeen, None));
        // An outage of the controller leaves no points at all.
        let timeline = [at(0, 0.5, 1, 1), at(1, 1.5, 1, 2), at(2, 1.5, 1, 2), at(60, 1.5, 2, 2), at(61, 0.1, 2, 1)];
        assert_eq!(Scaling::of(&timeline).unwrap().shortages[0].ended, ShortageEnd::NotSeen);
    }

    #[test]
    fn a_tier_that_tells_no_demand_is_counted_by_its_orders_and_one_that_tells_nothing_not_at_all() {
        let ordered = |second, ready, desired| FleetPoint { demand_replicas: None, ..at(second, 0.0, ready, desired) };
        let scaling = Scaling::of(&[ordered(0, 1, 1), ordered(1, 1, 2), ordered(2, 1, 2), ordered(3, 2, 2)]).unwrap();
        assert_eq!((scaling.basis, scaling.scale_up().unwrap().longest_seconds), (Basis::Desired, 2.0));
        assert_eq!(Scaling::of(&[FleetPoint { ready: None, ..at(0, 1.0, 0, 1) }]), None);
    }
}
