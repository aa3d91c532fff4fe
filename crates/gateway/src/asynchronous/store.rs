//! The durable queue as a file. Every method takes the time, none reads a clock.

use super::record::{
    HandedOut, KeptAnswer, NewRequest, Outcome, Progress, Standing, headers_from_text, headers_to_text,
};
use crate::state::private_file;
use bytes::Bytes;
use evenkeel_core::units::{Span, Time};
use evenkeel_failpoint::Injected;
use http::StatusCode;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The layout of the file; another one is refused, never guessed at.
const SCHEMA_VERSION: i64 = 1;

/// Laid out in one transaction: a start that is cut off leaves an empty file, which the next one lays out.
const SCHEMA: &str = "
    BEGIN IMMEDIATE;
    CREATE TABLE requests (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        tier TEXT NOT NULL,
        standing INTEGER NOT NULL,
        path TEXT NOT NULL,
        headers TEXT NOT NULL,
        body BLOB NOT NULL,
        accepted_us INTEGER NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        lease_until_us INTEGER,
        handed_out_us INTEGER,
        finished_us INTEGER,
        answer_status INTEGER,
        answer_type TEXT,
        answer BLOB,
        error TEXT
    );
    CREATE INDEX requests_by_standing ON requests (tier, standing, number);
    CREATE INDEX requests_by_end ON requests (tier, finished_us) WHERE finished_us IS NOT NULL;
    PRAGMA user_version = 1;
    COMMIT;
";

/// The durable queue cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the queue's file cannot be used: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file cannot be made.
    #[error("the queue's file cannot be made: {0}")]
    Io(#[from] std::io::Error),
    /// The file was written by another version.
    #[error("the queue's file has layout {found}, this version reads {SCHEMA_VERSION}: move the file away or update")]
    Layout {
        /// The layout found.
        found: i64,
    },
    /// SQLite would go on writing a file that has no name any more, and the next gateway would find nothing.
    #[error("the queue's file was removed or replaced: restart the gateway to begin a new one")]
    Removed,
    /// The thread that uses the file is gone.
    #[error("the queue's file was given up")]
    Gone,
    /// A test wants it so.
    #[error(transparent)]
    Injected(#[from] Injected),
    /// This, or what was written together with it, could not be.
    #[error("the queue's file could not be written")]
    NotWritten,
}

impl StoreError {
    /// Whether the file is damaged, so that no later try will succeed.
    pub(crate) fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        let Self::Sqlite(error) = self else { return false };
        matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
    }
}

/// The file.
#[derive(Debug)]
pub(crate) struct Store {
    connection: Connection,
    path: PathBuf,
    /// The number of the file that was opened.
    file: Option<u64>,
}

/// How far a tier's requests have got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Requests waiting.
    pub(crate) queued: u64,
    /// When the oldest of them was accepted.
    pub(crate) oldest: Option<Time>,
}

