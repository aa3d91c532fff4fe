//! `evenkeel demo`: a thin supervisor of the same `run`, `gateway` and `load` that a user starts.

use crate::commands::stop::stop;
use crate::control::Control;
use crate::failure::{CRITERION, Failure};
use crate::fleet_file;
use crate::output;
use crate::signals::{self, Ending};
use crate::state_dir::StateDir;
use evenkeel_fleet::model::Fleet;
use serde_json::Value;
use std::fs::File;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio::time::Instant;

mod family;

use family::Family;

/// The demo's fleet: an ordinary fleet file.
const FLEET: &str = include_str!("../../../../examples/demo.yaml");
/// A day of players passes this many times faster.
const PLAYERS_COMPRESSED: u32 = 360;
/// Windows, holds, cooldowns and start-up are those of `examples/game.yaml` divided by this; a test of the crate `fleet`
/// compares the two files.
const TIMES_COMPRESSED: u32 = 20;
/// Players at the peak and, as a share of it, at the low.
const PEAK_PLAYERS: u32 = 300;
const LOW_SHARE: f64 = 0.05;
/// What the demo shall show: gold grows to this many and comes back to its minimum.
const GOLD_GROWS_TO: u64 = 8;
/// Parts must answer within this long after their start.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// After the last request gold comes back within its window and hold, and the drain.
const SHRINKS_WITHIN: Duration = Duration::from_secs(120);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Seed of the day
    #[arg(long, default_value_t = 1, allow_negative_numbers = true)]
    seed: u64,
    /// Leave the page up after the end until interrupted
    #[arg(long)]
    stay: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let ending = signals::listen();
    let demo = Demo::prepare().await?;
    let mut family = Family::of(demo.state.path());
    let outcome = outcome(demo.play(&arguments, &mut family), &ending, arguments.stay).await;
    family.end().await;
    let stopped = stop(&demo.state, &demo.fleet.spec.name, Duration::from_secs(10)).await;
    let code = outcome?;
    stopped?;
    // With the directory, as another fleet may be the one run last by then.
    let state = demo.state.path().display();
    output::say(format_args!("\nWhy it grew, held and shrank:  evenkeel explain gold --state '{state}'"))?;
    Ok(code)
}

/// What came of the play: its own verdict, also where the page then stays up until interrupted. Interrupted before, there
/// is none.
async fn outcome(
    play: impl Future<Output = Result<ExitCode, Failure>>,
    ending: &Ending,
    stay: bool,
) -> Result<ExitCode, Failure> {
    let code = tokio::select! {
        played = play => played?,
        () = ending.asked() => {
            return Err(Failure::interrupted("interrupted; everything that the demo started is ended"));
        }
    };
    if stay {
        output::say("the page stays up until you interrupt")?;
        ending.asked().await;
    }
    Ok(code)
}

struct Demo {
    state: StateDir,
    file: PathBuf,
    fleet: std::sync::Arc<Fleet>,
    // Held for its lock, which the kernel frees with the process, however that ends.
    _lock: File,
}

impl Demo {
    /// Ends what an earlier demo left behind, and lays out a fresh state.
    async fn prepare() -> Result<Self, Failure> {
        let state = StateDir::of_demo()?;
        let lock = only_one(&state)?;
        Family::of(state.path()).end().await;
        if state.path().exists() {
            let ended = stop(&state, "demo", Duration::from_secs(2)).await?;
            if !ended.is_empty() {
                output::note(format_args!("{} replicas of an earlier demo were ended", ended.len()));
            }
            std::fs::remove_dir_all(state.path()).map_err(Failure::refused)?;
        }
        state.create()?;
        let file = state.path().join("fleet.yaml");
        std::fs::write(&file, FLEET).map_err(Failure::refused)?;
        let fleet = fleet_file::load(&file)?;
        for address in [fleet.controller.listen, fleet.gateway.listen] {
            free(address)?;
        }
        Ok(Self { state, file, fleet, _lock: lock })
    }

    async fn play(&self, arguments: &Arguments, family: &mut Family) -> Result<ExitCode, Failure> {
        let control = Control::of(&self.fleet)?;
        let day_s = 86_400 / PLAYERS_COMPRESSED;
        output::say(format_args!("players pass {PLAYERS_COMPRESSED} times faster: a day is {day_s} s"))?;
        output::say(format_args!("windows, holds, cooldowns and start-up are divided by {TIMES_COMPRESSED}"))?;
        output::say(format_args!("fleet file  {}", self.file.display()))?;
        output::say(format_args!("page        http://{}/\n", self.fleet.controller.listen))?;
        family.add(self.spawn(family, "run", &[], Stdio::null())?);
        family.add(self.spawn(family, "gateway", &[], Stdio::null())?);
        self.wait_for(&control, STARTS_WITHIN, "every tier to have a ready replica", |state| {
            tiers(state).all(|tier| ready(tier) >= tier["minimum"].as_u64().unwrap_or(0))
                && !state["gateway_applied"].is_null()
        })
        .await?;
        let (load, most) = self.load(arguments, family, &control).await?;
        self.wait_for(&control, SHRINKS_WITHIN, "gold to come back to its minimum", |state| {
            let gold = tiers(state).find(|tier| tier["tier"] == "gold");
            gold.is_some_and(|gold| ready(gold) == 1 && gold["decision"]["supply"]["draining"] == 0)
        })
        .await?;
        output::say(std::fs::read_to_string(self.log("load")).unwrap_or_default().trim_end())?;
        let grew = most >= GOLD_GROWS_TO;
        output::say(format_args!(
            "{} gold went from 1 to {most} replicas and back to 1",
            if grew { "✓" } else { "✗" }
        ))?;
        Ok(if load.success() && grew { ExitCode::SUCCESS } else { ExitCode::from(CRITERION) })
    }

