//! Entries of the policy `schedule`.

use crate::file::words;
use crate::form::{Leaf, List, Wrong};
use crate::model::ScheduleEntry;
use crate::scalar::{Choice, Text, Whole};
use crate::section::{Object, Section};
use crate::yaml::Kind;
use serde_json::{Value, json};

/// Days of the week, Monday first.
pub(crate) const DAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

pub(crate) fn form() -> List<Object<ScheduleEntry>> {
    List { form: Object(read), least: 1 }
}

fn read(entry: &mut Section<'_>) -> Option<ScheduleEntry> {
    let name = entry.required("name", "Its name, for explanations.", words::NAME);
    let days = entry.optional(
        "days",
        "Days on which it starts; every day when left out.",
        List { form: Choice { what: "a day of the week", words: days() }, least: 1 },
    );
    let every_day = entry.is_absent("days");
    let from = entry.required("from", "Local time of day at which it starts.", ClockTime);
    let to = entry.required("to", "Local time at which it ends; not after `from` means on the next day.", ClockTime);
    let zone = entry.required("time_zone", "IANA time zone.", TIME_ZONE);
    let at_least = entry.required(
        "at_least",
        "Replicas at least while it is active.",
        Whole { what: "replicas", least: 1, most: 100_000 },
    );
    let mut days: Vec<u8> = match days {
        Some(days) => days.into_iter().map(|(_, day)| day).collect(),
        None if every_day => (0..7).collect(),
        None => return None,
    };
    days.sort_unstable();
    days.dedup();
    Some(ScheduleEntry { name: name?, days, from_minute: from?, to_minute: to?, time_zone: zone?, at_least: at_least? })
}

fn days() -> Vec<(&'static str, u8)> {
    DAYS.into_iter().zip(0..).collect()
}

const TIME_ZONE: Text =
    Text { what: "an IANA time zone", example: "Europe/Berlin", pattern: r"^[A-Za-z0-9_+/-]+$", rule: time_zone_rule };

fn time_zone_rule(text: &str) -> Option<String> {
    crate::schedule::zone(text)
        .is_none()
        .then(|| "no such zone is known; a region and a city are needed, or `UTC`".to_owned())
}

/// `18:30`, in minutes of the day.
struct ClockTime;

impl Leaf for ClockTime {
    type Value = u16;

    fn parse(&self, kind: &Kind) -> Result<u16, Wrong> {
        let wrong = || {
            let message = format!("a time of day belongs here, not {}", kind.as_written());
            Wrong::new(message, "write hours and minutes from 00:00 to 23:59, for example `18:30`")
        };
        let Kind::Text(text) = kind else { return Err(wrong()) };
        let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
        let two = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        match (hours.parse::<u16>(), minutes.parse::<u16>()) {
            (Ok(hours @ 0..=23), Ok(minutes @ 0..=59)) if two(text.get(..2).unwrap_or_default()) && text.len() == 5 => {
                Ok(hours * 60 + minutes)
            }
            _ => Err(wrong()),
        }
    }

    fn show(&self, value: &u16) -> String {
        format!("{:02}:{:02}", value / 60, value % 60)
    }

    fn describe(&self) -> Value {
        json!({ "title": "a time of day", "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["18:30"] })
    }
}
