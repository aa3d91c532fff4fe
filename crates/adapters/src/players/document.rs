//! A number of players in a text: bare, or in a JSON document under a pointer.

use super::MOST_PLAYERS;
use evenkeel_controller::ports::SourceError;
use evenkeel_core::observe::Cause;
use serde_json::Value;

/// The number at `pointer` (RFC 6901), or the whole text where there is no pointer.
pub(crate) fn number(text: &[u8], pointer: Option<&str>) -> Result<f64, SourceError> {
    match pointer {
        Some(pointer) => number_at(text, pointer),
        None => bare(text),
    }
}

fn number_at(text: &[u8], pointer: &str) -> Result<f64, SourceError> {
    let document: Value =
        serde_json::from_slice(text).map_err(|error| malformed(format!("the player count is not JSON: {error}")))?;
    let value = document
        .pointer(pointer)
        .ok_or_else(|| malformed(format!("there is nothing at `{pointer}` in the player document")))?;
    let number = value.as_f64().ok_or_else(|| not_a_number(format!("`{pointer}` holds no number")))?;
    counted(number)
}

fn bare(text: &[u8]) -> Result<f64, SourceError> {
    let words = std::str::from_utf8(text).map_err(|_| malformed("the player count is not UTF-8".to_owned()))?;
    counted(words.trim().parse().map_err(|_| malformed("the file holds something else than a number".to_owned()))?)
}

/// Refuses what counts nothing.
pub(super) fn counted(players: f64) -> Result<f64, SourceError> {
    if (0.0..=MOST_PLAYERS).contains(&players) {
        Ok(players)
    } else {
        Err(not_a_number(format!("{players} is no number of players")))
    }
}

fn malformed(detail: String) -> SourceError {
    SourceError { cause: Cause::Malformed, detail }
}

fn not_a_number(detail: String) -> SourceError {
    SourceError { cause: Cause::NotANumber, detail }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn cause(text: &str, pointer: Option<&str>) -> Cause {
        number(text.as_bytes(), pointer).unwrap_err().cause
    }

    #[test]
    fn a_number_is_found_under_its_pointer_or_alone() {
        let document = br#"{"players": {"online": 1234}, "regions": [{"players~ /x": 7.5}]}"#;
        assert!((number(document, Some("/players/online")).unwrap() - 1234.0).abs() < 1e-9);
        assert!((number(document, Some("/regions/0/players~0 ~1x")).unwrap() - 7.5).abs() < 1e-9);
        assert!((number(b" 42\n", None).unwrap() - 42.0).abs() < 1e-9);
        assert!((number(b"12", Some("")).unwrap() - 12.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_no_number_of_players_is_told_apart() {
        assert_eq!(cause("{\"players\": ", Some("/players")), Cause::Malformed);
        assert_eq!(cause("{\"online\": 3}", Some("/players")), Cause::Malformed);
        assert_eq!(cause("{\"players\": \"3\"}", Some("/players")), Cause::NotANumber);
        assert_eq!(cause("{\"players\": null}", Some("/players")), Cause::NotANumber);
        assert_eq!(cause("{\"players\": -3}", Some("/players")), Cause::NotANumber);
        assert_eq!(cause("{\"players\": 1e999}", Some("/players")), Cause::Malformed);
        assert_eq!(cause("{\"players\": 1e308}", Some("/players")), Cause::NotANumber);
        assert_eq!(cause("NaN", None), Cause::NotANumber);
        assert_eq!(cause("inf", None), Cause::NotANumber);
        assert_eq!(cause("", None), Cause::Malformed);
        assert_eq!(cause("3 players", None), Cause::Malformed);
    }
}
