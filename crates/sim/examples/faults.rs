//! Runs seeds of faults on every core: `faults RUNS HOURS [FIRST_SEED]`. It prints one line, or, with exit code 1, the
//! first seed that breaks something and its schedule, shrunk.

use evenkeel_sim::faults::{Failure, trial};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What a thread found.
#[derive(Default)]
struct Found {
    ticks: u64,
    launched: u64,
    refused: u64,
    slowest: u32,
    digest: u64,
    failure: Option<Box<Failure>>,
}

fn main() -> ExitCode {
    let arguments: Option<Vec<u64>> = std::env::args().skip(1).map(|it| it.parse().ok()).collect();
    let (runs, hours, first) = match arguments.as_deref() {
        Some(&[runs, hours]) => (runs, hours, 0),
        Some(&[runs, hours, first]) => (runs, hours, first),
        _ => {
            eprintln!("usage: faults RUNS HOURS [FIRST_SEED]");
            return ExitCode::from(2);
        }
    };
    let began = Instant::now();
    let found = all(first..first + runs, (hours * 3_600) as u32);
    if let Some(failure) = found.failure {
        println!("{failure}");
        return ExitCode::FAILURE;
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{runs} runs of {hours} h from seed {first}: nothing broke in {} ticks ({:.0} a second), {} launches, {} orders \
         refused, settled within {} s, digest {:016x}",
        found.ticks,
        found.ticks as f64 / seconds,
        found.launched,
        found.refused,
        found.slowest,
        found.digest
    );
    ExitCode::SUCCESS
}

/// Each thread takes every so-manieth seed, up to the first that is known to fail; what they found does not depend on how
/// many there are.
fn all(seeds: std::ops::Range<u64>, lasts: u32) -> Found {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let failing = &AtomicU64::new(u64::MAX);
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let mine = seeds.clone().skip(thread).step_by(threads);
                scope.spawn(move || some(mine, lasts, failing))
            })
            .collect();
        let found = handles.into_iter().filter_map(|it| it.join().ok());
        found.fold(Found::default(), Found::and)
    })
}

fn some(seeds: impl Iterator<Item = u64>, lasts: u32, failing: &AtomicU64) -> Found {
    let mut found = Found::default();
    for seed in seeds.take_while(|&seed| seed < failing.load(Ordering::Relaxed)) {
        match trial(seed, lasts) {
            Ok(report) => {
                let digest = report.digests.iter().fold(seed, |digest, it| digest.rotate_left(5) ^ it);
                let (ticks, launched, refused) = (report.ticks, report.launched, report.refused);
                let one = Found { ticks, launched, refused, slowest: report.settled_after, digest, failure: None };
                found = found.and(one);
            }
            Err(failure) => {
                failing.fetch_min(seed, Ordering::Relaxed);
                return Found { failure: Some(failure), ..found };
            }
        }
    }
    found
}

impl Found {
    fn and(self, other: Self) -> Self {
        Self {
            ticks: self.ticks + other.ticks,
            launched: self.launched + other.launched,
            refused: self.refused + other.refused,
            slowest: self.slowest.max(other.slowest),
            digest: self.digest ^ other.digest,
            failure: [self.failure, other.failure].into_iter().flatten().min_by_key(|it| it.seed),
        }
    }
}
