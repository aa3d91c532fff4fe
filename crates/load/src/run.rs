//! The run itself.

use crate::connections::Connections;
use crate::deferred::defer;
use crate::failure::{Failed, Failure};
use crate::measured::Measured;
use crate::pacer::{Paced, Pacer};
use crate::plan::{Options, Plan};
use crate::probe::{FleetProbe, Sampler};
use crate::progress::{Progress, ProgressSink};
use crate::prompt::Ask;
use crate::record::Record;
use crate::streaming::stream;
use crate::summary::{Ended, Summary};
use crate::target::Target;
use crate::ticket::{SharedRecord, Ticket};
use bytes::Bytes;
use evenkeel_core::units::Span;
use evenkeel_workload::Arrival;
use http::Request;
use http_body_util::Full;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};

/// Names the tier to the gateway.
const TIER_HEADER: &str = "x-evenkeel-tier";

/// Sends the plan's requests to the target, each at its time, and sums up what became of them.
///
/// Ends when all is sent, when `max_requests` is reached, or when a `stop` resolves; then waits for the requests under
/// way, `drain` at most, or until a further `stop`. Whatever ended it, what was done so far is summed up. Dropping the
/// future ends everything at once.
pub async fn run(
    plan: Plan,
    target: Target,
    options: Options,
    probe: Option<Arc<dyn FleetProbe>>,
    progress: &mut dyn ProgressSink,
    stop: impl AsyncFn(),
) -> Summary {
    let started = Instant::now();
    let record = SharedRecord::new(Record::new(&plan, started, options.ignore_eos));
    let sampler = probe.map(|probe| Sampler::start(probe, started, options.probe_every));
    let address = target.to_string();
    let client = Arc::new(Client { connections: Connections::new(target.address()), target, plan, options });
    let mut run = Run { client: Arc::clone(&client), record, started, sent: 0, tasks: JoinSet::new(), reported: None };
    let ended = run.send(progress, &stop).await;
    let sent = started.elapsed();
    let ended = if run.drain(progress, &stop).await { ended } else { Ended::Interrupted };
    progress.finish();
    let fleet = sampler.map(|sampler| sampler.take());
    let mut record = run.record.lock();
    record.make_fit_for_people(client.options.api_key.as_ref());
    Summary::new(&client.plan, address, &record, fleet.as_ref(), ended, (sent, started.elapsed()))
}

/// What every request needs.
struct Client {
    connections: Arc<Connections>,
    target: Target,
    plan: Plan,
    options: Options,
}

struct Run {
    client: Arc<Client>,
    record: SharedRecord,
    started: Instant,
    sent: u64,
    tasks: JoinSet<()>,
    /// Moment and offered requests of the last update.
    reported: Option<(Instant, u64)>,
}

impl Run {
    async fn send(&mut self, progress: &mut dyn ProgressSink, stop: &impl AsyncFn()) -> Ended {
        let Client { plan, options, .. } = &*self.client;
        let mut pacer = Pacer::start(plan.arrivals(), self.started, plan.duration, options.max_requests);
        let mut updates = interval(options.progress_every);
        updates.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut stop = pin!(stop());
        loop {
            tokio::select! {
                // A flood of due requests must not keep a stop, or the progress, from being seen.
                biased;
                () = &mut stop => return Ended::Interrupted,
                _ = updates.tick() => progress.update(&self.progress(false)),
                paced = pacer.due.recv() => match paced {
                    Some(Paced::Due(arrival)) => self.serve(arrival),
                    Some(Paced::Over(ended)) => return ended,
                    None => return Ended::Interrupted,
                },
            }
        }
    }

    /// Starts a request and does not wait for it.
    fn serve(&mut self, arrival: Arrival) {
        // Ended tasks are forgotten as new ones start.
        while self.tasks.try_join_next().is_some() {}
        let ticket = self.record.offer(arrival);
        let number = self.sent;
        self.sent += 1;
        if self.tasks.len() >= self.client.options.max_in_flight {
            ticket.finish(Err(Failure::NotSent.into()));
            return;
        }
        let client = Arc::clone(&self.client);
        self.tasks.spawn(async move { client.request(arrival, number, ticket).await });
    }

    /// Waits for the requests under way; those left at the deadline, or at a stop, are ended and count as unfinished.
    /// Returns whether it was let wait.
    async fn drain(&mut self, progress: &mut dyn ProgressSink, stop: &impl AsyncFn()) -> bool {
        let deadline = tokio::time::Instant::now() + self.client.options.drain;
        let mut updates = interval(self.client.options.progress_every);
        updates.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut stop = pin!(stop());
        let waited = loop {
            tokio::select! {
                biased;
                () = &mut stop => break false,
                () = sleep_until(deadline) => break true,
                _ = updates.tick() => progress.update(&self.progress(true)),
                ended = self.tasks.join_next() => if ended.is_none() { break true },
            }
        };
        // Returns once the tasks are gone, and so their tickets are counted.
        self.tasks.shutdown().await;
        waited
    }

    fn progress(&mut self, draining: bool) -> Progress {
        let record = self.record.lock();
        let (now, offered) = (Instant::now(), record.all_offered());
        let (since, before) = self.reported.replace((now, offered)).unwrap_or((self.started, 0));
        let elapsed = now.duration_since(self.started);
        let seconds = now.duration_since(since).as_secs_f64();
        Progress {
            elapsed,
            planned: self.client.plan.duration.to_duration(),
            draining,
            players: self.client.plan.traffic.players().map(|it| it.at(Span::from_secs_f64(elapsed.as_secs_f64()))),
            offered,
            offered_per_second: if seconds > 0.0 { (offered - before) as f64 / seconds } else { 0.0 },
            in_flight: record.in_flight,
            succeeded: record.all_succeeded(),
            failed: record.all_failed(),
            lag_p99: record.lag.quantile(0.99),
        }
    }
}

impl Client {
    /// One request from its sending to its end.
    async fn request(&self, arrival: Arrival, number: u64, mut ticket: Ticket) {
        let Some(request) = self.prepare(arrival, number) else {
            return ticket.finish(Err(Failure::Malformed.into()));
        };
        ticket.sent(Instant::now());
        let asynchronous = self.plan.tiers[arrival.tier].asynchronous;
        let result = if asynchronous {
            let answer = defer(&self.connections, &self.target, request, &ticket);
            within(self.options.asynchronous_timeout, answer).await
        } else {
            within(self.options.timeout, stream(&self.connections, request)).await
        };
        ticket.finish(result);
    }

    /// `None` where a name cannot stand in a header.
    fn prepare(&self, arrival: Arrival, number: u64) -> Option<Request<Full<Bytes>>> {
        let tier = &self.plan.tiers[arrival.tier];
        let ask = Ask {
            model: &tier.model,
            number: number.wrapping_add(self.plan.seed.rotate_left(32)),
            prompt_tokens: arrival.prompt_tokens,
            output_tokens: arrival.output_tokens,
            stream: !tier.asynchronous,
            ignore_eos: self.options.ignore_eos,
        };
        let mut request = ask.request(&self.target, self.options.api_key.as_ref());
        if tier.named_to_gateway {
            request = request.header(TIER_HEADER, &tier.name);
        }
        request.body(Full::new(ask.body())).ok()
    }
}

async fn within(limit: Duration, answer: impl Future<Output = Result<Measured, Failed>>) -> Result<Measured, Failed> {
    timeout(limit, answer).await.unwrap_or(Err(Failure::Timeout.into()))
}
