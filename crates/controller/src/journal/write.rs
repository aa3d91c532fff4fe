//! Writing: a bounded queue before a thread that owns the connection and commits what has gathered in one transaction.

use super::{JournalError, delta, digest, pack, schema};
use crate::operator::{OperatorOrder, OperatorOrders};
use crate::ports::Order;
use evenkeel_core::autoscaler::{Evenkeel, FleetInputs};
use evenkeel_core::decision::{Decision, Reason};
use evenkeel_core::observe::Supply;
use evenkeel_core::units::{Span, Time};
use rusqlite::{Connection, params};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Messages that may wait for the thread; a minute of ticks and their orders. One more is refused, and refused is
/// treated like an unwritable disk: alarm, and scale-in waits.
const WAITING: usize = 256;
/// Ticks between two whole copies of the inputs.
const WHOLE_EVERY: u32 = 300;
/// Between two looks for rows that are past their retention.
const SWEEP_EVERY: Span = Span::from_secs(600);

/// What one tick leaves in the journal.
#[derive(Debug)]
pub struct TickRecord {
    /// The controller's epoch.
    pub epoch: u64,
    /// The inputs as decided on.
    pub inputs: FleetInputs,
    /// The decisions.
    pub decisions: Vec<Decision>,
    /// The orders that follow.
    pub orders: Vec<Order>,
    /// The autoscaler's state before the tick, where a replay shall be able to begin here.
    pub state: Option<Evenkeel>,
}

enum Message {
    Tick(Box<TickRecord>),
    Outcome { order: Order, outcome: String },
    Operator { order: OperatorOrder, at: Time, done: tokio::sync::oneshot::Sender<bool> },
    Barrier(tokio::sync::oneshot::Sender<bool>),
}

/// How the journal is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JournalHealth {
    /// Whether the last write reached the disk and nothing was refused since.
    pub writable: bool,
    /// What went wrong last, where something did.
    pub problem: Option<String>,
    /// Ticks written by this process.
    pub ticks_written: u64,
    /// Ticks lost because the queue was full or the disk unwritable.
    pub ticks_lost: u64,
    /// Size of the inputs written by this process, bytes.
    pub input_bytes_written: u64,
}

/// The journal's writing end. Cloning gives another handle to the same thread.
#[derive(Clone)]
pub struct Journal {
    queue: SyncSender<Message>,
    health: Arc<Mutex<JournalHealth>>,
}

impl Journal {
    /// Opens the journal at `path`, makes it if need be, and starts its thread. Also gives the operator's orders that
    /// are in force.
    ///
    /// # Errors
    /// When the file cannot be used or was made by another version.
    pub fn open(path: &Path, retention: Span) -> Result<(Self, OperatorOrders), JournalError> {
        let connection = schema::open(path)?;
        let sqlite = |source| JournalError::Sqlite { path: path.display().to_string(), source };
        let orders = operator_orders(&connection).map_err(sqlite)?;
        let health = Arc::new(Mutex::new(JournalHealth { writable: true, ..JournalHealth::default() }));
        let (queue, messages) = sync_channel(WAITING);
        let writer = Writer::new(connection, retention, health.clone()).map_err(sqlite)?;
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(&messages))
            .map_err(|error| JournalError::Damaged { tick: 0, detail: format!("no thread to write it: {error}") })?;
        Ok((Self { queue, health }, orders))
    }

    /// Hands over a tick. Never waits.
    pub fn record(&self, tick: TickRecord) {
        self.send(Message::Tick(Box::new(tick)), "the journal's queue is full");
    }

    /// Hands over how an order went. Never waits.
    pub fn outcome(&self, order: Order, outcome: String) {
        self.send(Message::Outcome { order, outcome }, "the journal's queue is full");
    }

    /// Writes an operator's order and waits until it is on disk; false if it could not be written.
    pub async fn operator(&self, order: OperatorOrder, at: Time) -> bool {
        let (done, written) = tokio::sync::oneshot::channel();
        self.send(Message::Operator { order, at, done }, "the journal's queue is full")
            && written.await.unwrap_or(false)
    }

    /// Waits until everything handed over is on disk, `within` at most; false if it is not.
    pub async fn settled(&self, within: Duration) -> bool {
        let (done, written) = tokio::sync::oneshot::channel();
        self.send(Message::Barrier(done), "the journal's queue is full")
            && tokio::time::timeout(within, written).await.is_ok_and(|it| it.unwrap_or(false))
    }

    /// How it is.
    pub fn health(&self) -> JournalHealth {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn send(&self, message: Message, full: &str) -> bool {
        let problem = match self.queue.try_send(message) {
            Ok(()) => return true,
            Err(TrySendError::Full(_)) => full,
            Err(TrySendError::Disconnected(_)) => "the journal's thread has ended",
        };
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.writable = false;
        health.problem = Some(problem.to_owned());
        health.ticks_lost += 1;
        false
    }
}

