//! Expands weekly schedules, outside the decision core because time zones change by law.

use crate::model::ScheduleEntry;
use evenkeel_core::decision::ActiveSchedule;
use evenkeel_core::units::Time;
use jiff::civil::{Date, Time as Clock};
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan};

/// A zone of the bundled database: the same on every machine, whatever is installed there.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// The entry in force at `now`: of several the one with the most replicas, then the first in the file.
///
/// An entry starts at its local time on each of its days and ends at its other local time, on the next day if that is
/// not later. Where clocks are put forward over one of these times it moves on by the gap; where they are put back, the
/// first of the two equal times counts.
pub fn active(entries: &[ScheduleEntry], now: Time) -> Option<ActiveSchedule> {
    let now = Timestamp::from_microsecond(now.as_micros()).ok()?;
    let mut best: Option<&ScheduleEntry> = None;
    for entry in entries.iter().filter(|entry| is_active(entry, now)) {
        if best.is_none_or(|best| entry.at_least > best.at_least) {
            best = Some(entry);
        }
    }
    best.map(|entry| ActiveSchedule { entry: entry.name.clone(), at_least: entry.at_least })
}

/// An interval that holds `now` began today or yesterday, in local days.
fn is_active(entry: &ScheduleEntry, now: Timestamp) -> bool {
    let Some(zone) = zone(&entry.time_zone) else { return false };
    let today = zone.to_datetime(now).date();
    let days = [Some(today), today.yesterday().ok()];
    days.into_iter().flatten().any(|day| interval(entry, day, &zone).is_some_and(|(from, to)| from <= now && now < to))
}

/// The interval that begins on `day`, if one does.
fn interval(entry: &ScheduleEntry, day: Date, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    let weekday = u8::try_from(day.weekday().to_monday_zero_offset()).ok()?;
    if !entry.days.contains(&weekday) {
        return None;
    }
    let last = if entry.to_minute > entry.from_minute { day } else { day.checked_add(1.day()).ok()? };
    Some((moment(day, entry.from_minute, zone)?, moment(last, entry.to_minute, zone)?))
}

fn moment(day: Date, minute: u16, zone: &TimeZone) -> Option<Timestamp> {
    let (hour, minute) = (i8::try_from(minute / 60).ok()?, i8::try_from(minute % 60).ok()?);
    let clock = Clock::new(hour, minute, 0, 0).ok()?;
    zone.to_ambiguous_timestamp(day.to_datetime(clock)).compatible().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn entry(name: &str, days: &[u8], from: u16, to: u16, at_least: u32) -> ScheduleEntry {
        ScheduleEntry {
            name: name.into(),
            days: days.to_vec(),
            from_minute: from * 60,
            to_minute: to * 60,
            time_zone: "Europe/Berlin".into(),
            at_least,
        }
    }

    fn at(text: &str) -> Time {
        Time::from_micros(text.parse::<Timestamp>().unwrap().as_microsecond())
    }

    fn name(entries: &[ScheduleEntry], when: &str) -> Option<String> {
        active(entries, at(when)).map(|active| active.entry)
    }

    #[test]
    fn an_evening_over_midnight_belongs_to_the_day_it_began_on() {
        // 2026-07-03 is a Friday; Berlin is two hours ahead of UTC in July.
        let friday = [entry("friday", &[4], 18, 2, 6)];
        assert_eq!(name(&friday, "2026-07-03T15:59:59Z"), None);
        assert_eq!(name(&friday, "2026-07-03T16:00:00Z").as_deref(), Some("friday"));
        assert_eq!(name(&friday, "2026-07-03T23:59:59Z").as_deref(), Some("friday"), "01:59 on Saturday");
        assert_eq!(name(&friday, "2026-07-04T00:00:00Z"), None, "02:00 on Saturday");
        assert_eq!(name(&friday, "2026-07-04T17:00:00Z"), None, "Saturday evening");
    }

    #[test]
    fn of_several_the_largest_wins() {
        let day: Vec<u8> = (0..7).collect();
        let both = [entry("day", &day, 8, 20, 2), entry("noon", &day, 11, 13, 5), entry("late", &day, 12, 13, 5)];
        assert_eq!(
            name(&both, "2026-07-03T10:30:00Z").as_deref(),
            Some("noon"),
            "12:30: equal ones by the file's order"
        );
        assert_eq!(name(&both, "2026-07-03T12:30:00Z").as_deref(), Some("day"));
    }

    #[test]
    fn local_times_hold_on_both_sides_of_a_clock_change() {
        // Berlin put its clocks forward on 2026-03-29 at 02:00 and back on 2026-10-25 at 03:00.
        let day: Vec<u8> = (0..7).collect();
        let morning = [entry("morning", &day, 8, 9, 3)];
        for (start, before) in [
            ("2026-03-28T07:00:00Z", "2026-03-28T06:59:59Z"),
            ("2026-03-29T06:00:00Z", "2026-03-29T05:59:59Z"),
            ("2026-10-24T06:00:00Z", "2026-10-24T05:59:59Z"),
            ("2026-10-25T07:00:00Z", "2026-10-25T06:59:59Z"),
        ] {
            assert_eq!(name(&morning, start).as_deref(), Some("morning"));
            assert_eq!(name(&morning, before), None);
        }
    }

    #[test]
    fn an_hour_that_clocks_skip_starts_late_and_an_hour_that_comes_twice_starts_once() {
        let sunday = [entry("gap", &[6], 2, 4, 3)];
        assert_eq!(name(&sunday, "2026-03-29T00:59:59Z"), None);
        assert_eq!(name(&sunday, "2026-03-29T01:00:00Z").as_deref(), Some("gap"), "03:00, as 02:00 does not exist");
        assert_eq!(name(&sunday, "2026-03-29T02:00:00Z"), None, "04:00");
        let whole = name(&sunday, "2026-10-25T00:00:00Z");
        assert_eq!(whole.as_deref(), Some("gap"), "the first 02:00");
        assert_eq!(name(&sunday, "2026-10-25T01:30:00Z").as_deref(), Some("gap"), "the second 02:30");
        assert_eq!(name(&sunday, "2026-10-25T03:00:00Z"), None, "04:00");
    }

    #[test]
    fn an_entry_that_ends_as_it_begins_lasts_a_day() {
        let monday = [entry("monday", &[0], 6, 6, 2)];
        assert_eq!(name(&monday, "2026-07-07T03:59:59Z").as_deref(), Some("monday"));
        assert_eq!(name(&monday, "2026-07-07T04:00:00Z"), None);
    }
}
