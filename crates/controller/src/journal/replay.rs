//! Replay: the journalled inputs through the decision again, compared with the journalled decisions bit for bit.

use super::ticks::{self, Tick};
use super::{JournalError, digest};
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel};
use serde::Serialize;
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

/// Replays the whole journal at `path`.
///
/// # Errors
/// When the file cannot be read or a row is damaged.
pub fn replay(path: &Path) -> Result<Replay, JournalError> {
    let mut replayer = Replayer::default();
    ticks::each(path, |tick| replayer.take(tick))?;
    Ok(replayer.found)
}

#[derive(Default)]
struct Replayer {
    found: Replay,
    autoscaler: Option<Evenkeel>,
}

impl Replayer {
    fn take(&mut self, tick: Tick) {
        if tick.after_gap {
            self.found.gaps += 1;
            self.autoscaler = None;
        }
        if tick.state.is_some() {
            self.autoscaler = tick.state;
        }
        let (Some(autoscaler), Some(inputs)) = (&mut self.autoscaler, &tick.inputs) else {
            self.found.skipped += 1;
            return;
        };
        self.found.ticks += 1;
        if digest(&autoscaler.decide(inputs)) != tick.digest {
            self.found.different.push(tick.id);
        }
    }
}
