//! Writing: a thread that owns the connection and commits what has gathered in one transaction.

use super::message::{Message, Shared, TickRecord};
use super::{delta, digest, pack};
use crate::operator::OperatorOrder;
use crate::ports::Order;
use evenkeel_core::decision::{Decision, Reason};
use evenkeel_core::observe::Supply;
use evenkeel_core::units::{Span, Time};
use evenkeel_failpoint::{Injected, Point, hit};
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use tokio::sync::oneshot;

/// Ticks between two whole copies of the inputs.
const WHOLE_EVERY: u32 = 300;
/// Between two looks for rows that are past their retention, at most.
const SWEEP_EVERY: Span = Span::from_secs(600);

/// Why a transaction failed.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the controller of epoch {by} writes it now")]
    Fenced { by: u64 },
    #[error("its file was removed or replaced while the controller ran: restart the controller to begin a new one")]
    Removed,
    #[error(transparent)]
    Injected(#[from] Injected),
}

/// What makes two decisions one row: all but the moment and the measured figures.
type Sameness = (u32, Reason, Supply, Option<usize>);

pub(super) struct Writer {
    connection: Connection,
    /// Where the file is, and which file it was when it was opened.
    path: PathBuf,
    file: Option<u64>,
    retention: Span,
    epoch: u64,
    shared: Arc<Shared>,
    next_tick: i64,
    last_inputs: Option<Value>,
    since_whole: u32,
    open_rows: BTreeMap<String, (i64, Sameness)>,
    last_sweep: Option<Time>,
    last_tick_lost: bool,
}

/// Who waits for a transaction.
#[derive(Default)]
struct Waiting {
    barriers: Vec<oneshot::Sender<bool>>,
    operators: Vec<oneshot::Sender<bool>>,
}

impl Waiting {
    /// Keeps who waits; gives back what is to be written.
    fn take(&mut self, message: Message) -> Option<Message> {
        match message {
            Message::Barrier(done) => self.barriers.push(done),
            Message::Operator(done) => self.operators.push(done),
            written => return Some(written),
        }
        None
    }

    /// An operator's order is on disk with its transaction; a barrier asks for the ticks before it as well.
    fn answer(self, written: bool, tick_lost: bool) {
        for done in self.operators {
            let _ = done.send(written);
        }
        for done in self.barriers {
            let _ = done.send(written && !tick_lost);
        }
    }
}

