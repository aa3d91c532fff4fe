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

use crate::autoscaler::{Autoscaler, Seen};
use crate::cloud::{Cloud, Event, Instances, Life, Losses};
use crate::oracle::Violation;
use crate::setting::Setting;
use evenkeel_core::observe::ReplicaState;
use evenkeel_core::units::{Span, Time};

/// What a run came to, over the slots that are scored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// Ready replicas in each slot, those before scoring included.
    pub ready: Vec<u32>,
    /// Replica-slots billed, from the beginning of scoring on.
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
    fn scoring_starts_where_it_is_told_to_and_what_started_before_is_billed_from_there_on() {
        let scored = Setting { scored_from: 1, ..setting(2) };
        let run = run(&[3.0; 4], &scored, &mut Script(vec![3; 4]));
        assert_eq!(run.ready, [1, 1, 3, 3]);
        assert_eq!((run.billed_slots, run.offered, run.violated, run.launches), (3.0 + 3.0 + 3.0, 9.0, 2.0, 0));
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
