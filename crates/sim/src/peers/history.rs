//! What was recommended of late.

use evenkeel_core::units::{Span, Time};
use std::collections::VecDeque;

/// Counts of the last while.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    window: Span,
    /// Oldest first.
    counts: VecDeque<(Time, u32)>,
}

impl Recent {
    pub(super) const fn of(window: Span) -> Self {
        Self { window, counts: VecDeque::new() }
    }

    /// Takes in `count`, and gives the largest of the window with it.
    pub(super) fn largest_with(&mut self, now: Time, count: u32) -> u32 {
        // What a later one reaches is not needed for the largest.
        while self.counts.pop_back_if(|(_, earlier)| *earlier <= count).is_some() {}
        self.counts.push_back((now, count));
        while self.counts.pop_front_if(|(at, _)| now.since(*at) > self.window).is_some() {}
        self.counts.front().map_or(count, |&(_, most)| most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_the_window_is_known_until_it_leaves() {
        let mut recent = Recent::of(Span::from_secs(10));
        let mut take = |second, count| recent.largest_with(Time::default() + Span::from_secs(second), count);
        let taken = [(0, 5), (4, 7), (8, 3), (14, 2), (15, 2), (18, 1), (19, 1)].map(|(at, count)| take(at, count));
        assert_eq!(taken, [5, 7, 7, 7, 3, 3, 2]);
    }
}
