//! A day on which the servers restart, two hours after its low, and what is left of the players through it.
//!
//! Measured on the four restarts in the players of one large MMO, January 2021
//! (github.com/ys-lin14/osrs-player-count-scraper; the 6th 12:20, the 14th 11:15, the 20th and 27th 11:35 UTC), as the
//! share of what the other days' median has at that time of day. At the bottom 37, 51, 35 and 37 % were left; fewer
//! than 85 % were there for 40 to 50 minutes, fewer than 95 % for 95 to 120.
//!
//! The shape is the mean over the four, each over its own depth; they differ from it by 0.13 in the five minutes of the
//! fall and mostly by less than 0.05. A warned few leave from half an hour before, most in ten minutes; a quarter of
//! those who left is back after five minutes, half after 15, four fifths after 50. The evening after it is as full as
//! any (0.99 to 1.01).

use super::{minutes_between, straight_between, varied};
use crate::day::{Day, DayError};
use crate::random::Stream;
use crate::series::PlayersSeries;
use evenkeel_core::units::Span;

/// Minutes before the bottom, and the share of the depth that has gone.
const WAY_DOWN: [(f64, f64); 7] =
    [(-45.0, 0.0), (-30.0, 0.05), (-20.0, 0.10), (-15.0, 0.15), (-10.0, 0.23), (-5.0, 0.67), (0.0, 1.0)];

/// Minutes after the bottom, and the share of the depth that is still gone.
const WAY_BACK: [(f64, f64); 16] = [
    (0.0, 1.0),
    (5.0, 0.76),
    (10.0, 0.62),
    (15.0, 0.52),
    (20.0, 0.44),
    (25.0, 0.39),
    (30.0, 0.35),
    (40.0, 0.24),
    (50.0, 0.19),
    (60.0, 0.14),
    (75.0, 0.10),
    (90.0, 0.07),
    (120.0, 0.05),
    (150.0, 0.03),
    (180.0, 0.01),
    (240.0, 0.0),
];

/// What is left at the bottom: the least and the most measured.
const LEFT: (f64, f64) = (0.35, 0.51);

/// The bottom, since the day's low.
const BOTTOM_AT: Span = Span::from_secs(2 * 3_600);

pub(super) fn players(day: &Day) -> Result<PlayersSeries, DayError> {
    let (least, most) = LEFT;
    let left = least + (most - least) * Stream::named(day.seed, "players", "maintenance").uniform();
    varied(day, |at| 1.0 - (1.0 - left) * gone(at, BOTTOM_AT, BOTTOM_AT))
}

/// The share of those who play that is gone around doors which close at one moment and open at a later one.
pub(super) fn gone(at: Span, close_at: Span, open_at: Span) -> f64 {
    if at <= close_at {
        straight_between(&WAY_DOWN, minutes_between(close_at, at))
    } else {
        straight_between(&WAY_BACK, minutes_between(open_at, at))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn left_through(seed: u64) -> Vec<(f64, f64)> {
        let usual = Scenario::Day.players(1_000.0, seed).unwrap();
        let day = Scenario::Maintenance.players(1_000.0, seed).unwrap();
        let share = |at| (minutes_between(BOTTOM_AT, at), day.at(at) / usual.at(at));
        day.points().iter().map(|point| share(point.at)).collect()
    }

    #[test]
    fn the_restart_is_as_deep_and_as_long_as_those_measured() {
        for seed in 1..50 {
            let left = left_through(seed);
            let bottom = left.iter().map(|it| it.1).fold(1.0, f64::min);
            assert!((0.35..=0.51).contains(&bottom), "{bottom}");
            let minutes_below = |share| 5 * left.iter().filter(|it| it.1 < share).count();
            assert!((35..=55).contains(&minutes_below(0.85)), "{}", minutes_below(0.85));
            assert!((90..=120).contains(&minutes_below(0.95)), "{}", minutes_below(0.95));
        }
    }

    #[test]
    fn all_but_the_hours_around_the_restart_is_the_ordinary_day() {
        let (away, near): (Vec<_>, Vec<_>) =
            left_through(4).into_iter().partition(|it| !(-45.0..240.0).contains(&it.0));
        assert!(away.iter().all(|it| it.1 == 1.0));
        assert!(near.iter().any(|it| it.1 < 0.6));
    }

    #[test]
    fn while_the_doors_are_closed_nobody_plays() {
        let (close, open) = (Span::from_secs(3_600), Span::from_secs(7_200));
        let seconds = [0, 3_600, 5_000, 7_200, 7_500, 21_600];
        assert_eq!(seconds.map(|second| gone(Span::from_secs(second), close, open)), [0.0, 1.0, 1.0, 1.0, 0.76, 0.0]);
    }
}
