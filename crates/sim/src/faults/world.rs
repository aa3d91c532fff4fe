//! One tier as it truly is: replicas from launch to end, what they serve, and a cloud that does what it is told under the
//! newest epoch only.

use super::dice::Dice;
use super::setting::Work;
use super::weather::TierWeather;
use super::{TICK, TICK_SPAN};
use evenkeel_core::decision::Decision;
use evenkeel_core::observe::{Replica, ReplicaId, ReplicaState};
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::Time;

/// From being told to end to being gone, ticks.
const DRAINS_FOR: u32 = 6;
/// A replica that ended by itself is still listed for so many ticks.
const FAILED_FOR: u32 = 2;
/// How much later a throttled cloud begins, ticks.
const THROTTLED_BY: u32 = 12;
/// Requests that waited this long are gone: their clients gave up. Seconds.
const PATIENCE: f64 = 20.0;
/// Never.
const NEVER: u32 = u32::MAX;

/// What will become of a replica.
#[derive(Clone, Copy, Debug)]
struct Life {
    /// The tick at which its state ends.
    due: u32,
    /// It ends when it should serve.
    doomed: bool,
    /// It serves, and its health check says that it does not.
    sick: bool,
}

/// One tier.
#[derive(Clone, Debug)]
pub struct Tier {
    prefix: String,
    work: Work,
    start_up: u32,
    chance: Dice,
    /// Its replicas, as its backend lists them.
    pub replicas: Vec<Replica>,
    lives: Vec<Life>,
    /// The first tick at which a replica's state ends.
    next_due: u32,
    named: u32,
    /// So many were to fail their health check when that was last told.
    sick: u32,
    /// Requests that wait.
    pub waiting: f64,
    /// What happened in the tick.
    pub served: Served,
}

/// What a tier did in one tick.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Served {
    /// Requests that arrived.
    pub arrived: f64,
    /// Requests that ended.
    pub ended: f64,
    /// Requests inside replicas at its end.
    pub inside: f64,
    /// GPU utilization, added up over the replicas that serve.
    pub busy: f64,
    /// Replicas that serve.
    pub ready: u32,
    /// Requests a second that arrived.
    pub per_second: f64,
}

impl Tier {
    /// An empty tier.
    pub fn new(spec: &TierSpec, seed: u64) -> Self {
        Self {
            prefix: spec.name.chars().take(1).collect(),
            work: Work::of(spec),
            start_up: ticks(spec.start_up.as_secs_f64()),
            chance: Dice::named(seed, &spec.name, "launches"),
            replicas: Vec::new(),
            lives: Vec::new(),
            next_due: NEVER,
            named: 0,
            sick: 0,
            waiting: 0.0,
            served: Served::default(),
        }
    }

    /// Ready and starting.
    pub fn living(&self) -> u32 {
        self.replicas.iter().filter(|it| is_alive(it)).count() as u32
    }

    /// Every replica serves.
    pub fn is_at_rest(&self) -> bool {
        self.replicas.iter().all(|it| it.state == ReplicaState::Ready)
    }

    /// What was due by `tick` comes to be.
    pub fn grow_older(&mut self, tick: u32, now: Time) {
        if tick < self.next_due {
            return;
        }
        let mut index = 0;
        while index < self.replicas.len() {
            let (replica, life) = (&mut self.replicas[index], &mut self.lives[index]);
            if life.due > tick {
                index += 1;
                continue;
            }
            match replica.state {
                ReplicaState::Starting if life.doomed => {
                    pass_into(replica, life, ReplicaState::Failed, now, tick + FAILED_FOR)
                }
                ReplicaState::Starting => pass_into(replica, life, ReplicaState::Ready, now, NEVER),
                ReplicaState::Ready => life.due = NEVER,
                ReplicaState::Draining | ReplicaState::Failed => {
                    self.replicas.swap_remove(index);
                    self.lives.swap_remove(index);
                    continue;
                }
            }
            index += 1;
        }
        self.count_next();
    }

    /// What is ready serves what arrives.
    pub fn serve(&mut self, per_second: f64, weather: &TierWeather) {
        let ready = self.replicas.iter().filter(|it| it.state == ReplicaState::Ready).count() as u32;
        let seconds = f64::from(TICK);
        let replicas = f64::from(ready);
        let full = replicas * self.work.per_second * seconds;
        let room = weather.speed.map_or(full, |percent| full * f64::from(percent) / 100.0);
        let arrived = per_second * seconds;
        let there = self.waiting + arrived;
        let ended = there.min(room);
        self.waiting = (there - ended).min(PATIENCE * per_second);
        let inside =
            if self.waiting > 0.0 { replicas * self.work.batch } else { self.work.requests_inside(ended / seconds) };
        let busy = if full > 0.0 { ended / full * replicas } else { 0.0 };
        self.served = Served { arrived, ended, inside, busy, ready, per_second };
    }

