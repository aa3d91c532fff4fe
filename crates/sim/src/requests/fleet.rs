//! The replicas of a run: the cloud's instances, and the engine in each.

pub(super) use crate::cloud::Place;
use crate::cloud::{Cloud, Event as CloudEvent, Instance, Instances};
use crate::setting::Setting;
use evenkeel_core::observe::{Replica as Observed, ReplicaId, ReplicaState};
use evenkeel_core::profile::Profile;
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::queue::RequestId;
use evenkeel_engine::replica::{Event, InvalidProfile, Replica, RequestId as EngineId};
use evenkeel_engine::sequence::Sequence;
use evenkeel_engine::tournament::Tournament;

/// What serves in one replica.
#[derive(Debug)]
pub(super) struct Machine {
    engine: Replica,
    /// The gateway's requests, by the engine's numbers.
    inside: Sequence<RequestId>,
    /// Time busy until the last tick.
    busy: Span,
}

impl Machine {
    fn in_flight(&self) -> usize {
        self.engine.running() + self.engine.waiting()
    }
}

/// All replicas of a tier.
#[derive(Debug)]
pub(super) struct Fleet<'a> {
    profile: Profile,
    instances: Instances<'a>,
    machines: Vec<Option<Machine>>,
    /// When each engine has something to tell.
    timetable: Tournament<Time>,
}

/// How long a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) prompt: u32,
    pub(super) output: u32,
    /// Of the prompt, what the prefix cache holds; `None` for the profile's share.
    pub(super) cached: Option<u32>,
}

/// What a tick sees of the engines.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct EngineTotals {
    pub(super) ready: u32,
    /// Sum of busy shares over ready replicas.
    pub(super) busy: f64,
    /// Sum of cache shares.
    pub(super) kv: f64,
    pub(super) running: u64,
    pub(super) waiting: u64,
}

impl<'a> Fleet<'a> {
    /// # Errors
    /// A profile that drives no engine.
    pub(super) fn new(
        profile: &Profile,
        cloud: &'a Cloud,
        setting: &Setting,
        slots: usize,
    ) -> Result<Self, InvalidProfile> {
        Replica::new(profile, setting.start)?;
        let instances = Instances::new(cloud, setting, slots);
        let mut fleet =
            Self { profile: profile.clone(), instances, machines: Vec::new(), timetable: Tournament::default() };
        for _ in 0..setting.minimum {
            let place = fleet.instances.found();
            fleet.equip(place, setting.start);
        }
        Ok(fleet)
    }

    /// Orders so many replicas; how many the cloud granted.
    pub(super) fn order(&mut self, now: Time, replicas: u32) -> u32 {
        let mut granted = 0;
        for _ in 0..replicas {
            if let Some(place) = self.instances.order(now) {
                self.equip(place, now);
                granted += 1;
            }
        }
        granted
    }

    fn equip(&mut self, place: Place, now: Time) {
        // The profile was tried when the fleet was made.
        let Ok(engine) = Replica::new(&self.profile, now) else { return };
        if place as usize == self.machines.len() {
            self.machines.push(None);
        }
        self.machines[place as usize] = Some(Machine { engine, inside: Sequence::default(), busy: Span::ZERO });
    }

    /// When the cloud has something to tell.
    pub(super) const fn next_from_cloud(&self) -> Option<Time> {
        self.instances.next()
    }

    /// What the cloud tells until `now`, one thing a call. A replica that is lost stays to be looked into until it is ended.
    pub(super) fn hear_cloud(&mut self, now: Time) -> Option<CloudEvent> {
        self.instances.step(now).map(|(_, event)| event)
    }

    /// Who goes first: what starts, the newest first.
    pub(super) fn newest_starting(&self) -> Option<Place> {
        self.instances.newest(ReplicaState::Starting)
    }

    /// Then the least loaded, among equals the newest.
    pub(super) fn least_loaded(&self) -> Option<Place> {
        let ready = self.instances.alive().filter(|(_, it)| it.state == ReplicaState::Ready);
        ready.min_by_key(|(place, it)| (self.in_flight(*place), u64::MAX - it.number)).map(|it| it.0)
    }

    fn in_flight(&self, place: Place) -> usize {
        self.machines[place as usize].as_ref().map_or(0, Machine::in_flight)
    }

