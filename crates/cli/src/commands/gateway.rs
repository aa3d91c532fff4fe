//! `evenkeel gateway FLEET`: the data plane.

use crate::failure::Failure;
use crate::state_dir::StateArgument;
use crate::whereabouts::refuse_another_fleet;
use crate::{fleet_file, signals};
use evenkeel_gateway::Options;
use std::path::PathBuf;
use std::process::ExitCode;

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
    let options =
        Options { controller_url: Some(controller), state_directory: Some(state.gateway()), ..Options::default() };
    let bound = evenkeel_gateway::bind(&fleet, options).await.map_err(Failure::refused)?;
    eprintln!("the gateway of {} listens on http://{}", fleet.spec.name, bound.address());
    bound.run(signals::ended()).await;
    Ok(ExitCode::SUCCESS)
}