    /// So many ready replicas end by themselves.
    pub fn crash(&mut self, count: u32, tick: u32, now: Time) {
        self.end_by_themselves(count as usize, tick, now, |it| it.state == ReplicaState::Ready);
    }

    /// So many of a hundred replicas end at once.
    pub fn storm(&mut self, percent: u32, tick: u32, now: Time) {
        let count = (self.living() * percent).div_ceil(100);
        self.end_by_themselves(count as usize, tick, now, is_alive);
    }

    fn end_by_themselves(&mut self, count: usize, tick: u32, now: Time, whom: impl Fn(&Replica) -> bool) {
        let all = self.replicas.iter_mut().zip(&mut self.lives);
        for (replica, life) in all.filter(|(it, _)| whom(it)).take(count) {
            pass_into(replica, life, ReplicaState::Failed, now, tick + FAILED_FOR);
        }
        self.count_next();
    }

    /// So many ready replicas fail their health check from now on, and no others; those that do stay the same.
    pub fn sicken(&mut self, count: u32, now: Time) {
        if core::mem::replace(&mut self.sick, count) == count {
            return;
        }
        for (replica, life) in self.replicas.iter_mut().zip(&mut self.lives).filter(|(_, life)| life.sick) {
            life.sick = false;
            if replica.state == ReplicaState::Starting {
                pass_into(replica, life, ReplicaState::Ready, now, NEVER);
            }
        }
        let all = self.replicas.iter_mut().zip(&mut self.lives);
        for (replica, life) in all.filter(|(it, _)| it.state == ReplicaState::Ready).take(count as usize) {
            pass_into(replica, life, ReplicaState::Starting, now, NEVER);
            life.sick = true;
        }
    }

    /// Carries a decision out; how many replicas were launched.
    pub fn carry_out(&mut self, decision: &Decision, weather: &TierWeather, tick: u32, now: Time) -> u32 {
        let late = if weather.throttled { THROTTLED_BY } else { 0 };
        for id in &decision.victims {
            let victim =
                self.replicas.iter().position(|it| it.id == *id).filter(|&index| is_alive(&self.replicas[index]));
            if let Some(index) = victim {
                pass_into(
                    &mut self.replicas[index],
                    &mut self.lives[index],
                    ReplicaState::Draining,
                    now,
                    tick + DRAINS_FOR + late,
                );
            }
        }
        let wanted = decision.desired.saturating_sub(decision.supply.current());
        let room = weather.quota.map_or(wanted, |quota| quota.saturating_sub(self.replicas.len() as u32));
        let launched = if weather.launch_outage { 0 } else { wanted.min(room) };
        (0..launched).for_each(|_| self.launch(weather, tick + late, now));
        if launched > 0 || !decision.victims.is_empty() {
            self.count_next();
        }
        launched
    }

    fn launch(&mut self, weather: &TierWeather, tick: u32, now: Time) {
        let id = ReplicaId(format!("{}{}", self.prefix, self.named));
        self.named += 1;
        let due = tick + self.start_up + self.chance.below(self.start_up / 4 + 1);
        let doomed = self.chance.percent(weather.launches_fail);
        self.replicas.push(Replica { id, state: ReplicaState::Starting, since: now, in_flight: None });
        self.lives.push(Life { due, doomed, sick: false });
    }

    fn count_next(&mut self) {
        self.next_due = self.lives.iter().map(|it| it.due).min().unwrap_or(NEVER);
    }
}

/// `since` and the end of the state go with it.
fn pass_into(replica: &mut Replica, life: &mut Life, state: ReplicaState, now: Time, due: u32) {
    (replica.state, replica.since) = (state, now);
    (life.due, life.sick) = (due, false);
}

const fn is_alive(replica: &Replica) -> bool {
    matches!(replica.state, ReplicaState::Ready | ReplicaState::Starting)
}

fn ticks(seconds: f64) -> u32 {
    libm::ceil(seconds / TICK_SPAN.as_secs_f64()) as u32
}

/// The actuator's port: it obeys the newest epoch that it has heard of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fence {
    newest: u64,
}

impl Fence {
    /// Whether an order under `epoch` is obeyed.
    pub const fn lets_through(&mut self, epoch: u64) -> bool {
        let obeyed = epoch >= self.newest;
        if obeyed {
            self.newest = epoch;
        }
        obeyed
    }
}

#[cfg(test)]
mod tests {
    use super::super::setting::plain;
    use super::*;
    use evenkeel_core::decision::Reason;
    use evenkeel_core::observe::Supply;

    const NOW: Time = Time::from_micros(0);