    /// Gives it no more work.
    pub(super) fn drain(&mut self, place: Place, now: Time) {
        self.instances.drain(place, now);
    }

    /// Ends it, and gives back the requests that were inside.
    pub(super) fn end(&mut self, place: Place, now: Time) -> Vec<RequestId> {
        self.instances.end(place, now);
        self.timetable.set(place, None);
        let machine = self.machines[place as usize].take();
        machine.map_or_else(Vec::new, |machine| machine.inside.iter().copied().collect())
    }

    /// What the cloud made of it.
    pub(super) fn close(self) -> Instances<'a> {
        self.instances
    }

    /// The next moment at which an engine has something to tell, and which.
    pub(super) fn next_event(&self) -> Option<(Time, Place)> {
        self.timetable.first()
    }

    /// Lets an engine run until `now`, and adds what it has to tell.
    pub(super) fn advance(&mut self, place: Place, now: Time, events: &mut Vec<Event>) {
        if let Some(machine) = &mut self.machines[place as usize] {
            machine.engine.advance(now);
            machine.engine.take_events(events);
            self.timetable.set(place, machine.engine.next_event());
        }
    }

    /// Hands a request over; `None` where the engine refuses it.
    pub(super) fn submit(
        &mut self,
        place: Place,
        now: Time,
        request: RequestId,
        tokens: Tokens,
        events: &mut Vec<Event>,
    ) -> Option<EngineId> {
        let machine = self.machines[place as usize].as_mut()?;
        let Tokens { prompt, output, cached } = tokens;
        let id = match cached {
            Some(cached) => machine.engine.submit_cached(now, prompt, output, cached),
            None => machine.engine.submit(now, prompt, output),
        }
        .ok()?;
        machine.inside.push(request);
        machine.engine.take_events(events);
        self.timetable.set(place, machine.engine.next_event());
        Some(id)
    }

    /// Takes a request back.
    pub(super) fn cancel(&mut self, place: Place, now: Time, id: EngineId) {
        if let Some(machine) = &mut self.machines[place as usize] {
            machine.engine.cancel(now, id);
            machine.inside.take(id.number());
            self.timetable.set(place, machine.engine.next_event());
        }
    }

    /// The gateway's number of a request inside an engine.
    pub(super) fn request(&self, place: Place, id: EngineId) -> Option<RequestId> {
        self.machines[place as usize].as_ref()?.inside.get(id.number()).copied()
    }

    /// The same, and the engine has it no more.
    pub(super) fn finished(&mut self, place: Place, id: EngineId) -> Option<RequestId> {
        self.machines[place as usize].as_mut()?.inside.take(id.number())
    }

    /// Everybody who exists, by place.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + use<> {
        0..self.machines.len() as Place
    }

    pub(super) fn count(&self, state: ReplicaState) -> u32 {
        self.instances.count(state)
    }

    /// The replicas as a backend lists them, in order of their orders.
    pub(super) fn observed(&self) -> Vec<Observed> {
        let mut instances: Vec<_> = self.instances.alive().collect();
        instances.sort_unstable_by_key(|(_, instance)| instance.number);
        let observed = |&(place, instance): &(Place, &Instance)| Observed {
            id: ReplicaId(format!("replica-{}", instance.number)),
            state: instance.state,
            since: instance.since,
            in_flight: Some(self.in_flight(place) as u32),
        };
        instances.iter().map(observed).collect()
    }

    /// What the engines say of themselves since the last call, `over` which they may have been busy.
    pub(super) fn take_totals(&mut self, over: Span) -> EngineTotals {
        let mut totals = EngineTotals::default();
        for (place, _) in self.instances.alive().filter(|(_, it)| it.state == ReplicaState::Ready) {
            let Some(machine) = &mut self.machines[place as usize] else { continue };
            let busy = machine.engine.busy();
            totals.ready += 1;
            totals.busy += (busy.as_secs_f64() - machine.busy.as_secs_f64()) / over.as_secs_f64();
            totals.kv += machine.engine.kv_usage();
            totals.running += machine.engine.running() as u64;
            totals.waiting += machine.engine.waiting() as u64;
            machine.busy = busy;
        }
        totals
    }
}
