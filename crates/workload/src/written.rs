//! Quantities as people write them on a command line.

use evenkeel_core::units::Span;

/// A year, the longest time that makes sense in a load test.
const LONGEST_S: f64 = 366.0 * 86_400.0;

/// Units with their seconds. A longer one that ends like a shorter one stands before it.
const UNITS: [(&str, f64); 6] = [("ms", 1e-3), ("us", 1e-6), ("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0)];

/// A time as the fleet file has it: `250ms`, `90s`, `10m`, `2h`, `1d`. `None` for anything else, also for a bare number.
pub fn time(text: &str) -> Option<Span> {
    let (number, seconds) = UNITS.iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
    let value = plain_number(number)? * seconds;
    (value <= LONGEST_S).then(|| Span::from_secs_f64(value))
}

/// Digits with a point perhaps, and `_` or `'` between them; no sign, no exponent.
pub fn plain_number(text: &str) -> Option<f64> {
    let digits: String = text.chars().filter(|c| !matches!(c, '_' | '\'')).collect();
    let plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.ends_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    digits.parse().ok().filter(|number: &f64| plain && number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_fleet_file_has_them() {
        let seconds = |text| time(text).map(Span::as_secs_f64);
        assert_eq!(
            ["250ms", "90s", "10m", "2h", "1d", "1.5s", "0s"].map(seconds),
            [Some(0.25), Some(90.0), Some(600.0), Some(7_200.0), Some(86_400.0), Some(1.5), Some(0.0)]
        );
    }

    #[test]
    fn what_has_no_unit_or_is_no_time_is_refused() {
        for text in ["90", "", "s", "-5s", "1e3s", "infs", "5 s", ".5s", "5.s", "5y", "400d", "1.2.3s"] {
            assert_eq!(time(text), None, "{text}");
        }
        assert_eq!(plain_number("10_000"), Some(10_000.0));
        assert_eq!(plain_number("1'000"), Some(1_000.0));
    }
}
