//! Values with a unit. A bare number where a unit belongs is refused with the ways to write it.

use crate::form::{Leaf, Wrong};
use crate::yaml::Kind;
use evenkeel_core::units::{MicroUsd, Span};
use serde_json::{Value, json};

/// A year, the longest time that makes sense anywhere in the file.
const LONGEST: i128 = 366 * 86_400 * 1_000_000_000;
/// Hours that a month is billed for (30 days), as in every figure that the tools print.
const HOURS_IN_MONTH: i128 = 720;

/// An exact decimal: `digits / 10^scale`. Units multiply it without a rounding step that could turn 0.1 s into
/// 99,999 us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    /// Twelve digits before the point and twelve after it at most; no sign, no exponent.
    fn parse(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let fits = |part: &str| part.len() <= 12 && part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !fits(whole) || !fits(fraction) || text.ends_with('.') {
            return None;
        }
        let digits = format!("{whole}{fraction}").parse().ok()?;
        Some(Self { digits, scale: u32::try_from(fraction.len()).ok()? })
    }

    /// This many times `unit`, if that is a whole number.
    fn times(self, unit: i128) -> Option<i128> {
        let product = self.digits.checked_mul(unit)?;
        let divisor = 10_i128.checked_pow(self.scale)?;
        (product % divisor == 0).then_some(product / divisor)
    }

    /// The nearest float to this times ten to the `exponent`.
    fn float(self, exponent: i32) -> f64 {
        let exponent = exponent - i32::try_from(self.scale).unwrap_or(0);
        format!("{}e{exponent}", self.digits).parse().unwrap_or(f64::NAN)
    }
}

/// Splits `16ms` into `16` and `ms`.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    (&text[..end], &text[end..])
}

/// A value that a unit belongs to, as text; a bare number is told the ways to write it.
fn with_unit<'a>(kind: &'a Kind, what: &str, ways: &[&str]) -> Result<&'a str, Wrong> {
    match kind {
        Kind::Text(text) => Ok(text),
        Kind::Number(text) => {
            let ways: Vec<_> = ways.iter().map(|way| format!("`{}`", way.replace('N', text))).collect();
            Err(Wrong::new(format!("{what} `{text}` has no unit"), format!("write {}", ways.join(" or "))))
        }
        other => {
            let example = ways.first().map_or_else(String::new, |way| way.replace('N', "5"));
            let message = format!("{what} with its unit belongs here, not {}", other.as_written());
            Err(Wrong::new(message, format!("write for example `{example}`")))
        }
    }
}

const TIME_UNITS: [(&str, i128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
];
const TIME_PATTERN: &str = r"^[0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h|d)$";

/// Whole or broken nanoseconds of a time, as a decimal and the unit's nanoseconds.
fn time(kind: &Kind, ways: &[&str]) -> Result<(Decimal, i128), Wrong> {
    let text = with_unit(kind, "the time", ways)?;
    let (number, unit) = split(text);
    let wrong = || {
        let units: Vec<_> = TIME_UNITS.iter().map(|(name, _)| *name).collect();
        Wrong::new(format!("`{text}` is not a time"), format!("write a number and one of {}", units.join(", ")))
    };
    let nanos = TIME_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, nanos)| *nanos).ok_or_else(wrong)?;
    Ok((Decimal::parse(number).ok_or_else(wrong)?, nanos))
}

/// A length of time in whole microseconds.
pub(crate) struct Duration {
    /// Shortest.
    pub(crate) least: Span,
}

impl Duration {
    /// Zero is allowed.
    pub(crate) const OR_ZERO: Self = Self { least: Span::ZERO };
    /// Zero is not allowed.
    pub(crate) const POSITIVE: Self = Self { least: Span::from_micros(1) };
}

impl Leaf for Duration {
    type Value = Span;

    fn parse(&self, kind: &Kind) -> Result<Span, Wrong> {
        let (decimal, unit) = time(kind, &["Nms", "Ns", "Nm"])?;
        let nanos = decimal.times(unit);
        let written = kind.as_written();
        let micros = match nanos {
            Some(nanos) if nanos > LONGEST => Err(Wrong::new(format!("{written} is longer than a year"), "shorten it")),
            Some(nanos) if nanos % 1_000 == 0 => Ok(nanos / 1_000),
            _ => Err(Wrong::new(format!("{written} is finer than a microsecond"), "round it to whole microseconds")),
        }?;
        match i64::try_from(micros).map(Span::from_micros) {
            Ok(span) if span >= self.least => Ok(span),
            _ => Err(Wrong::new(format!("{written} is too short"), format!("write {} or more", self.least))),
        }
    }

