//! A flash crowd: something happens, and four times as many come as on other evenings.
//!
//! Measured on the three largest events among the users of a virtual world, April and May 2021
//! (github.com/Rphad/Decentraland-Online-Users; 28 April 20:15, 16 May 18:20, 22 May 18:30 UTC), as the ratio to what
//! the median of all days has at that time of day, over the same ratio in the four hours that end two hours before. At
//! the peak it is 4.13, 2.15 and 2.35; the largest is taken here.
//!
//! The shape is the mean over the three, each over its own peak; they differ from it by up to 0.2 in the steep minutes
//! and by 0.1 elsewhere. From a tenth of the crowd to all of it take 100 minutes, and the steepest five of them bring a
//! sixth; half of it is gone an hour after the peak, three quarters after 100 minutes, nine tenths after 165. The
//! values are 5 minutes apart, so a crowd that comes in seconds is no part of this; for that there are the bursts.

use super::{minutes_between, straight_between, varied};
use crate::day::{self, Day, DayError};
use crate::series::PlayersSeries;
use evenkeel_core::units::Span;

/// Players at the peak over those of another evening.
const RATIO: f64 = 4.13;

/// Minutes from the peak, and the share of the crowd that is there.
const CROWD: [(f64, f64); 22] = [
    (-150.0, 0.0),
    (-120.0, 0.05),
    (-100.0, 0.10),
    (-80.0, 0.18),
    (-60.0, 0.23),
    (-50.0, 0.30),
    (-40.0, 0.41),
    (-30.0, 0.49),
    (-20.0, 0.69),
    (-15.0, 0.85),
    (-10.0, 0.94),
    (0.0, 1.0),
    (15.0, 0.89),
    (30.0, 0.83),
    (40.0, 0.72),
    (60.0, 0.50),
    (80.0, 0.34),
    (100.0, 0.25),
    (120.0, 0.18),
    (150.0, 0.13),
    (180.0, 0.07),
    (240.0, 0.0),
];

pub(super) const DURATION: Span = Span::from_secs(12 * 3_600);

/// The peak, since the start. It falls on the day's own, at 20:47 UTC; the measured ones came at 18:20 to 20:15.
const PEAK_AT: Span = Span::from_secs(6 * 3_600);

pub(super) fn players(ordinary: &Day) -> Result<PlayersSeries, DayError> {
    let starts_at = Span::from_micros(day::PEAK_AT.as_micros() - PEAK_AT.as_micros());
    let evening = Day { peak_players: ordinary.peak_players / RATIO, starts_at, ..*ordinary };
    varied(&evening, |at| 1.0 + (RATIO - 1.0) * straight_between(&CROWD, minutes_between(PEAK_AT, at)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn evening() -> PlayersSeries {
        players(&Day { noise: 0.0, duration: DURATION, ..Day::default() }).unwrap()
    }

    #[test]
    fn the_crowd_is_four_times_an_ordinary_evening_and_gone_four_hours_later() {
        let evening = evening();
        assert!((evening.at(PEAK_AT) - 1_000.0).abs() < 1.0);
        let ordinary = evening.at(Span::from_secs(3 * 3_600));
        assert!((200.0..245.0).contains(&ordinary), "{ordinary}");
        assert!(evening.points().iter().skip(10 * 12).all(|it| it.players < 245.0));
    }

    #[test]
    fn half_of_the_crowd_is_gone_an_hour_after_the_peak() {
        let evening = evening();
        let usual = 1_000.0 / RATIO;
        let crowd = |minutes: i64| (evening.at(PEAK_AT + Span::from_secs(60 * minutes)) - usual) / (1_000.0 - usual);
        assert!((crowd(60) - 0.5).abs() < 0.03, "{}", crowd(60));
        assert!((crowd(-100) - 0.1).abs() < 0.03, "{}", crowd(-100));
    }

    #[test]
    fn the_steepest_five_minutes_bring_a_sixth_of_the_crowd() {
        let evening = evening();
        let rises = evening.points().windows(2).map(|pair| pair[1].players - pair[0].players);
        let steepest = rises.fold(0.0, f64::max) / (1_000.0 - 1_000.0 / RATIO);
        assert!((0.15..0.18).contains(&steepest), "{steepest}");
    }
}
