//! The loop: whatever is next happens, until nothing is left.

use super::fleet::{EngineTotals, Fleet, Place, Tokens};
use super::latencies::{Answered, Latencies};
use super::longest::{longest_request, takes};
use super::served::{RequestCounts, Served};
use super::traced::Weights;
use super::traffic::Traffic;
use crate::autoscaler::{Autoscaler, EngineLoad, Measured, Seen};
use crate::cloud::{Cloud, Event as CloudEvent};
use crate::fluid::{Change, Run};
use crate::setting::Setting;
use evenkeel_core::capacity::Table;
use evenkeel_core::observe::{Cause, Finished, Mean, Offered, Reading, ReplicaState, Signals};
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::queue::{Action, Failure, QueueSettings, RequestId, TierQueue};
use evenkeel_engine::replica::{Event, InvalidProfile, RequestId as EngineId};
use evenkeel_engine::sequence::Sequence;
use evenkeel_workload::TraceRequest;

/// The gateway before the replicas.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Its queue.
    pub queue: QueueSettings,
    /// Requests that a replica is given at once at most.
    pub max_outstanding: u32,
    /// A player who has no first token after this long leaves; `None` for players who wait forever.
    pub patience: Option<Span>,
}

impl Gateway {
    /// The live gateway's queue, in which `most` requests wait, and `hold` while no replica can be reached; a replica has
    /// `max_outstanding` of them at once.
    pub fn new(most: u32, hold: Span, max_outstanding: u32) -> Self {
        let queue = QueueSettings::new(usize::try_from(most).unwrap_or(usize::MAX), hold);
        Self { queue, max_outstanding, patience: None }
    }
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The fleet, as in the fluid model.
    pub run: Run,
    /// The requests.
    pub served: Served,
}

/// What happens, in the order in which it does in one instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// An engine's iterations end.
    Iterations,
    /// The cloud has a replica ready, or takes one away.
    Cloud,
    /// The queue has waited for this.
    Queue,
    /// A player's patience ends.
    Leaves,
    /// A request arrives.
    Arrival,
    /// The autoscaler decides.
    Tick,
}

/// Lets `autoscaler` staff the tier `spec`, at whose gateway `traffic` arrives, on the default cloud. `demand`, in replicas a
/// slot, is what is scored against.
///
/// # Errors
/// A profile that drives no engine.
pub fn run(
    traffic: Traffic<'_>,
    demand: &[f64],
    setting: &Setting,
    tier: (&TierSpec, &Gateway),
    autoscaler: &mut dyn Autoscaler,
) -> Result<Outcome, InvalidProfile> {
    run_on(&Cloud::default(), traffic, demand, setting, tier, autoscaler)
}

/// The same on any cloud.
///
/// # Errors
/// A profile that drives no engine.
pub fn run_on(
    cloud: &Cloud,
    traffic: Traffic<'_>,
    demand: &[f64],
    setting: &Setting,
    (spec, gateway): (&TierSpec, &Gateway),
    autoscaler: &mut dyn Autoscaler,
) -> Result<Outcome, InvalidProfile> {
    let fleet = Fleet::new(&spec.profile, cloud, setting, demand.len())?;
    let mut world = World::new(traffic, demand, setting, (spec, gateway), fleet);
    while let Some((now, kind)) = world.next() {
        world.now = now;
        match kind {
            Kind::Iterations => world.iterate(),
            Kind::Cloud => world.hear_cloud(),
            Kind::Queue => {
                let actions = world.queue.advance(now);
                world.act(actions);
            }
            Kind::Leaves => world.leave(),
            Kind::Arrival => world.arrive(),
            Kind::Tick => world.tick(autoscaler),
        }
    }
    Ok(world.outcome())
}

/// A request at the gateway or inside a replica.
#[derive(Clone, Copy, Debug)]
struct Pending {
    id: RequestId,
    arrived: Time,
    tokens: Tokens,
    dispatched: Time,
    /// Where it is now, unless it waits.
    inside: Option<(Place, EngineId)>,
    first_token: Option<Time>,
}