    fn show(&self, value: &Span) -> String {
        match value.as_micros() {
            0 => "0s".to_owned(),
            micros if micros % 86_400_000_000 == 0 => format!("{}d", micros / 86_400_000_000),
            micros if micros % 3_600_000_000 == 0 => format!("{}h", micros / 3_600_000_000),
            _ => value.to_string(),
        }
    }

    fn describe(&self) -> Value {
        json!({ "title": "a time", "type": "string", "pattern": TIME_PATTERN, "examples": ["16ms", "90s", "5m", "2h", "14d"] })
    }
}

/// A length of time in milliseconds as a float, for the constants of a profile, which go below a microsecond.
pub(crate) struct Milliseconds;

impl Leaf for Milliseconds {
    type Value = f64;

    fn parse(&self, kind: &Kind) -> Result<f64, Wrong> {
        let (decimal, unit) = time(kind, &["Nms", "Nus", "Nns"])?;
        match unit {
            1 => Ok(decimal.float(-6)),
            1_000 => Ok(decimal.float(-3)),
            1_000_000 => Ok(decimal.float(0)),
            1_000_000_000 => Ok(decimal.float(3)),
            _ => Err(Wrong::new(
                format!("{} is too long for a step of an engine", kind.as_written()),
                "write it in s, ms, us or ns",
            )),
        }
    }

    fn show(&self, value: &f64) -> String {
        let rounded = |value: f64| libm::round(value * 1e6) / 1e6;
        match *value {
            millis if millis >= 1.0 || millis == 0.0 => format!("{}ms", rounded(millis)),
            millis if millis >= 1e-3 => format!("{}us", rounded(millis * 1e3)),
            millis => format!("{}ns", rounded(millis * 1e6)),
        }
    }

    fn describe(&self) -> Value {
        json!({ "title": "a time", "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(ns|us|ms|s)$", "examples": ["6.5ms", "90us", "90ns"] })
    }
}

/// A price per hour.
pub(crate) struct Price;

impl Leaf for Price {
    type Value = MicroUsd;

    fn parse(&self, kind: &Kind) -> Result<MicroUsd, Wrong> {
        let text = with_unit(kind, "the price", &["$N/hour", "$N/month"])?;
        let wrong = || {
            Wrong::new(
                format!("`{text}` is not a price"),
                "write for example `$1.006/hour`, `$24/day` or `$80000/month`",
            )
        };
        let (amount, period) = text.strip_prefix('$').and_then(|rest| rest.split_once('/')).ok_or_else(wrong)?;
        let hours = match period {
            "hour" => 1,
            "day" => 24,
            "month" => HOURS_IN_MONTH,
            _ => return Err(wrong()),
        };
        let decimal = Decimal::parse(amount).ok_or_else(wrong)?;
        let micros = decimal.float(6) / hours as f64;
        Ok(MicroUsd::from_micros(libm::round(micros) as i64))
    }

    fn show(&self, value: &MicroUsd) -> String {
        format!("${}/hour", value.as_usd_f64())
    }

    fn describe(&self) -> Value {
        json!({
            "title": "a price",
            "type": "string",
            "pattern": r"^\$[0-9]+(\.[0-9]+)?/(hour|day|month)$",
            "examples": ["$1.006/hour", "$80000/month"],
        })
    }
}

/// A share of a whole, in percent; its value is from 0 to 1.
pub(crate) struct Share {
    /// Whether 0 % is allowed.
    pub(crate) or_none: bool,
    /// Whether 100 % is allowed.
    pub(crate) or_all: bool,
}

impl Share {
    /// From 0 % to 100 %.
    pub(crate) const ANY: Self = Self { or_none: true, or_all: true };
    /// Above 0 %, up to 100 %.
    pub(crate) const SOME: Self = Self { or_none: false, or_all: true };
    /// Above 0 %, below 100 %.
    pub(crate) const INSIDE: Self = Self { or_none: false, or_all: false };
}

impl Leaf for Share {
    type Value = f64;

    fn parse(&self, kind: &Kind) -> Result<f64, Wrong> {
        if let Kind::Number(text) = kind
            && let Ok(number) = text.parse::<f64>()
            && (0.0..1.0).contains(&number)
            && number > 0.0
        {
            // 0.99 is more often 99 % than 0.99 %: say both.
            let message = format!("the share `{text}` has no unit");
            return Err(Wrong::new(message, format!("write `{}%` (or `{text}%`)", percent(number))));
        }
        let text = with_unit(kind, "the share", &["N%"])?;
        let number = text.strip_suffix('%').and_then(Decimal::parse);
        let Some(share) = number.map(|decimal| decimal.float(-2)) else {
            return Err(Wrong::new(format!("`{text}` is not a share"), "write a percentage, for example `99%`"));
        };
        let low = share > 0.0 || self.or_none;
        let high = share < 1.0 || (self.or_all && share <= 1.0);
        if low && high {
            return Ok(share);
        }
        let from = if self.or_none { "0 % or more" } else { "above 0 %" };
        let to = if self.or_all { "at most 100 %" } else { "below 100 %" };
        Err(Wrong::new(format!("`{text}` is out of range"), format!("write a percentage {from} and {to}")))
    }

