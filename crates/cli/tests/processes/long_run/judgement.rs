//! Whether a figure is flat or bounded: after the first quarter of the run, in which caches and windows fill, the mean of
//! the second half of what is left may not exceed that of the first half by more than a share and some slack. In a long run
//! the halves hold several days each and are alike, so that little is allowed: an hour's run finds 4 MiB an hour.

use super::sample::{FIGURES, Sample};
use std::fmt;
use std::time::Duration;

/// What a short run allows: a share of the figure...
const SHARE: f64 = 0.1;
/// ...and what comes and goes without being kept: a page of allocations, connections under way, a thread for blocking work.
const SLACK: [u64; FIGURES.len()] = [2 << 20, 24, 4, 4 << 20, 64, 4, 1 << 20, 1 << 20];
/// The part of both that a long run allows.
const IN_A_LONG_RUN: f64 = 0.25;
const LONG: Duration = Duration::from_secs(40 * 60);
/// What is kept on disk is bounded by its retention; before twice that there is nothing to see.
const DISK_NEEDS: Duration = Duration::from_secs(20 * 60);

#[derive(Debug)]
pub(super) struct Verdict {
    name: &'static str,
    earlier: u64,
    later: u64,
    bound: u64,
    judged: bool,
}

impl Verdict {
    pub(super) fn grows(&self) -> bool {
        self.judged && self.later > self.bound
    }
}

/// A line of `make bench`'s form.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.name.ends_with("bytes") { "bytes" } else { "count" };
        let Self { name, earlier, later, bound, judged } = self;
        if !judged {
            return write!(f, "long run, {name}: {earlier}, then {later}; not judged: too short for the retention");
        }
        let verdict = if self.grows() { "short" } else { "ok" };
        write!(f, "long run, {name} later\t{later}\t{unit}\t<={bound}\t{verdict}")
    }
}

pub(super) fn judge(samples: &[Sample]) -> Vec<Verdict> {
    let settled = &samples[samples.len() / 4..];
    let (earlier, later) = settled.split_at(settled.len() / 2);
    let lasted = samples.last().map_or(Duration::ZERO, |sample| sample.at);
    let mean = |samples: &[Sample], figure: usize| {
        samples.iter().map(|it| it.figures[figure]).sum::<u64>() / samples.len() as u64
    };
    let part = if lasted >= LONG { IN_A_LONG_RUN } else { 1.0 };
    let verdict = |(figure, &name): (usize, &&'static str)| {
        let (earlier, later) = (mean(earlier, figure), mean(later, figure));
        let on_disk = name.starts_with("journal") || name.starts_with("queue");
        let bound = earlier + ((earlier as f64 * SHARE + SLACK[figure] as f64) * part) as u64;
        Verdict { name, earlier, later, bound, judged: !on_disk || lasted >= DISK_NEEDS }
    };
    FIGURES.iter().enumerate().map(verdict).collect()
}

#[test]
fn what_grows_on_is_found_and_what_levels_off_is_not() {
    let sample = |minute: u64, kibibytes: u64| {
        let mut figures = [100; FIGURES.len()];
        figures[0] = kibibytes << 10;
        Sample { at: Duration::from_secs(60 * minute), figures }
    };
    // From 20 MiB on, 4 MiB an hour.
    let leaking: Vec<Sample> = (0..=60).map(|minute| sample(minute, 20_480 + 4_096 * minute / 60)).collect();
    let levelling: Vec<Sample> = (0..=60).map(|minute| sample(minute, 20_480 + 1_024 * minute.min(15))).collect();
    let growing =
        |samples: &[Sample]| judge(samples).iter().filter(|it| it.grows()).map(|it| it.name).collect::<Vec<_>>();
    assert_eq!(growing(&leaking), ["controller_rss_bytes"]);
    assert_eq!(growing(&levelling), [""; 0]);
}