    /// Runs the load test to its end; gives its exit status and the most ready gold replicas seen.
    async fn load(
        &self,
        arguments: &Arguments,
        family: &Family,
        control: &Control,
    ) -> Result<(std::process::ExitStatus, u64), Failure> {
        let window = (60.0 / f64::from(TIMES_COMPRESSED)).to_string();
        let (peak, low, seed) = (PEAK_PLAYERS.to_string(), LOW_SHARE.to_string(), arguments.seed.to_string());
        let factor = PLAYERS_COMPRESSED.to_string();
        let options = [
            "--peak",
            &peak,
            "--low-share",
            &low,
            "--compress",
            &factor,
            "--window",
            &window,
            "--seed",
            &seed,
            "--drain",
            "120",
        ];
        let output = File::create(self.log("load")).map_err(Failure::refused)?;
        let mut load = self.spawn(family, "load", &options, output.into())?;
        let mut most = 0;
        let mut looks = tokio::time::interval(Duration::from_millis(500));
        loop {
            tokio::select! {
                ended = load.wait() => return Ok((ended.map_err(Failure::internal)?, most)),
                _ = looks.tick() => {
                    if let Ok(state) = control.get("/v1/state").await {
                        let gold = tiers(&state).find(|tier| tier["tier"] == "gold");
                        most = most.max(gold.map_or(0, ready));
                    }
                }
            }
        }
    }

    fn spawn(&self, family: &Family, command: &str, options: &[&str], output: Stdio) -> Result<Child, Failure> {
        let log = File::create(self.state.path().join(format!("{command}.log"))).map_err(Failure::refused)?;
        // The load test's progress is for whoever watches; the others' logs are for whoever looks for a reason.
        let errors = if command == "load" { Stdio::inherit() } else { log.into() };
        let program = std::env::current_exe().map_err(Failure::internal)?;
        let mut part = Command::new(program);
        family.mark(&mut part);
        part.arg(command)
            .arg(&self.file)
            .args(if command == "load" { vec![] } else { vec!["--state".as_ref(), self.state.path().as_os_str()] })
            .args(options)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(Failure::internal)
    }

    async fn wait_for(
        &self,
        control: &Control,
        within: Duration,
        what: &str,
        reached: impl Fn(&Value) -> bool,
    ) -> Result<(), Failure> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if control.get("/v1/state").await.is_ok_and(|state| reached(&state)) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let logs = self.state.path().display();
        Err(Failure::internal(format!(
            "waited {} s for {what}; see run.log and gateway.log in {logs}",
            within.as_secs()
        )))
    }

    fn log(&self, name: &str) -> PathBuf {
        self.state.path().join(format!("{name}.txt"))
    }
}

/// The lock that tells a demo that runs from one that was killed.
fn only_one(state: &StateDir) -> Result<File, Failure> {
    let path = state.path().with_extension("lock");
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(Failure::refused)?;
    }
    let file = File::create(&path).map_err(Failure::refused)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Failure::refused("a demo runs already; interrupt that one first")),
    }
}

fn tiers(state: &Value) -> impl Iterator<Item = &Value> {
    state["tiers"].as_array().into_iter().flatten()
}

fn ready(tier: &Value) -> u64 {
    tier["decision"]["supply"]["ready"].as_u64().unwrap_or(0)
}

/// Whether an address can be listened on; better said now than found in a log.
fn free(address: SocketAddr) -> Result<(), Failure> {
    std::net::TcpListener::bind(address).map(drop).map_err(|error| Failure::demo_cannot_listen(address, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_verdict_of_the_criteria_outlives_the_interruption_that_ends_the_stay() {
        let ending = signals::listen();
        let played = async {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::INT).unwrap();
            Ok(ExitCode::from(CRITERION))
        };
        let code = outcome(played, &ending, true).await.unwrap();
        assert_eq!(format!("{code:?}"), format!("{:?}", ExitCode::from(CRITERION)));
        // Interrupted while it plays, there is no verdict.
        let interrupted = outcome(std::future::pending(), &ending, true).await.unwrap_err();
        assert_eq!(format!("{:?}", interrupted.report()), format!("{:?}", ExitCode::from(130)));
    }
}