    fn show(&self, value: &f64) -> String {
        format!("{}%", percent(*value))
    }

    fn describe(&self) -> Value {
        json!({ "title": "a percentage", "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$", "examples": ["99%", "99.9%"] })
    }
}

/// A share as percent, free of the float's last digits.
fn percent(share: f64) -> f64 {
    libm::round(share * 1e10) / 1e8
}

/// A number of bytes.
pub(crate) struct Bytes;

/// A bare number from here on was meant as bytes: as KiB it would be more than any request.
const LEAST_AS_BYTES: u64 = 64 * 1_024;

const BYTE_UNITS: [(&str, i128); 7] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

impl Leaf for Bytes {
    type Value = u64;

    fn parse(&self, kind: &Kind) -> Result<u64, Wrong> {
        if let Kind::Number(text) = kind
            && let Ok(bytes @ LEAST_AS_BYTES..) = text.parse::<u64>()
        {
            let help = format!("write `{}` if these are bytes", self.show(&bytes));
            return Err(Wrong::new(format!("the size `{text}` has no unit"), help));
        }
        let text = with_unit(kind, "the size", &["NMiB", "NKiB", "NB"])?;
        let (number, unit) = split(text);
        let bytes = BYTE_UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .and_then(|(_, bytes)| Decimal::parse(number)?.times(*bytes))
            .and_then(|bytes| u64::try_from(bytes).ok());
        match bytes {
            Some(0) => Err(Wrong::new("a size of nothing lets nothing through", "write for example `8MiB`")),
            Some(bytes) => Ok(bytes),
            None => Err(Wrong::new(format!("`{text}` is not a size"), "write for example `8MiB`, `512KiB` or `1MB`")),
        }
    }

    fn show(&self, value: &u64) -> String {
        let unit = BYTE_UNITS.iter().rev().find(|(_, size)| i128::from(*value) % size == 0);
        let (name, size) = unit.copied().unwrap_or(("B", 1));
        format!("{}{name}", i128::from(*value) / size)
    }

    fn describe(&self) -> Value {
        json!({ "title": "a size", "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?(B|kB|MB|GB|KiB|MiB|GiB)$", "examples": ["8MiB"] })
    }
}

/// How often something happens, per minute.
pub(crate) struct PerMinute;

impl Leaf for PerMinute {
    type Value = f64;

    fn parse(&self, kind: &Kind) -> Result<f64, Wrong> {
        let text = with_unit(kind, "the rate", &["N/min", "N/s", "N/hour"])?;
        let wrong = || Wrong::new(format!("`{text}` is not a rate"), "write for example `3.4/min`, `2/s` or `5/hour`");
        let (number, unit) = text.split_once('/').ok_or_else(wrong)?;
        let decimal = Decimal::parse(number).ok_or_else(wrong)?.float(0);
        match unit {
            _ if decimal <= 0.0 => Err(Wrong::new(format!("`{text}` must be above zero"), "write a rate above zero")),
            "s" => Ok(decimal * 60.0),
            "min" => Ok(decimal),
            "hour" => Ok(decimal / 60.0),
            _ => Err(wrong()),
        }
    }

    fn show(&self, value: &f64) -> String {
        let rounded = |value: f64| libm::round(value * 1e9) / 1e9;
        if *value < 1.0 { format!("{}/hour", rounded(value * 60.0)) } else { format!("{}/min", rounded(*value)) }
    }

    fn describe(&self) -> Value {
        json!({ "title": "a rate", "type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?/(s|min|hour)$", "examples": ["3.4/min"] })
    }
}

/// The pattern of a quantile as a key.
pub(crate) const QUANTILE_PATTERN: &str = r"^p[0-9]+(\.[0-9]+)?$";

/// `p95` as 0.95, above 0 and below 1.
pub(crate) fn quantile(text: &str) -> Result<f64, Wrong> {
    let number = text.strip_prefix('p').and_then(Decimal::parse);
    match number.map(|decimal| decimal.float(-2)) {
        Some(quantile) if quantile > 0.0 && quantile < 1.0 => Ok(quantile),
        Some(_) => {
            Err(Wrong::new(format!("`{text}` is not inside 0 and 100"), "write for example `p50`, `p95` or `p99.9`"))
        }
        None => Err(Wrong::new(format!("`{text}` is not a quantile"), "write for example `p50`, `p95` or `p99.9`")),
    }
}

