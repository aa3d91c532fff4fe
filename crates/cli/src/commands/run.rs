//! `evenkeel run FLEET`: the controller with its API and page. One controller acts on a fleet; a second one observes,
//! says so, and takes over when the first has ended.

use crate::api::{self, Api, TOKEN_VARIABLE, Token};
use crate::failure::Failure;
use crate::state_dir::{StateArgument, StateDir};
use crate::{fleet_file, signals};
use evenkeel_adapters::players::PlayersPush;
use evenkeel_controller::clock::AnchoredClock;
use evenkeel_controller::journal::{Journal, JournalReader};
use evenkeel_controller::live::{Live, Published, Surroundings};
use evenkeel_controller::operator::{Mode, OperatorOrders};
use evenkeel_controller::ports::Clock;
use evenkeel_core::observe::ReplicaId;
use evenkeel_fleet::model::Fleet;
use evenkeel_local::backend::{FleetLock, LocalBackend, LocalOptions, LockError, Role};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

mod events;
mod reload;
mod sources;

/// Events that may wait for slow sinks.
const EVENTS_WAITING: usize = 1_024;
/// How often a second controller looks whether the first has ended.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file
    fleet: PathBuf,
    /// A name, beside addresses and localhost, under which API and page may be asked; can be given more than once
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    #[command(flatten)]
    state: StateArgument,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let fleet = fleet_file::load(&arguments.fleet)?;
    let state = arguments.state.of(&fleet.spec.name)?;
    state.create()?;
    let clock: Arc<dyn Clock> = Arc::new(AnchoredClock::start());
    let place = Place { fleet, file: arguments.fleet, state, clock, allowed_hosts: arguments.allow_host };
    match FleetLock::acquire(place.state.path(), place.clock.now()) {
        Ok(lock) => place.act(&lock).await?,
        Err(LockError::Held(holder)) => {
            eprintln!("{holder}: this one only observes, and takes over when it has ended");
            if let Some(lock) = place.observe().await? {
                place.act(&lock).await?;
            }
        }
        Err(error) => return Err(Failure::refused(error)),
    }
    Ok(ExitCode::SUCCESS)
}

/// Where a controller runs.
struct Place {
    fleet: Arc<Fleet>,
    file: PathBuf,
    state: StateDir,
    clock: Arc<dyn Clock>,
    allowed_hosts: Vec<String>,
}

impl Place {
    /// Acts until told to end. Replicas go on serving after it.
    async fn act(&self, lock: &FleetLock) -> Result<(), Failure> {
        let (journal, operator) = Journal::open(&self.state.journal(), self.fleet.controller.retention, lock.epoch())
            .map_err(Failure::refused)?;
        let token = Token::obtain(&self.state.token(), std::env::var(TOKEN_VARIABLE).ok()).map_err(Failure::usage)?;
        let address = self.fleet.controller.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| Failure::refused(format!("the controller cannot listen on {address}: {error}")))?;
        eprintln!("the controller of {} listens on http://{address} (epoch {})", self.fleet.spec.name, lock.epoch());
        let parts = self.parts(Role::from(lock), lock.epoch(), Some(journal), operator).await?;
        let (end, ended) = watch::channel(false);
        let api = Api {
            published: parts.published.clone(),
            journal: JournalReader::new(&self.state.journal()),
            players: parts.players,
            clock: self.clock.clone(),
            token,
            fleet: parts.fleet,
            allowed_hosts: self.allowed_hosts.clone(),
        };
        let serving = tokio::spawn(api::serve(api, listener, until(ended)));
        parts.live.run(signals::ended()).await;
        let _ = end.send(true);
        let served = serving.await.map_err(Failure::internal)?;
        parts.watcher.abort();
        eprintln!("the controller has ended; replicas go on serving, `evenkeel stop` ends them");
        served.map_err(Failure::internal)
    }

    /// Decides and shows in the log, touches nothing; gives the lock once it is free, or nothing when told to end.
    async fn observe(&self) -> Result<Option<FleetLock>, Failure> {
        let operator = OperatorOrders { mode: Some(Mode::Observe), ..OperatorOrders::default() };
        let parts = self.parts(Role::Observes, 0, None, operator).await?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let free = async {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                if let Ok(lock) = FleetLock::acquire(self.state.path(), self.clock.now()) {
                    let _ = sender.send(lock);
                    return;
                }
            }
        };
        let ending = async {
            tokio::select! {
                () = signals::ended() => {}
                () = free => {}
            }
        };
        parts.live.run(ending).await;
        parts.watcher.abort();
        Ok(receiver.await.ok())
    }

    async fn parts(
        &self,
        role: Role,
        epoch: u64,
        journal: Option<Journal>,
        operator: OperatorOrders,
    ) -> Result<Parts, Failure> {
        let options = LocalOptions::of(&self.fleet, &self.file, self.state.path()).map_err(Failure::internal)?;
        let backend = LocalBackend::open(options, role, self.clock.clone()).await.map_err(Failure::refused)?;
        let backend = Arc::new(backend);
        let (fleets, fleet) = watch::channel(self.fleet.clone());
        let players = PlayersPush::default();
        let (sources, gateway) = sources::of(&fleet, &players).map_err(Failure::usage)?;
        let (events, happened) = mpsc::channel(EVENTS_WAITING);
        events::deliver(&self.fleet.controller.events, happened)?;
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
        let watcher = reload::watch(self.file.clone(), fleets, published.commands.clone(), backend);
        Ok(Parts { live, published, players, fleet, watcher })
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
