//! A night in which a game is closed for a new release, and the evening on which all come to see it.
//!
//! How players leave and come back is measured on the restarts of a large MMO ([`super::maintenance`]), with nobody
//! left in between. The rest is **assumed**: that the game closes an hour before its daily low and for two hours, and
//! that the release brings a fifth more players. After mere maintenance there were no more than on other evenings.

use super::maintenance::gone;
use super::varied;
use crate::day::{self, Day, DayError};
use crate::series::PlayersSeries;
use evenkeel_core::units::Span;

pub(super) const DURATION: Span = Span::from_secs(36 * 3_600);

/// Time of day at which the series starts: in the afternoon before.
const STARTS_AT: Span = Span::from_secs(15 * 3_600);

/// Closed before the low, and for how long. Assumptions.
const CLOSES_BEFORE_LOW: Span = Span::from_secs(3_600);
const CLOSED: Span = Span::from_secs(2 * 3_600);

/// Players of the evening after the release over those of the one before. An assumption.
const RELEASE: f64 = 1.2;

pub(super) fn players(ordinary: &Day) -> Result<PlayersSeries, DayError> {
    varied(&Day { starts_at: STARTS_AT, ..*ordinary }, factor)
}

fn factor(at: Span) -> f64 {
    let closes = closes();
    let level = if at <= closes { 1.0 / RELEASE } else { 1.0 };
    level * (1.0 - gone(at, closes, closes + CLOSED))
}

/// On the 5-minute values of the series, so that none of them shows half a step.
const fn closes() -> Span {
    let next_low = day::LOW_AT.as_micros() + 86_400_000_000 - STARTS_AT.as_micros();
    let closes = next_low - CLOSES_BEFORE_LOW.as_micros();
    Span::from_micros(closes - closes % 300_000_000)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn night() -> PlayersSeries {
        Scenario::PatchNight.players(1_000.0, 1).unwrap()
    }

    #[test]
    fn for_two_hours_nobody_plays() {
        let closed: Vec<Span> = night().points().iter().filter(|it| it.players == 0.0).map(|it| it.at).collect();
        let (first, last) = (closed[0], *closed.last().unwrap());
        assert_eq!(last, first + CLOSED);
        assert_eq!(closed.len(), 25);
        // 08:30 UTC.
        assert_eq!(first, Span::from_secs(17 * 3_600 + 30 * 60));
    }

    #[test]
    fn the_evening_after_the_release_is_a_fifth_fuller_than_the_one_before() {
        let evening = |days: i64| {
            let around = (day::PEAK_AT.as_micros() - STARTS_AT.as_micros()) / 1_000_000 + days * 86_400;
            (-12..=12).map(|step| night().at(Span::from_secs(around + step * 300))).sum::<f64>()
        };
        let ratio = evening(1) / evening(0);
        assert!((ratio - RELEASE).abs() < 0.05, "{ratio}");
    }
}
