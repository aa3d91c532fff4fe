//! Windows over time that stay small: a mean, and an extreme over whole counts.

use crate::units::{Span, Time};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The ratio of two sums over a window: a rate (count over seconds), a share (part over whole) or a plain mean
/// (value over one).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct RatioWindow {
    /// When the first and the last entry were read.
    first: Time,
    last: Time,
    entries: VecDeque<RatioEntry>,
}

/// 16 bytes: a minute has 60 of them, and a tier several windows of minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct RatioEntry {
    over: f64,
    /// Seconds, or a count: exact up to 16 million in each tick.
    under: f32,
    /// Since the entry before, microseconds; 0 for the first.
    after: u32,
}

impl RatioWindow {
    /// Adds what was read at `at` and forgets what is `length` old or older. A gap of more than 71 minutes
    /// begins it anew; time that goes back counts as standing still.
    pub fn push(&mut self, at: Time, over: f64, under: f64, length: Span) {
        let follows_by = u32::try_from(at.since(self.last).as_micros()).ok().filter(|_| !self.entries.is_empty());
        if follows_by.is_none() {
            self.entries.clear();
            self.first = at;
        }
        self.entries.push_back(RatioEntry { over, under: under as f32, after: follows_by.unwrap_or(0) });
        self.last = at.max(self.last);
        while !self.entries.is_empty() && at.since(self.first) >= length {
            self.entries.pop_front();
            if let Some(next) = self.entries.front_mut() {
                self.first = self.first + Span::from_micros(i64::from(core::mem::take(&mut next.after)));
            }
        }
    }

    /// Sum over sum; `None` while nothing was counted. Summed afresh, in order, so that the bits depend on what is in
    /// the window and not on what went through it.
    pub fn ratio(&self) -> Option<f64> {
        let (over, under) =
            self.entries.iter().fold((0.0, 0.0), |(over, under), it| (over + it.over, under + f64::from(it.under)));
        (under > 0.0).then(|| over / under)
    }
}

/// A window as it is written down, each entry with its time.
#[derive(Serialize, Deserialize)]
struct Written {
    entries: Vec<WrittenEntry>,
}

#[derive(Serialize, Deserialize)]
struct WrittenEntry {
    at: Time,
    over: f64,
    under: f64,
}

impl From<RatioWindow> for Written {
    fn from(window: RatioWindow) -> Self {
        let mut at = window.first;
        let entry = |it: &RatioEntry| {
            at = at + Span::from_micros(i64::from(it.after));
            WrittenEntry { at, over: it.over, under: f64::from(it.under) }
        };
        Self { entries: window.entries.iter().map(entry).collect() }
    }
}

impl From<Written> for RatioWindow {
    fn from(written: Written) -> Self {
        let mut window = Self::default();
        for WrittenEntry { at, over, under } in written.entries {
            window.push(at, over, under, Span::from_micros(i64::MAX));
        }
        window
    }
}

/// The largest or the smallest count within a window. Only counts that can still become the extreme are kept, so it
/// never holds more entries than there are different counts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ExtremeWindow {
    entries: VecDeque<CountEntry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct CountEntry {
    at: Time,
    count: u32,
    detail: f64,
}

/// Which extreme a window keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extreme {
    /// The largest count.
    Largest,
    /// The smallest count.
    Smallest,
}

impl ExtremeWindow {
    /// Adds `count` at `at`, with a figure that explains it, and forgets what is `length` old or older; an equal count
    /// keeps the larger figure.
    pub fn push(&mut self, at: Time, count: u32, detail: f64, length: Span, extreme: Extreme) {
        let mut detail = detail;
        while let Some(last) = self.entries.back() {
            let outlasted = match extreme {
                Extreme::Largest => last.count <= count,
                Extreme::Smallest => last.count >= count,
            };
            if !outlasted {
                break;
            }
            if last.count == count && at.since(last.at) < length {
                detail = detail.max(last.detail);
            }
            self.entries.pop_back();
        }
        self.entries.push_back(CountEntry { at, count, detail });
        self.forget(at, length);
    }

    /// Forgets what is `length` old or older at `now`.
    pub fn forget(&mut self, now: Time, length: Span) {
        while self.entries.len() > 1 && self.entries.front().is_some_and(|entry| now.since(entry.at) >= length) {
            self.entries.pop_front();
        }
    }

