//! A launch: nobody plays until the doors open, then those who waited come at once.
//!
//! How fast they come is measured: as players come back to servers that open again after a restart, a quarter in five
//! minutes and half in 15 ([`super::maintenance`]). For the rest there is no published series of a game's launch behind
//! it, and it is **assumed**: that the doors open at 17:00 UTC, that the first evening is the fullest, that each day
//! brings 20 % fewer than the one before, and that the day's curve is that of an established game.

use super::maintenance::gone;
use super::{minutes_between, varied};
use crate::day::{self, Day, DayError};
use crate::series::PlayersSeries;
use evenkeel_core::units::Span;

pub(super) const DURATION: Span = Span::from_secs(2 * 86_400);

/// Time of day at which the series starts. An assumption: so much time to see a fleet wait at its minimum.
const STARTS_AT: Span = Span::from_secs(15 * 3_600);

/// The doors open, since the start. An assumption.
const OPENS: Span = Span::from_secs(2 * 3_600);

/// Players of an evening over those of the one before. An assumption.
const KEPT_EACH_DAY: f64 = 0.8;

const MINUTES_OF_A_DAY: f64 = 1_440.0;

pub(super) fn players(ordinary: &Day) -> Result<PlayersSeries, DayError> {
    let day = Day { starts_at: STARTS_AT, ..*ordinary };
    varied(&day, factor)
}

fn factor(at: Span) -> f64 {
    let first_evening = Span::from_micros(day::PEAK_AT.as_micros() - STARTS_AT.as_micros());
    let days_after = (minutes_between(first_evening, at) / MINUTES_OF_A_DAY).max(0.0);
    // The doors were closed from long before the start.
    let waiting = gone(at, Span::from_micros(i64::MIN / 2), OPENS);
    (1.0 - waiting) * libm::pow(KEPT_EACH_DAY, days_after)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn launch(hours: f64) -> f64 {
        let players = Scenario::LaunchDay.players(1_000.0, 1).unwrap();
        players.at(Span::from_secs_f64(3_600.0 * hours))
    }

    #[test]
    fn nobody_plays_before_the_doors_open_and_half_are_in_after_a_quarter_of_an_hour() {
        assert_eq!([0.0, 1.0, 2.0].map(launch), [0.0; 3]);
        assert!((350.0..550.0).contains(&launch(2.25)), "{}", launch(2.25));
        assert!(launch(3.0) > 750.0, "{}", launch(3.0));
    }

    #[test]
    fn a_launch_day_peaks_in_its_first_evening_and_stays_above_half_of_it_until_the_night_is_over() {
        let players = Scenario::LaunchDay.players(1_000.0, 1).unwrap();
        let peak_at = players.points().iter().max_by(|a, b| a.players.total_cmp(&b.players)).unwrap().at;
        assert!((Span::from_secs(4 * 3_600)..Span::from_secs(7 * 3_600)).contains(&peak_at), "{peak_at}");
        let night = players.points().iter().filter(|it| (3.0..14.0).contains(&(it.at.as_secs_f64() / 3_600.0)));
        assert!(night.map(|it| it.players).fold(f64::MAX, f64::min) > 500.0);
    }

    #[test]
    fn the_second_evening_has_four_fifths_of_the_first() {
        let evening = 5.0 + 47.0 / 60.0;
        let kept = launch(evening + 24.0) / launch(evening);
        assert!((kept - KEPT_EACH_DAY).abs() < 0.06, "{kept}");
    }
}