/// The operator's orders in force, from all that were ever given.
fn operator_orders(connection: &Connection) -> rusqlite::Result<OperatorOrders> {
    let mut statement = connection.prepare("SELECT body FROM operator ORDER BY id")?;
    let bodies = statement.query_map([], |row| row.get::<_, String>(0))?;
    let mut orders = OperatorOrders::default();
    for body in bodies {
        if let Ok(order) = serde_json::from_str(&body?) {
            orders.take(order);
        }
    }
    Ok(orders)
}

/// What makes two decisions one row: all but the moment and the measured figures.
type Sameness = (u32, Reason, Supply, Option<usize>);

struct Writer {
    connection: Connection,
    retention: Span,
    health: Arc<Mutex<JournalHealth>>,
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
    barriers: Vec<tokio::sync::oneshot::Sender<bool>>,
    operators: Vec<tokio::sync::oneshot::Sender<bool>>,
}

impl Waiting {
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
    fn new(connection: Connection, retention: Span, health: Arc<Mutex<JournalHealth>>) -> rusqlite::Result<Self> {
        let next_tick = connection.query_row("SELECT COALESCE(MAX(id), 0) + 1 FROM ticks", [], |row| row.get(0))?;
        Ok(Self {
            connection,
            retention,
            health,
            next_tick,
            last_inputs: None,
            since_whole: 0,
            open_rows: BTreeMap::new(),
            last_sweep: None,
            last_tick_lost: false,
        })
    }

    fn run(mut self, messages: &Receiver<Message>) {
        while let Ok(first) = messages.recv() {
            let batch: Vec<Message> = std::iter::once(first).chain(messages.try_iter()).collect();
            let ticks = batch.iter().filter(|it| matches!(it, Message::Tick(_))).count() as u64;
            let (mut waiting, first_tick) = (Waiting::default(), self.next_tick);
            let written = self.write(batch, &mut waiting);
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

    fn note(&self, ticks: u64, written: Result<&u64, &rusqlite::Error>) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
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
            }
        }
    }

    /// One transaction; gives the size of the inputs written.
    fn write(&mut self, batch: Vec<Message>, waiting: &mut Waiting) -> rusqlite::Result<u64> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let mut bytes = 0;
        let mut result = Ok(());
        for message in batch {
            let one = match message {
                Message::Barrier(done) => {
                    waiting.barriers.push(done);
                    Ok(0)
                }
                Message::Operator { order, at, done } => {
                    waiting.operators.push(done);
                    self.write_operator(&order, at)
                }
                Message::Outcome { order, outcome } => self.write_outcome(&order, &outcome),
                Message::Tick(tick) => self.write_tick(&tick),
            };
            match one {
                Ok(size) => bytes += size,
                Err(error) => result = Err(error),
            }
        }
        match result.and_then(|()| self.connection.execute_batch("COMMIT")) {
            Ok(()) => Ok(bytes),
            Err(error) => {
                let _ = self.connection.execute_batch("ROLLBACK");
                Err(error)
            }
        }
    }

    fn write_operator(&self, order: &OperatorOrder, at: Time) -> rusqlite::Result<u64> {
        let mut statement = self.connection.prepare_cached("INSERT INTO operator (at_us, body) VALUES (?1, ?2)")?;
        statement.execute(params![at.as_micros(), json(order)])?;
        Ok(0)
    }

    fn write_outcome(&self, order: &Order, outcome: &str) -> rusqlite::Result<u64> {
        let mut statement = self.connection.prepare_cached(
            "UPDATE orders SET outcome = ?1 WHERE id = (SELECT MAX(id) FROM orders WHERE tier = ?2 AND epoch = ?3 AND body = ?4)",
        )?;
        statement.execute(params![outcome, order.tier, order.epoch.cast_signed(), json(order)])?;
        Ok(0)
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
        if self.last_sweep.is_some_and(|last| now.since(last) < SWEEP_EVERY) {
            return Ok(());
        }
        self.last_sweep = Some(now);
        let limit = (now - self.retention).as_micros();
        let keep: Option<i64> = self.connection.query_row(
            "SELECT MAX(id) FROM ticks WHERE state IS NOT NULL AND at_us < ?1",
            [limit],
            |row| row.get(0),
        )?;
        self.connection.execute("DELETE FROM ticks WHERE id < ?1", [keep.unwrap_or(0)])?;
        self.connection.execute("DELETE FROM decisions WHERE last_us < ?1", [limit])?;
        self.connection.execute("DELETE FROM orders WHERE at_us < ?1", [limit])?;
        Ok(())
    }
}

fn json(value: &impl Serialize) -> String {
    // Every journalled type has string keys and finite numbers, so this cannot fail; an empty row would show in replay.
    serde_json::to_string(value).unwrap_or_default()
}
