//! What a fleet file relies on outside of itself. Reading does no I/O, so that a file can be judged anywhere; this looks at
//! the machine on which it is to run.

use crate::model::{BackendSettings, Fleet};
use rustix::fs::{Access, access};
use std::ffi::OsStr;
use std::path::Path;

/// What `fleet` would miss on this machine, each as `key: what; fix`: programs that are not there or cannot be run, and an
/// events file that cannot be written. `folder` is where the fleet file stands, from which a program's relative path
/// starts; `path` is the controller's `PATH`, by which a program's bare name is found. Other relative paths start at the
/// present directory, as they do for a controller that is started in it.
pub fn surroundings(fleet: &Fleet, folder: &Path, path: Option<&OsStr>) -> Vec<String> {
    let events = fleet.controller.events.file.as_deref().and_then(not_writable);
    let events = events.map(|wrong| format!("controller.events.file: {wrong}"));
    let programs = fleet.spec.tiers.iter().zip(&fleet.tiers).filter_map(|(spec, settings)| {
        let BackendSettings::Local(local) = &settings.backend;
        let wrong = not_runnable(local.command.first()?, folder, path)?;
        Some(format!("tiers.{}.backend.local.command: {wrong}", spec.name))
    });
    events.into_iter().chain(programs).collect()
}

/// Why a command's first word starts nothing.
fn not_runnable(program: &str, folder: &Path, path: Option<&OsStr>) -> Option<String> {
    // `evenkeel` is the running binary, and what a placeholder becomes is not known here.
    if program == "evenkeel" || program.contains('{') {
        return None;
    }
    if !program.contains('/') {
        let mut found = std::env::split_paths(path.unwrap_or_default()).map(|folder| folder.join(program));
        let runs = found.any(|file| file.is_file() && access(&file, Access::EXEC_OK).is_ok());
        return (!runs).then(|| format!("no program `{program}` is on the PATH; install it, or write its path"));
    }
    let file = folder.join(program);
    if !file.is_file() {
        return Some(format!("there is no program `{}`; correct the path, or install it", file.display()));
    }
    let denied = access(&file, Access::EXEC_OK).is_err();
    denied.then(|| format!("`{0}` may not be executed; allow it: chmod +x {0}", file.display()))
}

/// Why nothing can be appended to `file`, which is made where it is not there.
fn not_writable(file: &Path) -> Option<String> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if file.is_dir() {
        return Some(format!("`{}` is a folder; write a file's path", file.display()));
    }
    if !folder.is_dir() {
        return Some(format!("there is no folder `{}`; make it, or write another path", folder.display()));
    }
    let (touched, rights) =
        if file.exists() { (file, Access::WRITE_OK) } else { (folder, Access::WRITE_OK | Access::EXEC_OK) };
    let denied = access(touched, rights).err()?;
    Some(format!("`{}` cannot be written: {denied}; change its rights, or write another path", touched.display()))
}