    fn tier() -> Tier {
        Tier::new(&plain("gold", 0, 9, Vec::new()), 1)
    }

    fn order(tier: &Tier, desired: u32, victims: &[&str]) -> Decision {
        Decision {
            tier: "gold".into(),
            at: NOW,
            supply: Supply::of(&tier.replicas),
            desired,
            victims: victims.iter().map(|it| ReplicaId((*it).to_owned())).collect(),
            recommendations: Vec::new(),
            winner: None,
            clamps: Vec::new(),
            reason: Reason::HeldSteady,
            look_again: NOW,
        }
    }

    fn at(tier: &mut Tier, tick: u32) -> Supply {
        tier.grow_older(tick, NOW);
        Supply::of(&tier.replicas)
    }

    #[test]
    fn a_replica_serves_after_its_start_up_and_is_gone_after_its_drain() {
        let (mut tier, calm) = (tier(), TierWeather::default());
        assert_eq!(tier.carry_out(&order(&tier, 2, &[]), &calm, 0, NOW), 2);
        assert_eq!(at(&mut tier, 11), Supply { starting: 2, ..Supply::default() });
        // Start-ups vary by up to a quarter.
        assert_eq!(at(&mut tier, 15), Supply { ready: 2, ..Supply::default() });
        assert_eq!(tier.carry_out(&order(&tier, 1, &["g0"]), &calm, 15, NOW), 0);
        assert_eq!(at(&mut tier, 15), Supply { ready: 1, draining: 1, ..Supply::default() });
        assert_eq!(at(&mut tier, 21), Supply { ready: 1, ..Supply::default() });
    }

    #[test]
    fn nothing_is_launched_beyond_the_quota_or_in_an_outage_and_a_throttled_cloud_is_late() {
        let mut tier = tier();
        let quota = TierWeather { quota: Some(3), ..TierWeather::default() };
        assert_eq!(tier.carry_out(&order(&tier, 5, &[]), &quota, 0, NOW), 3);
        let outage = TierWeather { launch_outage: true, ..TierWeather::default() };
        assert_eq!(tier.carry_out(&order(&tier, 5, &[]), &outage, 0, NOW), 0);
        let late = TierWeather { throttled: true, ..TierWeather::default() };
        assert_eq!(tier.carry_out(&order(&tier, 5, &[]), &late, 0, NOW), 2);
        assert_eq!(at(&mut tier, 15).ready, 3);
        assert_eq!(at(&mut tier, 23).ready, 3);
        assert_eq!(at(&mut tier, 27).ready, 5);
    }

    #[test]
    fn doomed_launches_fail_when_they_should_serve() {
        let mut tier = tier();
        let doom = TierWeather { launches_fail: 100, ..TierWeather::default() };
        tier.carry_out(&order(&tier, 2, &[]), &doom, 0, NOW);
        assert_eq!(at(&mut tier, 15).failed, 2);
        assert_eq!(at(&mut tier, 17), Supply::default());
    }

    #[test]
    fn the_sick_are_ready_again_when_they_are_well() {
        let mut tier = tier();
        tier.carry_out(&order(&tier, 3, &[]), &TierWeather::default(), 0, NOW);
        at(&mut tier, 15);
        tier.sicken(2, NOW);
        assert_eq!(at(&mut tier, 500), Supply { ready: 1, starting: 2, ..Supply::default() });
        tier.sicken(0, NOW);
        assert_eq!(at(&mut tier, 501).ready, 3);
    }

    #[test]
    fn what_is_not_served_waits_and_gives_up_in_the_end() {
        let (mut tier, calm) = (tier(), TierWeather::default());
        tier.carry_out(&order(&tier, 1, &[]), &calm, 0, NOW);
        at(&mut tier, 15);
        tier.serve(20.0, &calm);
        assert_eq!((tier.served.ended, tier.served.inside, tier.served.busy, tier.waiting), (100.0, 4.0, 0.5, 0.0));
        tier.serve(50.0, &calm);
        assert_eq!((tier.served.ended, tier.served.inside, tier.served.busy, tier.waiting), (200.0, 8.0, 1.0, 50.0));
        tier.serve(20.0, &TierWeather { speed: Some(0), ..calm });
        assert_eq!((tier.served.busy, tier.waiting), (0.0, 150.0));
        (0..9).for_each(|_| tier.serve(20.0, &TierWeather { speed: Some(0), ..calm }));
        assert_eq!(tier.waiting, 400.0, "twenty seconds of it");
    }

    #[test]
    fn an_older_epoch_is_refused_once_a_newer_one_was_heard() {
        let mut fence = Fence::default();
        assert!(fence.lets_through(1) && fence.lets_through(2) && fence.lets_through(2));
        assert!(!fence.lets_through(1));
    }
}
