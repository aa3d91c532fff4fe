//! A database that is damaged is kept for whoever wants to look into it, and is no obstacle.

use evenkeel_core::units::Time;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Gives the database at `path`, and what SQLite keeps beside it, names under which they can be looked into later; tells
/// the new name.
pub(crate) fn set_aside(path: &Path, now: Time) -> Result<PathBuf, String> {
    let aside = path.with_added_extension(format!("damaged-{}", now.as_micros() / 1_000_000));
    for beside in ["", "-wal", "-shm"] {
        let [from, to] = [path, &aside].map(|path| {
            let mut name = path.as_os_str().to_owned();
            name.push(beside);
            PathBuf::from(name)
        });
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(format!("{} cannot be set aside: {error}", from.display()));
            }
            _ => {}
        }
    }
    Ok(aside)
}
