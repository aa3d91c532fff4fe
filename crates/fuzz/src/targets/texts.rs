//! Files that people write: the fleet file, a series of players.

use evenkeel_core::units::Span;
use evenkeel_workload::series::PlayersSeries;

/// A fleet file ends in a fleet or in mistakes that all have a place; and what was read once reads the same again.
pub(super) fn fleet_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match evenkeel_fleet::read(text, "fuzz.yaml") {
        Ok(fleet) => {
            assert!(!fleet.spec.tiers.is_empty(), "a fleet has tiers");
            assert!(fleet.spec.tiers.iter().all(|tier| tier.minimum <= tier.maximum), "a minimum above its maximum");
            assert!(evenkeel_fleet::diff(&fleet, &fleet).is_empty(), "a fleet differs from itself");
        }
        Err(problems) => {
            assert!(!problems.list().is_empty(), "refused without a reason");
            assert!(problems.list().iter().all(|it| it.line >= 1 && it.column >= 1), "a mistake without a place");
            assert!(!problems.render(false).is_empty(), "mistakes that cannot be shown");
        }
    }
}

/// A series of players ends in points that only go forward, or in one refusal.
pub(super) fn player_series(data: &[u8]) {
    match PlayersSeries::from_bytes(data) {
        Ok(series) => {
            let points = series.points();
            assert!(points.windows(2).all(|pair| pair[0].at < pair[1].at), "time goes back");
            assert!(points.iter().all(|it| it.players.is_finite() && it.players >= 0.0), "no number of players");
            assert!(series.peak().is_finite() && series.duration() >= Span::ZERO);
            for moment in [Span::from_micros(i64::MIN), Span::ZERO, series.duration(), Span::from_micros(i64::MAX)] {
                let players = series.at(moment);
                assert!(players.is_finite() && players >= 0.0, "{players} players");
            }
            if let Ok(compressed) = series.compressed(60.0) {
                assert!(compressed.points().windows(2).all(|pair| pair[0].at < pair[1].at), "compressed into disorder");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty(), "refused without a reason"),
    }
}
