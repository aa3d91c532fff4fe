//! `evenkeel run FLEET`: the controller with its API and page. One controller acts on a fleet; a second one observes,
//! says so, and takes over when the first has ended.

use crate::api::{self, Api, Limits, TOKEN_VARIABLE, Token};
use crate::failure::Failure;
use crate::fleet_file::{self, Accepted};
use crate::output;
use crate::signals::{self, Ending};
use crate::state_dir::{StateArgument, StateDir};
use crate::whereabouts::{Running, refuse_another_fleet};
use evenkeel_adapters::players::PlayersPush;
use evenkeel_controller::clock::AnchoredClock;
use evenkeel_controller::events::{CloudEvent, Happening};
use evenkeel_controller::journal::JournalReader;
use evenkeel_controller::live::{Live, Published, Surroundings};
use evenkeel_controller::operator::{Mode, OperatorOrders};
use evenkeel_controller::ports::Clock;
use evenkeel_core::observe::ReplicaId;
use evenkeel_fleet::model::Fleet;
use evenkeel_local::backend::{
    FleetLock, HeldBy, LocalBackend, LocalOptions, LockError, Role, clear_stopped, is_stopped,
};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

mod events;
mod journal;
mod reload;
mod sources;

/// Events that may wait for slow sinks.
const EVENTS_WAITING: usize = 1_024;
/// How often a second controller looks whether the first has ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// From listening to holding the fleet, at most.
const MOVES_IN_WITHIN: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file
    fleet: PathBuf,
    /// A name, beside addresses and localhost, under which API and page may be asked; can be given more than once
    #[arg(long, value_name = "NAME", value_parser = crate::allowed_host::parse)]
    allow_host: Vec<String>,
    #[command(flatten)]
    state: StateArgument,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let ending = signals::listen();
    let Accepted { fleet, text } = fleet_file::accept(&arguments.fleet)?;
    let state = arguments.state.of(&fleet.spec.name)?;
    refuse_another_fleet(&state, &fleet.spec.name)?;
    let clock: Arc<dyn Clock> = Arc::new(AnchoredClock::start());
    let allowed_hosts = arguments.allow_host;
    let mut place = Place { fleet, text, file: arguments.fleet, state, clock, allowed_hosts, ending };
    if let Some((lock, listener)) = place.move_in().await? {
        place.act(&lock, listener).await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a controller runs, and for what.
struct Place {
    fleet: Arc<Fleet>,
    /// The text of `file` that `fleet` was read from; `None` where it holds another one by now.
    text: Option<String>,
    file: PathBuf,
    state: StateDir,
    clock: Arc<dyn Clock>,
    allowed_hosts: Vec<String>,
    ending: Ending,
}

impl Place {
    /// Takes the fleet, at once or when the controller that has it has ended; nothing when told to end before.
    ///
    /// The listener comes first: a controller that cannot listen must not have taken the fleet from one that serves it, such
    /// as one whose state directory was removed.
    async fn move_in(&mut self) -> Result<Option<(FleetLock, TcpListener)>, Failure> {
        if let Some(listener) = self.listen(|| HeldBy::of(self.state.path()).is_some()).await? {
            self.state.create()?;
            match self.acquire() {
                Ok(lock) => {
                    clear_stopped(&lock).map_err(Failure::refused)?;
                    return Ok(Some((lock, listener)));
                }
                // It was taken in this moment, or its holder listens elsewhere.
                Err(LockError::Held(_)) => {}
                Err(error) => return Err(Failure::refused(error)),
            }
        }
        let holder = HeldBy::of(self.state.path());
        let holder = holder.map_or_else(|| "another controller acts on this fleet".to_owned(), |it| it.to_string());
        output::note(format_args!("{holder}: this one only observes, and takes over when it has ended"));
        self.stand_by().await
    }

    /// The listener; `None` where it is `taken` by whoever holds the fleet. A controller that starts in this moment listens
    /// a little before it holds the fleet, and one that finds it held lets go again.
    async fn listen(&self, taken: impl Fn() -> bool) -> Result<Option<TcpListener>, Failure> {
        let (address, began) = (self.fleet.controller.listen, Instant::now());
        loop {
            match TcpListener::bind(address).await {
                Ok(listener) => return Ok(Some(listener)),
                Err(_) if taken() => return Ok(None),
                Err(error) if began.elapsed() >= MOVES_IN_WITHIN => {
                    return Err(Failure::cannot_listen("the controller", address, &error));
                }
                Err(_) => tokio::time::sleep(MOVES_IN_WITHIN / 20).await,
            }
        }
    }

    /// Acts until told to end. Replicas go on serving after it.
    async fn act(&self, lock: &FleetLock, listener: TcpListener) -> Result<(), Failure> {
        // Again, now that no other can move in.
        refuse_another_fleet(&self.state, &self.fleet.spec.name)?;
        let opened =
            journal::open(&self.state, self.fleet.controller.retention, lock.epoch(), self.clock.now()).await?;
        let token = Token::obtain(&self.state.token(), std::env::var(TOKEN_VARIABLE).ok()).map_err(Failure::usage)?;
        output::note(format_args!(
            "the controller of {} listens on http://{} (epoch {})",
            self.fleet.spec.name,
            self.fleet.controller.listen,
            lock.epoch()
        ));
        if let Err(failure) = Running::of(&self.fleet, &self.file).write(&self.state) {
            // Only a help for commands whose fleet file is broken; no reason to leave players waiting.
            output::note(failure);
        }
        if let Some(damage) = &opened.set_aside {
            output::note(format_args!("{damage}; `evenkeel mode {} act` lets it act again", self.file.display()));
        }
        let parts = tokio::select! {
            parts = self.parts(Role::from(lock), lock.epoch(), Some(opened)) => parts?,
            () = self.ending.asked() => return Ok(()),
        };
        let (end, ended) = watch::channel(false);
        let api = Api {
            published: parts.published.clone(),
            journal: JournalReader::new(&self.state.journal()),
            players: parts.players,
            clock: self.clock.clone(),
            token,
            fleet: parts.fleet,
            allowed_hosts: self.allowed_hosts.clone(),
            limits: Limits::default(),
        };
        let serving = tokio::spawn(api::serve(api, listener, until(ended)));
        parts.live.run(self.ending.asked()).await;
        let _ = end.send(true);
        let served = serving.await.map_err(Failure::internal)?;
        parts.watcher.abort();
        output::note("the controller has ended; replicas go on serving, `evenkeel stop` ends them");
        served.map_err(Failure::internal)
    }

    fn acquire(&self) -> Result<FleetLock, LockError> {
        FleetLock::acquire(self.state.path(), self.clock.now())
    }

    /// Observes until the first controller has ended, and gives its lock and its address; nothing when told to end, or when
    /// the fleet was stopped.
    async fn stand_by(&mut self) -> Result<Option<(FleetLock, TcpListener)>, Failure> {
        let Some(((lock, mut listener), last)) = self.observe().await? else { return Ok(None) };
        if is_stopped(lock.state_dir()).map_err(Failure::refused)? {
            output::note("the fleet was stopped by `evenkeel stop`; this controller ends too");
            return Ok(None);
        }
        self.read_again(last.clone());
        if listener.local_addr().ok() != Some(self.fleet.controller.listen) {
            match self.listen(|| false).await {
                Ok(Some(another)) => listener = another,
                Ok(None) => {}
                Err(failure) => {
                    output::note(format_args!("{failure}; taking over with the file that was accepted last"));
                    (self.fleet, self.text) = (last, None);
                }
            }
        }
        Ok(Some((lock, listener)))
    }

    /// Takes what the fleet file says now, which may be another than when this controller began to stand by, or `last`,
    /// which it accepted last, where that cannot be used.
    fn read_again(&mut self, last: Arc<Fleet>) {
        let name = &self.fleet.spec.name;
        let read = fleet_file::accept(&self.file).map_err(|failure| failure.to_string());
        let accepted = read.and_then(|now| match &now.fleet.spec.name {
            found if found == name => Ok(now),
            other => Err(format!("{}: the fleet's name is {other} now, and was {name}", self.file.display())),
        });
        let Accepted { fleet, text } = accepted.unwrap_or_else(|why| {
            output::note(why.trim_end());
            output::note("the fleet file cannot be used: taking over with the one that was accepted last");
            Accepted { fleet: last, text: None }
        });
        (self.fleet, self.text) = (fleet, text);
    }

    /// Decides and shows in the log, touches nothing. Gives lock and listener once both are free, with the fleet file that
    /// was accepted last, or nothing when told to end.
    async fn observe(&self) -> Result<Option<((FleetLock, TcpListener), Arc<Fleet>)>, Failure> {
        let parts = tokio::select! {
            parts = self.parts(Role::Observes, 0, None) => parts?,
            () = self.ending.asked() => return Ok(None),
        };
        let (sender, receiver) = oneshot::channel();
        let free = async {
            let _ = sender.send(self.take_when_free(&parts.fleet).await);
        };
        let ending = async {
            tokio::select! {
                () = self.ending.asked() => {}
                () = free => {}
            }
        };
        parts.live.run(ending).await;
        parts.watcher.abort();
        let last = parts.fleet.borrow().clone();
        Ok(receiver.await.ok().map(|taken| (taken, last)))
    }

    /// Waits until lock and address are free. The address too, for where the lock is gone and its controller still listens,
    /// as after the state directory was removed, that controller holds the fleet.
    async fn take_when_free(&self, fleet: &watch::Receiver<Arc<Fleet>>) -> (FleetLock, TcpListener) {
        let mut told = false;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if HeldBy::of(self.state.path()).is_some() {
                told = false;
                continue;
            }
            let address = fleet.borrow().controller.listen;
            match TcpListener::bind(address).await {
                Ok(listener) => match self.acquire() {
                    Ok(lock) => return (lock, listener),
                    Err(LockError::Held(_)) => {}
                    Err(error) if !std::mem::replace(&mut told, true) => {
                        output::note(format_args!("{error}; this controller takes over once it can"));
                    }
                    Err(_) => {}
                },
                Err(error) if !std::mem::replace(&mut told, true) => {
                    let failure = Failure::cannot_listen("this controller", address, &error);
                    output::note(format_args!("{failure}; it takes over once it can"));
                }
                Err(_) => {}
            }
        }
    }

    /// What a controller is made of; one without a journal only observes.
    async fn parts(&self, role: Role, epoch: u64, opened: Option<journal::Opened>) -> Result<Parts, Failure> {
        let options = LocalOptions::of(&self.fleet, &self.file, self.state.path()).map_err(Failure::internal)?;
        let backend = LocalBackend::open(options, role, self.clock.clone()).await.map_err(Failure::refused)?;
        let backend = Arc::new(backend);
        let (fleets, fleet) = watch::channel(self.fleet.clone());
        let players = PlayersPush::default();
        let (sources, gateway) = sources::of(&fleet, &players).map_err(Failure::usage)?;
        let events = self.events(role, epoch, opened.as_ref().and_then(|opened| opened.set_aside.clone()))?;
        let (journal, operator) = match opened {
            Some(opened) => (Some(opened.journal), opened.operator),
            None => (None, OperatorOrders { mode: Some(Mode::Observe), ..OperatorOrders::default() }),
        };
        let around = Surroundings {
            clock: self.clock.clone(),
            sources,
            backend: backend.clone(),
            gateway,
            journal,
            operator,
            new_intent: Box::new(|| ReplicaId(uuid::Uuid::new_v4().to_string())),
            events,
        };
        let acts = matches!(role, Role::Acts { .. });
        let (live, published) = Live::new(self.fleet.clone(), epoch, acts, around);
        let (file, text) = (self.file.clone(), self.text.clone());
        let watcher = reload::watch(file, text, fleets, published.commands.clone(), backend);
        Ok(Parts { live, published, players, fleet, watcher })
    }

    /// Where events go. Only the one that acts sends them out: the same ones twice would be a second history.
    fn events(
        &self,
        role: Role,
        epoch: u64,
        journal_set_aside: Option<String>,
    ) -> Result<mpsc::Sender<CloudEvent>, Failure> {
        let (events, mut happened) = mpsc::channel(EVENTS_WAITING);
        match role {
            Role::Acts { .. } => events::deliver(&self.fleet.controller.events, happened)?,
            // The loop has logged them.
            Role::Observes => drop(tokio::spawn(async move { while happened.recv().await.is_some() {} })),
        }
        if let Some(why) = journal_set_aside {
            let event = Happening::JournalSetAside(why).event(&self.fleet.spec.name, epoch, 0, self.clock.now());
            // The queue is empty yet.
            let _ = events.try_send(event);
        }
        Ok(events)
    }
}

struct Parts {
    live: Live,
    published: Published,
    players: PlayersPush,
    fleet: watch::Receiver<Arc<Fleet>>,
    watcher: tokio::task::JoinHandle<()>,
}

async fn until(mut ended: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an end too.
    let _ = ended.wait_for(|ended| *ended).await;
}
