//! What shall happen at which visit of which point.

use super::{Injected, Point};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

const VARIABLE: &str = "EVENKEEL_FAILPOINTS";
/// Longer than every deadline within a tick, shorter than a start may take.
const DELAY: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// The process ends at once, without unwinding or flushing.
    Crash,
    /// The visit fails.
    Error,
    /// The visit takes three seconds.
    Delay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    point: Point,
    /// Counts visits from one.
    visit: u64,
    action: Action,
}

static SCHEDULE: OnceLock<Vec<Entry>> = OnceLock::new();
static VISITS: [AtomicU64; Point::ALL.len()] = [const { AtomicU64::new(0) }; Point::ALL.len()];

/// Counts a visit and does what the schedule has for it.
pub(super) fn visit(point: Point) -> Result<(), Injected> {
    let schedule = SCHEDULE.get_or_init(|| std::env::var(VARIABLE).map_or_else(|_| Vec::new(), |text| read(&text)));
    if schedule.is_empty() {
        return Ok(());
    }
    let visit = VISITS[point as usize].fetch_add(1, Ordering::Relaxed) + 1;
    let Some(entry) = schedule.iter().find(|it| it.point == point && it.visit == visit) else { return Ok(()) };
    // A test reads in the log that it came to what it is about.
    eprintln!("failpoint {} reached", point.name());
    match entry.action {
        Action::Error => Err(Injected(point)),
        Action::Delay => {
            hang();
            Ok(())
        }
        Action::Crash => std::process::abort(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a disk that hangs blocks the thread that waits for it")]
fn hang() {
    thread::sleep(DELAY);
}

/// Reads `POINT:VISIT=ACTION,...`.
#[expect(clippy::panic, reason = "a schedule with a mistake would let a test pass that tests nothing")]
fn read(text: &str) -> Vec<Entry> {
    let entry = |text: &str| {
        let (place, action) = text.split_once('=')?;
        let (point, visit) = place.split_once(':')?;
        let point = Point::ALL.into_iter().find(|it| it.name() == point)?;
        let action = match action {
            "crash" => Action::Crash,
            "error" => Action::Error,
            "delay" => Action::Delay,
            _ => return None,
        };
        Some(Entry { point, visit: visit.parse().ok()?, action })
    };
    text.split(',')
        .map(|one| entry(one).unwrap_or_else(|| panic!("{VARIABLE}: `{one}` is not POINT:VISIT=ACTION")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_names_points_visits_and_actions() {
        let entries = read("journal_commit:3=crash,hand_over:1=delay");
        let expected = [
            Entry { point: Point::JournalCommit, visit: 3, action: Action::Crash },
            Entry { point: Point::HandOver, visit: 1, action: Action::Delay },
        ];
        assert_eq!(entries, expected);
    }

    #[test]
    fn every_point_has_a_place_and_a_name_of_its_own() {
        for (index, point) in Point::ALL.into_iter().enumerate() {
            assert_eq!(point as usize, index, "visits are counted by it");
            assert_eq!(Point::ALL.iter().filter(|it| it.name() == point.name()).count(), 1);
        }
    }
}