struct World<'a> {
    now: Time,
    end: Time,
    scored_from: Time,
    setting: &'a Setting,
    gateway: &'a Gateway,
    /// Tokens that an engine takes in one request.
    longest: u32,
    table: Table,
    demand: &'a [f64],
    traffic: Traffic<'a>,
    /// Whether the traffic knows of each request what the prefix cache holds.
    cached_per_request: bool,
    weights: Option<Weights>,
    arriving: Option<TraceRequest>,
    /// When it arrives.
    next_arrival: Option<Time>,
    next_tick: Option<Time>,
    queue: TierQueue<Place>,
    pending: Sequence<Pending>,
    /// Who may leave next, by number, in order of arrival.
    leaving: u64,
    fleet: Fleet<'a>,
    latencies: Latencies,
    counts: RequestCounts,
    since_tick: SinceTick,
    load: Vec<f64>,
    engines: Vec<EngineLoad>,
    busy: Vec<f64>,
    run: Run,
    events: Vec<Event>,
}

/// Counted since the last tick.
#[derive(Clone, Copy, Debug, Default)]
struct SinceTick {
    offered: Offered,
    /// What the offered requests weigh.
    weight: f64,
    finished: Finished,
    pace_ms: Mean,
}

impl<'a> World<'a> {
    fn new(
        traffic: Traffic<'a>,
        demand: &'a [f64],
        setting: &'a Setting,
        (spec, gateway): (&TierSpec, &'a Gateway),
        fleet: Fleet<'a>,
    ) -> Self {
        let start = setting.start;
        let scored_from = setting.at(setting.scored_from);
        let mut world = World {
            now: start,
            end: setting.at(demand.len()),
            scored_from,
            setting,
            gateway,
            longest: longest_request(&spec.profile),
            table: Table::solve(&spec.profile, &spec.requests, &spec.slo.objectives, spec.maximum),
            demand,
            cached_per_request: traffic.tells_cached(),
            weights: traffic.weights(spec),
            traffic,
            arriving: None,
            next_arrival: None,
            next_tick: None,
            queue: TierQueue::new(gateway.queue.clone(), start),
            pending: Sequence::default(),
            leaving: 0,
            fleet,
            latencies: Latencies::new(&spec.slo.objectives, scored_from),
            counts: RequestCounts::default(),
            since_tick: SinceTick::default(),
            load: Vec::with_capacity(demand.len()),
            engines: Vec::with_capacity(demand.len()),
            busy: Vec::with_capacity(demand.len()),
            run: Run { ready: Vec::with_capacity(demand.len()), ..Run::default() },
            events: Vec::new(),
        };
        world.draw();
        world.plan_tick();
        world
    }

    /// The next moment, and what happens in it.
    fn next(&mut self) -> Option<(Time, Kind)> {
        let leave = self.next_leave();
        let mut next = None;
        let mut offer = |at: Option<Time>, kind| {
            let Some(at) = at.map(|at| at.max(self.now)) else { return };
            // Kinds are offered in their order, so among equals the first stays.
            if next.is_none_or(|(soonest, _)| at < soonest) {
                next = Some((at, kind));
            }
        };
        offer(self.fleet.next_event().map(|(at, _)| at), Kind::Iterations);
        offer(self.fleet.next_from_cloud(), Kind::Cloud);
        offer(self.queue.next_event(), Kind::Queue);
        offer(leave, Kind::Leaves);
        offer(self.next_arrival, Kind::Arrival);
        offer(self.next_tick, Kind::Tick);
        next
    }

    /// Draws the next request; one after the end never comes.
    fn draw(&mut self) {
        self.arriving = self.traffic.next();
        let at = self.arriving.as_ref().map(|request| self.setting.start + request.at);
        self.next_arrival = at.filter(|at| *at < self.end);
    }

    fn plan_tick(&mut self) {
        let slots = self.run.ready.len() as i64;
        let at = self.setting.start + Span::from_micros(self.setting.slot.as_micros() * slots);
        self.next_tick = Some(at).filter(|at| *at < self.end);
    }

    /// When the first player who still waits for a first token loses patience.
    fn next_leave(&mut self) -> Option<Time> {
        let patience = self.gateway.patience?;
        while self.leaving < self.queue.counters().offered {
            if let Some(pending) = self.pending.get(self.leaving).filter(|pending| pending.first_token.is_none()) {
                return Some(pending.arrived + patience);
            }
            self.leaving += 1;
        }
        None
    }

    fn is_scored(&self, arrived: Time) -> bool {
        arrived >= self.scored_from
    }

    fn arrive(&mut self) {
        let Some(arriving) = self.arriving.take() else { return };
        let TraceRequest { prompt_tokens, output_tokens, cached_tokens, .. } = arriving;
        let cached = self.cached_per_request.then_some(cached_tokens);
        self.draw();
        self.latencies.offered(self.now);
        self.counts.offered += u64::from(self.is_scored(self.now));
        if !takes(self.longest, prompt_tokens, output_tokens) {
            // The engine's answer to the client, which is no fault of the replica's: it costs no try, and is no demand.
            self.latencies.failed(self.now);
            self.counts.failed += u64::from(self.is_scored(self.now));
            return;
        }
        let (id, actions) = self.queue.enqueue(self.now);
        self.pending.push(Pending {
            id,
            arrived: self.now,
            tokens: Tokens { prompt: prompt_tokens, output: output_tokens, cached },
            dispatched: self.now,
            inside: None,
            first_token: None,
        });
        self.since_tick.offered.requests += 1;
        self.since_tick.weight += self.weights.as_ref().map_or(1.0, |weights| weights.weight(&arriving));
        self.since_tick.offered.prompt_tokens += u64::from(prompt_tokens);
        self.act(actions);
        if self.is_scored(self.now) {
            self.counts.most_queued = self.counts.most_queued.max(self.queue.queued() as u64);
        }
    }

    /// A player leaves; whoever has the request forgets it.
    fn leave(&mut self) {
        let Some(pending) = self.pending.take(self.leaving) else { return };
        if let Some((place, engine_id)) = pending.inside {
            self.fleet.cancel(place, self.now, engine_id);
        }
        self.counts.cancelled += u64::from(self.is_scored(pending.arrived));
        self.latencies.failed(pending.arrived);
        let actions = self.queue.cancel(self.now, pending.id);
        self.act(actions);
    }

    /// Does what the queue says, and what follows from it.
    fn act(&mut self, mut actions: Vec<Action<Place>>) {
        let mut next = 0;
        while let Some(action) = actions.get(next).cloned() {
            next += 1;
            match action {
                Action::Dispatch { request, replica, .. } => actions.extend(self.dispatch(request, replica)),
                Action::Reject { request, .. } => self.reject(request),
                Action::Drained { replica } => {
                    self.fleet.end(replica, self.now);
                    actions.extend(self.queue.remove_replica(self.now, &replica));
                }
            }
        }
    }

    fn dispatch(&mut self, request: RequestId, place: Place) -> Vec<Action<Place>> {
        let Some(pending) = self.pending.get_mut(request.number()) else { return Vec::new() };
        pending.dispatched = self.now;
        let tokens = pending.tokens;
        let mut events = std::mem::take(&mut self.events);
        pending.inside = self.fleet.submit(place, self.now, request, tokens, &mut events).map(|id| (place, id));
        let refused = pending.inside.is_none();
        self.hear(place, events);
        if refused { self.queue.fail(self.now, request, Failure::Error) } else { Vec::new() }
    }

    fn reject(&mut self, request: RequestId) {
        let Some(pending) = self.pending.take(request.number()) else { return };
        self.latencies.failed(pending.arrived);
        self.since_tick.finished.failed += 1;
        self.counts.failed += u64::from(self.is_scored(pending.arrived));
    }

    /// The engine whose moment is next runs until it.
    fn iterate(&mut self) {
        let Some((_, place)) = self.fleet.next_event() else { return };
        let mut events = std::mem::take(&mut self.events);
        self.fleet.advance(place, self.now, &mut events);
        self.hear(place, events);
    }

    /// Takes in what an engine tells, and keeps the emptied list for the next time.
    fn hear(&mut self, place: Place, mut events: Vec<Event>) {
        for event in events.drain(..) {
            match event {
                Event::Iterations(run) => self.latencies.iterated(self.now, &run),
                Event::Resumed { gap, .. } => self.latencies.resumed(self.now, gap),
                Event::FirstToken { id, at } => self.first_token(place, id, at),
                Event::Finished(finished) => self.finish(place, finished.id, finished.finished),
            }
        }
        self.events = events;
    }

    fn first_token(&mut self, place: Place, id: EngineId, at: Time) {
        let Some(request) = self.fleet.request(place, id) else { return };
        if let Some(pending) = self.pending.get_mut(request.number()) {
            pending.first_token = Some(at);
        }
        let actions = self.queue.first_byte(self.now, request);
        self.act(actions);
    }

    fn finish(&mut self, place: Place, id: EngineId, finished: Time) {
        let Some(request) = self.fleet.finished(place, id) else { return };
        let Some(pending) = self.pending.take(request.number()) else { return };
        let answered = Answered {
            arrived: pending.arrived,
            dispatched: pending.dispatched,
            first_token: pending.first_token.unwrap_or(finished),
            finished,
            output_tokens: pending.tokens.output,
        };
        self.latencies.answered(&answered);
        self.counts.answered += u64::from(self.is_scored(pending.arrived));
        self.since_tick.answered(&answered, pending.tokens.prompt);
        let actions = self.queue.complete(self.now, request);
        self.act(actions);
    }

    /// A replica serves, or is taken away.
    fn hear_cloud(&mut self) {
        match self.fleet.hear_cloud(self.now) {
            Some(CloudEvent::Ready(place)) => {
                let actions = self.queue.add_replica(self.now, place, self.gateway.max_outstanding);
                self.act(actions);
            }
            Some(CloudEvent::Noticed(place)) => self.drain(place),
            Some(CloudEvent::Lost(place)) => self.lose(place),
            None => (),
        }
    }

    /// What was inside a replica that is gone comes back to the queue, which tries it elsewhere if it may.
    fn lose(&mut self, place: Place) {
        let actions = self.queue.remove_replica(self.now, &place);
        self.act(actions);
        let mut events = std::mem::take(&mut self.events);
        self.fleet.advance(place, self.now, &mut events);
        self.hear(place, events);
        for request in self.fleet.end(place, self.now) {
            if let Some(pending) = self.pending.get_mut(request.number()) {
                pending.inside = None;
            }
            let actions = self.queue.fail(self.now, request, Failure::Broke);
            self.act(actions);
        }
    }

    fn outcome(mut self) -> Outcome {
        let billed = self.run.close(self.fleet.close());
        self.run.billed_slots = billed.as_secs_f64() / self.setting.slot.as_secs_f64();
        Outcome { run: self.run, served: Served::of(self.latencies, self.counts, self.busy) }
    }
}

/// Deciding.
impl World<'_> {
    fn tick(&mut self, autoscaler: &mut dyn Autoscaler) {
        let slot = self.run.ready.len();
        let measured = self.measure();
        let (ready, starting) = (self.fleet.count(ReplicaState::Ready), self.fleet.count(ReplicaState::Starting));
        let seen = Seen {
            now: self.now,
            slot: self.setting.slot,
            demand: &self.load,
            served_by: &self.run.ready,
            ready,
            starting,
            measured: Some(&measured),
            engines: Some(&self.engines),
        };
        let wanted = self.setting.decide(autoscaler, &seen);
        let launched = self.fleet.order(self.now, wanted.saturating_sub(ready + starting));
        let change = Change::of(&seen, wanted, launched, autoscaler.reason());
        self.run.changes.extend(change);
        self.shrink((ready + starting).saturating_sub(wanted));
        // What starts in no time serves in this very slot, as in the fluid model.
        while self.fleet.next_from_cloud().is_some_and(|at| at <= self.now) {
            self.hear_cloud();
        }
        let ready = self.fleet.count(ReplicaState::Ready);
        self.run.note(self.demand[slot], ready, launched, slot >= self.setting.scored_from, self.setting.violation);
        self.plan_tick();
    }

