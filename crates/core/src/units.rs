//! Units as types. Time is whole microseconds UTC and money whole micro-dollars, so sums and comparisons are exact
//! and the same on every platform.

use core::fmt;
use core::ops::{Add, Sub};
use serde::{Deserialize, Serialize};

/// A moment: microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(i64);

impl Time {
    /// The moment `micros` microseconds after the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this moment is; zero when it is not after it.
    pub const fn since(self, earlier: Self) -> Span {
        let micros = self.0.saturating_sub(earlier.0);
        Span(if micros < 0 { 0 } else { micros })
    }
}

impl Add<Span> for Time {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Time {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

/// A length of time in whole microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `micros` microseconds.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// `millis` milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// `secs` seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// The nearest whole number of microseconds; a value that is not finite gives zero.
    pub fn from_secs_f64(secs: f64) -> Self {
        Self(if secs.is_finite() { libm::round(secs * 1e6) as i64 } else { 0 })
    }

    /// Whole microseconds.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// As timers take it; a negative one is no time at all.
    pub fn to_duration(self) -> core::time::Duration {
        core::time::Duration::from_micros(u64::try_from(self.0).unwrap_or(0))
    }

    /// Seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// Milliseconds.
    pub fn as_millis_f64(self) -> f64 {
        self.0 as f64 / 1e3
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Span {
    /// Whole seconds as `90s`, anything finer as `16ms` or `250us`: the spelling the fleet file takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            us if us % 1_000_000 == 0 => write!(f, "{}s", us / 1_000_000),
            us if us % 1_000 == 0 => write!(f, "{}ms", us / 1_000),
            us => write!(f, "{us}us"),
        }
    }
}

/// Money in millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsd(i64);

impl MicroUsd {
    /// `micros` millionths of a dollar.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Millionths of a dollar.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Dollars, for display only.
    pub fn as_usd_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// This amount `count` times, for example an hourly price for a number of replicas.
    pub const fn times(self, count: u32) -> Self {
        Self(self.0.saturating_mul(count as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_later_moment_is_never_a_negative_span_away() {
        let (early, late) = (Time::from_micros(5), Time::from_micros(9));
        assert_eq!(late.since(early), Span::from_micros(4));
        assert_eq!(early.since(late), Span::ZERO);
    }

    #[test]
    fn a_unit_gives_back_what_it_was_made_of() {
        assert_eq!(Time::from_micros(1_700_000_000_000_000).as_micros(), 1_700_000_000_000_000);
        assert_eq!(Span::from_millis(16).as_micros(), 16_000);
        assert_eq!(Span::from_millis(1_500).to_duration(), core::time::Duration::from_millis(1_500));
        assert_eq!(Span::from_micros(-1).to_duration(), core::time::Duration::ZERO);
        assert!((MicroUsd::from_micros(1_006_000).as_usd_f64() - 1.006).abs() < 1e-12);
    }

    #[test]
    fn seconds_round_to_whole_microseconds_and_what_is_no_number_is_none_of_them() {
        assert_eq!(Span::from_secs_f64(0.25), Span::from_millis(250));
        assert_eq!(Span::from_secs_f64(1.000_000_6), Span::from_micros(1_000_001));
        assert_eq!([f64::NAN, f64::INFINITY].map(Span::from_secs_f64), [Span::ZERO; 2]);
    }

    #[test]
    fn spans_print_in_the_unit_the_fleet_file_takes() {
        assert_eq!(Span::from_secs(90).to_string(), "90s");
        assert_eq!(Span::from_millis(16).to_string(), "16ms");
        assert_eq!(Span::from_micros(250).to_string(), "250us");
    }
}
