//! What the controller and the gateway hold at one moment, as the kernel tells it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The figures of a sample by name, in the order in which they are kept.
pub(super) const FIGURES: [&str; 8] = [
    "controller_rss_bytes",
    "controller_files",
    "controller_threads",
    "gateway_rss_bytes",
    "gateway_files",
    "gateway_threads",
    "journal_bytes",
    "queue_bytes",
];
/// Rows of the table for people, at most.
const ROWS: usize = 20;

#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) at: Duration,
    pub(super) figures: [u64; FIGURES.len()],
}

/// Whom and what to look at.
pub(super) struct Watched {
    pub(super) controller: u32,
    pub(super) gateway: u32,
    pub(super) state: PathBuf,
}

impl Watched {
    pub(super) fn sample(&self, at: Duration) -> Sample {
        let [rss, files, threads] = process(self.controller);
        let [gateway_rss, gateway_files, gateway_threads] = process(self.gateway);
        let journal = database(&self.state.join("journal.sqlite"));
        let queue = database(&self.state.join("gateway/gateway-requests.sqlite"));
        Sample { at, figures: [rss, files, threads, gateway_rss, gateway_files, gateway_threads, journal, queue] }
    }
}

/// Resident memory in bytes, open files and threads (man 5 proc).
pub(crate) fn process(pid: u32) -> [u64; 3] {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
    };
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64;
    [field("VmRSS:") * 1024, files, field("Threads:")]
}

/// A database with what SQLite keeps beside it.
fn database(path: &Path) -> u64 {
    let beside = |ending: &str| fs::metadata(format!("{}{ending}", path.display())).map_or(0, |file| file.len());
    ["", "-wal", "-shm"].into_iter().map(beside).sum()
}

pub(super) fn csv(samples: &[Sample]) -> String {
    let mut text = format!("seconds,{}\n", FIGURES.join(","));
    for sample in samples {
        let figures: Vec<String> = sample.figures.iter().map(u64::to_string).collect();
        let _ = writeln!(text, "{:.1},{}", sample.at.as_secs_f64(), figures.join(","));
    }
    text
}

/// Every so many samples a row, sizes in MiB.
pub(super) fn table(samples: &[Sample]) -> String {
    let mut text =
        "minutes  controller MiB files threads  gateway MiB files threads  journal MiB  queue MiB\n".to_owned();
    for sample in samples.iter().step_by(samples.len().div_ceil(ROWS).max(1)) {
        let [rss, files, threads, gateway_rss, gateway_files, gateway_threads, journal, queue] = sample.figures;
        let [rss, gateway_rss, journal, queue] =
            [rss, gateway_rss, journal, queue].map(|bytes| bytes as f64 / f64::from(1 << 20));
        let minutes = sample.at.as_secs_f64() / 60.0;
        let _ = writeln!(
            text,
            "{minutes:7.1}  {rss:14.1} {files:5} {threads:7}  {gateway_rss:11.1} {gateway_files:5} {gateway_threads:7}  \
             {journal:11.2}  {queue:9.2}"
        );
    }
    text
}
