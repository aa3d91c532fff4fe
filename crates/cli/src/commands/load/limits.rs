//! How large a load test's numbers may be. What is beyond is a slip, and would keep the test from beginning or from ending.

use evenkeel_adapters::players::MOST_PLAYERS;
use evenkeel_workload::TierTraffic;

/// A day in a second; and, the other way, a day in three years.
const MOST_COMPRESSED: f64 = 86_400.0;
const LEAST_COMPRESSED: f64 = 0.001;
/// A window, and the wait after the last request, of a day.
const LONGEST_SECONDS: u32 = 86_400;
/// Requests a second of all tiers together, at the peak. One machine sends some ten thousand: a thousand times that was
/// meant otherwise, and drawing them all would leave it no time to send any.
const MOST_REQUESTS_PER_SECOND: f64 = 1e7;

pub(super) fn players(text: &str) -> Result<f64, String> {
    let expected = format!("expected a number of at least 0, and at most {MOST_PLAYERS}: there are no more people");
    within(text, 0.0, MOST_PLAYERS).ok_or(expected)
}

pub(super) fn compression(text: &str) -> Result<f64, String> {
    let range = format!("from {LEAST_COMPRESSED} to {MOST_COMPRESSED}, with which a day takes a second");
    within(text, LEAST_COMPRESSED, MOST_COMPRESSED).ok_or(format!("expected a number above 0, {range}"))
}

pub(super) fn window(text: &str) -> Result<f64, String> {
    let seconds = within(text, 0.0, f64::from(LONGEST_SECONDS)).filter(|seconds| *seconds > 0.0);
    seconds.ok_or_else(|| format!("expected a number above 0, and at most {LONGEST_SECONDS} s"))
}

pub(super) fn drain(text: &str) -> Result<u64, String> {
    let seconds = text.parse().ok().filter(|seconds| *seconds <= u64::from(LONGEST_SECONDS));
    seconds.ok_or_else(|| format!("expected a whole number of at least 0, and at most {LONGEST_SECONDS} s"))
}

fn within(text: &str, least: f64, most: f64) -> Option<f64> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

/// Refuses what no machine can send: `peak` players of a file or a flag, with the fleet file's rates.
pub(super) fn traffic<'a>(peak: f64, tiers: impl Iterator<Item = &'a TierTraffic>) -> Result<(), String> {
    if peak > MOST_PLAYERS {
        return Err(format!("{peak} players at the peak; there are no more than {MOST_PLAYERS} people"));
    }
    let rate = peak * tiers.map(TierTraffic::rate_per_player).sum::<f64>();
    if rate <= MOST_REQUESTS_PER_SECOND {
        return Ok(());
    }
    Err(format!(
        "{peak} players would send {rate:.0} requests a second; no machine sends more than {MOST_REQUESTS_PER_SECOND}: \
         lower the players, or `per_player` in the fleet file"
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use evenkeel_core::spec::{Lengths, RequestShape};

    #[test]
    fn a_number_beyond_sense_is_refused_with_its_bound() {
        assert_eq!(players("1e10"), Ok(1e10));
        assert!(players("1e300").unwrap_err().contains("at most 10000000000"));
        assert_eq!((compression("0.001"), compression("86400")), (Ok(0.001), Ok(86_400.0)));
        for slip in ["1e300", "1e-300", "86401", "NaN"] {
            assert!(compression(slip).unwrap_err().contains("from 0.001 to 86400"), "{slip}");
        }
        assert_eq!(window("60"), Ok(60.0));
        assert!(window("1e18").is_err() && window("0").is_err());
        assert_eq!(drain("86400"), Ok(86_400));
        assert!(drain("18446744073709551615").unwrap_err().contains("at most 86400 s"));
    }

    #[test]
    fn players_who_would_send_more_than_any_machine_can_are_refused_whatever_they_come_from() {
        let lengths = Lengths { mean: 40.0, sigma: 0.8 };
        let shape = RequestShape { prompt_tokens: lengths, output_tokens: lengths, per_player_per_minute: 60.0 };
        let tier = TierTraffic::new("gold", 1.0, shape, 1_000).unwrap();
        assert_eq!(traffic(1e6, [&tier, &tier].into_iter()), Ok(()));
        let slip = traffic(6e6, [&tier, &tier].into_iter()).unwrap_err();
        assert!(slip.starts_with("6000000 players would send 12000000 requests a second"), "{slip}");
        assert!(traffic(1e300, std::iter::empty()).unwrap_err().contains("people"));
    }
}
