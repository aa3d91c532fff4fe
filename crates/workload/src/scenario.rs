//! Players as they come in situations that have a name, to try a fleet on before it meets them.
//!
//! Each is fitted to a published series, or says what it assumes. All but the bursts are the generated day ([`Day`]),
//! noise and all, times a factor that tells the situation: with one seed a day with maintenance is the ordinary day but
//! for those hours.

mod bursts;
mod flash_crowd;
mod launch_day;
mod maintenance;
mod patch_night;
mod week;

use crate::day::{Day, DayError};
use crate::series::{PlayersSeries, Point};
use evenkeel_core::units::Span;
use std::str::FromStr;
use thiserror::Error;

/// A situation that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scenario {
    /// An ordinary day, from its low to the next.
    Day,
    /// Seven days from Monday on, with the fuller weekend.
    Week,
    /// A new game opens its doors, and two days after that.
    LaunchDay,
    /// A day on which the servers restart in the morning.
    Maintenance,
    /// A night in which the game is closed for a new release, and the fuller evening after it.
    PatchNight,
    /// An evening to which four times as many come as on others.
    FlashCrowd,
    /// An hour of requests that come in bursts of seconds.
    Bursts,
}

/// A name that no scenario has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no scenario `{name}`; there are {}", Scenario::ALL.map(Scenario::name).join(", "))]
pub struct UnknownScenario {
    /// The name.
    pub name: String,
}

impl Scenario {
    /// All of them, the ordinary ones first.
    pub const ALL: [Self; 7] =
        [Self::Day, Self::Week, Self::LaunchDay, Self::Maintenance, Self::PatchNight, Self::FlashCrowd, Self::Bursts];

    /// As it is written on a command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::LaunchDay => "launch-day",
            Self::Maintenance => "maintenance",
            Self::PatchNight => "patch-night",
            Self::FlashCrowd => "flash-crowd",
            Self::Bursts => "bursts",
        }
    }

    /// How long it takes.
    pub const fn duration(self) -> Span {
        match self {
            Self::Day | Self::Maintenance => Span::from_secs(86_400),
            Self::Week => week::DURATION,
            Self::LaunchDay => launch_day::DURATION,
            Self::PatchNight => patch_night::DURATION,
            Self::FlashCrowd => flash_crowd::DURATION,
            Self::Bursts => bursts::DURATION,
        }
    }

    /// So long nothing of what it is named for happens: time to learn from. `None` where a quarter of it will do.
    pub const fn ordinary(self) -> Option<Span> {
        match self {
            // Two hours after their beginning the doors open, and the servers are down; some leave before.
            Self::LaunchDay | Self::Maintenance => Some(Span::from_secs(3_600)),
            Self::Day | Self::Week | Self::PatchNight | Self::FlashCrowd | Self::Bursts => None,
        }
    }

    /// The players, a value each 5 minutes, of the bursts each 5 seconds. `peak_players` are there at its fullest,
    /// before noise. The same seed gives the same values on every platform.
    ///
    /// # Errors
    /// Players that are no count.
    pub fn players(self, peak_players: f64, seed: u64) -> Result<PlayersSeries, DayError> {
        let day = Day { peak_players, seed, duration: self.duration(), ..Day::default() };
        match self {
            Self::Day => day.generate(),
            Self::Week => week::players(&day),
            Self::LaunchDay => launch_day::players(&day),
            Self::Maintenance => maintenance::players(&day),
            Self::PatchNight => patch_night::players(&day),
            Self::FlashCrowd => flash_crowd::players(&day),
            Self::Bursts => bursts::players(&day),
        }
    }
}

