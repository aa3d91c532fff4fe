//! A week: more players come on the weekend, and only in its evenings.
//!
//! Measured on the players of one large MMO, 5 to 31 January 2021 (github.com/ys-lin14/osrs-player-count-scraper), a
//! day running from its low at 09:33 UTC to the next: mean of the values within an hour of the daily peak, over the
//! mean of Tuesday to Friday; three or four days of each. Those of one weekday differ by up to 2 % (standard
//! deviation), so the small differences within the week say little. At the low the days hardly differ (0.98 to 1.04),
//! so the factor grows with the height of the day's curve.

use super::varied;
use crate::day::{self, Day, DayError};
use crate::series::PlayersSeries;
use evenkeel_core::units::Span;

/// The evening's players over those of an evening from Tuesday to Friday, from Monday on.
const EVENING: [f64; 7] = [1.03, 1.02, 1.00, 1.00, 0.98, 1.03, 1.09];

/// The fullest of them.
const FULLEST: f64 = 1.09;

const DAY_S: i64 = 86_400;

pub(super) const DURATION: Span = Span::from_secs(7 * DAY_S);

pub(super) fn players(week: &Day) -> Result<PlayersSeries, DayError> {
    let ordinary = Day { peak_players: week.peak_players / FULLEST, ..*week };
    varied(&ordinary, |at| factor(ordinary.starts_at, at))
}

fn factor(starts_at: Span, at: Span) -> f64 {
    let weekday = at.as_micros() / Span::from_secs(DAY_S).as_micros();
    let evening = EVENING[(weekday as usize).min(EVENING.len() - 1)];
    1.0 + (evening - 1.0) * day::height((starts_at + at).as_secs_f64())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn smooth() -> PlayersSeries {
        players(&Day { peak_players: 1_090.0, noise: 0.0, duration: DURATION, ..Day::default() }).unwrap()
    }

    fn evenings(week: &PlayersSeries) -> [f64; 7] {
        let to_peak = day::PEAK_AT.as_micros() - day::LOW_AT.as_micros();
        std::array::from_fn(|weekday| week.at(Span::from_micros(to_peak + weekday as i64 * DAY_S * 1_000_000)))
    }

    #[test]
    fn sunday_evening_is_the_fullest_and_friday_evening_the_emptiest() {
        let evenings = evenings(&smooth());
        for (evening, measured) in evenings.iter().zip(EVENING) {
            assert!((evening / 1_000.0 - measured).abs() < 0.002, "{evenings:?}");
        }
        assert_eq!(EVENING.into_iter().fold(0.0, f64::max), FULLEST);
    }

    #[test]
    fn one_day_goes_over_into_the_next_without_a_jump() {
        let week = smooth();
        for midnight in 1..7 {
            let moment = |second: i64| week.at(Span::from_secs(midnight * DAY_S + second));
            assert!((moment(300) - moment(-300)).abs() < 1.0, "{} then {}", moment(-300), moment(300));
        }
    }
}