    fn shrink(&mut self, replicas: u32) {
        for _ in 0..replicas {
            if let Some(place) = self.fleet.newest_starting() {
                self.fleet.end(place, self.now);
            } else if let Some(place) = self.fleet.least_loaded() {
                self.drain(place);
            }
        }
    }

    /// It finishes what it has, and ends.
    fn drain(&mut self, place: Place) {
        self.fleet.drain(place, self.now);
        let actions = self.queue.drain_replica(self.now, &place);
        self.act(actions);
    }

    /// What gateway and engines report: counts since the last tick, and levels as they are.
    fn measure(&mut self) -> Measured {
        for place in self.fleet.places() {
            let mut events = std::mem::take(&mut self.events);
            self.fleet.advance(place, self.now, &mut events);
            self.hear(place, events);
        }
        let SinceTick { offered, weight, finished, pace_ms } = std::mem::take(&mut self.since_tick);
        let over = self.setting.slot;
        let totals = self.fleet.take_totals(over);
        let at = self.now;
        let mean = |sum: f64| Reading::Fresh { value: Mean { sum, count: u64::from(totals.ready) }, at };
        let signals = Signals {
            offered: if self.run.ready.is_empty() {
                Reading::Missing { cause: Cause::FirstReading }
            } else {
                Reading::Fresh { value: Offered { over, ..offered }, at }
            },
            queue_depth: Reading::Fresh { value: self.queue.queued() as u64, at },
            oldest_queued: Reading::Fresh { value: self.queue.oldest_waiting(at).unwrap_or_default(), at },
            in_flight: Reading::Fresh { value: self.queue.in_flight() as u64, at },
            finished: Reading::Fresh { value: Finished { over, ..finished }, at },
            latency: self.latencies.take_recent(at),
            pace: Reading::Fresh { value: pace_ms, at },
            gpu_utilization: mean(totals.busy),
            kv_utilization: mean(totals.kv),
            engine_waiting: Reading::Fresh { value: totals.waiting, at },
            ..Signals::default()
        };
        if !self.run.ready.is_empty() {
            let each_second = |requests: f64| requests / over.as_secs_f64();
            self.note_load(each_second(offered.requests as f64), each_second(weight), &totals);
        }
        Measured { signals, replicas: self.fleet.observed() }
    }
}

impl World<'_> {
    /// Takes in the slot that has just ended. What waits in the gateway counts as waiting inside the engines: most peers'
    /// routers hold nothing back.
    fn note_load(&mut self, requests_per_second: f64, weight_per_second: f64, totals: &EngineTotals) {
        self.load.push(self.table.demand(weight_per_second));
        let each = |sum: f64| sum / f64::from(totals.ready.max(1));
        self.busy.push(each(totals.busy));
        self.engines.push(EngineLoad {
            running: each(totals.running as f64),
            waiting: each((totals.waiting + self.queue.queued() as u64) as f64),
            kv_share: each(totals.kv),
            itl_seconds: self.latencies.take_mean_gap().unwrap_or(0.0),
            requests_per_second: each(requests_per_second),
        });
    }
}

impl SinceTick {
    fn answered(&mut self, answered: &Answered, prompt_tokens: u32) {
        self.finished.succeeded += 1;
        self.finished.prompt_tokens += u64::from(prompt_tokens);
        self.finished.output_tokens += u64::from(answered.output_tokens);
        if let Some(seconds) = answered.pace_seconds() {
            self.pace_ms.sum += 1e3 * seconds;
            self.pace_ms.count += 1;
        }
    }
}
