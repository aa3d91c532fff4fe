//! The journalled ticks in order: inputs, put together again from whole rows and deltas, and the state that was saved with
//! some of them.

use super::{JournalError, delta, pack, schema};
use evenkeel_core::autoscaler::{Evenkeel, FleetInputs};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;

/// One tick as it was journalled.
pub(super) struct Tick {
    pub(super) id: i64,
    /// `None` after a gap, until a row holds them whole again.
    pub(super) inputs: Option<FleetInputs>,
    /// The autoscaler as it was before this tick, where it was saved.
    pub(super) state: Option<Evenkeel>,
    pub(super) digest: i64,
    /// Ticks are missing before this one.
    pub(super) after_gap: bool,
}

struct Row {
    id: i64,
    whole: Option<Vec<u8>>,
    delta: Option<Vec<u8>>,
    state: Option<Vec<u8>>,
    digest: i64,
}

/// Calls `take` with each tick of the journal at `path`.
pub(super) fn each(path: &Path, mut take: impl FnMut(Tick)) -> Result<(), JournalError> {
    let connection = schema::open_for_reading(path)?;
    let sqlite = |source| JournalError::Sqlite { path: path.display().to_string(), source };
    let mut statement = connection
        .prepare("SELECT id, inputs_whole, inputs_delta, state, decisions_digest FROM ticks ORDER BY id")
        .map_err(sqlite)?;
    let mut rows = statement.query([]).map_err(sqlite)?;
    let mut ticks = Ticks::default();
    while let Some(row) = rows.next().map_err(sqlite)? {
        let read = || -> rusqlite::Result<Row> {
            Ok(Row { id: row.get(0)?, whole: row.get(1)?, delta: row.get(2)?, state: row.get(3)?, digest: row.get(4)? })
        };
        take(ticks.next(&read().map_err(sqlite)?)?);
    }
    Ok(())
}

/// What the next row's delta is a change of.
#[derive(Default)]
struct Ticks {
    inputs: Option<Value>,
    last_id: Option<i64>,
}

impl Ticks {
    fn next(&mut self, row: &Row) -> Result<Tick, JournalError> {
        let damaged = |detail: String| JournalError::Damaged { tick: row.id, detail };
        let mut after_gap = false;
        if let Some(last) = self.last_id {
            // They come ordered by their number. In a damaged file, pages that lead back to each other could go on for ever.
            if row.id <= last {
                return Err(damaged(format!("it comes after tick {last}")));
            }
            after_gap = row.id != last + 1;
        }
        self.last_id = Some(row.id);
        let before = self.inputs.take().filter(|_| !after_gap);
        self.inputs = match (&row.whole, &row.delta, before) {
            (Some(whole), _, _) => Some(read(whole).map_err(damaged)?),
            (None, Some(changes), Some(before)) => {
                let changes = read(changes).map_err(damaged)?;
                Some(delta::apply(before, changes).ok_or_else(|| damaged("a delta does not fit".to_owned()))?)
            }
            _ => None,
        };
        let state = row.state.as_deref().map(read).transpose().map_err(damaged)?;
        let inputs = self.inputs.as_ref().map(serde::Deserialize::deserialize).transpose();
        let inputs = inputs.map_err(|error: serde_json::Error| damaged(error.to_string()))?;
        Ok(Tick { id: row.id, inputs, state, digest: row.digest, after_gap })
    }
}

fn read<T: DeserializeOwned>(packed: &[u8]) -> Result<T, String> {
    serde_json::from_str(&pack::unpack(packed)?).map_err(|error| error.to_string())
}
