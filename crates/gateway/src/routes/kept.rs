//! The last route table on disk, so that a gateway that restarts while the controller is gone still serves.

use evenkeel_failpoint::{Point, hit};
use evenkeel_wire::routes::{RouteTable, RouteVersion};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The file inside the state directory.
const FILE: &str = "gateway-routes.json";

/// Where the table is kept.
#[derive(Clone, Debug)]
pub(crate) struct KeptTable {
    path: PathBuf,
    /// The version that was written last; held while one is.
    written: Arc<Mutex<Option<RouteVersion>>>,
}

impl KeptTable {
    /// The table kept in `directory`.
    pub(crate) fn in_directory(directory: &Path) -> Self {
        Self { path: directory.join(FILE), written: Arc::default() }
    }

    /// The table, if one was kept and can be read. One that cannot is only a hint lost, so it is told and passed over.
    pub(crate) fn read(&self) -> Option<RouteTable> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "the kept route table cannot be read");
                return None;
            }
        };
        serde_json::from_slice(&text)
            .inspect_err(|error| tracing::warn!(path = %self.path.display(), %error, "the kept route table is damaged"))
            .ok()
    }

    /// Writes nothing more: every table is as if it were written.
    pub(crate) fn leave(&self) {
        let last = RouteVersion { epoch: u64::MAX, number: u64::MAX };
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

    /// Replaces the table in one step: a crash leaves the old or the new one. One that was written already is not again.
    pub(crate) fn write(&self, table: &RouteTable) -> io::Result<()> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if *written >= Some(table.version) {
            return Ok(());
        }
        hit(Point::RoutesKeep)?;
        let unfinished = self.path.with_extension("json.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        let kept = file.write_all(&serde_json::to_vec(table)?).and_then(|()| fs::rename(&unfinished, &self.path));
        if kept.is_err() {
            // A full disk is no better for half a table.
            let _ = fs::remove_file(&unfinished);
        }
        kept?;
        *written = Some(table.version);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_kept_table_comes_back_and_only_its_owner_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let kept = KeptTable::in_directory(directory.path());
        assert_eq!(kept.read(), None);
        for number in 1..=2 {
            let version = RouteVersion { epoch: 1, number };
            let table = RouteTable { fleet: "game".into(), version, tiers: Vec::new() };
            kept.write(&table).unwrap();
            assert_eq!(kept.read(), Some(table));
        }
        let mode = fs::metadata(directory.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_table_that_cannot_be_kept_leaves_nothing_half_done_and_may_be_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let kept = KeptTable::in_directory(directory.path());
        let version = RouteVersion { epoch: 1, number: 1 };
        let table = RouteTable { fleet: "game".into(), version, tiers: Vec::new() };
        // A folder in its place stands for a disk that takes the new file and not the renaming.
        let place = directory.path().join(FILE);
        fs::create_dir(&place).unwrap();
        assert!(kept.write(&table).is_err());
        let left: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, [FILE]);
        fs::remove_dir(place).unwrap();
        kept.write(&table).unwrap();
        assert_eq!(kept.read(), Some(table));
    }

    #[test]
    fn a_damaged_table_is_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "{\"fleet\":").unwrap();
        assert_eq!(KeptTable::in_directory(directory.path()).read(), None);
    }
}
