//! `evenkeel stop FLEET`: ends the controller if one runs, then drains and ends every replica.

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::state_dir::{StateArgument, StateDir};
use evenkeel_controller::clock::AnchoredClock;
use evenkeel_controller::ports::Clock;
use evenkeel_local::backend::{FleetLock, HeldBy, LockError, Stopped, stop_fleet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// A controller that was asked to end gets this long.
const CONTROLLER_ENDS_WITHIN: Duration = Duration::from_secs(20);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file
    fleet: PathBuf,
    /// How long replicas may take to finish what they have before they are killed, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    grace: u64,
    #[command(flatten)]
    state: StateArgument,
}

pub(crate) async fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    let fleet = crate::fleet_file::load(&arguments.fleet)?;
    let state = arguments.state.of(&fleet.spec.name)?;
    let stopped = stop(&state, &fleet.spec.name, Duration::from_secs(arguments.grace)).await?;
    match format {
        Format::Json => {
            let rows: Vec<_> =
                stopped.iter().map(|it| serde_json::json!({ "tier": it.tier, "replica": it.id })).collect();
            output::json(&rows)?;
        }
        Format::Table => println!("{} replicas ended", stopped.len()),
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends the fleet that lives in `state`.
pub(crate) async fn stop(state: &StateDir, fleet: &str, grace: Duration) -> Result<Vec<Stopped>, Failure> {
    let lock = take_over(state).await?;
    stop_fleet(&lock, fleet, grace).await.map_err(Failure::refused)
}

/// The fleet's lock; a controller that holds it is asked to end first.
async fn take_over(state: &StateDir) -> Result<FleetLock, Failure> {
    let clock = AnchoredClock::start();
    let deadline = tokio::time::Instant::now() + CONTROLLER_ENDS_WITHIN;
    let mut asked = false;
    loop {
        match FleetLock::acquire(state.path(), clock.now()) {
            Ok(lock) => return Ok(lock),
            Err(LockError::Held(holder)) if tokio::time::Instant::now() < deadline => {
                if !asked {
                    ask_to_end(holder);
                    asked = true;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(error) => return Err(Failure::refused(format!("{error}; end it first"))),
        }
    }
}

fn ask_to_end(holder: HeldBy) {
    let pid = holder.pid.and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
    if let Some(pid) = pid {
        // It may have ended meanwhile; the lock tells.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}
