//! `evenkeel gateway FLEET`: the data plane.

use crate::failure::Failure;
use crate::fleet_file::Accepted;
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

/// How often it is looked whether the gateway before has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The fleet file after a wait, at most: a disk that hangs keeps no gateway from serving by what it knows.
const READS_WITHIN: Duration = Duration::from_secs(1);
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
    let Accepted { fleet, text } = fleet_file::accept(&arguments.fleet)?;
    let state = arguments.state.of(&fleet.spec.name)?;
    refuse_another_fleet(&state, &fleet.spec.name)?;
    state.create()?;
    open_files::take_all();
    let ending = signals::listen();
    let mut place = Place { fleet, text, state, arguments };
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
    /// The text that `fleet` was read from.
    text: Option<String>,
    state: StateDir,
    arguments: Arguments,
}

impl Place {
    /// Waits for the gateway that runs already, if there is one: it may be ending, with answers still under way.
    async fn bind_when_free(&mut self) -> Result<Bound, Failure> {
        let (mut waited, mut refused_since) = (false, None);
        loop {
            match bind(&self.fleet, &self.options()).await {
                Err(GatewayError::State { path, error: StateError::InUse }) => {
                    if !std::mem::replace(&mut waited, true) {
                        output::note(in_use(&path, self.fleet.gateway.listen));
                    }
                    refused_since = None;
                }
                // A process that was killed may let go of its state a little before its address.
                Err(GatewayError::Listen { error, .. })
                    if error.kind() == ErrorKind::AddrInUse
                        && refused_since.get_or_insert_with(Instant::now).elapsed() < LISTENS_WITHIN => {}
                // The wait may have taken days, and the file says something else by now.
                Ok(bound) if std::mem::take(&mut waited) && self.has_changed().await => drop(bound),
                bound => return bound.map_err(refused),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
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

    /// Takes what the fleet file says now, if that is another. One that cannot be used, or read in time, changes nothing; the
    /// gateway tells it once it serves.
    async fn has_changed(&mut self) -> bool {
        let file = self.arguments.fleet.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let text = fleet_file::read(&file).ok()?;
            fleet_file::parse(&text, &file).ok().map(|fleet| (text, fleet))
        });
        let read = tokio::time::timeout(READS_WITHIN, reading).await.ok().and_then(Result::ok).flatten();
        match read {
            Some((text, fleet)) if self.text.as_ref() != Some(&text) && fleet.spec.name == self.fleet.spec.name => {
                (self.fleet, self.text) = (Arc::new(fleet), Some(text));
                true
            }
            _ => false,
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
