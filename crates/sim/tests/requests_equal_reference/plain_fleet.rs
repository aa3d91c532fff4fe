//! A tier written as plainly as possible: every iteration of every replica one by one, lists instead of indexes.

use crate::plain::{Input, PlainReplica};
use evenkeel_core::spec::TierSpec;
use evenkeel_sim::requests::Gateway;
use evenkeel_sim::setting::Setting;
use evenkeel_workload::TraceRequest;
use std::cmp::Reverse;

const FEMTOS: i128 = 1_000_000_000;
pub const SLOT_US: i64 = 5_000_000;

/// One request, microseconds.
#[derive(Clone, Debug)]
pub struct Request {
    pub arrived: i64,
    prompt: u32,
    pub output: u32,
    pub dispatched: i64,
    /// When each of its tokens was out.
    pub tokens: Vec<i64>,
    pub refused: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Starting,
    Serving,
    Draining,
}

struct Site<'a> {
    place: usize,
    number: usize,
    ordered: i64,
    ready_at: i64,
    state: State,
    /// Order in which it began to serve.
    joined: usize,
    /// When it was last given work, counted in dispatches.
    turn: usize,
    outstanding: usize,
    engine: PlainReplica<'a>,
    /// The requests by the engine's numbers, and how many tokens of each were told.
    inside: Vec<(usize, usize)>,
    /// End of the iteration under way, femtoseconds.
    end: Option<i128>,
}

pub struct PlainFleet<'a> {
    now: i64,
    tier: &'a TierSpec,
    setting: &'a Setting,
    gateway: &'a Gateway,
    script: &'a [u32],
    end: i64,
    sites: Vec<Site<'a>>,
    free: Vec<usize>,
    places: usize,
    orders: usize,
    joins: usize,
    turns: usize,
    waiting: Vec<usize>,
    pub requests: Vec<Request>,
    pub most_queued: usize,
    pub ready: Vec<u32>,
    pub billed: i64,
}

/// Serves `traffic` for `slots` slots, with as many replicas as `script` says, over and over; then ends what is inside.
pub fn serve<'a>(
    traffic: &[TraceRequest],
    slots: usize,
    (tier, setting, gateway): (&'a TierSpec, &'a Setting, &'a Gateway),
    script: &'a [u32],
) -> PlainFleet<'a> {
    let mut fleet = PlainFleet {
        now: 0,
        tier,
        setting,
        gateway,
        script,
        end: slots as i64 * SLOT_US,
        sites: Vec::new(),
        free: Vec::new(),
        places: 0,
        orders: 0,
        joins: 0,
        turns: 0,
        waiting: Vec::new(),
        requests: Vec::new(),
        most_queued: 0,
        ready: Vec::new(),
        billed: 0,
    };
    (0..setting.minimum).for_each(|_| fleet.order(0));
    let end = fleet.end;
    let mut arrivals = traffic.iter().copied().filter(|request| request.at.as_micros() < end).peekable();
    let mut billed = None;
    loop {
        let arrival = arrivals.peek().map(|request| request.at.as_micros());
        let tick = (fleet.ready.len() < slots).then(|| fleet.ready.len() as i64 * SLOT_US);
        let next = fleet.next(arrival, tick);
        // What is inside after the end is served, and not billed.
        if next.is_none_or(|(at, ..)| at >= end) && billed.is_none() {
            billed = Some(fleet.billed_by(end));
        }
        let Some((now, kind, place)) = next else { break };
        fleet.now = now;
        let site = fleet.sites.iter().position(|site| site.place == place);
        match kind {
            0 => fleet.iterate(site.unwrap()),
            1 => fleet.join(site.unwrap()),
            2 => fleet.arrive(arrivals.next().unwrap()),
            _ => fleet.resize(),
        }
    }
    fleet.billed = billed.unwrap();
    fleet
}

fn visible(femtos: i128) -> i64 {
    (femtos + FEMTOS - 1).div_euclid(FEMTOS) as i64
}

