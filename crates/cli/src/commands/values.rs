//! Numbers of the command line, each refused in words.

use evenkeel_core::spec::Lengths;
use evenkeel_workload::written;

/// A number in a range, which `expected` tells in words.
fn number(text: &str, expected: &str, fits: impl Fn(f64) -> bool) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite() && fits(*number));
    number.ok_or_else(|| format!("expected {expected}"))
}

pub(super) fn above_zero(text: &str) -> Result<f64, String> {
    number(text, "a number above 0", |number| number > 0.0)
}

pub(super) fn share(text: &str) -> Result<f64, String> {
    number(text, "a share from 0 to 1", |number| (0.0..=1.0).contains(&number))
}

pub(super) fn whole(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "expected a whole number of at least 0".to_owned())
}

/// `300` or `300,0.8`: the mean and, where it is given, the deviation of the logarithm.
pub(super) fn lengths(text: &str) -> Result<Lengths, String> {
    let (mean, sigma) = text.split_once(',').unwrap_or((text, "0.5"));
    let numbers = written::plain_number(mean).zip(written::plain_number(sigma));
    let fits = |(mean, sigma): &(f64, f64)| *mean >= 1.0 && *sigma <= 4.0;
    let (mean, sigma) =
        numbers.filter(fits).ok_or("expected a mean of at least 1, as `300`, and perhaps a spread, as `300,0.8`")?;
    Ok(Lengths { mean, sigma })
}

/// `1/min`, `2/s` or `30/h`, per minute.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    let rate = text.split_once('/').and_then(|(number, unit)| {
        let per_minute = match unit {
            "s" => 60.0,
            "min" => 1.0,
            "h" => 1.0 / 60.0,
            _ => return None,
        };
        Some(written::plain_number(number)? * per_minute)
    });
    rate.ok_or_else(|| "expected a rate, for example `1/min` or `2/s`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_rates_are_read_with_their_units() {
        assert_eq!(lengths("300"), Ok(Lengths { mean: 300.0, sigma: 0.5 }));
        assert_eq!(lengths("300,0.8"), Ok(Lengths { mean: 300.0, sigma: 0.8 }));
        assert_eq!([rate("1/min"), rate("2/s"), rate("30/h")], [Ok(1.0), Ok(120.0), Ok(0.5)]);
        for text in ["0", "-1", "300,9", "300,", "many"] {
            assert!(lengths(text).is_err(), "{text}");
        }
        for text in ["1", "1/day", "-1/min", "/min"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
