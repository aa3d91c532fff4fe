//! Whether a figure is flat or bounded: after the first quarter of the run, in which caches and windows fill, the second
//! half of what is left may not exceed the first half by more than a tenth and some slack.

use super::sample::{FIGURES, Sample};
use std::fmt;
use std::time::Duration;

/// What comes and goes without being kept: a page of allocations, connections under way, a thread for blocking work.
const SLACK: [u64; FIGURES.len()] = [2 << 20, 24, 4, 4 << 20, 64, 4, 1 << 20, 1 << 20];
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
            return write!(
                f,
                "long run, {name}: most {earlier}, then {later}; not judged: too short for the retention"
            );
        }
        let verdict = if self.grows() { "short" } else { "ok" };
        write!(f, "long run, most {name} later\t{later}\t{unit}\t<={bound}\t{verdict}")
    }
}

pub(super) fn judge(samples: &[Sample]) -> Vec<Verdict> {
    let settled = &samples[samples.len() / 4..];
    let (earlier, later) = settled.split_at(settled.len() / 2);
    let lasted = samples.last().map_or(Duration::ZERO, |sample| sample.at);
    let most = |samples: &[Sample], figure: usize| samples.iter().map(|it| it.figures[figure]).max().unwrap();
    let verdict = |(figure, &name): (usize, &&'static str)| {
        let (earlier, later) = (most(earlier, figure), most(later, figure));
        let on_disk = name.starts_with("journal") || name.starts_with("queue");
        let bound = earlier + earlier / 10 + SLACK[figure];
        Verdict { name, earlier, later, bound, judged: !on_disk || lasted >= DISK_NEEDS }
    };
    FIGURES.iter().enumerate().map(verdict).collect()
}

#[test]
fn what_grows_on_is_found_and_what_levels_off_is_not() {
    let sample = |minute: u64, rss: u64| {
        let mut figures = [100; FIGURES.len()];
        figures[0] = rss;
        Sample { at: Duration::from_secs(60 * minute), figures }
    };
    let leaking: Vec<Sample> = (0..60).map(|minute| sample(minute, (20 + minute) << 20)).collect();
    let levelling: Vec<Sample> = (0..60).map(|minute| sample(minute, (20 + minute.min(20)) << 20)).collect();
    let growing =
        |samples: &[Sample]| judge(samples).iter().filter(|it| it.grows()).map(|it| it.name).collect::<Vec<_>>();
    assert_eq!(growing(&leaking), ["controller_rss_bytes"]);
    assert_eq!(growing(&levelling), [""; 0]);
}
