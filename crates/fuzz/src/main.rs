//! Runs targets for a time or a number of inputs, and keeps the input of a finding.

use clap::Parser;
use evenkeel_fuzz::{Campaign, Limit, TARGETS, Target, named};
use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Mutates what Evenkeel reads from outside and looks for panics, broken promises and runs without end.
#[derive(Parser)]
struct Arguments {
    /// Targets to run [default: all]
    targets: Vec<String>,
    /// Seconds for each target
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Inputs for each target, instead of a time
    #[arg(long)]
    inputs: Option<u64>,
    /// Decides the inputs; by default another one at each run
    #[arg(long)]
    seed: Option<u64>,
    /// Only runs this file, as often as it takes to look at it
    #[arg(long, value_name = "FILE")]
    repeat: Option<PathBuf>,
    /// Where the input of a finding is put
    #[arg(long, value_name = "FOLDER", default_value = "target/fuzz-findings")]
    findings: PathBuf,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// Tells the number of findings.
fn run(arguments: &Arguments) -> io::Result<usize> {
    let mut findings = 0;
    for target in chosen(&arguments.targets)? {
        if let Some(file) = &arguments.repeat {
            (target.run)(&fs::read(file)?);
        } else {
            findings += usize::from(campaign(target, arguments)?);
        }
    }
    Ok(findings)
}

fn chosen(names: &[String]) -> io::Result<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    let known = || TARGETS.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
    let one = |name: &String| {
        named(name).ok_or_else(|| io::Error::other(format!("there is no target `{name}`; there is: {}", known())))
    };
    names.iter().map(one).collect()
}

/// Whether there was a finding.
fn campaign(target: &Target, arguments: &Arguments) -> io::Result<bool> {
    let seed = arguments.seed.unwrap_or_else(of_the_moment);
    let limit = arguments.inputs.map_or(Limit::Time(Duration::from_secs(arguments.seconds)), Limit::Inputs);
    let started = Instant::now();
    match (Campaign { target, seed, limit }).run()? {
        Ok(inputs) => {
            println!("{:<16} {inputs:>10} inputs, {:.0?}, seed {seed}: sound", target.name, started.elapsed());
            Ok(false)
        }
        Err(finding) => {
            fs::create_dir_all(&arguments.findings)?;
            let path = arguments.findings.join(format!("{}-{seed}-{}", target.name, finding.after));
            fs::write(&path, &finding.input)?;
            let harm = if finding.endless { "does not end" } else { "panics" };
            println!("{:<16} {harm} at input {} of seed {seed}: {}", target.name, finding.after, path.display());
            Ok(true)
        }
    }
}

/// A run that nobody gave a seed shall look at other inputs than the last one.
#[expect(clippy::disallowed_methods, reason = "the seed is printed, so the run can be repeated")]
fn of_the_moment() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
