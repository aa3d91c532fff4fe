//! `evenkeel gateway FLEET`: the data plane.

use crate::failure::Failure;
use crate::output;
use crate::set_aside::set_aside;
use crate::state_dir::StateArgument;
use crate::whereabouts::refuse_another_fleet;
use crate::{fleet_file, open_files, signals};
use evenkeel_controller::clock::AnchoredClock;
use evenkeel_controller::ports::Clock as _;
use evenkeel_fleet::model::Fleet;
use evenkeel_gateway::{Bound, GatewayError, Options, StateError};
use evenkeel_local::backend::who_listens;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// How often it is looked whether the gateway before has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

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
    let controller = arguments.controller.unwrap_or_else(|| format!("http://{}", fleet.controller.listen));
    let options = Options {
        fleet_file: Some(arguments.fleet.clone()),
        controller_url: Some(controller),
        state_directory: Some(state.gateway()),
        ..Options::default()
    };
    open_files::take_all();
    let ending = signals::listen();
    let bound = tokio::select! {
        bound = bind_when_free(&fleet, &options) => bound?,
        () = ending.asked() => return Ok(ExitCode::SUCCESS),
    };
    output::note(format_args!("the gateway of {} listens on http://{}", fleet.spec.name, bound.address()));
    bound.run(ending.asked()).await;
    Ok(ExitCode::SUCCESS)
}

/// Waits for the gateway that runs already, if there is one: it may be ending, with answers still under way.
async fn bind_when_free(fleet: &Fleet, options: &Options) -> Result<Bound, Failure> {
    let mut told = false;
    loop {
        match bind(fleet, options).await {
            Err(GatewayError::State { path, error: StateError::InUse }) => {
                if !std::mem::replace(&mut told, true) {
                    output::note(in_use(&path, fleet.gateway.listen));
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
            bound => return bound.map_err(refused),
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
