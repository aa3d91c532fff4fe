//! Replay: the journalled inputs through the decision again, compared with the journalled decisions bit for bit.

use super::{JournalError, delta, digest, pack, schema};
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel, FleetInputs};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;

/// What a replay found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replay {
    /// Ticks decided again.
    pub ticks: u64,
    /// Ticks whose decisions came out different.
    pub different: Vec<i64>,
    /// Ticks before the first saved state, or after a gap: they cannot be decided again.
    pub skipped: u64,
    /// Times the ticks' numbering has a gap, because ticks were lost.
    pub gaps: u64,
}

struct Row {
    id: i64,
    whole: Option<Vec<u8>>,
    delta: Option<Vec<u8>>,
    state: Option<Vec<u8>>,
    digest: i64,
}

/// Replays the whole journal at `path`.
///
/// # Errors
/// When the file cannot be read or a row is damaged.
pub fn replay(path: &Path) -> Result<Replay, JournalError> {
    let connection = schema::open_for_reading(path)?;
    let sqlite = |source| JournalError::Sqlite { path: path.display().to_string(), source };
    let mut statement = connection
        .prepare("SELECT id, inputs_whole, inputs_delta, state, decisions_digest FROM ticks ORDER BY id")
        .map_err(sqlite)?;
    let mut rows = statement.query([]).map_err(sqlite)?;
    let mut replayer = Replayer::default();
    while let Some(row) = rows.next().map_err(sqlite)? {
        let read = || -> rusqlite::Result<Row> {
            Ok(Row { id: row.get(0)?, whole: row.get(1)?, delta: row.get(2)?, state: row.get(3)?, digest: row.get(4)? })
        };
        replayer.take(read().map_err(sqlite)?)?;
    }
    Ok(replayer.found)
}

#[derive(Default)]
struct Replayer {
    found: Replay,
    inputs: Option<Value>,
    autoscaler: Option<Evenkeel>,
    last_id: Option<i64>,
}

impl Replayer {
    fn take(&mut self, row: Row) -> Result<(), JournalError> {
        let damaged = |detail: String| JournalError::Damaged { tick: row.id, detail };
        if let Some(last) = self.last_id {
            // They come ordered by their number. In a damaged file, pages that lead back to each other could go on for ever.
            if row.id <= last {
                return Err(damaged(format!("it comes after tick {last}")));
            }
            if row.id != last + 1 {
                self.found.gaps += 1;
                (self.inputs, self.autoscaler) = (None, None);
            }
        }
        self.last_id = Some(row.id);
        self.inputs = match (&row.whole, &row.delta, self.inputs.take()) {
            (Some(whole), _, _) => Some(read(whole).map_err(damaged)?),
            (None, Some(changes), Some(before)) => {
                let changes = read(changes).map_err(damaged)?;
                Some(delta::apply(before, changes).ok_or_else(|| damaged("a delta does not fit".to_owned()))?)
            }
            _ => None,
        };
        if let Some(state) = &row.state {
            self.autoscaler = Some(read(state).map_err(damaged)?);
        }
        let (Some(autoscaler), Some(inputs)) = (&mut self.autoscaler, &self.inputs) else {
            self.found.skipped += 1;
            return Ok(());
        };
        let inputs: FleetInputs =
            serde::Deserialize::deserialize(inputs).map_err(|it: serde_json::Error| damaged(it.to_string()))?;
        self.found.ticks += 1;
        if digest(&autoscaler.decide(&inputs)) != row.digest {
            self.found.different.push(row.id);
        }
        Ok(())
    }
}

fn read<T: DeserializeOwned>(packed: &[u8]) -> Result<T, String> {
    serde_json::from_str(&pack::unpack(packed)?).map_err(|error| error.to_string())
}
