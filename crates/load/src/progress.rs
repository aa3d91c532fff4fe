//! Progress while a run lasts.

use evenkeel_report::words::{count, milliseconds};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Since its start.
    pub elapsed: Duration,
    /// How long requests are sent.
    pub planned: Duration,
    /// Whether all is sent and the last answers are awaited.
    pub draining: bool,
    /// Players now; `None` where a trace is sent.
    pub players: Option<f64>,
    /// Requests that came due.
    pub offered: u64,
    /// Those since the last update, per second.
    pub offered_per_second: f64,
    /// Requests under way.
    pub in_flight: usize,
    /// Requests answered well.
    pub succeeded: u64,
    /// Requests that failed.
    pub failed: u64,
    /// The machine's own lag, 99th percentile of the whole run.
    pub lag_p99: Duration,
}

/// Takes the progress of a run.
pub trait ProgressSink: Send {
    /// The run goes on.
    fn update(&mut self, progress: &Progress);
    /// The run is over.
    fn finish(&mut self);
}

/// For standard error: a bar on a terminal, else a plain line every 10 s.
pub fn for_standard_error() -> Box<dyn ProgressSink> {
    if std::io::stderr().is_terminal() {
        Box::new(Bar::new())
    } else {
        Box::new(Lines::new(std::io::stderr(), Duration::from_secs(10)))
    }
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl ProgressSink for Silent {
    fn update(&mut self, _: &Progress) {}
    fn finish(&mut self) {}
}

/// A plain line now and then, and whenever the run turns to waiting for its last answers.
#[derive(Debug)]
pub struct Lines<W> {
    out: W,
    every: Duration,
    /// When the last line was written, and whether it told of draining.
    last: Option<(Instant, bool)>,
}

impl<W: Write + Send> Lines<W> {
    /// A line to `out` at most every so often.
    pub fn new(out: W, every: Duration) -> Self {
        Self { out, every, last: None }
    }
}

impl<W: Write + Send> ProgressSink for Lines<W> {
    fn update(&mut self, progress: &Progress) {
        let due = |(last, draining): (Instant, bool)| last.elapsed() >= self.every || draining != progress.draining;
        if self.last.is_none_or(due) {
            self.last = Some((Instant::now(), progress.draining));
            let time = format!("{:.0}s/{:.0}s", progress.elapsed.as_secs_f64(), progress.planned.as_secs_f64());
            // A reader that has gone must not end the run.
            let _ = writeln!(self.out, "{time:>12}  {}", line(progress));
        }
    }

    fn finish(&mut self) {}
}

/// A bar that redraws itself.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        if let Ok(style) = ProgressStyle::with_template("{elapsed:>6} [{bar:30}] {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }
}

impl ProgressSink for Bar {
    fn update(&mut self, progress: &Progress) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.0.set_length(millis(progress.planned));
        self.0.set_position(millis(progress.elapsed.min(progress.planned)));
        self.0.set_message(line(progress));
    }

    fn finish(&mut self) {
        self.0.finish_and_clear();
    }
}

fn line(progress: &Progress) -> String {
    let phase = if progress.draining { "waiting for answers (stop again to end)  " } else { "" };
    let players = progress.players.map(|players| format!("{} players  ", count(players.round() as u64)));
    format!(
        "{phase}{}{:.1} req/s  {} in flight  {} ok  {} failed  lag p99 {}",
        players.unwrap_or_default(),
        progress.offered_per_second,
        count(progress.in_flight as u64),
        count(progress.succeeded),
        count(progress.failed),
        milliseconds(progress.lag_p99.as_secs_f64() * 1e3),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn progress() -> Progress {
        Progress {
            elapsed: Duration::from_secs(12),
            planned: Duration::from_secs(240),
            draining: false,
            players: Some(1_234.4),
            offered: 2_000,
            offered_per_second: 98.26,
            in_flight: 31,
            succeeded: 1_969,
            failed: 0,
            lag_p99: Duration::from_micros(420),
        }
    }

    #[test]
    fn without_a_terminal_a_line_says_all_and_comes_now_and_then() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, Duration::from_secs(3_600));
        lines.update(&progress());
        lines.update(&progress());
        lines.finish();
        // A log file takes no escape sequences and no carriage returns.
        let line = "    12s/240s  1,234 players  98.3 req/s  31 in flight  1,969 ok  0 failed  lag p99 0.42 ms\n";
        assert_eq!(String::from_utf8(out).unwrap(), line);
    }

    #[test]
    fn the_turn_to_waiting_for_answers_is_told_at_once() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, Duration::from_secs(3_600));
        lines.update(&progress());
        lines.update(&Progress { draining: true, ..progress() });
        lines.update(&Progress { draining: true, ..progress() });
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().last().unwrap().contains("  waiting for answers"), "{text}");
    }
}
