//! How the journal grows: an hour of ticks of the three tiers of `examples/game.yaml`, with the state that every hour
//! begins with, taken times 24. No two ticks are alike, so this is the busy end.

use crate::goal::Goal;
use crate::tier_day::{self, TierDay, moment};
use evenkeel_controller::journal::{Journal, TickRecord};
use evenkeel_core::autoscaler::{Autoscaler, Evenkeel, FleetInputs};
use evenkeel_core::units::Span;
use std::path::Path;
use std::time::Duration;

const HOUR_OF_TICKS: u32 = 3_600;
const HOURS_OF_DAY: f64 = 24.0;
/// Fewer than the journal's queue holds.
const TICKS_AT_ONCE: u32 = 100;
const PEAKS_PER_SECOND: [f64; 3] = [130.0, 40.0, 2.0];

pub(crate) fn measure() -> Vec<Goal> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("journal.sqlite");
    runtime.block_on(write_hour(&path));
    let megabytes = closed_bytes(&path) as f64 * HOURS_OF_DAY / PEAKS_PER_SECOND.len() as f64 / 1e6;
    vec![Goal::at_most("journal_per_tier_and_day", megabytes, "MB", 50.0)]
}

async fn write_hour(path: &Path) {
    let spec = tier_day::game();
    let mut days: Vec<TierDay> =
        spec.tiers.iter().zip(PEAKS_PER_SECOND).map(|(tier, peak)| TierDay::new(tier, peak)).collect();
    let mut autoscaler = Evenkeel::new(spec, tier_day::START);
    let (journal, _) = Journal::open(path, Span::from_secs(14 * 86_400), 1).unwrap();
    for tick in 0..HOUR_OF_TICKS {
        let now = moment(tick);
        let inputs = FleetInputs { now, tiers: days.iter_mut().map(|day| day.inputs(now)).collect() };
        let state = (tick == 0).then(|| autoscaler.clone());
        let decisions = autoscaler.decide(&inputs);
        days.iter_mut().zip(&decisions).for_each(|(day, decision)| day.obey(decision));
        journal.record(TickRecord { epoch: 1, inputs, decisions, orders: Vec::new(), state });
        if tick % TICKS_AT_ONCE == 0 {
            assert!(journal.settled(Duration::from_secs(60)).await, "{:?}", journal.health());
        }
    }
    assert!(journal.settled(Duration::from_secs(60)).await, "{:?}", journal.health());
    assert_eq!(journal.health().ticks_lost, 0);
}

/// The file's size once its thread has closed it: closing moves what is in the write-ahead log into the file.
fn closed_bytes(path: &Path) -> u64 {
    let write_ahead = path.with_extension("sqlite-wal");
    for _ in 0..1_000 {
        if !write_ahead.exists() {
            return std::fs::metadata(path).unwrap().len();
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("the journal was not closed");
}
