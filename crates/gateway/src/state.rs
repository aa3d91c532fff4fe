//! The state directory: what has to outlive the process, and that only one process has it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Locked, by all of them at once, by gateways that left the directory to another and still end answers.
const ANSWERING: &str = "gateway-answering.lock";

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

    /// Those that left it to this process and still end answers.
    pub(crate) fn earlier(&self) -> io::Result<Earlier> {
        private_file(&self.path.join(ANSWERING)).map(Earlier::new)
    }

    /// Leaves it to the next gateway; that one knows that answers are still under way here until what is given back is
    /// dropped, or the process has ended.
    pub(crate) fn leave(self) -> io::Result<File> {
        let answering = private_file(&self.path.join(ANSWERING))?;
        answering.lock_shared()?;
        Ok(answering)
    }
}

/// Gateways that had the directory before. What is inside replicas by them is in no count of the one that has it now.
#[derive(Debug)]
pub(crate) struct Earlier {
    answering: File,
    began: Instant,
    seen: Mutex<Seen>,
}

/// What was last seen of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// Nobody has looked.
    Nothing,
    /// One ends answers.
    There,
    /// It has done so for longer than any answer may take.
    TooLong,
    /// None does, and none comes back: who has the directory leaves it last.
    Gone,
}

impl Earlier {
    fn new(answering: File) -> Self {
        Self { answering, began: Instant::now(), seen: Mutex::new(Seen::Nothing) }
    }

    /// Whether one still ends answers. Logs when none does any more, and when one does for longer than `longest`.
    pub(crate) fn answers(&self, longest: Duration) -> bool {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == Seen::Gone {
            return false;
        }
        let now = self.look(longest);
        match (*seen, now) {
            (Seen::There | Seen::TooLong, Seen::Gone) => {
                tracing::info!("the gateway before this one has ended its answers");
            }
            (Seen::Nothing | Seen::There, Seen::TooLong) => tracing::warn!(
                ?longest,
                "the gateway before this one still ends answers after longer than any may take: if it hangs, kill it"
            ),
            _ => {}
        }
        *seen = now;
        now != Seen::Gone
    }

    fn look(&self, longest: Duration) -> Seen {
        if self.answering.try_lock().is_ok() {
            // Nobody else asks, and the next one must find it free.
            let _ = self.answering.unlock();
            return Seen::Gone;
        }
        if self.began.elapsed() > longest { Seen::TooLong } else { Seen::There }
    }
}

/// Opens a file that only its owner may read, making it where it is missing.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}
