//! Windows over time that stay small: a mean, and an extreme over whole counts.

use crate::units::{Span, Time};
use alloc::collections::VecDeque;
use serde::{Deserialize, Serialize};

/// The ratio of two sums over a window: a rate (count over seconds), a share (part over whole) or a plain mean
/// (value over one).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RatioWindow {
    entries: VecDeque<RatioEntry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct RatioEntry {
    at: Time,
    over: f64,
    under: f64,
}

impl RatioWindow {
    /// Adds what was read at `at` and forgets what is `length` old or older.
    pub fn push(&mut self, at: Time, over: f64, under: f64, length: Span) {
        self.entries.push_back(RatioEntry { at, over, under });
        while self.entries.front().is_some_and(|entry| at.since(entry.at) >= length) {
            self.entries.pop_front();
        }
    }

    /// Sum over sum; `None` while nothing was counted. Summed afresh, in order, so that the bits depend on what is in
    /// the window and not on what went through it.
    pub fn ratio(&self) -> Option<f64> {
        let (over, under) =
            self.entries.iter().fold((0.0, 0.0), |(over, under), entry| (over + entry.over, under + entry.under));
        (under > 0.0).then(|| over / under)
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
    fn it_never_holds_more_entries_than_there_are_counts() {
        let mut window = ExtremeWindow::default();
        for second in 0..10_000 {
            window.push(at(second), (second * 7 % 50) as u32, 0.0, Span::from_secs(300), Extreme::Largest);
        }
        assert!(window.entries.len() <= 50);
    }
}
