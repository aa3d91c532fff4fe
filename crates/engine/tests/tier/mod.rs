//! A whole tier in virtual time: Poisson arrivals, the gateway's queue, and so many replicas behind it.

use evenkeel_core::spec::{LatencyMetric, TierSpec};
use evenkeel_core::units::{Span, Time};
use evenkeel_engine::queue::{Action, QueueSettings, RequestId, TierQueue};
use evenkeel_engine::replica::{self, Event, Finished, Replica};
use evenkeel_workload::{Arrival, Arrivals, PlayersSeries, TierTraffic};
use std::collections::BTreeMap;

/// A tier of which only the number of replicas and the offered rate are open.
pub struct Tier {
    pub spec: TierSpec,
    /// Requests that the gateway gives a replica beyond its largest batch.
    pub slack: u32,
}

/// What a run is.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub replicas: u32,
    /// Requests a second.
    pub rate: f64,
    /// Requests that are counted; a fifth as many before them fill the tier.
    pub requests: u32,
    pub seed: u64,
}

/// Latencies in ms of the requests that were counted.
#[derive(Debug, Default)]
pub struct Outcome {
    values: BTreeMap<LatencyMetric, Vec<f64>>,
}

impl Outcome {
    /// The smallest value that at least `quantile` of all do not exceed (nearest rank).
    pub fn quantile(&self, metric: LatencyMetric, quantile: f64) -> f64 {
        let mut values = self.values[&metric].clone();
        values.sort_by(f64::total_cmp);
        values[((quantile * values.len() as f64).ceil() as usize).clamp(1, values.len()) - 1]
    }

    fn add(&mut self, metric: LatencyMetric, ms: f64) {
        self.values.entry(metric).or_default().push(ms);
    }
}

impl Tier {
    /// A tier of `examples/game.yaml`.
    pub fn of_the_game(name: &str) -> Self {
        let fleet = evenkeel_fleet::read(include_str!("../../../../examples/game.yaml"), "game.yaml").unwrap();
        let index = fleet.spec.tiers.iter().position(|tier| tier.name == name).unwrap();
        Self { spec: fleet.spec.tiers[index].clone(), slack: fleet.tiers[index].slack }
    }

    pub fn run(&self, run: Run) -> Outcome {
        let mut fleet = RunningTier::new(self, run);
        let mut arrivals = self.arrivals(run).peekable();
        while let Some(now) = fleet.next_event(arrivals.peek().map(|arrival| moment(arrival.at))) {
            // What ends in an instant makes room for what arrives in it.
            fleet.advance(now);
            if let Some(arrival) = arrivals.next_if(|arrival| moment(arrival.at) <= now) {
                fleet.arrive(now, arrival);
            }
        }
        fleet.outcome
    }

    /// As many players as make the rate, at the tier's own mix of lengths.
    fn arrivals(&self, run: Run) -> impl Iterator<Item = Arrival> {
        let longest = self.spec.profile.max_model_tokens.min(self.spec.profile.kv_tokens);
        let traffic = TierTraffic::new(&self.spec.name, 1.0, self.spec.requests, longest).unwrap();
        let players = run.rate / traffic.rate_per_player();
        let requests = run.requests + run.requests / 5;
        let duration = Span::from_secs_f64(2.0 * f64::from(requests) / run.rate + 60.0);
        let players = PlayersSeries::constant(players, duration);
        Arrivals::new(&players, &[traffic], duration, run.seed).take(requests as usize)
    }
}

/// A request on a replica.
#[derive(Clone, Copy, Debug)]
struct OnReplica {
    id: RequestId,
    arrived: Time,
    dispatched: Time,
}

struct RunningTier {
    queue: TierQueue<usize>,
    replicas: Vec<Replica>,
    on_replica: Vec<BTreeMap<replica::RequestId, OnReplica>>,
    /// Arrival and lengths of the requests that the queue holds.
    waiting: BTreeMap<RequestId, (Time, Arrival)>,
    /// Requests before this one only fill the tier.
    counted_from: u64,
    outcome: Outcome,
}

impl RunningTier {
    fn new(tier: &Tier, run: Run) -> Self {
        let start = Time::from_micros(0);
        let mut queue = TierQueue::new(QueueSettings::new(usize::MAX, Span::from_secs(60)), start);
        let most = tier.spec.profile.max_sequences + tier.slack;
        for index in 0..run.replicas as usize {
            assert_eq!(queue.add_replica(start, index, most), []);
        }
        let replica = |_| Replica::new(&tier.spec.profile, start).unwrap();
        Self {
            queue,
            replicas: (0..run.replicas).map(replica).collect(),
            on_replica: vec![BTreeMap::new(); run.replicas as usize],
            waiting: BTreeMap::new(),
            counted_from: u64::from(run.requests / 5),
            outcome: Outcome::default(),
        }
    }

    fn next_event(&self, arrival: Option<Time>) -> Option<Time> {
        self.replicas.iter().filter_map(Replica::next_event).chain(arrival).min()
    }

    fn arrive(&mut self, now: Time, arrival: Arrival) {
        let (id, actions) = self.queue.enqueue(now);
        self.waiting.insert(id, (now, arrival));
        self.carry_out(now, actions);
    }

    fn advance(&mut self, now: Time) {
        for index in 0..self.replicas.len() {
            if self.replicas[index].next_event().is_some_and(|next| next <= now) {
                self.replicas[index].advance(now);
                for finished in finished(&mut self.replicas[index]) {
                    let request = self.on_replica[index].remove(&finished.id).unwrap();
                    self.count(request, &finished);
                    let actions = self.queue.complete(now, request.id);
                    self.carry_out(now, actions);
                }
            }
        }
    }

    fn carry_out(&mut self, now: Time, actions: Vec<Action<usize>>) {
        for action in actions {
            let Action::Dispatch { request: id, replica, .. } = action else {
                panic!("nothing fails here: {action:?}")
            };
            let (arrived, arrival) = self.waiting.remove(&id).unwrap();
            let inside = self.replicas[replica].submit(now, arrival.prompt_tokens, arrival.output_tokens).unwrap();
            self.on_replica[replica].insert(inside, OnReplica { id, arrived, dispatched: now });
        }
    }

    fn count(&mut self, request: OnReplica, finished: &Finished) {
        if request.id.number() < self.counted_from {
            return;
        }
        let since_arrival = |at: Time| at.since(request.arrived).as_millis_f64();
        self.outcome.add(LatencyMetric::QueueTime, since_arrival(request.dispatched));
        self.outcome.add(LatencyMetric::Ttft, since_arrival(finished.first_token));
        self.outcome.add(LatencyMetric::E2e, since_arrival(finished.finished));
        if let Some(tpot) = finished.tpot_seconds() {
            self.outcome.add(LatencyMetric::Tpot, tpot * 1e3);
        }
    }
}

fn finished(replica: &mut Replica) -> Vec<Finished> {
    let ended = |event| if let Event::Finished(finished) = event { Some(finished) } else { None };
    replica.drain_events().filter_map(ended).collect()
}

fn moment(at: Span) -> Time {
    Time::from_micros(at.as_micros())
}
