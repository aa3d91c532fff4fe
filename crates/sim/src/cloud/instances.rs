//! The instances of a run, each from its order to its end: the one place that knows which launches succeed, when they are
//! ready, who is lost when, and how long each is billed. Both models ask it.
//!
//! What will happen to an instance by itself is known when it is ordered, and each has one next moment. What the pool of spot
//! instances takes away is found when it changes. After the run's end nothing is lost any more: what is inside a replica then
//! is finished, and not judged.

use super::bill::Life;
use super::weather::NOTICE;
use super::{Cloud, StartUp};
use crate::setting::Setting;
use evenkeel_core::observe::ReplicaState;
use evenkeel_core::units::{Span, Time};
use evenkeel_workload::random::Stream;
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};

/// Where an instance stands among all; given again once it has ended.
pub(crate) type Place = u32;

const MINUTE: Span = Span::from_secs(60);

/// What the weather did to a run while it was scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Losses {
    /// Launches that were not granted, each as often as it was asked for.
    pub launches_refused: u64,
    /// Launches that failed their health check.
    pub launches_failed: u64,
    /// Replicas on spot that were told to go, or ended while they started.
    pub interrupted: u64,
    /// Replicas that crashed.
    pub crashed: u64,
}

impl Losses {
    /// Whether nothing was refused or lost.
    pub fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What happens to an instance by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// It serves from now on.
    Ready(Place),
    /// It drains from now on, and is lost when its notice is over.
    Noticed(Place),
    /// It is gone, with all that was inside.
    Lost(Place),
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Ready,
    Failed,
    Crash,
    Notice,
    NoticeOver,
}

/// One instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// Counted in orders.
    pub(crate) number: u64,
    pub(crate) state: ReplicaState,
    /// In this state since.
    pub(crate) since: Time,
    ordered: Time,
    crashes_at: Option<Time>,
    /// On a spot instance: whose turn it is where not all can stay, the lowest first.
    spot: Option<u64>,
    told: bool,
    next: Option<(Time, Next)>,
}

/// All instances of a run.
#[derive(Debug)]
pub(crate) struct Instances<'a> {
    cloud: &'a Cloud,
    start_up: StartUp,
    /// The whole pool of spot instances.
    pool: u32,
    start: Time,
    end: Time,
    scored_from: Time,
    all: Vec<Option<Instance>>,
    /// Places that are free again.
    free: Vec<Place>,
    due: BTreeSet<(Time, Place)>,
    pool_changes_at: Option<Time>,
    next: Option<Time>,
    /// Who is in each state: numbers of orders, so the newest comes last, and places.
    by_state: [BTreeSet<(u64, Place)>; 4],
    ordered: u64,
    /// Launches of the last minute, oldest first; kept where they are limited.
    recent: VecDeque<Time>,
    /// The moment of the last launch, and how many that moment has had.
    moment: (Time, u32),
    billed: Span,
    lives: Vec<Life>,
    losses: Losses,
}

impl<'a> Instances<'a> {
    /// None yet, on a run of so many slots.
    pub(crate) fn new(cloud: &'a Cloud, setting: &Setting, slots: usize) -> Self {
        let spot = cloud.weather.spot.as_ref();
        let mut instances = Self {
            cloud,
            start_up: cloud.start_up.unwrap_or(StartUp::Fixed(setting.start_up())),
            pool: spot.and_then(|spot| spot.pool).unwrap_or(setting.maximum),
            start: setting.start,
            end: setting.at(slots),
            scored_from: setting.at(setting.scored_from),
            all: Vec::new(),
            free: Vec::new(),
            due: BTreeSet::new(),
            pool_changes_at: spot.map(|_| setting.start),
            next: None,
            by_state: Default::default(),
            ordered: 0,
            recent: VecDeque::new(),
            moment: (setting.start, 0),
            billed: Span::ZERO,
            lives: Vec::new(),
            losses: Losses::default(),
        };
        instances.note_next();
        instances
    }

    /// One that is there when the run begins, whatever the weather.
    pub(crate) fn found(&mut self) -> Place {
        let spot = self.next_is_on_spot();
        self.add(self.start, Span::ZERO, spot, true)
    }

    /// Orders one; `None` where the cloud refuses it.
    pub(crate) fn order(&mut self, now: Time) -> Option<Place> {
        let spot = self.next_is_on_spot();
        if !self.is_granted(now, spot) {
            self.losses.launches_refused += u64::from(now >= self.scored_from);
            return None;
        }
        if self.cloud.weather.launches_per_minute.is_some() {
            self.recent.push_back(now);
        }
        let start_up = match self.start_up {
            StartUp::Fixed(span) => span,
            StartUp::Staged(_) => self.start_up.sample(&mut self.stream(now, "start-up")),
        };
        let share = self.cloud.weather.failed_share;
        let healthy = share <= 0.0 || self.stream(now, "health").uniform() > share;
        Some(self.add(now, start_up, spot, healthy))
    }