    /// The extreme and its figure.
    pub fn extreme(&self) -> Option<(u32, f64)> {
        self.entries.front().map(|entry| (entry.count, entry.detail))
    }

    /// When the present extreme leaves a window of `length`, unless it is also the newest.
    pub fn leaves_at(&self, length: Span) -> Option<Time> {
        (self.entries.len() > 1).then(|| self.entries.front().map(|entry| entry.at + length)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Time {
        Time::from_micros(secs * 1_000_000)
    }

    #[test]
    fn a_rate_is_counted_over_the_window_and_no_longer() {
        let mut window = RatioWindow::default();
        assert_eq!(window.ratio(), None);
        window.push(at(0), 10.0, 1.0, Span::from_secs(2));
        window.push(at(1), 20.0, 1.0, Span::from_secs(2));
        assert_eq!(window.ratio(), Some(15.0));
        window.push(at(2), 0.0, 1.0, Span::from_secs(2));
        assert_eq!(window.ratio(), Some(10.0));
        window.push(at(2 + 72 * 60), 7.0, 1.0, Span::from_secs(86_400));
        assert_eq!(window.ratio(), Some(7.0), "what was before a long gap is none of it");
        window.push(at(3), 5.0, 1.0, Span::from_secs(86_400));
        assert_eq!(window.ratio(), Some(6.0), "time that goes back stands still");
    }

    #[test]
    fn a_rate_is_the_same_after_it_was_written_down() {
        let mut window = RatioWindow::default();
        for second in 0..90 {
            window.push(at(second), second as f64 * 1.5, 0.999_873, Span::from_secs(60));
        }
        let written = serde_json::to_string(&window).unwrap();
        let mut read: RatioWindow = serde_json::from_str(&written).unwrap();
        assert_eq!(read, window);
        for window in [&mut window, &mut read] {
            window.push(at(95), 3.0, 1.0, Span::from_secs(60));
        }
        assert_eq!((read.ratio(), read.entries.len()), (window.ratio(), 55));
    }

    #[test]
    fn the_largest_count_stands_until_it_is_as_old_as_the_window() {
        let mut window = ExtremeWindow::default();
        let length = Span::from_secs(10);
        for (second, count) in [(0, 3), (1, 5), (2, 4), (3, 4), (4, 1)] {
            window.push(at(second), count, f64::from(count), length, Extreme::Largest);
        }
        assert_eq!(window.extreme(), Some((5, 5.0)));
        assert_eq!(window.leaves_at(length), Some(at(11)));
        window.forget(at(11), length);
        assert_eq!(window.extreme(), Some((4, 4.0)));
        window.forget(at(13), length);
        assert_eq!(window.extreme(), Some((1, 1.0)));
    }

    #[test]
    fn an_equal_count_keeps_the_larger_figure_while_it_is_inside_and_a_smaller_one_gives_none() {
        let length = Span::from_secs(10);
        let pushed = |counts: &[(i64, u32, f64)]| {
            let mut window = ExtremeWindow::default();
            for &(second, count, detail) in counts {
                window.push(at(second), count, detail, length, Extreme::Largest);
            }
            window.extreme()
        };
        assert_eq!(pushed(&[(0, 5, 9.0), (9, 5, 1.0)]), Some((5, 9.0)));
        assert_eq!(pushed(&[(0, 5, 9.0), (10, 5, 1.0)]), Some((5, 1.0)));
        assert_eq!(pushed(&[(0, 4, 9.0), (1, 5, 1.0)]), Some((5, 1.0)));
    }

    #[test]
    fn the_newest_count_stands_however_old_it_is_and_never_leaves() {
        let (mut window, length) = (ExtremeWindow::default(), Span::from_secs(10));
        window.push(at(0), 3, 3.0, length, Extreme::Largest);
        window.forget(at(100), length);
        assert_eq!((window.extreme(), window.leaves_at(length)), (Some((3, 3.0)), None));
    }

    #[test]
    fn it_never_holds_more_entries_than_there_are_counts() {
        let mut window = ExtremeWindow::default();
        for second in 0..10_000 {
            window.push(at(second), (second * 7 % 50) as u32, 0.0, Span::from_secs(300), Extreme::Largest);
        }
        assert!(window.entries.len() <= 50);
    }
}
