//! Opening the journal. Serving players goes first: one that is damaged is set aside, not an obstacle.

use crate::failure::Failure;
use crate::set_aside::set_aside;
use crate::state_dir::StateDir;
use evenkeel_controller::journal::Journal;
use evenkeel_controller::operator::{Mode, OperatorOrder, OperatorOrders};
use evenkeel_core::units::{Span, Time};

/// An open journal.
pub(super) struct Opened {
    pub(super) journal: Journal,
    /// The operator's orders in force.
    pub(super) operator: OperatorOrders,
    /// What happened to the one before, where it was damaged.
    pub(super) set_aside: Option<String>,
}

/// Opens the journal of `state`. A damaged one is set aside and a new one begun, in mode `observe`: the operator's orders
/// were in it, and one of them may have been not to act.
pub(super) async fn open(state: &StateDir, retention: Span, epoch: u64, now: Time) -> Result<Opened, Failure> {
    let path = state.journal();
    let damage = match Journal::open(&path, retention, epoch) {
        Ok((journal, operator)) => return Ok(Opened { journal, operator, set_aside: None }),
        Err(error) if error.is_damage() => error,
        Err(error) => return Err(Failure::refused(error)),
    };
    let aside = set_aside(&path, now).map_err(|error| Failure::refused(format!("{damage}; and {error}")))?;
    let (journal, mut operator) = Journal::open(&path, retention, epoch).map_err(Failure::refused)?;
    let order = OperatorOrder::Mode(Mode::Observe);
    operator.take(order.clone());
    // If this cannot be kept either, the journal says so at every tick, and `observe` holds for as long as this one runs.
    let _ = journal.operator(order, now).await;
    let happened = format!("{damage}; it was set aside as {}, a new one is begun in mode observe", aside.display());
    journal.had(&happened);
    Ok(Opened { journal, operator, set_aside: Some(happened) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    const RETENTION: Span = Span::from_secs(3_600);
    const NOW: Time = Time::from_micros(1_790_000_000_000_000);
    const ASIDE: &str = "journal.sqlite.damaged-1790000000";

    struct Folder {
        folder: tempfile::TempDir,
        state: StateDir,
    }

    impl Folder {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let state = StateDir::at(folder.path());
            Self { folder, state }
        }

        /// A journal in which the operator ordered `advise`, closed.
        async fn with_a_journal() -> Self {
            let this = Self::new();
            let opened = open(&this.state, RETENTION, 1, NOW).await.unwrap();
            assert!(opened.journal.operator(OperatorOrder::Mode(Mode::Advise), NOW).await);
            drop(opened);
            // Its thread closes it, and with that SQLite takes in the WAL.
            while this.path("journal.sqlite-wal").exists() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            this
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        async fn open(&self) -> Result<Opened, Failure> {
            open(&self.state, RETENTION, 1, NOW).await
        }
    }

    #[tokio::test]
    async fn a_sound_journal_gives_the_orders_that_were_kept() {
        let opened = Folder::with_a_journal().await.open().await.unwrap();
        assert_eq!((opened.operator.mode, opened.set_aside), (Some(Mode::Advise), None));
    }

    #[tokio::test]
    async fn garbage_is_set_aside_and_the_new_journal_observes_until_told_otherwise() {
        let folder = Folder::new();
        fs::write(folder.path("journal.sqlite"), "garbage ".repeat(2_000)).unwrap();
        let opened = folder.open().await.unwrap();
        assert_eq!(opened.operator.mode, Some(Mode::Observe));
        assert!(opened.set_aside.unwrap().contains(ASIDE));
        assert!(opened.journal.health().problem.unwrap().contains(ASIDE), "status tells it");
        assert!(fs::read_to_string(folder.path(ASIDE)).unwrap().starts_with("garbage"));
        drop(opened.journal);
        let again = folder.open().await.unwrap();
        assert_eq!((again.operator.mode, again.set_aside), (Some(Mode::Observe), None), "it is kept");
    }

    #[tokio::test]
    async fn a_journal_that_was_cut_off_is_set_aside() {
        let folder = Folder::with_a_journal().await;
        let file = fs::File::options().write(true).open(folder.path("journal.sqlite")).unwrap();
        file.set_len(6_000).unwrap();
        assert!(folder.open().await.unwrap().set_aside.is_some());
        assert_eq!(fs::metadata(folder.path(ASIDE)).unwrap().len(), 6_000);
    }

    #[tokio::test]
    async fn a_journal_of_another_version_is_no_damage_and_stays_where_it_is() {
        /// Where SQLite keeps `user_version`, big-endian (https://www.sqlite.org/fileformat.html).
        const USER_VERSION: std::ops::Range<usize> = 60..64;
        let folder = Folder::with_a_journal().await;
        let mut bytes = fs::read(folder.path("journal.sqlite")).unwrap();
        bytes[USER_VERSION].copy_from_slice(&99_u32.to_be_bytes());
        fs::write(folder.path("journal.sqlite"), &bytes).unwrap();
        let refused = folder.open().await.err().unwrap().to_string();
        assert!(refused.contains("schema 99"), "{refused}");
        assert!(!folder.path(ASIDE).exists());
    }
}