    fn is_granted(&mut self, now: Time, spot: bool) -> bool {
        let weather = &self.cloud.weather;
        let has_room = !spot || self.on_spot().count() < self.spot_capacity(now) as usize;
        while self.recent.pop_front_if(|launch| *launch + MINUTE <= now).is_some() {}
        let is_throttled = weather.launches_per_minute.is_some_and(|most| self.recent.len() >= most as usize);
        weather.has_capacity(now.since(self.start)) && has_room && !is_throttled
    }

    /// The replicas on demand come before those on spot.
    fn next_is_on_spot(&self) -> bool {
        let Some(spot) = &self.cloud.weather.spot else { return false };
        let on_demand = |it: &&Instance| it.spot.is_none() && it.state != ReplicaState::Draining;
        self.all.iter().flatten().filter(on_demand).count() >= spot.on_demand as usize
    }

    /// Those on spot that were not told to go.
    fn on_spot(&self) -> impl Iterator<Item = (u64, Place)> {
        self.alive().filter(|(_, it)| !it.told).filter_map(|(place, it)| Some((it.spot?, place)))
    }

    fn spot_capacity(&self, now: Time) -> u32 {
        let spot = self.cloud.weather.spot.as_ref();
        spot.map_or(0, |spot| spot.trace.of_pool(self.pool, now.since(self.start)))
    }

    /// What is drawn for the launch that is granted next, if that is now.
    fn stream(&self, now: Time, concern: &str) -> Stream {
        let nth = if self.moment.0 == now { self.moment.1 } else { 0 };
        let launch = format!("launch {nth} at {}us", now.since(self.start).as_micros());
        Stream::named(self.cloud.seed, &launch, concern)
    }

    fn add(&mut self, now: Time, start_up: Span, spot: bool, healthy: bool) -> Place {
        let ready_at = now + start_up;
        let life = self
            .cloud
            .weather
            .mean_time_between_crashes
            .map(|mean| Span::from_secs_f64(mean.as_secs_f64() * self.stream(now, "crashes").exponential()));
        let instance = Instance {
            number: self.ordered,
            state: ReplicaState::Starting,
            since: now,
            ordered: now,
            crashes_at: life.map(|life| ready_at + life),
            // Positive floats are ordered as their bits are.
            spot: spot.then(|| self.stream(now, "interruptions").uniform().to_bits()),
            told: false,
            next: None,
        };
        self.ordered += 1;
        self.moment = (now, if self.moment.0 == now { self.moment.1 + 1 } else { 1 });
        let place = self.free.pop().unwrap_or(self.all.len() as Place);
        if place as usize == self.all.len() {
            self.all.push(None);
        }
        self.by_state[ReplicaState::Starting as usize].insert((instance.number, place));
        self.all[place as usize] = Some(instance);
        self.schedule(place, Some((ready_at, if healthy { Next::Ready } else { Next::Failed })));
        place
    }

    /// When the next thing happens by itself.
    pub(crate) const fn next(&self) -> Option<Time> {
        self.next
    }

    /// The next thing, if it happens until `now`, and when it does; `None` too where it concerns nobody.
    pub(crate) fn step(&mut self, now: Time) -> Option<(Time, Event)> {
        while let Some(at) = self.pool_changes_at.filter(|at| *at <= now && self.next == Some(*at)) {
            self.change_pool(at);
        }
        let (at, place) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        let instance = self.all[place as usize].as_ref()?;
        let (_, next) = instance.next?;
        Some((at, self.happens(place, at, next, instance.state)))
    }

    fn happens(&mut self, place: Place, now: Time, next: Next, state: ReplicaState) -> Event {
        match next {
            Next::Ready => return self.become_ready(place, now),
            Next::Failed => self.count_loss(now, |losses| &mut losses.launches_failed),
            Next::Crash => self.count_loss(now, |losses| &mut losses.crashed),
            Next::Notice => {
                self.count_loss(now, |losses| &mut losses.interrupted);
                if let Some(instance) = &mut self.all[place as usize] {
                    instance.told = true;
                }
                if state != ReplicaState::Starting {
                    self.schedule(place, Some((now + NOTICE, Next::NoticeOver)));
                    self.set_state(place, ReplicaState::Draining, now);
                    return Event::Noticed(place);
                }
            }
            Next::NoticeOver => (),
        }
        self.end(place, now);
        Event::Lost(place)
    }

