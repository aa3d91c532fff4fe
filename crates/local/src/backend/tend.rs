//! The task beside each replica: it watches the process, asks the ready path, and ends the replica when told.

use super::blocking::blocking;
use super::breaker::STABLE_AFTER;
use super::group::Group;
use super::launch;
use super::listener::Listener;
use super::log_file;
use super::readiness::{Answer, ask, owner};
use super::registry::Place;
use super::shared::Shared;
use super::state_files::{Record, log_path};
use evenkeel_controller::ports::BackendError;
use evenkeel_core::observe::ReplicaState;
use evenkeel_fleet::model::LocalSettings;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Pause between two looks at a replica that is not ready.
const LOOK_AT_STARTING: Duration = Duration::from_millis(200);
/// Pause between two looks at a ready one.
const LOOK_AT_READY: Duration = Duration::from_secs(1);
/// A ready replica stops counting as ready after this many looks without an answer.
const MISSES: u32 = 3;
/// A replica is tried on this many other ports when its own was taken.
const OTHER_PORTS: u32 = 5;

/// One replica and what it takes to tend it.
pub(crate) struct Tender {
    pub(crate) shared: Arc<Shared>,
    pub(crate) place: Place,
    pub(crate) settings: LocalSettings,
    pub(crate) group: Group,
    pub(crate) end: watch::Receiver<Option<Duration>>,
    pub(crate) start: Start,
}

/// How the tending of a replica begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// It was launched a moment ago.
    Launched,
    /// It was found, and answered already or not.
    Adopted {
        /// It answered.
        ready: bool,
    },
}

/// Why a replica stopped serving.
enum Stop {
    Ordered(Duration),
    Ended { was_ready: bool, how: String },
    PortTaken(String),
    Unanswered(String),
}

impl Tender {
    /// Tends the replica until all its processes have ended.
    pub(crate) async fn run(mut self) {
        let mut ready = self.start == Start::Adopted { ready: true };
        // What an adopted replica did before cannot be told, so its end is never laid to a busy port.
        let mut other_ports = if self.start == Start::Launched { OTHER_PORTS } else { 0 };
        loop {
            let stop = self.serve(ready).await;
            ready = false;
            if !self.shared.in_charge().await {
                match stop {
                    // Ending it is for the controller that is in charge to decide.
                    Stop::Unanswered(_) | Stop::PortTaken(_) => continue,
                    Stop::Ended { .. } | Stop::Ordered(_) => return self.watch_it_end(&stop).await,
                }
            }
            let permitted = self.shared.is_permitted();
            if !permitted && matches!(stop, Stop::Unanswered(_) | Stop::PortTaken(_)) {
                continue;
            }
            let moved = match &stop {
                Stop::Ordered(grace) => {
                    self.group.end(*grace).await;
                    return self.gone().await;
                }
                Stop::Ended { was_ready: true, .. } | Stop::Unanswered(_) => false,
                Stop::Ended { .. } if !permitted => false,
                // Leftovers of the replica itself may still hold the port: judged when they are gone.
                Stop::Ended { was_ready: false, .. } => {
                    self.end_leftovers().await;
                    launch::is_taken(self.place.port)
                }
                Stop::PortTaken(_) => true,
            };
            if moved && other_ports > 0 && self.restart_elsewhere(&stop).await {
                other_ports -= 1;
                continue;
            }
            self.shared.failed(&self.place.id, self.explain(&stop));
            self.left_alone_until_permitted().await;
            self.end_leftovers().await;
            return self.gone().await;
        }
    }

    /// Sees an end that another controller brings about, or has to clear away.
    async fn watch_it_end(&mut self, stop: &Stop) {
        let (tier, id) = (self.place.tier.clone(), self.place.id.clone());
        let ordered = self.shared.on_disk(move |shared| Record::is_ending(&shared.state_dir, &tier, &id)).await;
        if ordered == Some(false) && !matches!(stop, Stop::Ordered(_)) {
            self.shared.failed(&self.place.id, self.explain(stop));
        }
        self.group.left_to_itself().await;
        self.shared.left(&self.place.id);
    }

    /// Watches until there is a reason to stop.
    async fn serve(&mut self, mut ready: bool) -> Stop {
        let mut deadline = Instant::now() + self.settings.start_deadline.to_duration();
        let mut misses = 0;
        loop {
            let pause = if ready { LOOK_AT_READY } else { LOOK_AT_STARTING };
            // Asked of an end first, as an order may have come before this task began.
            let answer = tokio::select! {
                biased;
                grace = ordered(&mut self.end) => return Stop::Ordered(grace),
                () = self.group.leader_ended() => {
                    return Stop::Ended { was_ready: ready, how: self.group.ending() };
                }
                answer = look(&self.place, &self.settings, self.group.id(), !ready, pause) => answer,
            };
            self.rotate_log().await;
            if !self.shared.is_permitted() {
                // An operator may have stopped it to look into it: nobody's patience runs out meanwhile.
                deadline = Instant::now() + self.settings.start_deadline.to_duration();
            }
            match answer {
                Answer::Ready => {
                    self.answered(!ready);
                    (ready, misses) = (true, 0);
                }
                Answer::TakenBy(who) => return Stop::PortTaken(who),
                Answer::NotReady(reason) if ready => {
                    misses += 1;
                    if misses >= MISSES {
                        self.stopped_answering(reason);
                        ready = false;
                        deadline = Instant::now() + self.settings.start_deadline.to_duration();
                    }
                }
                Answer::NotReady(reason) if Instant::now() >= deadline => return self.too_late(reason).await,
                Answer::NotReady(_) => {}
            }
        }
    }

