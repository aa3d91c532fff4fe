//! The demo's fleet through many compressed days: what controller and gateway hold on to is flat or bounded.
//!
//! A short run is part of every test run; `make long-run` lets it go on for `EVENKEEL_LONG_RUN_MINUTES`. Samples and a
//! picture of them are left in `long-run` in cargo's folder for tests' files (`target/tmp`).

mod judgement;
mod picture;
mod sample;

pub(crate) use sample::process;

use crate::drill::{MOST_RESIDENT, at_most};
use crate::world::World;
use judgement::judge;
use sample::{Sample, Watched};
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const DEMO: &str = include_str!("../../../../../examples/demo.yaml");
/// What a short run is.
const SHORT: Plan =
    Plan { lasts: Duration::from_secs(40), every: Duration::from_secs(1), day: Duration::from_secs(20), peak: "60" };

struct Plan {
    lasts: Duration,
    /// Between two samples.
    every: Duration,
    /// How long a day of players takes.
    day: Duration,
    /// Players at its peak.
    peak: &'static str,
}

impl Plan {
    fn of_environment() -> Self {
        let Ok(minutes) = std::env::var("EVENKEEL_LONG_RUN_MINUTES") else { return SHORT };
        let minutes: u64 = minutes.parse().expect("EVENKEEL_LONG_RUN_MINUTES is a number of minutes");
        let (every, day) = (Duration::from_secs(10), Duration::from_secs(240));
        Self { lasts: Duration::from_secs(60 * minutes), every, day, peak: "300" }
    }
}

#[test]
fn memory_files_threads_and_journal_of_a_long_run_stay_flat_or_bounded() {
    let plan = Plan::of_environment();
    let mut world = World::of(DEMO);
    // So little is kept that the bound is reached in the run.
    world.edit("retention: 14d", "retention: 10m");
    world.edit("result_ttl: 1h", "result_ttl: 5m");
    let [controller, gateway] = ["run", "gateway"].map(|part| world.start(part));
    world.wait_for_state("every tier to have a replica", |state| {
        let tiers = state["tiers"].as_array().unwrap();
        tiers.iter().all(|tier| tier["decision"]["supply"]["ready"].as_u64() >= Some(1))
    });
    world.wait_for_sight();
    let watched = Watched { controller: world.pid(controller), gateway: world.pid(gateway), state: world.state() };
    let samples = live_through(&mut world, &plan, &watched);
    assert!(!world.has_ended(controller) && !world.has_ended(gateway));
    keep(&samples);
    let verdicts = judge(&samples);
    verdicts.iter().for_each(|verdict| println!("{verdict}"));
    let resident = samples.iter().map(|sample| sample.figures[0]).max().unwrap();
    at_most("long run, controller resident at most", resident as f64 / f64::from(1 << 20), "MiB", MOST_RESIDENT);
    let grows: Vec<_> = verdicts.iter().filter(|verdict| verdict.grows()).collect();
    assert!(grows.is_empty(), "{grows:#?}");
    world.assert_replays();
}

/// One day after another, until the time is over; a sample every so often.
fn live_through(world: &mut World, plan: &Plan, watched: &Watched) -> Vec<Sample> {
    let (began, mut samples, mut days) = (Instant::now(), Vec::new(), 0);
    let compress = (86_400 / plan.day.as_secs()).to_string();
    while began.elapsed() < plan.lasts {
        days += 1;
        let seed = days.to_string();
        let flags = ["--peak", plan.peak, "--low-share", "0.05", "--compress", &compress, "--window", "3"];
        let load = world.start_load(&[&flags[..], &["--seed", &seed, "--drain", "120"]].concat());
        while !world.has_ended(load) {
            samples.push(watched.sample(began.elapsed()));
            sleep(plan.every);
        }
        let (offered, failed) = totals(&world.summary(load));
        println!("day {days}: {offered} requests, {failed} failed");
        assert!(offered > 0);
        assert_eq!(failed, 0, "{}", fs::read_to_string(world.log("summary", load)).unwrap());
    }
    samples
}

fn totals(summary: &serde_json::Value) -> (u64, u64) {
    let of = |name: &str| summary["tiers"].as_array().unwrap().iter().map(|tier| tier[name].as_u64().unwrap()).sum();
    (of("offered_requests"), of("failed_requests"))
}

/// Leaves the samples and a picture of them for people.
fn keep(samples: &[Sample]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("long-run");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("samples.csv"), sample::csv(samples)).unwrap();
    fs::write(folder.join("samples.svg"), picture::svg(samples)).unwrap();
    print!("{}", sample::table(samples));
    println!("all samples, and a picture of them: {}", folder.display());
}