impl Store {
    /// Opens the file, making it where it is missing, and returns what was handed out to the queue: whoever had it is
    /// dead, since only one process has the file.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        // SQLite gives its side files the rights of the main one.
        drop(private_file(path)?);
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A power cut must not lose what was accepted; commits are batched, so this is affordable.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
        match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
            0 => connection.execute_batch(SCHEMA)?,
            SCHEMA_VERSION => {}
            found => return Err(StoreError::Layout { found }),
        }
        Ok(Self { connection, path: path.to_owned(), file: number_of(path) })
    }

    /// Begins a batch.
    pub(super) fn begin(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN IMMEDIATE")
    }

    /// Whether what is done now belongs to a batch. SQLite ends one by itself on a full disk and the like, and forgets
    /// all of it; what is done after that would be durable at once, each by itself.
    pub(super) fn is_in_batch(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Makes a batch durable.
    pub(super) fn commit(&self) -> Result<(), StoreError> {
        if number_of(&self.path) != self.file {
            return Err(StoreError::Removed);
        }
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    /// Forgets a batch.
    pub(super) fn roll_back(&self) {
        // Nothing to forget when SQLite has done so by itself.
        let _ = self.connection.execute_batch("ROLLBACK");
    }

    /// Accepts a request unless `max_queued` wait; says whether it did.
    pub(crate) fn accept(
        &self,
        tier: &str,
        request: &NewRequest,
        now: Time,
        max_queued: u32,
    ) -> rusqlite::Result<bool> {
        if self.count(tier, Standing::Queued, max_queued)? >= u64::from(max_queued) {
            return Ok(false);
        }
        let mut insert = self.connection.prepare_cached(
            "INSERT INTO requests (id, tier, standing, path, headers, body, accepted_us) VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?;
        let headers = headers_to_text(&request.headers);
        let (body, queued) = (request.body.as_ref(), Standing::Queued.code());
        insert.execute(params![request.id, tier, queued, request.path, headers, body, now.as_micros()])?;
        Ok(true)
    }

    /// Hands out the first `limit` requests that wait, each until its lease ends.
    pub(crate) fn hand_out(&self, tier: &str, limit: u32, now: Time, lease: Span) -> rusqlite::Result<Vec<HandedOut>> {
        let mut update = self.connection.prepare_cached(
            "UPDATE requests SET standing = ?, attempts = attempts + 1, lease_until_us = ? WHERE number IN
                (SELECT number FROM requests WHERE tier = ? AND standing = ? ORDER BY number LIMIT ?)
             RETURNING number, id, attempts, accepted_us, path, headers, body",
        )?;
        let until = (now + lease).as_micros();
        let values = params![Standing::Running.code(), until, tier, Standing::Queued.code(), limit];
        let rows = update.query_map(values, |row| Ok((row.get::<_, i64>(0)?, handed_out(row)?)))?;
        // RETURNING promises no order.
        let mut handed = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        handed.sort_by_key(|(number, _)| *number);
        Ok(handed.into_iter().map(|(_, request)| request).collect())
    }

    /// Notes how the hand-out `attempt` of a request ended; says where the request stands now. A hand-out that is no
    /// longer the last one changes nothing.
    pub(crate) fn end(
        &self,
        id: &str,
        attempt: u32,
        outcome: &Outcome,
        now: Time,
        max_attempts: u32,
    ) -> rusqlite::Result<Option<Standing>> {
        let (standing, handed_over, answer, error) = match outcome {
            Outcome::Succeeded { handed_over, answer } => (Standing::Succeeded, Some(*handed_over), Some(answer), None),
            Outcome::Hopeless { handed_over, error, answer } => {
                (Standing::Failed, *handed_over, answer.as_ref(), Some(error))
            }
            Outcome::Failed { error, answer } if attempt >= max_attempts => {
                (Standing::Failed, None, answer.as_ref(), Some(error))
            }
            Outcome::Failed { .. } => return self.give_back(id, attempt, 0),
            Outcome::NotTried => return self.give_back(id, attempt, 1),
        };
        // The request itself is no longer needed, and may be large.
        let mut update = self.connection.prepare_cached(
            "UPDATE requests SET standing = ?, handed_out_us = ?, finished_us = ?, answer_status = ?, answer_type = ?,
                answer = ?, error = ?, body = x'', headers = '' WHERE id = ? AND standing = ? AND attempts = ?",
        )?;
        let changed = update.execute(params![
            standing.code(),
            handed_over.map(Time::as_micros),
            now.as_micros(),
            answer.map(|answer| answer.status.as_u16()),
            answer.map(|answer| &answer.content_type),
            answer.map(|answer| &answer.body),
            error,
            id,
            Standing::Running.code(),
            attempt,
        ])?;
        Ok((changed > 0).then_some(standing))
    }

    /// Puts a request back to its old place, forgetting `uncounted` of its attempts.
    fn give_back(&self, id: &str, attempt: u32, uncounted: u32) -> rusqlite::Result<Option<Standing>> {
        let mut update = self.connection.prepare_cached(
            "UPDATE requests SET standing = ?, attempts = attempts - ? WHERE id = ? AND standing = ? AND attempts = ?",
        )?;
        let values = params![Standing::Queued.code(), uncounted, id, Standing::Running.code(), attempt];
        Ok((update.execute(values)? > 0).then_some(Standing::Queued))
    }

    /// Puts back whatever was handed out before `now` and has no answer although its lease is over; what has no attempt
    /// left is given up. Says how many were.
    pub(crate) fn expire(&self, tier: &str, now: Time, max_attempts: u32) -> rusqlite::Result<usize> {
        let running = Standing::Running.code();
        let mut give_up = self.connection.prepare_cached(
            "UPDATE requests SET standing = ?, finished_us = ?, body = x'', headers = '',
                error = 'it was handed out ' || attempts || ' times and never answered'
             WHERE tier = ? AND standing = ? AND lease_until_us <= ? AND attempts >= ?",
        )?;
        let at = now.as_micros();
        let given_up = give_up.execute(params![Standing::Failed.code(), at, tier, running, at, max_attempts])?;
        let mut put_back = self.connection.prepare_cached(
            "UPDATE requests SET standing = ? WHERE tier = ? AND standing = ? AND lease_until_us <= ?",
        )?;
        put_back.execute(params![Standing::Queued.code(), tier, running, at])?;
        Ok(given_up)
    }

    /// Ends the leases of all that is handed out: for the start, when whoever had them is dead.
    pub(crate) fn end_leases(&self) -> rusqlite::Result<()> {
        let sql = "UPDATE requests SET lease_until_us = 0 WHERE standing = ?";
        self.connection.execute(sql, params![Standing::Running.code()]).map(|_changed| ())
    }

    /// Puts back all that is handed out, as if it had not been: for an end in order.
    pub(crate) fn give_all_back(&self) -> rusqlite::Result<()> {
        let sql = "UPDATE requests SET standing = ?, attempts = attempts - 1 WHERE standing = ?";
        let values = params![Standing::Queued.code(), Standing::Running.code()];
        self.connection.execute(sql, values).map(|_changed| ())
    }

    /// Forgets what ended longer than `ttl` ago.
    pub(crate) fn forget(&self, tier: &str, now: Time, ttl: Span) -> rusqlite::Result<()> {
        let mut delete = self
            .connection
            .prepare_cached("DELETE FROM requests WHERE tier = ? AND finished_us IS NOT NULL AND finished_us <= ?")?;
        delete.execute(params![tier, (now - ttl).as_micros()]).map(|_changed| ())
    }

    /// A request by its name.
    pub(crate) fn find(&self, id: &str) -> rusqlite::Result<Option<Progress>> {
        let mut select = self.connection.prepare_cached(
            "SELECT tier, standing, attempts, accepted_us, finished_us, error, answer_status, answer_type, answer,
                handed_out_us
             FROM requests WHERE id = ?",
        )?;
        select.query_row([id], progress).optional()
    }

    /// How many wait, and since when.
    pub(crate) fn waiting(&self, tier: &str) -> rusqlite::Result<Waiting> {
        let mut oldest = self.connection.prepare_cached(
            "SELECT accepted_us FROM requests WHERE tier = ? AND standing = ? ORDER BY number LIMIT 1",
        )?;
        let oldest: Option<i64> =
            oldest.query_row(params![tier, Standing::Queued.code()], |row| row.get(0)).optional()?;
        Ok(Waiting { queued: self.count(tier, Standing::Queued, u32::MAX)?, oldest: oldest.map(Time::from_micros) })
    }

    /// Counts, up to `limit`.
    fn count(&self, tier: &str, standing: Standing, limit: u32) -> rusqlite::Result<u64> {
        let mut count = self
            .connection
            .prepare_cached("SELECT count(*) FROM (SELECT 1 FROM requests WHERE tier = ? AND standing = ? LIMIT ?)")?;
        let count: i64 = count.query_row(params![tier, standing.code(), limit], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

fn handed_out(row: &Row<'_>) -> rusqlite::Result<HandedOut> {
    Ok(HandedOut {
        id: row.get(1)?,
        attempt: row.get(2)?,
        accepted: Time::from_micros(row.get(3)?),
        path: row.get(4)?,
        headers: headers_from_text(&row.get::<_, String>(5)?),
        body: Bytes::from(row.get::<_, Vec<u8>>(6)?),
    })
}

fn progress(row: &Row<'_>) -> rusqlite::Result<Progress> {
    let code: i64 = row.get(1)?;
    let standing = Standing::from_code(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(1, code))?;
    let status: Option<u16> = row.get(6)?;
    let answer = match status.and_then(|status| StatusCode::from_u16(status).ok()) {
        Some(status) => Some(KeptAnswer { status, content_type: row.get(7)?, body: row.get(8)? }),
        None => None,
    };
    Ok(Progress {
        tier: row.get(0)?,
        standing,
        attempts: row.get(2)?,
        accepted: Time::from_micros(row.get(3)?),
        finished: row.get::<_, Option<i64>>(4)?.map(Time::from_micros),
        handed_over: row.get::<_, Option<i64>>(9)?.map(Time::from_micros),
        error: row.get(5)?,
        answer,
    })
}

/// The number of the file at `path`.
fn number_of(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|file| file.ino())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use http::HeaderMap;

    const LEASE: Span = Span::from_secs(30);

    fn at(secs: i64) -> Time {
        Time::from_micros(1_700_000_000_000_000 + secs * 1_000_000)
    }

    struct File {
        _directory: tempfile::TempDir,
        path: std::path::PathBuf,
        store: Store,
    }

    fn file() -> File {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.sqlite");
        let store = Store::open(&path).unwrap();
        File { _directory: directory, path, store }
    }

    fn request(id: &str) -> NewRequest {
        let body = Bytes::from_static(b"{\"model\":\"large\"}").into();
        NewRequest { id: id.into(), path: "/v1/completions".into(), headers: HeaderMap::new(), body }
    }

    fn accept(store: &Store, ids: &[&str]) {
        for (second, id) in ids.iter().enumerate() {
            assert!(store.accept("bronze", &request(id), at(second as i64), 10).unwrap());
        }
    }

    fn hand_out(store: &Store, limit: u32, now: Time) -> Vec<(String, u32)> {
        let handed = store.hand_out("bronze", limit, now, LEASE).unwrap();
        handed.into_iter().map(|request| (request.id, request.attempt)).collect()
    }

    fn named(id: &str, attempt: u32) -> (String, u32) {
        (id.to_owned(), attempt)
    }

    fn ok() -> Outcome {
        let content_type = "application/json".to_owned();
        let answer = KeptAnswer { status: StatusCode::OK, content_type, body: b"{}".to_vec() };
        Outcome::Succeeded { handed_over: at(15), answer }
    }

    fn failed() -> Outcome {
        Outcome::Failed { error: "the replica answered 500".into(), answer: None }
    }

    fn standing(store: &Store, id: &str) -> Option<Standing> {
        store.find(id).unwrap().map(|progress| progress.standing)
    }

    #[test]
    fn requests_are_handed_out_in_order_and_each_once_while_its_lease_lasts() {
        let file = file();
        accept(&file.store, &["a", "b", "c"]);
        assert_eq!(hand_out(&file.store, 2, at(10)), [named("a", 1), named("b", 1)]);
        assert_eq!(hand_out(&file.store, 2, at(11)), [named("c", 1)]);
        assert_eq!(hand_out(&file.store, 2, at(12)), []);
        assert_eq!(file.store.hand_out("silver", 9, at(12), LEASE).unwrap().len(), 0);
    }

    #[test]
    fn one_more_than_may_wait_is_refused_and_a_hand_out_makes_room() {
        let file = file();
        for id in ["a", "b"] {
            assert!(file.store.accept("bronze", &request(id), at(0), 2).unwrap());
        }
        assert!(!file.store.accept("bronze", &request("c"), at(0), 2).unwrap());
        assert_eq!(standing(&file.store, "c"), None);
        assert!(file.store.accept("other", &request("d"), at(0), 2).unwrap(), "another tier has its own room");
        hand_out(&file.store, 1, at(1));
        assert!(file.store.accept("bronze", &request("c"), at(1), 2).unwrap());
    }

    #[test]
    fn an_expired_lease_puts_a_request_back_to_its_place_until_its_attempts_are_used_up() {
        let file = file();
        accept(&file.store, &["a", "b"]);
        hand_out(&file.store, 1, at(10));
        assert_eq!(file.store.expire("bronze", at(39), 2).unwrap(), 0);
        assert_eq!(standing(&file.store, "a"), Some(Standing::Running));
        assert_eq!(file.store.expire("bronze", at(40), 2).unwrap(), 0);
        assert_eq!(hand_out(&file.store, 1, at(41)), [named("a", 2)], "before b, which came later");
        assert_eq!(file.store.expire("bronze", at(71), 2).unwrap(), 1);
        let progress = file.store.find("a").unwrap().unwrap();
        assert_eq!((progress.standing, progress.attempts), (Standing::Failed, 2));
        assert!(progress.error.unwrap().contains("2 times"));
    }

    #[test]
    fn a_failed_attempt_comes_back_and_one_that_was_never_tried_does_not_count() {
        let file = file();
        accept(&file.store, &["a"]);
        let end = |attempt, outcome: &Outcome| file.store.end("a", attempt, outcome, at(20), 2).unwrap();
        hand_out(&file.store, 1, at(10));
        assert_eq!(end(1, &Outcome::NotTried), Some(Standing::Queued));
        assert_eq!(hand_out(&file.store, 1, at(11)), [named("a", 1)]);
        assert_eq!(end(1, &failed()), Some(Standing::Queued));
        assert_eq!(hand_out(&file.store, 1, at(12)), [named("a", 2)]);
        assert_eq!(end(2, &failed()), Some(Standing::Failed));
        let progress = file.store.find("a").unwrap().unwrap();
        assert_eq!(progress.error.unwrap(), "the replica answered 500");
        assert_eq!(progress.handed_over, None, "no replica ever took it");
    }

    #[test]
    fn an_answer_of_an_earlier_hand_out_changes_nothing() {
        let file = file();
        accept(&file.store, &["a"]);
        hand_out(&file.store, 1, at(10));
        file.store.expire("bronze", at(50), 3).unwrap();
        assert_eq!(file.store.end("a", 1, &ok(), at(51), 3).unwrap(), None);
        hand_out(&file.store, 1, at(52));
        assert_eq!(file.store.end("a", 1, &ok(), at(53), 3).unwrap(), None);
        assert_eq!(file.store.end("a", 2, &ok(), at(54), 3).unwrap(), Some(Standing::Succeeded));
        assert_eq!(file.store.end("a", 2, &failed(), at(55), 3).unwrap(), None, "an end is final");
    }

    #[test]
    fn an_answer_is_kept_for_its_time_and_then_forgotten() {
        let file = file();
        accept(&file.store, &["a", "b"]);
        hand_out(&file.store, 1, at(10));
        file.store.end("a", 1, &ok(), at(20), 2).unwrap();
        file.store.forget("bronze", at(79), Span::from_secs(60)).unwrap();
        let progress = file.store.find("a").unwrap().unwrap();
        assert_eq!((progress.accepted, progress.handed_over), (at(0), Some(at(15))));
        let answer = progress.answer.unwrap();
        assert_eq!((answer.status, answer.body), (StatusCode::OK, b"{}".to_vec()));
        file.store.forget("bronze", at(80), Span::from_secs(60)).unwrap();
        assert_eq!(standing(&file.store, "a"), None);
        assert_eq!(standing(&file.store, "b"), Some(Standing::Queued), "what waits is never forgotten");
    }

    #[test]
    fn waiting_tells_how_many_and_since_when() {
        let file = file();
        assert_eq!(file.store.waiting("bronze").unwrap(), Waiting { queued: 0, oldest: None });
        accept(&file.store, &["a", "b", "c"]);
        hand_out(&file.store, 1, at(10));
        assert_eq!(file.store.waiting("bronze").unwrap(), Waiting { queued: 2, oldest: Some(at(1)) });
    }

    #[test]
    fn after_a_crash_all_is_there_and_what_was_handed_out_is_due_at_once() {
        let file = file();
        accept(&file.store, &["a", "b"]);
        hand_out(&file.store, 1, at(10));
        drop(file.store);
        let store = Store::open(&file.path).unwrap();
        store.end_leases().unwrap();
        assert_eq!(store.expire("bronze", at(11), 2).unwrap(), 0);
        assert_eq!(hand_out(&store, 9, at(11)), [named("a", 2), named("b", 1)]);
    }

    #[test]
    fn an_end_in_order_costs_no_attempt() {
        let file = file();
        accept(&file.store, &["a"]);
        hand_out(&file.store, 1, at(10));
        file.store.give_all_back().unwrap();
        assert_eq!(hand_out(&file.store, 1, at(11)), [named("a", 1)]);
    }

    #[test]
    fn a_first_start_that_is_cut_off_at_any_statement_leaves_a_file_that_opens() {
        let statements: Vec<&str> = SCHEMA.split_inclusive(';').collect();
        for done in 0..=statements.len() {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("queue.sqlite");
            let cut_off = Connection::open(&path).unwrap();
            cut_off.pragma_update(None, "journal_mode", "WAL").unwrap();
            cut_off.execute_batch(&statements[..done].concat()).unwrap();
            drop(cut_off);
            let store = Store::open(&path).unwrap_or_else(|error| panic!("cut off after {done} statements: {error}"));
            accept(&store, &["a"]);
            assert_eq!(hand_out(&store, 1, at(10)), [named("a", 1)]);
        }
    }

    #[test]
    fn a_file_of_another_layout_is_refused() {
        let file = file();
        file.store.connection.pragma_update(None, "user_version", 7).unwrap();
        let refused = Store::open(&file.path).unwrap_err();
        assert!(matches!(refused, StoreError::Layout { found: 7 }), "{refused}");
    }
}
