//! `evenkeel gateway FLEET`: the data plane.

use crate::failure::Failure;
use crate::output;
use crate::set_aside::set_aside;
use crate::state_dir::{StateArgument, StateDir};
use crate::whereabouts::refuse_another_fleet;
use crate::{fleet_file, open_files, signals};
use evenkeel_controller::clock::AnchoredClock;
use evenkeel_controller::ports::Clock as _;
use evenkeel_fleet::model::Fleet;
use evenkeel_gateway::{Bound, GatewayError, Options, StateError};
use evenkeel_local::backend::who_listens;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// How often it is looked whether the gateway before has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How often a gateway that waits reads the fleet file again.
const READ_EVERY: Duration = Duration::from_secs(1);
/// From having the state to listening, at most.
const LISTENS_WITHIN: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file
    fleet: PathBuf,
    /// Where the controller is [default: where the fleet file says it listens]
    #[arg(long, value_name = "URL")]
    controller: Option<String>,
    #[command(flatten)]
    state: StateArgument,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let fleet = fleet_file::load(&arguments.fleet)?;
    let state = arguments.state.of(&fleet.spec.name)?;
    refuse_another_fleet(&state, &fleet.spec.name)?;
    state.create()?;
    open_files::take_all();
    let ending = signals::listen();
    let mut place = Place { fleet, state, arguments, reading: None, read_at: Instant::now() };
    let bound = tokio::select! {
        bound = place.bind_when_free() => bound?,
        () = ending.asked() => return Ok(ExitCode::SUCCESS),
    };
    output::note(format_args!("the gateway of {} listens on http://{}", place.fleet.spec.name, bound.address()));
    bound.run(ending.asked()).await;
    Ok(ExitCode::SUCCESS)
}

/// Where a gateway runs, and for what.
struct Place {
    fleet: Arc<Fleet>,
    state: StateDir,
    arguments: Arguments,
    /// A look at the fleet file that has not ended: a disk may hang, and keeps no gateway from serving by what it knows.
    reading: Option<JoinHandle<Option<Fleet>>>,
    /// When it was last looked at.
    read_at: Instant,
}

impl Place {
    /// Waits for the gateway that runs already, if there is one: it may be ending, with answers still under way. The wait may
    /// take days, so the fleet file is followed meanwhile.
    async fn bind_when_free(&mut self) -> Result<Bound, Failure> {
        let (mut waits, mut refused_since) = (false, None);
        let listened = self.fleet.gateway.listen;
        loop {
            match bind(&self.fleet, &self.options()).await {
                Err(GatewayError::State { path, error: StateError::InUse }) => {
                    if !std::mem::replace(&mut waits, true) {
                        output::note(in_use(&path, self.fleet.gateway.listen));
                    }
                    refused_since = None;
                    self.follow_the_file().await;
                }
                // A process that was killed may let go of its state a little before its address.
                Err(GatewayError::Listen { error, .. })
                    if error.kind() == ErrorKind::AddrInUse
                        && refused_since.get_or_insert_with(Instant::now).elapsed() < LISTENS_WITHIN => {}
                Err(GatewayError::Listen { address, error }) if address != listened => {
                    tracing::error!(%address, %error, %listened, "cannot listen where the changed file says");
                    self.listen_at(listened);
                }
                bound => return bound.map_err(refused),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The gateway tells, once it serves, that the file says something else.
    fn listen_at(&mut self, address: SocketAddr) {
        Arc::make_mut(&mut self.fleet).gateway.listen = address;
    }

    fn options(&self) -> Options {
        let listens = || format!("http://{}", self.fleet.controller.listen);
        Options {
            fleet_file: Some(self.arguments.fleet.clone()),
            controller_url: Some(self.arguments.controller.clone().unwrap_or_else(listens)),
            state_directory: Some(self.state.gateway()),
            ..Options::default()
        }
    }

    /// Takes what the fleet file says now. One that cannot be used changes nothing.
    async fn follow_the_file(&mut self) {
        match self.reading.take_if(|reading| reading.is_finished()) {
            Some(reading) => self.take(reading.await.ok().flatten()),
            None if self.reading.is_none() && self.read_at.elapsed() >= READ_EVERY => {
                let file = self.arguments.fleet.clone();
                self.reading = Some(tokio::task::spawn_blocking(move || {
                    fleet_file::read(&file).and_then(|text| fleet_file::parse(&text, &file)).ok()
                }));
                self.read_at = Instant::now();
            }
            None => {}
        }
    }

    fn take(&mut self, read: Option<Fleet>) {
        if let Some(fleet) = read.filter(|fleet| fleet.spec.name == self.fleet.spec.name) {
            self.fleet = Arc::new(fleet);
        }
    }
}

/// A damaged queue of asynchronous requests is set aside, as a damaged journal is: what it held cannot be read by anybody.
async fn bind(fleet: &Fleet, options: &Options) -> Result<Bound, GatewayError> {
    match evenkeel_gateway::bind(fleet, options.clone()).await {
        Err(GatewayError::DamagedQueue { path, error }) => {
            let aside = set_aside(&path, AnchoredClock::start().now());
            let aside = aside.map_err(|why| {
                tracing::error!(why);
                GatewayError::DamagedQueue { path, error }
            })?;
            let aside = aside.display();
            tracing::error!(%aside, "the queue of asynchronous requests was damaged and is set aside: what waited in it is lost");
            evenkeel_gateway::bind(fleet, options.clone()).await
        }
        bound => bound,
    }
}

/// That another gateway is here, and which one where that can be told.
fn in_use(state: &Path, address: SocketAddr) -> String {
    let who = who_listens(address.port()).map_or_else(String::new, |who| format!(" ({who} listens on {address})"));
    format!("a gateway of this fleet runs already{who} and has {}: this one starts when it has ended", state.display())
}

fn refused(error: GatewayError) -> Failure {
    match error {
        GatewayError::Listen { address, error } => Failure::cannot_listen("the gateway", address, &error),
        error @ GatewayError::ControllerUrl(_) => Failure::usage(format!("--controller: {error}")),
        error => Failure::refused(error),
    }
}