impl Writer {
    pub(super) fn new(
        connection: Connection,
        path: &Path,
        retention: Span,
        epoch: u64,
        shared: Arc<Shared>,
    ) -> rusqlite::Result<Self> {
        let next_tick = connection.query_row("SELECT COALESCE(MAX(id), 0) + 1 FROM ticks", [], |row| row.get(0))?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            file: file_at(path),
            retention,
            epoch,
            shared,
            next_tick,
            last_inputs: None,
            since_whole: 0,
            open_rows: BTreeMap::new(),
            last_sweep: None,
            last_tick_lost: false,
        })
    }

    pub(super) fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            let mut waiting = Waiting::default();
            let batch: Vec<Message> =
                std::iter::once(first).chain(messages.try_iter()).filter_map(|it| waiting.take(it)).collect();
            let ticks = batch.iter().filter(|it| matches!(it, Message::Tick(_))).count() as u64;
            let first_tick = self.next_tick;
            let written = self.transaction(&batch);
            if written.is_err() {
                // Whatever the next delta would be against is not on disk, and a replay must see that ticks are missing.
                (self.last_inputs, self.open_rows) = (None, BTreeMap::new());
                self.next_tick = first_tick + ticks.cast_signed();
            }
            if ticks > 0 {
                self.last_tick_lost = written.is_err();
            }
            self.note(ticks, written.as_ref());
            waiting.answer(written.is_ok(), self.last_tick_lost);
        }
    }

    fn note(&self, ticks: u64, written: Result<&u64, &WriteError>) {
        let mut health = self.shared.health();
        health.removed = matches!(written, Err(WriteError::Removed));
        match written {
            Ok(bytes) => {
                // A transaction without a tick may have written nothing, which works on a full disk too.
                health.writable = !self.last_tick_lost;
                health.ticks_written += ticks;
                health.input_bytes_written += bytes;
            }
            Err(error) => {
                health.writable = false;
                health.problem = Some(error.to_string());
                health.ticks_lost += ticks;
                if let WriteError::Fenced { by } = error {
                    health.fenced_by = Some(*by);
                }
            }
        }
    }

    /// One transaction: the operator's orders that wait, then `batch`, whole or not at all; gives the size of the inputs
    /// written.
    fn transaction(&mut self, batch: &[Message]) -> Result<u64, WriteError> {
        hit(Point::JournalBegin)?;
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let orders = self.shared.orders().clone();
        // Nothing more after the first error: SQLite may have rolled back by itself, and what follows would be committed
        // statement by statement.
        let written = self.write(&orders, batch);
        match written.and_then(|bytes| self.commit().map(|()| bytes)) {
            Ok(bytes) => {
                self.shared.orders().drain(..orders.len());
                hit(Point::JournalCommitted)?;
                Ok(bytes)
            }
            Err(error) => {
                let _ = self.connection.execute_batch("ROLLBACK");
                Err(error)
            }
        }
    }

    fn commit(&self) -> Result<(), WriteError> {
        hit(Point::JournalCommit)?;
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    fn write(&mut self, orders: &[(OperatorOrder, Time)], batch: &[Message]) -> Result<u64, WriteError> {
        self.not_removed()?;
        self.not_fenced()?;
        for (order, at) in orders {
            self.write_operator(order, *at)?;
        }
        let mut bytes = 0;
        for message in batch {
            match message {
                Message::Tick(tick) => bytes += self.write_tick(tick)?,
                Message::Outcome { order, outcome } => self.write_outcome(order, outcome)?,
                Message::Barrier(_) | Message::Operator(_) => {} // uncovered: `Waiting` has taken them out
            }
        }
        Ok(bytes)
    }

    /// SQLite would go on writing a file that has no name any more, and the next controller would find nothing.
    fn not_removed(&self) -> Result<(), WriteError> {
        if file_at(&self.path) == self.file { Ok(()) } else { Err(WriteError::Removed) }
    }

    /// A tick of a later epoch means that another controller has taken over, so this one writes nothing more.
    fn not_fenced(&self) -> Result<(), WriteError> {
        let mut newest = self.connection.prepare_cached("SELECT epoch FROM ticks ORDER BY id DESC LIMIT 1")?;
        let newest: Option<i64> = newest.query_row([], |row| row.get(0)).optional()?;
        match newest.map(i64::cast_unsigned) {
            Some(by) if by > self.epoch => Err(WriteError::Fenced { by }),
            _ => Ok(()),
        }
    }

    fn write_operator(&self, order: &OperatorOrder, at: Time) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached("INSERT INTO operator (at_us, body) VALUES (?1, ?2)")?;
        statement.execute(params![at.as_micros(), json(order)]).map(|_| ())
    }

    fn write_outcome(&self, order: &Order, outcome: &str) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE orders SET outcome = ?1 WHERE id = (SELECT MAX(id) FROM orders WHERE tier = ?2 AND epoch = ?3 AND body = ?4)",
        )?;
        statement.execute(params![outcome, order.tier, order.epoch.cast_signed(), json(order)]).map(|_| ())
    }

    fn write_tick(&mut self, tick: &TickRecord) -> rusqlite::Result<u64> {
        let id = self.next_tick;
        let at = tick.inputs.now.as_micros();
        let inputs = serde_json::to_value(&tick.inputs).unwrap_or(Value::Null);
        let before = self.last_inputs.take().filter(|_| tick.state.is_none() && self.since_whole < WHOLE_EVERY);
        let change = before.map(|before| pack::pack(&json(&delta::delta(&before, &inputs))));
        let whole = change.is_none().then(|| pack::pack(&inputs.to_string()));
        self.since_whole = if whole.is_some() { 0 } else { self.since_whole + 1 };
        let bytes = change.as_ref().or(whole.as_ref()).map_or(0, Vec::len) as u64;
        let state = tick.state.as_ref().map(|state| pack::pack(&json(state)));
        self.connection
            .prepare_cached(
                "INSERT INTO ticks (id, epoch, at_us, inputs_whole, inputs_delta, state, decisions_digest)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![id, tick.epoch.cast_signed(), at, whole, change, state, digest(&tick.decisions)])?;
        for (decision, inputs) in tick.decisions.iter().zip(&tick.inputs.tiers) {
            self.write_decision(id, decision)?;
            self.add_to_hour(decision, inputs)?;
        }
        for order in &tick.orders {
            self.connection
                .prepare_cached("INSERT INTO orders (tick, at_us, tier, epoch, body) VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![id, at, order.tier, order.epoch.cast_signed(), json(order)])?;
        }
        self.next_tick += 1;
        self.last_inputs = Some(inputs);
        self.sweep(tick.inputs.now)?;
        Ok(bytes)
    }

    /// A decision like the last one extends its row.
    fn write_decision(&mut self, tick: i64, decision: &Decision) -> rusqlite::Result<()> {
        let same: Sameness = (decision.desired, decision.reason, decision.supply, decision.winner);
        let at = decision.at.as_micros();
        if let Some((row, known)) = self.open_rows.get(&decision.tier)
            && *known == same
        {
            return self
                .connection
                .prepare_cached("UPDATE decisions SET last_us = ?1, ticks = ticks + 1 WHERE id = ?2")?
                .execute(params![at, row])
                .map(|_| ());
        }
        self.connection
            .prepare_cached(
                "INSERT INTO decisions (tier, first_tick, first_us, last_us, ticks, reason, desired, decision)
                 VALUES (?1, ?2, ?3, ?3, 1, ?4, ?5, ?6)",
            )?
            .execute(params![decision.tier, tick, at, decision.reason.name(), decision.desired, json(decision)])?;
        self.open_rows.insert(decision.tier.clone(), (self.connection.last_insert_rowid(), same));
        Ok(())
    }

    /// The hourly roll-up, which outlives the ticks.
    fn add_to_hour(&self, decision: &Decision, inputs: &evenkeel_core::propose::TierInputs) -> rusqlite::Result<()> {
        const HOUR_US: i64 = 3_600_000_000;
        let at = decision.at.as_micros();
        let offered = inputs.observation.signals.offered.fresh().map(|it| it.requests.cast_signed());
        self.connection
            .prepare_cached(
                "INSERT INTO hours (hour_us, tier, ticks, ready_sum, desired_sum, offered, blind, changes)
                 VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (hour_us, tier) DO UPDATE SET ticks = ticks + 1, ready_sum = ready_sum + ?3,
                 desired_sum = desired_sum + ?4, offered = offered + ?5, blind = blind + ?6, changes = changes + ?7",
            )?
            .execute(params![
                at - at.rem_euclid(HOUR_US),
                decision.tier,
                decision.supply.ready,
                decision.desired,
                offered.unwrap_or(0),
                i64::from(offered.is_none()),
                i64::from(decision.desired != decision.supply.current()),
            ])?;
        Ok(())
    }

    /// Drops what is past its retention. A replay begins at a tick with a state, so the ticks before the first kept state
    /// go too, but not the newest state itself.
    fn sweep(&mut self, now: Time) -> rusqlite::Result<()> {
        let every = super::share_of(self.retention, SWEEP_EVERY);
        if self.last_sweep.is_some_and(|last| now.since(last) < every) {
            return Ok(());
        }
        self.last_sweep = Some(now);
        let limit = (now - self.retention).as_micros();
        let states = "SELECT MAX(id) FROM ticks WHERE state IS NOT NULL AND at_us < ?1";
        let keep: Option<i64> = self.connection.query_row(states, [limit], |row| row.get(0))?;
        self.connection.execute("DELETE FROM ticks WHERE id < ?1", [keep.unwrap_or(0)])?;
        self.connection.execute("DELETE FROM decisions WHERE last_us < ?1", [limit])?;
        self.connection.execute("DELETE FROM orders WHERE at_us < ?1", [limit])?;
        Ok(())
    }
}

/// The number of the file at `path`.
fn file_at(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|file| file.ino())
}

fn json(value: &impl Serialize) -> String {
    // Every journalled type has string keys and finite numbers, so this cannot fail; an empty row would show in replay.
    serde_json::to_string(value).unwrap_or_default()
}
