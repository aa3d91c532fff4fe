//! Moments as data sets write them: `2023-11-16 18:15:46.6805900`, perhaps with a zone behind.

use evenkeel_core::units::Span;

/// A date and a time of day, in UTC where no zone such as `+00:00` or `Z` follows, since 1970. `T` may stand for the
/// blank. Digits finer than a microsecond are dropped. `None` for anything else.
pub(crate) fn since_1970(text: &str) -> Option<Span> {
    let (date, rest) = text.split_once([' ', 'T'])?;
    let (clock, east_s) = split_zone(rest)?;
    let days = days_since_1970(date)?;
    let micros = micros_of_day(clock)?;
    Some(Span::from_micros((days * 86_400 - east_s) * 1_000_000 + micros))
}

/// The time of day, and by how many seconds its zone is before UTC.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let Some(at) = text.find(['+', '-']) else { return Some((text, 0)) };
    let (clock, zone) = text.split_at(at);
    let (hours, minutes) = zone[1..].split_once(':')?;
    let east_s = number(hours, 0..=14)? * 3_600 + number(minutes, 0..=59)? * 60;
    Some((clock, if zone.starts_with('-') { -east_s } else { east_s }))
}

/// Whole days of the Gregorian calendar, counted from a March on, so that a leap day ends its year: a year's months
/// then have (153 m + 2) / 5 days before month m (Hinnant, chrono-Compatible Low-Level Date Algorithms,
/// `days_from_civil`).
fn days_since_1970(date: &str) -> Option<i64> {
    let mut fields = date.split('-');
    let year = number(fields.next()?, 1970..=5138)?;
    let (month, day) = (number(fields.next()?, 1..=12)?, number(fields.next()?, 1..=31)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let longest = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if fields.next().is_some() || day > longest {
        return None;
    }
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let since_year_0 = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    Some(since_year_0 - 719_468)
}

fn micros_of_day(clock: &str) -> Option<i64> {
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut fields = whole.split(':');
    let hour = number(fields.next()?, 0..=23)?;
    let minute = number(fields.next()?, 0..=59)?;
    // A leap second falls on the next minute's first.
    let second = fields.next().map_or(Some(0), |second| number(second, 0..=60))?;
    let digits = !fraction.is_empty() && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if fields.next().is_some() || !digits {
        return None;
    }
    let micros = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    let micros = micros.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0'));
    Some((hour * 3_600 + minute * 60 + second) * 1_000_000 + micros)
}

/// Digits and nothing else.
fn number(text: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|value| digits && range.contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> Option<i64> {
        since_1970(text).map(Span::as_micros)
    }

    #[test]
    fn known_moments_are_where_unix_time_has_them() {
        assert_eq!(micros("1970-01-01 00:00:00"), Some(0));
        assert_eq!(micros("2023-11-16 18:15:46.6805900"), Some(1_700_158_546_680_590));
        assert_eq!(micros("2024-02-29 12:00:00"), Some(1_709_208_000_000_000));
        assert_eq!(micros("2000-03-01T00:00:00Z"), Some(951_868_800_000_000));
    }

    #[test]
    fn every_day_follows_the_one_before_it() {
        let mut expected = 0;
        for year in 1970..2110 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(days) = days_since_1970(&format!("{year}-{month:02}-{day:02}")) {
                        assert_eq!(days, expected, "{year}-{month}-{day}");
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(expected, 51_134, "140 years with 34 leap days; 2100 has none");
    }

    #[test]
    fn a_zone_before_utc_makes_the_moment_earlier() {
        let utc = micros("2024-05-10 10:00:00.5");
        assert_eq!(micros("2024-05-10 10:00:00.500000+00:00"), utc);
        assert_eq!(micros("2024-05-10 12:30:00.5+02:30"), utc);
        assert_eq!(micros("2024-05-10T05:00:00.5-05:00"), utc);
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2024-05-10",
            "10:00:00",
            "2024-13-01 00:00:00",
            "2023-02-29 00:00:00",
            "2024-04-31 00:00:00",
            "2024-05-10 24:00:00",
            "2024-05-10 10:60:00",
            "2024-05-10 10:00:00.",
            "2024-05-10 10:00:00.x",
            "2024-05-10 10:00:00+2",
            "2024-05-10 10:00:00:00",
            "2024-05-+1 10:00:00",
            "1969-12-31 23:59:59",
            "99999999999-01-01 00:00:00",
        ] {
            assert_eq!(micros(text), None, "{text}");
        }
    }
}
