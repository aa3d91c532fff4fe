//! A schedule as text: a line for how long it lasts and one for each fault, the same in both directions.

use super::schedule::{Fault, Kind, Schedule, Source};
use core::fmt;
use core::str::FromStr;

/// A line that is no line of a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no line of a schedule of faults: {0}")]
pub struct NoSchedule(String);

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "lasts {}", self.lasts)?;
        self.faults.iter().try_for_each(|it| writeln!(f, "{it}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.from, self.until)?;
        match self.tier {
            Some(tier) => write!(f, "tier-{tier} ")?,
            None => write!(f, "all ")?,
        }
        write!(f, "{}", self.kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |it: Option<u32>| it.map_or_else(|| "-".to_owned(), |it| it.to_string());
        match *self {
            Self::Missing(source) => write!(f, "missing {}", source.name()),
            Self::Stale(source) => write!(f, "stale {}", source.name()),
            Self::Future(source) => write!(f, "future {}", source.name()),
            Self::Repeated(source) => write!(f, "repeated {}", source.name()),
            Self::Partial(source) => write!(f, "partial {}", source.name()),
            Self::Reset(source) => write!(f, "reset {}", source.name()),
            Self::Implausible(source) => write!(f, "implausible {}", source.name()),
            Self::Unlisted => write!(f, "unlisted"),
            Self::LaunchOutage => write!(f, "launch-outage"),
            Self::Throttled => write!(f, "throttled"),
            Self::LaunchesFail(percent) => write!(f, "launches-fail {percent}"),
            Self::Quota(count) => write!(f, "quota {count}"),
            Self::Crash(count) => write!(f, "crash {count}"),
            Self::SpotStorm(percent) => write!(f, "spot-storm {percent}"),
            Self::Unhealthy(count) => write!(f, "unhealthy {count}"),
            Self::Blocked(percent) => write!(f, "blocked {percent}"),
            Self::Override { at_least, at_most } => write!(f, "override {} {}", count(at_least), count(at_most)),
            Self::Paused => write!(f, "paused"),
            Self::Stall => write!(f, "stall"),
            Self::Restart => write!(f, "restart"),
            Self::Restored => write!(f, "restored"),
            Self::TwoControllers => write!(f, "two-controllers"),
            Self::Clock(seconds) => write!(f, "clock {seconds}"),
        }
    }
}

impl Source {
    const fn name(self) -> &'static str {
        match self {
            Self::Counters => "counters",
            Self::Levels => "levels",
            Self::Exporter => "exporter",
            Self::Players => "players",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

impl FromStr for Schedule {
    type Err = NoSchedule;

    fn from_str(text: &str) -> Result<Self, NoSchedule> {
        let mut schedule = Self::default();
        for line in text.lines().map(str::trim).filter(|it| !it.is_empty()) {
            let wrong = || NoSchedule(line.to_owned());
            match line.strip_prefix("lasts ") {
                Some(seconds) => schedule.lasts = seconds.parse().map_err(|_| wrong())?,
                None => schedule.faults.push(fault(line).ok_or_else(wrong)?),
            }
        }
        Ok(schedule)
    }
}

fn fault(line: &str) -> Option<Fault> {
    let mut words = line.split_whitespace();
    let (from, until) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let tier = match words.next()? {
        "all" => None,
        name => Some(name.strip_prefix("tier-")?.parse().ok()?),
    };
    let rest: Vec<&str> = words.collect();
    Some(Fault { from, until, tier, kind: kind(&rest)? })
}

fn kind(words: &[&str]) -> Option<Kind> {
    let number = |word: &str| word.parse::<u32>().ok();
    Some(match *words {
        ["missing", source] => Kind::Missing(Source::named(source)?),
        ["stale", source] => Kind::Stale(Source::named(source)?),
        ["future", source] => Kind::Future(Source::named(source)?),
        ["repeated", source] => Kind::Repeated(Source::named(source)?),
        ["partial", source] => Kind::Partial(Source::named(source)?),
        ["reset", source] => Kind::Reset(Source::named(source)?),
        ["implausible", source] => Kind::Implausible(Source::named(source)?),
        ["unlisted"] => Kind::Unlisted,
        ["launch-outage"] => Kind::LaunchOutage,
        ["throttled"] => Kind::Throttled,
        ["launches-fail", percent] => Kind::LaunchesFail(number(percent)?),
        ["quota", count] => Kind::Quota(number(count)?),
        ["crash", count] => Kind::Crash(number(count)?),
        ["spot-storm", percent] => Kind::SpotStorm(number(percent)?),
        ["unhealthy", count] => Kind::Unhealthy(number(count)?),
        ["blocked", percent] => Kind::Blocked(number(percent)?),
        ["override", least, most] => Kind::Override { at_least: bound(least)?, at_most: bound(most)? },
        ["paused"] => Kind::Paused,
        ["stall"] => Kind::Stall,
        ["restart"] => Kind::Restart,
        ["restored"] => Kind::Restored,
        ["two-controllers"] => Kind::TwoControllers,
        ["clock", seconds] => Kind::Clock(seconds.parse().ok()?),
        _ => return None,
    })
}

/// A count, or `-` for none.
fn bound(word: &str) -> Option<Option<u32>> {
    if word == "-" { Some(None) } else { word.parse().ok().map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_seed_makes_up_is_the_same_after_it_was_written_down() {
        for seed in 0..500 {
            let schedule = Schedule::drawn(seed, 3, 86_400);
            assert_eq!(schedule.to_string().parse(), Ok(schedule));
        }
    }

    #[test]
    fn a_schedule_reads_as_it_happens() {
        let text = "lasts 7200\n600 900 tier-1 missing counters\n1200 1205 all override - 3\n";
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!(schedule.faults[0].tier, Some(1));
        assert_eq!(schedule.faults[1].kind, Kind::Override { at_least: None, at_most: Some(3) });
        assert_eq!(schedule.to_string(), text);
    }

    #[test]
    fn a_line_that_is_none_is_told() {
        for line in ["600 900 tier-1 missing", "600 900 gold unlisted", "lasts long", "600 all paused"] {
            assert_eq!(line.parse::<Schedule>(), Err(NoSchedule(line.to_owned())));
        }
    }
}
