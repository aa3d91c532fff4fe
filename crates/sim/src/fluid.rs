//! A fleet of one tier in slots: rates instead of requests, for weeks of demand and fleets of thousands.
//!
//! In each slot replicas whose start-up is over become ready, the autoscaler sees what was until the slot before and sets
//! a count, and what demand exceeds the ready replicas is violated. Replicas are billed from their order on. Going, the
//! ones still starting go first, the newest first.
//!
//! What the cloud refuses, and loses between two slots, is as [`crate::cloud`] has it. A replica that is lost within a slot is
//! missed from the next one on, and one that is told to go is gone at once.
//!
//! Left out: queues (a slot's excess is turned away), drains.

use crate::cloud::{Cloud, Event, Instances, Life, Losses};
use crate::oracle::Violation;
use crate::peers::EngineLoad;
use evenkeel_core::observe::{Replica, ReplicaState, Signals};
use evenkeel_core::units::{Span, Time};

/// Sets a count of replicas from what was.
pub trait Autoscaler {
    /// The count of ready and starting replicas from this slot on.
    fn decide(&mut self, seen: &Seen<'_>) -> u32;

    /// Why the last count was what it was, in a word; `None` for one that does not tell.
    fn reason(&self) -> Option<&'static str> {
        None
    }
}

/// What an autoscaler may look at: nothing of the present slot but its replicas.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The slot's beginning.
    pub now: Time,
    /// Length of a slot.
    pub slot: Span,
    /// Demand of the slots before, in replicas, oldest first.
    pub demand: &'a [f64],
    /// Ready replicas in the same slots.
    pub served_by: &'a [u32],
    /// Ready replicas now.
    pub ready: u32,
    /// Replicas that are starting now.
    pub starting: u32,
    /// What gateway and engines report, where the model has them.
    pub measured: Option<&'a Measured>,
    /// The engines' own figures in each slot before, in the same case.
    pub engines: Option<&'a [EngineLoad]>,
}

/// What gateway and engines report at a slot's beginning.
#[derive(Clone, Debug)]
pub struct Measured {
    /// As the controller reads them: counts since the slot before, and levels.
    pub signals: Signals,
    /// The replicas as a backend lists them.
    pub replicas: Vec<Replica>,
}

impl Seen<'_> {
    /// Ready and starting.
    pub const fn current(&self) -> u32 {
        self.ready + self.starting
    }

    /// Slots in `span`, at least one.
    pub fn slots(&self, span: Span) -> usize {
        (span.as_micros() / self.slot.as_micros()).max(1) as usize
    }

    /// Mean demand over the last `span`, or over what there is of it; zero before the first slot.
    pub fn mean_demand(&self, span: Span) -> f64 {
        let window = &self.demand[self.demand.len().saturating_sub(self.slots(span))..];
        if window.is_empty() { 0.0 } else { window.iter().sum::<f64>() / window.len() as f64 }
    }

    /// Whether a loop that runs each `period` from the start on runs in this slot.
    pub fn is_due(&self, period: Span) -> bool {
        self.demand.len().is_multiple_of(self.slots(period))
    }
}

/// The limits of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// Length of a slot.
    pub slot: Span,
    /// Slots from the order to ready, unless the cloud has a start-up of its own.
    pub start_up_slots: u32,
    /// Replicas at least.
    pub minimum: u32,
    /// Replicas at most, ready and starting.
    pub maximum: u32,
    /// Scoring starts in this slot; before it the autoscaler learns.
    pub scored_from: usize,
    /// Moment of the first slot.
    pub start: Time,
    /// How demand above the ready replicas is counted.
    pub violation: Violation,
}

impl Setting {
    /// Time from the order to ready.
    pub(crate) const fn start_up(&self) -> Span {
        Span::from_micros(self.slot.as_micros() * self.start_up_slots as i64)
    }

    /// Moment of a slot's beginning.
    pub(crate) fn at(&self, slot: usize) -> Time {
        self.start + Span::from_micros(self.slot.as_micros() * slot as i64)
    }