impl PlainFleet<'_> {
    pub fn scored_from(&self) -> i64 {
        self.setting.scored_from as i64 * SLOT_US
    }

    /// The next moment, the kind of what happens, and whose it is.
    fn next(&self, arrival: Option<i64>, tick: Option<i64>) -> Option<(i64, u32, usize)> {
        let iterations = self.sites.iter().filter_map(|site| Some((visible(site.end?), 0, site.place)));
        let starting = self.sites.iter().filter(|site| site.state == State::Starting);
        let starts = starting.map(|site| (site.ready_at.max(self.now), 1, site.place));
        let others = [arrival.map(|at| (at, 2, 0)), tick.map(|at| (at, 3, 0))];
        iterations.chain(starts).chain(others.into_iter().flatten()).min()
    }

    fn order(&mut self, ready_at: i64) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places += 1;
            self.places - 1
        });
        let engine = PlainReplica::new(&self.tier.profile);
        let (number, ordered, state) = (self.orders, self.now, State::Starting);
        let (inside, end) = (Vec::new(), None);
        self.sites.push(Site {
            place,
            number,
            ordered,
            ready_at,
            state,
            joined: 0,
            turn: 0,
            outstanding: 0,
            engine,
            inside,
            end,
        });
        self.orders += 1;
    }

    fn join(&mut self, site: usize) {
        self.joins += 1;
        (self.sites[site].state, self.sites[site].joined) = (State::Serving, self.joins);
        self.dispatch();
    }

    fn end(&mut self, site: usize) {
        let site = self.sites.remove(site);
        self.billed += self.bill(&site, self.now);
        self.free.push(site.place);
    }

    /// A minute at least, but nothing after the end of the run.
    fn bill(&self, site: &Site<'_>, until: i64) -> i64 {
        let until = until.max(site.ordered + 60_000_000).min(self.end);
        (until - site.ordered.max(self.scored_from())).max(0)
    }

    fn billed_by(&self, end: i64) -> i64 {
        self.billed + self.sites.iter().map(|site| self.bill(site, end)).sum::<i64>()
    }

    fn dispatch(&mut self) {
        let most = self.gateway.max_outstanding as usize;
        while let Some(&request) = self.waiting.first() {
            let free = self.sites.iter_mut().filter(|site| site.state == State::Serving && site.outstanding < most);
            let Some(site) = free.min_by_key(|site| (site.outstanding, site.turn, site.joined)) else { break };
            self.waiting.remove(0);
            self.turns += 1;
            (site.turn, site.outstanding) = (self.turns, site.outstanding + 1);
            let Request { prompt, output, dispatched, .. } = &mut self.requests[request];
            *dispatched = self.now;
            site.engine.submit(Input { arrives: self.now, prompt: *prompt, output: *output, cancelled: None });
            site.inside.push((request, 0));
            if site.end.is_none() {
                site.end = site.engine.iteration(i128::from(self.now) * FEMTOS);
            }
        }
    }

    /// An iteration has ended: the next one begins, and its own tokens are told.
    fn iterate(&mut self, index: usize) {
        let site = &mut self.sites[index];
        let place = site.place;
        // The next iteration's tokens are put down as it begins; they lie later, and are told later.
        site.end = site.end.and_then(|ended| site.engine.iteration(ended));
        let mut finished = 0;
        for (inside, (request, told)) in site.inside.iter_mut().enumerate() {
            let request = &mut self.requests[*request];
            while let Some(&at) = site.engine.outcomes[inside].tokens.get(*told).filter(|at| **at <= self.now) {
                request.tokens.push(at);
                *told += 1;
                finished += usize::from(request.tokens.len() == request.output as usize);
            }
        }
        for _ in 0..finished {
            self.sites[index].outstanding -= 1;
            self.dispatch();
        }
        if self.sites[index].state == State::Draining && self.sites[index].outstanding == 0 {
            assert_eq!(self.sites[index].place, place);
            self.end(index);
        }
    }

    fn arrive(&mut self, request: TraceRequest) {
        let (prompt, output) = (request.prompt_tokens, request.output_tokens);
        let (arrived, dispatched, tokens) = (self.now, self.now, Vec::new());
        self.requests.push(Request { arrived, prompt, output, dispatched, tokens, refused: false });
        self.waiting.push(self.requests.len() - 1);
        self.dispatch();
        if self.waiting.len() > self.gateway.queue.max_queued {
            let last = self.waiting.pop().unwrap();
            self.requests[last].refused = true;
        }
        if self.now >= self.scored_from() {
            self.most_queued = self.most_queued.max(self.waiting.len());
        }
    }

    fn resize(&mut self) {
        let wanted = self.script[self.ready.len() % self.script.len()] as usize;
        let counted = |state| self.sites.iter().filter(|site| site.state == state).count();
        let current = counted(State::Serving) + counted(State::Starting);
        let start_up = i64::from(self.setting.start_up_slots) * SLOT_US;
        (current..wanted).for_each(|_| self.order(self.now + start_up));
        (wanted..current).for_each(|_| self.remove_one());
        self.ready.push(self.sites.iter().filter(|site| site.state == State::Serving).count() as u32);
    }

    fn remove_one(&mut self) {
        let by = |state| self.sites.iter().enumerate().filter(move |(_, site)| site.state == state);
        if let Some((newest, _)) = by(State::Starting).max_by_key(|(_, site)| site.number) {
            return self.end(newest);
        }
        let (least, _) = by(State::Serving).min_by_key(|(_, site)| (site.outstanding, Reverse(site.number))).unwrap();
        self.sites[least].state = State::Draining;
        if self.sites[least].outstanding == 0 {
            self.end(least);
        }
    }
}
