//! Where a fleet runs, for the commands that need no more than that: they work while its file is broken or gone, which is
//! just when an operator needs them.

use crate::control::Control;
use crate::failure::Failure;
use crate::fleet_file;
use crate::output;
use crate::state_dir::{self, StateArgument, StateDir};
use evenkeel_fleet::model::Fleet;
use evenkeel_local::backend::write_atomically;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What the controller leaves in the state directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    /// The fleet's name.
    pub(crate) fleet: String,
    /// Where the controller listens.
    pub(crate) listen: SocketAddr,
    /// The fleet file, absolute.
    pub(crate) file: PathBuf,
}

impl Running {
    /// What is to be left for the fleet of the file at `file`.
    pub(crate) fn of(fleet: &Fleet, file: &Path) -> Self {
        Self { fleet: fleet.spec.name.clone(), listen: fleet.controller.listen, file: absolute(file) }
    }

    /// What a controller left in `state`; `None` where none did, or where it cannot be read any more.
    pub(crate) fn read(state: &StateDir) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(state.running()).ok()?).ok()
    }

    /// Leaves it in `state`.
    pub(crate) fn write(&self, state: &StateDir) -> Result<(), Failure> {
        let path = state.running();
        serde_json::to_vec(self)
            .map_err(std::io::Error::from)
            .and_then(|text| write_atomically(&path, &text, true))
            .map_err(|error| Failure::refused(format!("{}: {error}", path.display())))
    }
}

/// Refuses a state directory in which another fleet than `fleet` lives: their replicas and journals must not be mixed.
pub(crate) fn refuse_another_fleet(state: &StateDir, fleet: &str) -> Result<(), Failure> {
    match Running::read(state).filter(|running| running.fleet != fleet) {
        None => Ok(()),
        Some(other) => Err(Failure::usage(format!(
            "in {0} lives the fleet {1} (of {2}), not {fleet}: name another directory with --state, or end {1} with \
             `evenkeel stop {2} --state {0}` and remove the directory",
            state.path().display(),
            other.fleet,
            other.file.display(),
        ))),
    }
}

/// Where a fleet runs.
#[derive(Clone, Debug)]
pub(crate) struct Whereabouts {
    /// The fleet's name.
    pub(crate) fleet: String,
    /// Its state directory.
    pub(crate) state: StateDir,
    listen: SocketAddr,
}

impl Whereabouts {
    /// The fleet's controller.
    pub(crate) fn control(&self) -> Result<Control, Failure> {
        Control::at(format!("http://{}", self.listen))
    }
}

/// Where the fleet of the file at `file` runs. What its controller left wins over the file, which may have changed since.
/// Where the file cannot be used, that is enough, with a warning.
pub(crate) fn find(file: &Path, argument: &StateArgument) -> Result<Whereabouts, Failure> {
    match fleet_file::load(file) {
        Ok(fleet) => {
            let state = argument.of(&fleet.spec.name)?;
            refuse_another_fleet(&state, &fleet.spec.name)?;
            let listen = Running::read(&state).map_or(fleet.controller.listen, |running| running.listen);
            Ok(Whereabouts { fleet: fleet.spec.name.clone(), state, listen })
        }
        Err(unusable) => {
            let Some((state, running)) = left_behind(file, argument)? else {
                let way_out = "to go on without it, name the state directory of the running fleet with --state DIR";
                return Err(Failure::usage(format!("{}\n{way_out}", unusable.to_string().trim_end())));
            };
            output::note(unusable.to_string().trim_end());
            let (fleet, directory) = (&running.fleet, state.path().display());
            output::note(format_args!(
                "warning: the file cannot be used; going on with the fleet {fleet} that runs in {directory}"
            ));
            Ok(Whereabouts { fleet: running.fleet, state, listen: running.listen })
        }
    }
}

/// What a controller left for `file`: in the directory that was named; else in the one used last, or the only one.
fn left_behind(file: &Path, argument: &StateArgument) -> Result<Option<(StateDir, Running)>, Failure> {
    let left = |state: StateDir| Running::read(&state).map(|running| (state, running));
    if let Some(state) = argument.named() {
        return Ok(left(state));
    }
    let file = absolute(file);
    let of_file = |state: StateDir| left(state).filter(|(_, running)| running.file == file);
    if let Some(last) = argument.last().ok().and_then(of_file) {
        return Ok(Some(last));
    }
    let mut found: Vec<_> = state_dir::all()?.into_iter().filter_map(of_file).collect();
    Ok(if found.len() == 1 { found.pop() } else { None })
}

/// The absolute path of a file that may not exist, the same by whichever links its folder was reached.
fn absolute(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let folder = absolute.parent().and_then(|folder| folder.canonicalize().ok());
    match (folder, absolute.file_name()) {
        (Some(folder), Some(name)) => folder.join(name),
        _ => absolute,
    }
}