    /// What the autoscaler wants, inside the limits.
    pub(crate) fn decide(&self, autoscaler: &mut dyn Autoscaler, seen: &Seen<'_>) -> u32 {
        autoscaler.decide(seen).clamp(self.minimum, self.maximum)
    }
}

/// What a run came to, over the slots that are scored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Ready replicas in each slot, those before scoring included.
    pub ready: Vec<u32>,
    /// Replica-slots billed. What was starting when scoring began is free until it is ready.
    pub billed_slots: f64,
    /// Demand violated, replica-slots.
    pub violated: f64,
    /// Demand, replica-slots.
    pub offered: f64,
    /// Slots with any violation.
    pub violated_slots: u64,
    /// Replicas ordered.
    pub launches: u64,
    /// Where the count changed, those before scoring included.
    pub changes: Vec<Change>,
    /// Every replica, those before scoring included.
    pub lives: Vec<Life>,
    /// What the cloud refused and took away.
    pub losses: Losses,
}

/// A change that the autoscaler made of the count of ready and starting replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// In which slot.
    pub slot: usize,
    /// Before.
    pub from: u32,
    /// After, without what the cloud refused.
    pub to: u32,
    /// Why, where the autoscaler tells.
    pub reason: Option<&'static str>,
}

impl Change {
    /// From what was seen to what was wanted, of which so many could be launched.
    pub(crate) fn of(seen: &Seen<'_>, wanted: u32, launched: u32, reason: Option<&'static str>) -> Option<Self> {
        let (slot, from) = (seen.demand.len(), seen.current());
        let to = wanted.min(from + launched);
        (to != from).then_some(Self { slot, from, to, reason })
    }
}

impl Run {
    /// 1 - violated / offered demand; 1 without demand.
    pub fn capacity_attainment(&self) -> f64 {
        if self.offered > 0.0 { 1.0 - self.violated / self.offered } else { 1.0 }
    }
}

/// Lets `autoscaler` staff `demand`, given in replicas a slot, on the default cloud.
pub fn run(demand: &[f64], setting: &Setting, autoscaler: &mut dyn Autoscaler) -> Run {
    run_on(&Cloud::default(), demand, setting, autoscaler)
}

/// The same on any cloud.
pub fn run_on(cloud: &Cloud, demand: &[f64], setting: &Setting, autoscaler: &mut dyn Autoscaler) -> Run {
    let mut fleet = Fleet(Instances::new(cloud, setting, demand.len()));
    (0..setting.minimum).for_each(|_| _ = fleet.0.found());
    let mut run = Run { ready: Vec::with_capacity(demand.len()), ..Run::default() };
    for (slot, &offered) in demand.iter().enumerate() {
        let now = setting.at(slot);
        fleet.advance(now);
        let seen = Seen {
            now,
            slot: setting.slot,
            demand: &demand[..slot],
            served_by: &run.ready,
            ready: fleet.0.count(ReplicaState::Ready),
            starting: fleet.0.count(ReplicaState::Starting),
            measured: None,
            engines: None,
        };
        let wanted = setting.decide(autoscaler, &seen);
        let launched = fleet.resize(seen.current(), wanted, now);
        run.changes.extend(Change::of(&seen, wanted, launched, autoscaler.reason()));
        fleet.advance(now);
        let ready = fleet.0.count(ReplicaState::Ready);
        run.note(offered, ready, launched, slot >= setting.scored_from, setting.violation);
    }
    fleet.advance(setting.at(demand.len()));
    let billed = run.close(fleet.0);
    run.billed_slots = billed.as_micros() as f64 / setting.slot.as_micros() as f64;
    run
}

impl Run {
    /// Takes in a slot.
    pub(crate) fn note(&mut self, offered: f64, ready: u32, launched: u32, scored: bool, violation: Violation) {
        self.ready.push(ready);
        if scored {
            let violated = violation.of(offered, f64::from(ready));
            self.offered += offered;
            self.violated += violated;
            self.violated_slots += u64::from(violated > 0.0);
            self.launches += u64::from(launched);
        }
    }

