//! Says when each request is due.

use evenkeel_core::units::Span;
use evenkeel_workload::Arrival;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Long waits are cut, so that a stop is noticed.
const LONGEST_NAP: Duration = Duration::from_millis(50);

/// Requests that came due and wait for the sender. When it is full the sender is behind, and each request's lag,
/// which counts from its scheduled time, says so.
const BACKLOG: usize = 4_096;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// All was sent.
    Completed,
    /// The limit of requests was reached.
    RequestLimit,
    /// It was stopped.
    Interrupted,
}

/// What the pacer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paced {
    /// A request is due.
    Due(Arrival),
    /// No more come.
    Over(Ended),
}

/// A thread of its own: the async runtime's timers go by whole milliseconds and wake 1 to 2 ms late, a thread's sleep
/// wakes some 60 us late.
pub(crate) struct Pacer {
    stop: Arc<AtomicBool>,
    pub(crate) due: mpsc::Receiver<Paced>,
}

impl Pacer {
    /// Starts pacing `arrivals` from `started` on.
    pub(crate) fn start(
        arrivals: impl Iterator<Item = Arrival> + Send + 'static,
        started: Instant,
        run: Span,
        max_requests: Option<u64>,
    ) -> Self {
        let (sender, due) = mpsc::channel(BACKLOG);
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        tokio::task::spawn_blocking(move || {
            let limit = max_requests.unwrap_or(u64::MAX);
            let mut count = 0;
            for arrival in arrivals {
                if count >= limit {
                    break;
                }
                count += 1;
                if !sleep_until(started + arrival.at.to_duration(), &stopped)
                    || sender.blocking_send(Paced::Due(arrival)).is_err()
                {
                    return;
                }
            }
            let ended = if count >= limit { Ended::RequestLimit } else { Ended::Completed };
            // Quiet hours at the end of a series are part of the run.
            if ended == Ended::RequestLimit || sleep_until(started + run.to_duration(), &stopped) {
                // A receiver that has gone needs no answer.
                let _ = sender.blocking_send(Paced::Over(ended));
            }
        });
        Self { stop, due }
    }
}

impl Drop for Pacer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Returns whether the moment was reached before a stop.
#[expect(clippy::disallowed_methods, reason = "runs on a thread of its own, which the runtime does not need")]
fn sleep_until(moment: Instant, stopped: &AtomicBool) -> bool {
    loop {
        if stopped.load(Ordering::Relaxed) {
            return false;
        }
        let left = moment.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(LONGEST_NAP));
    }
}
