//! The files of the state directory: private, and either whole or absent.
//!
//! Each replica has two in `replicas/`: `TIER-ID.log`, its own log, which also marks that its intent was launched, and
//! `TIER-ID.json`, a record that lives as long as its processes.

use super::process_table::Identity;
use evenkeel_core::observe::ReplicaId;
use evenkeel_failpoint::{Point, hit};
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Makes a directory, with its parents, that only its owner can enter.
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Opens a file for reading and writing, and makes it, for its owner only, if it does not exist.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Replaces a file by way of a new one beside it, readable by its owner alone, so that a reader sees the old or the new
/// content. `durable` also survives a loss of power.
///
/// # Errors
/// When the file or its directory cannot be written.
pub fn write_atomically(path: &Path, content: &[u8], durable: bool) -> io::Result<()> {
    hit(Point::StateWrite)?;
    let new = path.with_added_extension("new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    if durable {
        file.sync_all()?;
    }
    hit(Point::StateRename)?;
    fs::rename(&new, path)?;
    hit(Point::StateRenamed)?;
    if let (true, Some(dir)) = (durable, path.parent()) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

/// Whether `name` can stand in a file name as it is.
pub(crate) fn is_plain(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && !name.starts_with('.')
}

/// The folder with the replicas' files.
pub(crate) fn replicas_dir(state_dir: &Path) -> PathBuf {
    state_dir.join("replicas")
}

/// A replica's log file.
pub(crate) fn log_path(state_dir: &Path, tier: &str, id: &ReplicaId) -> PathBuf {
    replicas_dir(state_dir).join(format!("{tier}-{id}.log"))
}

/// What is known of a replica beyond its environment. The environment is enough to find a replica, except where the
/// program has written over it by setting its title; and an end that was ordered is only written here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) fleet: String,
    pub(crate) tier: String,
    pub(crate) id: ReplicaId,
    pub(crate) process: Identity,
    pub(crate) port: u16,
    pub(crate) index: u32,
    pub(crate) gpu: Option<String>,
    /// Told to end, with this long from SIGTERM to SIGKILL, microseconds.
    pub(crate) ending_grace_micros: Option<u64>,
}

impl Record {
    /// Writes it, over an earlier one of the same replica.
    pub(crate) fn write(&self, state_dir: &Path) -> io::Result<()> {
        write_atomically(&record_path(state_dir, &self.tier, &self.id), &serde_json::to_vec(self)?, false)
    }

    /// Notes that the replica was told to end.
    pub(crate) fn mark_ending(state_dir: &Path, tier: &str, id: &ReplicaId, grace_micros: u64) -> io::Result<()> {
        let mut record: Self = serde_json::from_slice(&fs::read(record_path(state_dir, tier, id))?)?;
        record.ending_grace_micros = Some(grace_micros);
        record.write(state_dir)
    }

    /// Whether the replica was told to end. One without a record has ended already, on order.
    pub(crate) fn is_ending(state_dir: &Path, tier: &str, id: &ReplicaId) -> bool {
        let record = fs::read(record_path(state_dir, tier, id)).ok();
        let record = record.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        record.is_none_or(|record| record.ending_grace_micros.is_some())
    }

    /// Removes it; one that does not exist is fine.
    pub(crate) fn remove(state_dir: &Path, tier: &str, id: &ReplicaId) {
        if let Err(error) = fs::remove_file(record_path(state_dir, tier, id))
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(tier, %id, %error, "could not remove a replica's record");
        }
    }

    /// Removes it if it still holds what `self` says.
    pub(crate) fn remove_unless_changed(&self, state_dir: &Path) {
        let written = fs::read(record_path(state_dir, &self.tier, &self.id)).ok();
        let written = written.and_then(|text| serde_json::from_slice::<Self>(&text).ok());
        if written.as_ref() == Some(self) {
            Self::remove(state_dir, &self.tier, &self.id);
        }
    }

    /// Every record of `fleet`; one that cannot be read is left out, as the environment tells the rest.
    pub(crate) fn read_all(state_dir: &Path, fleet: &str) -> io::Result<Vec<Self>> {
        let entries = match fs::read_dir(replicas_dir(state_dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let paths =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.extension() == Some("json".as_ref()));
        Ok(paths
            .filter_map(|path| serde_json::from_slice::<Self>(&fs::read(path).ok()?).ok())
            .filter(|record| record.fleet == fleet && is_plain(&record.tier) && is_plain(&record.id.0))
            .collect())
    }
}

fn record_path(state_dir: &Path, tier: &str, id: &ReplicaId) -> PathBuf {
    replicas_dir(state_dir).join(format!("{tier}-{id}.json"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_that_would_leave_the_folder_are_not_plain() {
        assert!(is_plain("gold-2") && is_plain("0b6b8a0e-0c3f-4b6e-9d3a-111111111111"));
        for name in ["", "..", "a/b", ".hidden", "a b", "a\0"] {
            assert!(!is_plain(name), "{name:?}");
        }
    }

    #[test]
    fn a_record_survives_a_damaged_neighbour() {
        let dir = tempfile::tempdir().unwrap();
        create_dir(&replicas_dir(dir.path())).unwrap();
        let record = Record {
            fleet: "game".to_owned(),
            tier: "gold".to_owned(),
            id: ReplicaId("a1".to_owned()),
            process: Identity::of(std::process::id().cast_signed()).unwrap(),
            port: 4100,
            index: 0,
            gpu: None,
            ending_grace_micros: None,
        };
        record.write(dir.path()).unwrap();
        fs::write(replicas_dir(dir.path()).join("gold-b2.json"), "{").unwrap();
        Record::mark_ending(dir.path(), "gold", &record.id, 5).unwrap();
        let ending = Record { ending_grace_micros: Some(5), ..record };
        assert_eq!(Record::read_all(dir.path(), "game").unwrap(), [ending]);
        assert_eq!(Record::read_all(dir.path(), "other").unwrap(), []);
    }
}