    /// Takes in what became of the replicas; gives back what is billed.
    pub(crate) fn close(&mut self, instances: Instances<'_>) -> Span {
        let (billed, lives, losses) = instances.close();
        (self.lives, self.losses) = (lives, losses);
        billed
    }
}

struct Fleet<'a>(Instances<'a>);

impl Fleet<'_> {
    /// What happens until `now` by itself. Whoever is told to go is gone.
    fn advance(&mut self, now: Time) {
        while self.0.next().is_some_and(|at| at <= now) {
            if let Some((at, Event::Noticed(place))) = self.0.step(now) {
                self.0.end(place, at);
            }
        }
    }

    /// Orders or ends replicas, and says how many were ordered.
    fn resize(&mut self, current: u32, wanted: u32, now: Time) -> u32 {
        for _ in wanted..current {
            let newest = self.0.newest(ReplicaState::Starting).or_else(|| self.0.newest(ReplicaState::Ready));
            if let Some(place) = newest {
                self.0.end(place, now);
            }
        }
        (current..wanted).filter(|_| self.0.order(now).is_some()).count() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wants what a list says, slot by slot.
    struct Script(Vec<u32>);

    impl Autoscaler for Script {
        fn decide(&mut self, seen: &Seen<'_>) -> u32 {
            self.0[seen.demand.len()]
        }
    }

    fn setting(start_up_slots: u32) -> Setting {
        let (slot, start) = (Span::from_secs(5), Time::default());
        let violation = Violation::Excess;
        Setting { slot, start_up_slots, minimum: 1, maximum: 10, scored_from: 0, start, violation }
    }

    #[test]
    fn a_replica_ordered_now_serves_after_its_start_up_and_is_billed_meanwhile() {
        let run = run(&[2.0; 4], &setting(2), &mut Script(vec![2; 4]));
        assert_eq!(run.ready, [1, 1, 2, 2]);
        assert_eq!((run.billed_slots, run.violated, run.violated_slots, run.launches), (8.0, 2.0, 2, 1));
        assert_eq!(run.capacity_attainment(), 0.75);
    }

    #[test]
    fn what_starts_is_ended_first_never_serves_and_pays_its_minute() {
        let script = [&[3, 2][..], &[1; 18]].concat();
        let run = run(&[1.0; 20], &setting(2), &mut Script(script));
        // The two lived for one step and for two, of 5 s.
        assert_eq!((run.ready, run.billed_slots, run.launches), (vec![1; 20], 20.0 + 12.0 + 12.0, 2));
    }

    #[test]
    fn the_limits_hold_whatever_is_wanted() {
        assert_eq!(run(&[1.0; 3], &setting(0), &mut Script(vec![99, 0, 5])).ready, [10, 1, 5]);
    }

    #[test]
    fn scoring_starts_where_it_is_told_to_and_what_started_before_is_free_until_it_is_ready() {
        let scored = Setting { scored_from: 1, ..setting(2) };
        let run = run(&[3.0; 4], &scored, &mut Script(vec![3; 4]));
        assert_eq!(run.ready, [1, 1, 3, 3]);
        assert_eq!((run.billed_slots, run.offered, run.violated, run.launches), (1.0 + 3.0 + 3.0, 9.0, 2.0, 0));
    }

    #[test]
    fn under_step_a_slot_that_is_short_loses_all_of_its_demand() {
        let step = Setting { violation: Violation::Step, ..setting(2) };
        let run = run(&[2.5, 2.0, 2.0, 2.5], &step, &mut Script(vec![2; 4]));
        assert_eq!((run.ready, run.violated), (vec![1, 1, 2, 2], 2.5 + 2.0 + 2.5));
    }

    #[test]
    fn nobody_sees_the_present_slot() {
        struct Looks;
        impl Autoscaler for Looks {
            fn decide(&mut self, seen: &Seen<'_>) -> u32 {
                assert_eq!(seen.demand.len(), seen.served_by.len());
                assert!(!seen.demand.contains(&7.0));
                1
            }
        }
        run(&[1.0, 1.0, 7.0], &setting(0), &mut Looks);
    }
}
