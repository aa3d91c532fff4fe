//! The engine against real time. One task owns it: it sleeps until the next moment at which a token is due, by absolute
//! deadline, and after a late wake-up it advances to the true now. So lateness never adds up, and what was late is
//! measured and told.

use super::busy::BusyWindow;
use super::clock::Clock;
use super::lengths::OutputLengths;
use super::metrics::{Levels, Metrics, Reason};
use super::request::Job;
use evenkeel_core::profile::Profile;
use evenkeel_core::units::Time;
use evenkeel_engine::replica::{Event, Finished, InvalidProfile, Refused, Replica, RequestId};
use std::collections::BTreeMap;
use tokio::sync::{mpsc, oneshot};

/// What the HTTP side asks of the driver.
pub(super) enum Command {
    /// Take a request that arrived at `at`.
    Submit { job: Job, at: Time, reply: oneshot::Sender<Result<Accepted, Refused>> },
    /// The client of a request has gone.
    Cancel(RequestId),
    /// Write the metrics page.
    Expose(oneshot::Sender<String>),
}

/// A request that the engine took.
pub(super) struct Accepted {
    pub(super) id: RequestId,
    pub(super) updates: mpsc::UnboundedReceiver<Update>,
}

/// How far a request has come; each update says all that the earlier ones said. Their number is bounded by the
/// request's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Update {
    /// So many tokens are out.
    Tokens(u32),
    /// All of them are out, so many.
    Finished(u32, Reason),
}

struct Live {
    arrived: Time,
    updates: mpsc::UnboundedSender<Update>,
    /// Tokens told so far; `None` where only the end is asked for.
    streamed: Option<u32>,
    reason: Reason,
}

/// The engine, its requests and its metrics.
pub(super) struct Driver {
    clock: Clock,
    model: String,
    engine: Replica,
    /// Longest output that may be drawn for a prompt of no tokens.
    longest: u32,
    lengths: OutputLengths,
    submitted: u64,
    live: BTreeMap<RequestId, Live>,
    metrics: Metrics,
    busy: BusyWindow,
}

impl Driver {
    pub(super) fn new(
        clock: Clock,
        model: String,
        profile: &Profile,
        lengths: OutputLengths,
    ) -> Result<Self, InvalidProfile> {
        let now = clock.now();
        Ok(Self {
            clock,
            model,
            engine: Replica::new(profile, now)?,
            longest: profile.max_model_tokens.min(profile.kv_tokens),
            lengths,
            submitted: 0,
            live: BTreeMap::new(),
            metrics: Metrics::new(),
            busy: BusyWindow::beginning(now),
        })
    }

    /// Runs until nobody is left who could send a command.
    pub(super) async fn run(mut self, mut commands: mpsc::UnboundedReceiver<Command>) {
        loop {
            let due = self.due();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(command) => self.wake(self.clock.now(), due, Some(command)),
                    None => return,
                },
                () = sleep_until(self.clock, due) => self.wake(self.clock.now(), due, None),
            }
            while let Ok(command) = commands.try_recv() {
                self.obey(command, self.clock.now());
            }
            self.deliver();
        }
    }

    /// The next moment at which somebody is to be told something: an iteration's end while a stream listens, else the
    /// engine's next event.
    fn due(&self) -> Option<Time> {
        let event = self.engine.next_event();
        let listened_to = self.live.values().any(|live| live.streamed.is_some());
        let boundary = self.engine.next_boundary().filter(|_| listened_to);
        boundary.into_iter().chain(event).min()
    }

    /// Catches up with `now`, at which something `due` may be late.
    fn wake(&mut self, now: Time, due: Option<Time>, command: Option<Command>) {
        if let Some(due) = due.filter(|due| *due <= now) {
            self.metrics.lagged(now.since(due));
        }
        if let Some(command) = command {
            self.obey(command, now);
        }
        self.engine.advance(now);
        self.busy.sample(self.engine.now(), self.engine.busy());
    }

    fn obey(&mut self, command: Command, now: Time) {
        match command {
            Command::Submit { job, at, reply } => self.submit(&job, at, reply),
            Command::Cancel(id) => {
                // Nothing to forget where it has finished meanwhile: then its end is still to be counted.
                if self.engine.cancel(now, id).is_some() {
                    self.live.remove(&id);
                }
            }
            Command::Expose(reply) => {
                self.engine.advance(now);
                self.deliver();
                // An asker that has gone needs no answer.
                let _ = reply.send(self.page());
            }
        }
    }

    fn submit(&mut self, job: &Job, at: Time, reply: oneshot::Sender<Result<Accepted, Refused>>) {
        let reason = if job.max_tokens.is_some() { Reason::Length } else { Reason::Stop };
        let room = self.longest.saturating_sub(job.prompt_tokens);
        let output = job.max_tokens.unwrap_or_else(|| self.lengths.draw(self.submitted, room));
        self.submitted += 1;
        let id = match self.engine.submit(at, job.prompt_tokens, output) {
            Ok(id) => id,
            Err(refused) => {
                let _ = reply.send(Err(refused));
                return;
            }
        };
        let (updates, receiver) = mpsc::unbounded_channel();
        if reply.send(Ok(Accepted { id, updates: receiver })).is_err() {
            // The client left before its request was taken.
            self.engine.cancel(at, id);
            return;
        }
        let streamed = job.stream.then_some(0);
        self.live.insert(id, Live { arrived: self.engine.now(), updates, streamed, reason });
    }

    /// Tells everybody what happened up to the moment the engine was advanced to. A request whose receiver has gone
    /// is cancelled by the receiver's own guard, so a failed send needs nothing more.
    fn deliver(&mut self) {
        let events: Vec<Event> = self.engine.drain_events().collect();
        for event in &events {
            self.metrics.record(event);
            match event {
                Event::FirstToken { id, at } => {
                    if let Some(live) = self.live.get(id) {
                        self.metrics.first_token(at.since(live.arrived));
                    }
                }
                Event::Finished(finished) => self.finish(finished),
                Event::Iterations(_) | Event::Resumed { .. } => {}
            }
        }
        for (id, live) in &mut self.live {
            let (Some(told), Some(tokens)) = (live.streamed, self.engine.tokens_of(*id)) else { continue };
            if tokens > told {
                live.streamed = Some(tokens);
                let _ = live.updates.send(Update::Tokens(tokens));
            }
        }
    }

    fn finish(&mut self, finished: &Finished) {
        if let Some(live) = self.live.remove(&finished.id) {
            self.metrics.finished(finished, live.reason);
            let _ = live.updates.send(Update::Finished(finished.output_tokens, live.reason));
        }
    }

    fn page(&self) -> String {
        let levels = Levels {
            running: self.engine.running(),
            waiting: self.engine.waiting(),
            kv_usage: self.engine.kv_usage(),
            busy_share: self.busy.share(self.engine.now(), self.engine.busy()),
        };
        self.metrics.page(&self.model, self.engine.counters(), &levels)
    }
}

async fn sleep_until(clock: Clock, due: Option<Time>) {
    match due {
        Some(due) => tokio::time::sleep_until(clock.instant(due)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