/// 0.95 as `p95`.
pub(crate) fn quantile_name(quantile: f64) -> String {
    format!("p{}", percent(quantile))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn text(text: &str) -> Kind {
        Kind::Text(text.into())
    }

    #[test]
    fn times_are_exact_in_every_unit() {
        let micros = |written: &str| Duration::OR_ZERO.parse(&text(written)).map(Span::as_micros);
        assert_eq!(micros("16ms"), Ok(16_000));
        assert_eq!(micros("0.1s"), Ok(100_000));
        assert_eq!(micros("5m"), Ok(300_000_000));
        assert_eq!(micros("2h"), Ok(7_200_000_000));
        assert_eq!(micros("14d"), Ok(14 * 86_400_000_000));
        for written in ["16ms", "90s", "2h", "14d", "0s"] {
            assert_eq!(Duration::OR_ZERO.show(&Duration::OR_ZERO.parse(&text(written)).unwrap()), written);
        }
        assert!(micros("90ns").is_err(), "finer than a microsecond");
        assert!(micros("400d").is_err() && micros("-5s").is_err() && micros("5.s").is_err() && micros("s").is_err());
        assert!(micros("5 s").is_err() && micros("5min").is_err(), "one spelling each, as the schema says");
    }

    #[test]
    fn constants_of_a_profile_go_below_a_microsecond() {
        assert_eq!(Milliseconds.parse(&text("90ns")), Ok(9e-5));
        assert_eq!(Milliseconds.parse(&text("0.09us")), Ok(9e-5));
        assert_eq!(Milliseconds.parse(&text("90us")), Ok(0.09));
        assert_eq!(Milliseconds.parse(&text("6.5ms")), Ok(6.5));
        for written in ["90ns", "203.5us", "6.5ms", "0ms", "3000ms"] {
            assert_eq!(Milliseconds.show(&Milliseconds.parse(&text(written)).unwrap()), written);
        }
        assert!(Milliseconds.parse(&text("1h")).is_err());
    }

    #[test]
    fn prices_shares_sizes_rates_and_quantiles() {
        assert_eq!(Price.parse(&text("$1.006/hour")), Ok(MicroUsd::from_micros(1_006_000)));
        assert_eq!(Price.parse(&text("$720/month")), Ok(MicroUsd::from_micros(1_000_000)));
        assert!(Price.parse(&text("1.006/hour")).is_err() && Price.parse(&text("$1")).is_err());
        assert_eq!(Share::INSIDE.parse(&text("99.9%")), Ok(0.999));
        assert!(Share::INSIDE.parse(&text("100%")).is_err() && Share::ANY.parse(&text("101%")).is_err());
        assert_eq!(Bytes.parse(&text("8MiB")), Ok(8 * 1024 * 1024));
        assert_eq!(Bytes.show(&(8 * 1024 * 1024)), "8MiB");
        assert_eq!(PerMinute.parse(&text("3.4/min")), Ok(3.4));
        assert_eq!(PerMinute.parse(&text("2/s")), Ok(120.0));
        assert_eq!(quantile("p99.9"), Ok(0.999));
        assert_eq!(quantile_name(0.999), "p99.9");
        assert!(quantile("p100").is_err() && quantile("95").is_err() && quantile("p0").is_err());
    }

    #[test]
    fn a_bare_number_is_told_how_to_be_written() {
        let number = Kind::Number("16".into());
        let wrong = Duration::OR_ZERO.parse(&number).unwrap_err();
        assert_eq!(
            (wrong.message.as_str(), wrong.help.as_str()),
            ("the time `16` has no unit", "write `16ms` or `16s` or `16m`")
        );
        assert_eq!(Share::INSIDE.parse(&Kind::Number("0.99".into())).unwrap_err().help, "write `99%` (or `0.99%`)");
        assert_eq!(Share::INSIDE.parse(&Kind::Number("99".into())).unwrap_err().help, "write `99%`");
        let size = |bare: &str| Bytes.parse(&Kind::Number(bare.into())).unwrap_err().help;
        assert_eq!(size("8"), "write `8MiB` or `8KiB` or `8B`");
        assert_eq!(size("8388608"), "write `8MiB` if these are bytes");
        assert_eq!(
            Price.parse(&Kind::Number("1.006".into())).unwrap_err().help,
            "write `$1.006/hour` or `$1.006/month`"
        );
    }
}
