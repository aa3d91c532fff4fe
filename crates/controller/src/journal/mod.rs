//! The journal: every input of a decision, the decision and its outcome, in one SQLite file, written by a thread of its
//! own off the decision's path.
//!
//! Inputs are stored whole now and then and as deltas in between; a decision that repeats the last one extends its row.
//! Each tick carries a digest of its decisions, so that a replay is compared bit for bit at every tick.

mod delta;
mod message;
mod pack;
mod queue;
mod read;
mod recorded;
mod replay;
mod schema;
mod ticks;
mod write;

pub use message::{JournalHealth, TickRecord};
pub use queue::Journal;
pub use read::{DecisionRow, JournalReader, OrderRow};
pub use recorded::{Recorded, RecordedTick, recorded};
pub use replay::{Replay, replay};

use evenkeel_core::decision::Decision;
use evenkeel_core::units::Span;

/// The outcome of an order that was carried out.
pub const DONE: &str = "done";

/// Why the journal cannot be opened, read or replayed.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// SQLite says no.
    #[error("the journal {path} cannot be used: {source}")]
    Sqlite {
        /// The file.
        path: String,
        /// SQLite's words.
        source: rusqlite::Error,
    },
    /// Made by another version of Evenkeel.
    #[error(
        "the journal {path} has schema {found}, this version reads schema {expected}: move it away or use the version that made it"
    )]
    Schema {
        /// The file.
        path: String,
        /// Its schema.
        found: i64,
        /// Ours.
        expected: i64,
    },
    /// It cannot be written, for want of a thread.
    #[error("no thread to write the journal: {0}")]
    Thread(#[source] std::io::Error),
    /// Asked for a tier of which it tells nothing.
    #[error("the journal tells nothing of a tier `{tier}`; it has {known}")]
    NoTier {
        /// The tier.
        tier: String,
        /// Those that it knows, with commas between.
        known: String,
    },
    /// A row that does not hold what it should.
    #[error("the journal is damaged at tick {tick}: {detail}")]
    Damaged {
        /// The tick.
        tick: i64,
        /// What is wrong.
        detail: String,
    },
}

impl JournalError {
    /// Whether the file itself is damaged, so that no later try will succeed.
    pub fn is_damage(&self) -> bool {
        use rusqlite::Error::{
            FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, SqlInputError, Utf8Error,
        };
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
        match self {
            // A value that is of another kind than its column was made for.
            Self::Sqlite {
                source:
                    FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..),
                ..
            } => true,
            // What we ask is always the same: where it does not fit, the tables are not what they should be. `Unknown` is
            // SQLite's plain error.
            Self::Sqlite { source: SqlInputError { .. }, .. } => true,
            Self::Sqlite { source, .. } => {
                matches!(source.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase | Unknown))
            }
            Self::Damaged { .. } => true,
            Self::Schema { .. } | Self::Thread(_) | Self::NoTier { .. } => false,
        }
    }
}

/// How often the journal is cared for: a twelfth of what it retains, a minute at least and `longest` at most. Ticks are
/// kept from the newest saved state that is old enough, so a state every hour would keep an hour where ten minutes were
/// asked for.
pub(crate) fn share_of(retention: Span, longest: Span) -> Span {
    const SHORTEST: Span = Span::from_secs(60);
    Span::from_micros(retention.as_micros() / 12).max(SHORTEST).min(longest)
}

/// A digest of decisions: FNV-1a, 64 bits, over their JSON. It tells an accidental difference, not a forged one.
pub fn digest(decisions: &[Decision]) -> i64 {
    let json = serde_json::to_vec(decisions).unwrap_or_default();
    let hash = json
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    hash.cast_signed()
}
