//! Reading beside the writer: the decision log, and orders.

use super::{JournalError, schema};
use crate::operator::{Mode, OperatorOrder, OperatorOrders};
use evenkeel_core::decision::Decision;
use evenkeel_core::units::Time;
use rusqlite::{Connection, params};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The operator's orders in force, from all that were ever given, and how many cannot be read. One of those may have been
/// what stopped the controller from acting, so the mode is `observe` after it until a later order says otherwise.
pub(super) fn operator_orders(connection: &Connection) -> rusqlite::Result<(OperatorOrders, u64)> {
    let mut statement = connection.prepare("SELECT body FROM operator ORDER BY id")?;
    let bodies = statement.query_map([], |row| row.get::<_, String>(0))?;
    let (mut orders, mut unreadable) = (OperatorOrders::default(), 0);
    for body in bodies {
        let order = serde_json::from_str(&body?);
        unreadable += u64::from(order.is_err());
        orders.take(order.unwrap_or(OperatorOrder::Mode(Mode::Observe)));
    }
    Ok((orders, unreadable))
}

/// A run of equal decisions.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DecisionRow {
    /// Grows with time.
    pub id: i64,
    /// First tick of the run.
    pub first_us: Time,
    /// Last tick of the run.
    pub last_us: Time,
    /// Ticks in the run.
    pub ticks: u64,
    /// The controller that decided; `None` where the tick is past its retention.
    pub epoch: Option<u64>,
    /// The decision at the first tick.
    pub decision: Decision,
}

/// An order and how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderRow {
    /// When it was given.
    pub at_us: Time,
    /// The tier.
    pub tier: String,
    /// The controller's epoch.
    pub epoch: u64,
    /// What was ordered, as JSON.
    pub order: serde_json::Value,
    /// `None` while it is not known.
    pub outcome: Option<String>,
}

/// Reads a journal. Each call opens the file anew: calls are rare, and a writer never waits for a reader.
#[derive(Clone, Debug)]
pub struct JournalReader {
    path: PathBuf,
}

impl JournalReader {
    /// Reads the journal at `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The newest `limit` runs of decisions of `tier` (of all tiers if `None`), the newest first. With `changes_only`,
    /// just those that grew or shrank.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn decisions(
        &self,
        tier: Option<&str>,
        limit: u32,
        changes_only: bool,
    ) -> Result<Vec<DecisionRow>, JournalError> {
        let connection = schema::open_for_reading(&self.path)?;
        self.query(&connection, |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT decisions.id, first_us, last_us, ticks, decision, epoch
                 FROM decisions LEFT JOIN ticks ON ticks.id = first_tick
                 WHERE (?1 IS NULL OR tier = ?1) AND (NOT ?3 OR reason LIKE 'grew%' OR reason LIKE 'shrank%')
                 ORDER BY decisions.id DESC LIMIT ?2",
            )?;
            let rows = statement.query_map(params![tier, limit, changes_only], |row| {
                let decision: String = row.get(4)?;
                let epoch = row.get::<_, Option<i64>>(5)?;
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, i64>(3)?, decision, epoch))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        })?
        .into_iter()
        .map(|(id, first, last, ticks, decision, epoch)| {
            let decision = serde_json::from_str(&decision)
                .map_err(|error| JournalError::Damaged { tick: id, detail: error.to_string() })?;
            Ok(DecisionRow {
                id,
                first_us: Time::from_micros(first),
                last_us: Time::from_micros(last),
                ticks: ticks.cast_unsigned(),
                epoch: epoch.map(i64::cast_unsigned),
                decision,
            })
        })
        .collect()
    }

    /// Every order, the oldest first.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn orders(&self) -> Result<Vec<OrderRow>, JournalError> {
        let connection = schema::open_for_reading(&self.path)?;
        self.query(&connection, |connection| {
            let mut statement =
                connection.prepare_cached("SELECT at_us, tier, epoch, body, outcome FROM orders ORDER BY id")?;
            let rows = statement.query_map([], |row| {
                let body: String = row.get(3)?;
                Ok(OrderRow {
                    at_us: Time::from_micros(row.get(0)?),
                    tier: row.get(1)?,
                    epoch: row.get::<_, i64>(2)?.cast_unsigned(),
                    order: serde_json::from_str(&body).unwrap_or_default(),
                    outcome: row.get(4)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Every operator's order that can be read, the oldest first, with its moment.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn operator_orders(&self) -> Result<Vec<(Time, OperatorOrder)>, JournalError> {
        let connection = schema::open_for_reading(&self.path)?;
        let rows: Vec<(i64, String)> = self.query(&connection, |connection| {
            let mut statement = connection.prepare_cached("SELECT at_us, body FROM operator ORDER BY id")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })?;
        let readable = |(at, body): &(i64, String)| Some((Time::from_micros(*at), serde_json::from_str(body).ok()?));
        Ok(rows.iter().filter_map(readable).collect())
    }

    fn query<T>(
        &self,
        connection: &Connection,
        run: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, JournalError> {
        run(connection).map_err(|source| JournalError::Sqlite { path: self.path.display().to_string(), source })
    }
}