    fn become_ready(&mut self, place: Place, now: Time) -> Event {
        let crashes_at = self.get(place).and_then(|instance| instance.crashes_at);
        self.schedule(place, crashes_at.map(|at| (at, Next::Crash)));
        self.set_state(place, ReplicaState::Ready, now);
        Event::Ready(place)
    }

    /// The pool is another from now on; if it is too small, somebody is told to go.
    fn change_pool(&mut self, now: Time) {
        let Some(spot) = &self.cloud.weather.spot else { return };
        let change = spot.trace.next_change(self.pool, now.since(self.start)).map(|at| self.start + at);
        let mut running: Vec<(u64, Place)> = self.on_spot().collect();
        running.sort_unstable();
        let surplus = running.len().saturating_sub(self.spot_capacity(now) as usize);
        for &(_, place) in &running[..surplus] {
            self.schedule(place, Some((now, Next::Notice)));
        }
        self.pool_changes_at = change.filter(|at| *at < self.end);
        self.note_next();
    }

    /// Sets what comes next for one of them. Nobody is lost once the run is over.
    fn schedule(&mut self, place: Place, next: Option<(Time, Next)>) {
        let Some(instance) = &mut self.all[place as usize] else { return };
        if let Some((at, _)) = instance.next.take() {
            self.due.remove(&(at, place));
        }
        instance.next = next.filter(|(at, next)| *next == Next::Ready || *at < self.end);
        if let Some((at, _)) = instance.next {
            self.due.insert((at, place));
        }
        self.note_next();
    }

    fn note_next(&mut self) {
        let due = self.due.first().map(|(at, _)| *at);
        self.next = [due, self.pool_changes_at].into_iter().flatten().min();
    }

    fn set_state(&mut self, place: Place, state: ReplicaState, now: Time) {
        let Some(instance) = &mut self.all[place as usize] else { return };
        self.by_state[instance.state as usize].remove(&(instance.number, place));
        self.by_state[state as usize].insert((instance.number, place));
        if instance.state != state {
            (instance.state, instance.since) = (state, now);
        }
    }

    fn count_loss(&mut self, at: Time, loss: impl Fn(&mut Losses) -> &mut u64) {
        *loss(&mut self.losses) += u64::from(at >= self.scored_from);
    }

    /// It is given no more work.
    pub(crate) fn drain(&mut self, place: Place, now: Time) {
        self.set_state(place, ReplicaState::Draining, now);
    }

    /// It ends, unless it has.
    pub(crate) fn end(&mut self, place: Place, now: Time) {
        let Some(instance) = self.all[place as usize].take() else { return };
        if let Some((at, _)) = instance.next {
            self.due.remove(&(at, place));
        }
        self.by_state[instance.state as usize].remove(&(instance.number, place));
        self.free.push(place);
        self.note_next();
        let life = self.life(&instance, now);
        self.billed = self.billed + life.billed(self.end);
        self.lives.push(life);
    }

    fn life(&self, instance: &Instance, until: Time) -> Life {
        Life {
            ordered: instance.ordered,
            from: instance.ordered.max(self.scored_from),
            // What drains after the end of the run is billed as what stands is.
            until: until.min(self.end),
            spot: instance.spot.is_some(),
            interrupted: instance.told,
        }
    }

    /// What is billed in all where those that stand are billed until the run's end, every life, and what the weather did.
    pub(crate) fn close(mut self) -> (Span, Vec<Life>, Losses) {
        let standing: Vec<Life> = self.alive().map(|(_, instance)| self.life(instance, self.end)).collect();
        let billed = standing.iter().fold(self.billed, |sum, life| sum + life.billed(self.end));
        self.lives.extend(standing);
        (billed, self.lives, self.losses)
    }

    /// How many are in this state.
    pub(crate) fn count(&self, state: ReplicaState) -> u32 {
        self.by_state[state as usize].len() as u32
    }

    /// The newest in this state.
    pub(crate) fn newest(&self, state: ReplicaState) -> Option<Place> {
        self.by_state[state as usize].last().map(|(_, place)| *place)
    }

    /// Who stands at a place.
    pub(crate) fn get(&self, place: Place) -> Option<&Instance> {
        self.all.get(place as usize)?.as_ref()
    }

    /// Everybody, by place.
    pub(crate) fn alive(&self) -> impl Iterator<Item = (Place, &Instance)> {
        self.all.iter().enumerate().filter_map(|(place, instance)| Some((place as Place, instance.as_ref()?)))
    }
}