    /// It answered, for the `first` time since it did not.
    fn answered(&self, first: bool) {
        let now = self.shared.now();
        let mut registry = self.shared.registry();
        let Some(entry) = registry.entries.get_mut(&self.place.id) else { return };
        // An order to end it may have come while it was asked.
        if matches!(entry.state, ReplicaState::Starting | ReplicaState::Ready) {
            entry.enter(ReplicaState::Ready, now, None);
        }
        let stable = now.since(entry.since) >= STABLE_AFTER && !entry.proved;
        entry.proved |= stable;
        if first {
            registry.breaker(&self.place.tier).became_ready();
        }
        if stable {
            registry.breaker(&self.place.tier).proved_stable();
        }
    }

    /// A replica that no longer answers is not ended at once: it may be busy. It takes no work until it answers again,
    /// and has the start deadline to do so.
    fn stopped_answering(&self, reason: String) {
        let now = self.shared.now();
        tracing::warn!(tier = self.place.tier, id = %self.place.id, reason, "a ready replica stopped answering");
        self.shared.change(&self.place.id, |entry| {
            if entry.state == ReplicaState::Ready {
                entry.enter(ReplicaState::Starting, now, Some(format!("stopped answering: {reason}")));
            }
        });
    }

    /// The start deadline has passed: for want of an answer, or because a stranger sits on the port.
    async fn too_late(&self, reason: String) -> Stop {
        match owner(self.place.port, self.group.id(), &self.place.id.0).await {
            Listener::Stranger(who) => Stop::PortTaken(who),
            Listener::Replica | Listener::Unknown => Stop::Unanswered(reason),
        }
    }

    /// Starts the same replica again on another port; false when that was not possible.
    async fn restart_elsewhere(&mut self, stop: &Stop) -> bool {
        self.end_leftovers().await;
        let busy = self.place.port;
        let (shared, settings, place) = (Arc::clone(&self.shared), self.settings.clone(), self.place.clone());
        let restarted = blocking(move || restart(&shared, &settings, place)).await;
        match restarted {
            Ok(Ok((place, group))) => {
                let who = if let Stop::PortTaken(who) = stop { who } else { "another process" };
                tracing::info!(tier = place.tier, id = %place.id, busy, port = place.port, who, "moved to a free port");
                (self.place, self.group) = (place, group);
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(tier = self.place.tier, id = %self.place.id, %error, "could not move to a free port");
                false
            }
            Err(_) => false,
        }
    }

    /// Waits until something may be done without an order, or nothing is left to do.
    async fn left_alone_until_permitted(&mut self) {
        let mut permitted = self.shared.permitted.subscribe();
        tokio::select! {
            biased;
            () = async { drop(permitted.wait_for(|permitted| *permitted).await) } => {}
            () = self.group.left_to_itself() => {}
        }
    }

    async fn end_leftovers(&mut self) {
        self.group.end(self.settings.grace.to_duration()).await;
    }

    async fn gone(&self) {
        self.shared.gone(&self.place.tier, &self.place.id).await;
    }

    fn explain(&self, stop: &Stop) -> String {
        let what = match stop {
            Stop::Ordered(_) => "was ended".to_owned(),
            Stop::Ended { was_ready: true, how } => how.clone(),
            Stop::Ended { was_ready: false, how } => format!("{how} before it was ready"),
            Stop::PortTaken(who) => format!("its port {} was taken by {who}", self.place.port),
            Stop::Unanswered(reason) => format!("not ready within {} ({reason})", self.settings.start_deadline),
        };
        format!("{what}; its log is {}", log_path(&self.shared.state_dir, &self.place.tier, &self.place.id).display())
    }

    async fn rotate_log(&self) {
        let log = log_path(&self.shared.state_dir, &self.place.tier, &self.place.id);
        let limits = self.shared.logs;
        let rotated = blocking(move || log_file::rotate(&log, limits)).await;
        if let Ok(Err(error)) = rotated {
            tracing::debug!(id = %self.place.id, %error, "could not rotate a log");
        }
    }
}

/// Waits, then asks.
async fn look(place: &Place, settings: &LocalSettings, group: i32, not_proved: bool, pause: Duration) -> Answer {
    sleep(pause).await;
    ask(place.port, &settings.ready_path, group, &place.id.0, not_proved).await
}

/// Returns once an end was ordered.
async fn ordered(end: &mut watch::Receiver<Option<Duration>>) -> Duration {
    match end.wait_for(Option::is_some).await.map(|grace| *grace) {
        Ok(Some(grace)) => grace,
        // The entry is gone and with it whoever could order: nothing comes any more.
        _ => std::future::pending().await,
    }
}

/// The same replica on another port, under the fence as any launch.
fn restart(shared: &Shared, settings: &LocalSettings, mut place: Place) -> Result<(Place, Group), BackendError> {
    let _passage = shared.fence.pass(shared.epoch.load(Ordering::Relaxed))?;
    let mut taken = shared.registry().taken_ports();
    taken.insert(place.port);
    place.port = launch::free_port(&taken)?;
    let log = log_file::reopen(&log_path(&shared.state_dir, &place.tier, &place.id)).map_err(launch::unusable)?;
    shared.change(&place.id, |entry| entry.place.port = place.port);
    let group = launch::spawn(shared, settings, &place, log)?;
    Ok((place, group))
}
