//! The state directory: what has to outlive the process, and that only one process has it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A state directory of our own. The lock lasts until the last clone is gone, or the process.
#[derive(Clone, Debug)]
pub(crate) struct StateDirectory {
    path: PathBuf,
    _lock: Arc<File>,
}

/// Why a state directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be made or written to.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// Another gateway has it.
    #[error("another gateway uses it: give each one its own state directory")]
    InUse,
}

impl StateDirectory {
    /// Makes the directory, readable by its owner only, unless it exists, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = private_file(&path.join("gateway.lock"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: Arc::new(lock) }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse),
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Opens a file that only its owner may read, making it where it is missing.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
