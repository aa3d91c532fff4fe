//! The replicas of a run: ordered, started, drained, ended, and what they are billed for.

use evenkeel_core::observe::{Replica as Observed, ReplicaId, ReplicaState};
use evenkeel_core::profile::Profile;
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::queue::RequestId;
use evenkeel_engine::replica::{Event, InvalidProfile, Replica, RequestId as EngineId};
use evenkeel_engine::sequence::Sequence;
use evenkeel_engine::tournament::Tournament;
use std::collections::BTreeSet;

/// Where a replica stands among all; given again once it has ended.
pub(super) type Place = u32;

/// One replica from its order to its end.
#[derive(Debug)]
pub(super) struct Machine {
    /// Counted in orders.
    number: u64,
    ordered: Time,
    ready_at: Time,
    state: ReplicaState,
    /// In this state since.
    since: Time,
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
pub(super) struct Fleet {
    profile: Profile,
    machines: Vec<Option<Machine>>,
    /// Places that are free again.
    free: Vec<Place>,
    /// When each engine has something to tell.
    timetable: Tournament<Time>,
    starting: BTreeSet<(Time, Place)>,
    pub(super) ordered: u64,
    /// From here on replicas are billed.
    scored_from: Time,
    billed: Span,
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

impl Fleet {
    /// # Errors
    /// A profile that drives no engine.
    pub(super) fn new(profile: &Profile, scored_from: Time) -> Result<Self, InvalidProfile> {
        Replica::new(profile, scored_from)?;
        Ok(Self {
            profile: profile.clone(),
            machines: Vec::new(),
            free: Vec::new(),
            timetable: Tournament::default(),
            starting: BTreeSet::new(),
            ordered: 0,
            scored_from,
            billed: Span::ZERO,
        })
    }

    /// Orders a replica that is ready at `ready_at`.
    pub(super) fn order(&mut self, now: Time, ready_at: Time) {
        // The profile was tried when the fleet was made.
        let Ok(engine) = Replica::new(&self.profile, now) else { return };
        let machine = Machine {
            number: self.ordered,
            ordered: now,
            ready_at,
            state: ReplicaState::Starting,
            since: now,
            engine,
            inside: Sequence::default(),
            busy: Span::ZERO,
        };
        self.ordered += 1;
        let place = self.free.pop().unwrap_or(self.machines.len() as Place);
        if place as usize == self.machines.len() {
            self.machines.push(None);
        }
        self.machines[place as usize] = Some(machine);
        self.starting.insert((ready_at, place));
    }

    /// When the next starting replica is ready.
    pub(super) fn next_ready(&self) -> Option<Time> {
        self.starting.first().map(|(at, _)| *at)
    }

    /// The first starting replica is ready.
    pub(super) fn admit(&mut self, now: Time) -> Option<Place> {
        let (_, place) = self.starting.pop_first()?;
        let machine = self.machines[place as usize].as_mut()?;
        (machine.state, machine.since) = (ReplicaState::Ready, now);
        Some(place)
    }

    /// Who goes first: what starts, the newest first.
    pub(super) fn newest_starting(&self) -> Option<Place> {
        self.alive().filter(|(_, it)| it.state == ReplicaState::Starting).max_by_key(|(_, it)| it.number).map(|it| it.0)
    }

    /// Then the least loaded, among equals the newest.
    pub(super) fn least_loaded(&self) -> Option<Place> {
        let ready = self.alive().filter(|(_, it)| it.state == ReplicaState::Ready);
        ready.min_by_key(|(_, it)| (it.in_flight(), u64::MAX - it.number)).map(|it| it.0)
    }

    /// Gives it no more work.
    pub(super) fn drain(&mut self, place: Place, now: Time) {
        if let Some(machine) = &mut self.machines[place as usize] {
            (machine.state, machine.since) = (ReplicaState::Draining, now);
        }
    }

    /// Ends it, and gives back the requests that were inside.
    pub(super) fn end(&mut self, place: Place, now: Time) -> Vec<RequestId> {
        let Some(machine) = self.machines[place as usize].take() else { return Vec::new() };
        self.billed = self.billed + self.bill(&machine, now);
        self.starting.retain(|(_, other)| *other != place);
        self.timetable.set(place, None);
        self.free.push(place);
        machine.inside.iter().copied().collect()
    }

    /// What has been billed by `now`, from the beginning of scoring on.
    pub(super) fn billed(&self, now: Time) -> Span {
        self.alive().fold(self.billed, |sum, (_, machine)| sum + self.bill(machine, now))
    }

    /// A replica ordered before scoring began is free until it is ready.
    fn bill(&self, machine: &Machine, until: Time) -> Span {
        let from = if machine.ordered >= self.scored_from { machine.ordered } else { machine.ready_at };
        until.since(from.max(self.scored_from))
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
        self.alive().filter(|(_, machine)| machine.state == state).count() as u32
    }

    /// The replicas as a backend lists them, in order of their orders.
    pub(super) fn observed(&self) -> Vec<Observed> {
        let mut machines: Vec<&Machine> = self.machines.iter().flatten().collect();
        machines.sort_unstable_by_key(|machine| machine.number);
        let observed = |machine: &&Machine| Observed {
            id: ReplicaId(format!("replica-{}", machine.number)),
            state: machine.state,
            since: machine.since,
            in_flight: Some(machine.in_flight() as u32),
        };
        machines.iter().map(observed).collect()
    }

    /// What the engines say of themselves since the last call, `over` which they may have been busy.
    pub(super) fn take_totals(&mut self, over: Span) -> EngineTotals {
        let mut totals = EngineTotals::default();
        for machine in self.machines.iter_mut().flatten().filter(|it| it.state == ReplicaState::Ready) {
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

    fn alive(&self) -> impl Iterator<Item = (Place, &Machine)> {
        let numbered = self.machines.iter().enumerate();
        numbered.filter_map(|(place, machine)| Some((place as Place, machine.as_ref()?)))
    }
}