impl FromStr for Scenario {
    type Err = UnknownScenario;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.into_iter().find(|scenario| scenario.name() == name);
        known.ok_or_else(|| UnknownScenario { name: name.to_owned() })
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The day's players, noise and all, times a factor for each moment since its start.
fn varied(day: &Day, factor: impl Fn(Span) -> f64) -> Result<PlayersSeries, DayError> {
    let players = day.generate()?;
    let points = players.points().iter().map(|it| Point { at: it.at, players: it.players * factor(it.at) });
    Ok(PlayersSeries::from_points(points.collect(), 0))
}

/// Minutes from one moment to another, less than nothing when it comes before.
fn minutes_between(from: Span, to: Span) -> f64 {
    (to.as_micros() - from.as_micros()) as f64 / 60e6
}

/// The value at `x` of straight lines between knots that ascend in x; before the first and after the last its value
/// holds.
fn straight_between(knots: &[(f64, f64)], x: f64) -> f64 {
    let next = knots.partition_point(|knot| knot.0 <= x);
    match (next.checked_sub(1).and_then(|before| knots.get(before)), knots.get(next)) {
        (Some(before), Some(after)) => before.1 + (after.1 - before.1) * (x - before.0) / (after.0 - before.0),
        (Some(only), None) | (None, Some(only)) => only.1,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_is_found_by_its_name_and_no_other() {
        for scenario in Scenario::ALL {
            assert_eq!(scenario.to_string().parse(), Ok(scenario));
        }
        let unknown = Scenario::from_str("Day").unwrap_err().to_string();
        assert!(unknown.starts_with("there is no scenario `Day`; there are day, week, launch-day, "), "{unknown}");
    }

    #[test]
    fn every_scenario_lasts_as_long_as_it_says_and_peaks_where_it_is_told() {
        for scenario in Scenario::ALL {
            for seed in 1..20 {
                let players = scenario.players(5_000.0, seed).unwrap();
                assert_eq!(players.duration(), scenario.duration(), "{scenario}");
                let peak = players.peak() / 5_000.0;
                // The noise of 1.6 % adds to most; the bursts' highest second is what chance makes of it.
                let range = if scenario == Scenario::Bursts { 0.2..=1.0 } else { 0.95..=1.08 };
                assert!(range.contains(&peak), "{scenario} with seed {seed}: {peak}");
                assert!(players.points().iter().all(|it| it.players >= 0.0));
            }
        }
    }

    #[test]
    fn players_scale_with_the_peak_and_nothing_else_changes() {
        for scenario in Scenario::ALL {
            let (small, large) = (scenario.players(1.0, 3).unwrap(), scenario.players(4_096.0, 3).unwrap());
            for (small, large) in small.points().iter().zip(large.points()) {
                assert!((small.players * 4_096.0 - large.players).abs() < 1e-6, "{scenario} at {}", small.at);
            }
            assert_eq!(scenario.players(0.0, 3).unwrap().peak(), 0.0, "{scenario}");
            assert!(matches!(scenario.players(f64::NAN, 3), Err(DayError::Peak(_))), "{scenario}");
        }
    }

    #[test]
    fn the_values_of_a_seed_never_change() {
        // Recorded runs are reproduced by their seed, so these values are part of the format.
        let drawn = Scenario::ALL.map(|scenario| {
            let players = scenario.players(1_000.0, 1).unwrap();
            let points = players.points();
            let quarters = [0, points.len() / 4, points.len() / 2].map(|index| points[index].players.to_bits());
            let all = points.iter().fold(0u64, |hash, it| (hash ^ it.players.to_bits()).wrapping_mul(0x0100_0000_01b3));
            (scenario.name(), points.len(), quarters, all)
        });
        assert_eq!(drawn, VALUES);
    }

    type Values = (&'static str, usize, [u64; 3], u64);

    const VALUES: [Values; 7] = [
        ("day", 289, [4647727971720216343, 4650220507959289643, 4651893640024213634], 1053601547562144845),
        ("week", 2017, [4646995241706539259, 4650395968208007147, 4651248531440828627], 1225396126087310276),
        ("launch-day", 577, [0, 4650558898636911882, 4648947085674489466], 1447604846279628335),
        ("maintenance", 289, [4647727971720216343, 4650220507959289643, 4651893640024213634], 6428053716626313909),
        ("patch-night", 433, [4648853315759911341, 4649611345581202475, 0], 4186907713291111495),
        ("flash-crowd", 145, [4640637766253073786, 4641734776611967207, 4651840063848126643], 6301227864102430746),
        ("bursts", 721, [4632485428483905935, 4634003817955549150, 4632050205166879183], 9797326402405649747),
    ];

    #[test]
    fn between_knots_the_line_is_straight_and_beyond_them_it_is_level() {
        let knots = [(-1.0, 5.0), (1.0, 7.0), (2.0, 0.0)];
        assert_eq!(
            [-9.0, -1.0, 0.0, 1.0, 1.5, 2.0, 9.0].map(|x| straight_between(&knots, x)),
            [5.0, 5.0, 6.0, 7.0, 3.5, 0.0, 0.0]
        );
    }
}
