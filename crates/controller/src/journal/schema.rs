//! The journal's tables.

use super::JournalError;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// Grows with every change that an older version could not read.
pub(super) const VERSION: i64 = 1;

/// All or nothing: a process that dies between two of these would leave a file that no later start could use.
const TABLES: &str = "
BEGIN IMMEDIATE;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE ticks (
    id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, at_us INTEGER NOT NULL,
    inputs_whole BLOB, inputs_delta BLOB, state BLOB, decisions_digest INTEGER NOT NULL
) STRICT;
CREATE INDEX ticks_at ON ticks (at_us);
CREATE TABLE decisions (
    id INTEGER PRIMARY KEY, tier TEXT NOT NULL, first_tick INTEGER NOT NULL, first_us INTEGER NOT NULL,
    last_us INTEGER NOT NULL, ticks INTEGER NOT NULL, reason TEXT NOT NULL, desired INTEGER NOT NULL, decision TEXT NOT NULL
) STRICT;
CREATE INDEX decisions_tier ON decisions (tier, id);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, tick INTEGER NOT NULL, at_us INTEGER NOT NULL, tier TEXT NOT NULL, epoch INTEGER NOT NULL,
    body TEXT NOT NULL, outcome TEXT
) STRICT;
CREATE TABLE operator (id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, body TEXT NOT NULL) STRICT;
CREATE TABLE hours (
    hour_us INTEGER NOT NULL, tier TEXT NOT NULL, ticks INTEGER NOT NULL, ready_sum INTEGER NOT NULL,
    desired_sum INTEGER NOT NULL, offered INTEGER NOT NULL, blind INTEGER NOT NULL, changes INTEGER NOT NULL,
    PRIMARY KEY (hour_us, tier)
) STRICT;
PRAGMA user_version = 1;
COMMIT;
";

/// Opens the journal for writing and makes it if it is not there. The file is readable by its owner alone.
pub(super) fn open(path: &Path) -> Result<Connection, JournalError> {
    let sqlite = |source| JournalError::Sqlite { path: path.display().to_string(), source };
    restrict(path);
    let connection = Connection::open(path).map_err(sqlite)?;
    connection.busy_timeout(Duration::from_secs(2)).map_err(sqlite)?;
    connection.pragma_update(None, "journal_mode", "WAL").map_err(sqlite)?;
    // In WAL mode a crash of the process loses nothing; a power cut may lose the last moments, and every replica with them.
    connection.pragma_update(None, "synchronous", "NORMAL").map_err(sqlite)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite)?;
    if found == 0 {
        connection.execute_batch(TABLES).map_err(sqlite)?;
    } else if found != VERSION {
        return Err(JournalError::Schema { path: path.display().to_string(), found, expected: VERSION });
    }
    Ok(connection)
}

/// Opens the journal for reading beside a writer.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, JournalError> {
    let sqlite = |source| JournalError::Sqlite { path: path.display().to_string(), source };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(sqlite)?;
    connection.busy_timeout(Duration::from_secs(2)).map_err(sqlite)?;
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(sqlite)?;
    if found != VERSION {
        return Err(JournalError::Schema { path: path.display().to_string(), found, expected: VERSION });
    }
    Ok(connection)
}

/// Makes the file with mode 0600 before SQLite would make it with the umask's; SQLite gives its WAL the same mode.
fn restrict(path: &Path) {
    use std::os::unix::fs::OpenOptionsExt;
    // An error shows again, and better worded, when SQLite opens the file.
    let _ = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
}
