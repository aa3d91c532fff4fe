//! `evenkeel stop FLEET`: drains by the gateway, ends the controllers, then every replica.

use crate::control::Control;
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::signals;
use crate::state_dir::{StateArgument, StateDir};
use crate::whereabouts::{self, Whereabouts};
use evenkeel_controller::clock::AnchoredClock;
use evenkeel_controller::ports::Clock;
use evenkeel_local::backend::{FleetLock, HeldBy, LockError, Stopped, mark_stopped, stop_fleet, unmark_stopped};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// A controller that was asked to end gets this long.
const CONTROLLER_ENDS_WITHIN: Duration = Duration::from_secs(20);
/// Controllers that may come one after the other, each asked to end; more are started faster than they can be ended.
const MOST_CONTROLLERS: usize = 16;
/// A gateway that cannot be asked for this long is not there. One failed look is not enough: requests would be cut.
const GATEWAY_GONE_AFTER: Duration = Duration::from_secs(3);
/// How often the controller is told again to drain; it serves on ten seconds after the last time.
const ASK_EVERY: Duration = Duration::from_secs(3);
/// How often the progress of draining is told.
const TELL_EVERY: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The fleet file
    fleet: PathBuf,
    /// How long requests in flight may take to end, and after that how long each replica may take to end by itself
    /// before it is killed, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = whole_seconds, allow_hyphen_values = true)]
    grace: u64,
    #[command(flatten)]
    state: StateArgument,
}

pub(crate) async fn run(arguments: Arguments, format: Format) -> Result<ExitCode, Failure> {
    let place = whereabouts::find(&arguments.fleet, &arguments.state)?;
    if !place.state.was_used() {
        if place.control()?.state_of(&place.fleet).await.is_ok() {
            return Err(not_of_this_directory(&place));
        }
        let directory = place.state.path().display();
        return Err(Failure::usage(format!(
            "no controller of {} ever ran in {directory}, so nothing was ended; name its directory with --state DIR",
            place.fleet
        )));
    }
    let grace = Duration::from_secs(arguments.grace);
    let ending = signals::listen();
    let stopping = async {
        drain(&place, grace).await?;
        stop(&place.state, &place.fleet, grace).await
    };
    let stopped = tokio::select! {
        stopped = stopping => stopped?,
        () = ending.asked() => {
            return Err(Failure::refused("interrupted: the fleet is not stopped; its controller serves on in ten seconds at most, or one that stands by takes over"));
        }
    };
    match format {
        Format::Json => {
            let rows: Vec<_> = stopped.iter().map(|it| json!({ "tier": it.tier, "replica": it.id })).collect();
            output::json(&rows)?;
        }
        Format::Table => output::say(format_args!("{} replicas ended", stopped.len()))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Ends the fleet that lives in `state`, without regard to requests in flight.
pub(crate) async fn stop(state: &StateDir, fleet: &str, grace: Duration) -> Result<Vec<Stopped>, Failure> {
    // Declared before the word, so that this is taken back before the lock is free.
    let lock;
    let mut word = Word::leave(state);
    lock = take_over(state).await?;
    // Again: a controller that was started meanwhile has taken it back.
    word.write();
    let stopped = stop_fleet(&lock, fleet, grace).await.map_err(Failure::refused)?;
    word.holds = true;
    Ok(stopped)
}

/// The word left for controllers that stand by. A stop that fails or is interrupted takes it back: days later they would
/// end when they are needed.
struct Word<'a> {
    state: &'a StateDir,
    holds: bool,
}

impl<'a> Word<'a> {
    fn leave(state: &'a StateDir) -> Self {
        let word = Self { state, holds: false };
        word.write();
        word
    }

    fn write(&self) {
        if let Err(error) = mark_stopped(self.state.path()) {
            let directory = self.state.path().display();
            output::note(format_args!(
                "{directory}: {error}: a controller that stands by cannot be told, and may start the fleet again"
            ));
        }
    }
}

impl Drop for Word<'_> {
    fn drop(&mut self) {
        if !self.holds
            && let Err(error) = unmark_stopped(self.state.path())
        {
            let directory = self.state.path().display();
            output::note(format_args!("{directory}: {error}: remove `stopped` there, the fleet is not stopped"));
        }
    }
}

/// Lets the requests in flight end, as far as a controller and a gateway are there to see to it.
async fn drain(place: &Whereabouts, grace: Duration) -> Result<(), Failure> {
    let control = place.control()?;
    if control.state_of(&place.fleet).await.is_err() {
        output::note(format_args!("no controller of {} answers: its replicas are ended without draining", place.fleet));
        return Ok(());
    }
    // The controller is asked again: it may have ended between the two looks.
    if HeldBy::of(place.state.path()).is_none() && control.state_of(&place.fleet).await.is_ok() {
        return Err(not_of_this_directory(place));
    }
    if let Err(failure) = ask_to_drain(&control, place).await {
        output::note(format_args!("{failure}: the replicas are ended without draining"));
        return Ok(());
    }
    output::note(format_args!(
        "draining: no replica gets new requests, those in flight get up to {} s",
        grace.as_secs()
    ));
    let asking = async {
        loop {
            sleep(ASK_EVERY).await;
            // Whether it still answers is seen by who waits for it.
            let _ = ask_to_drain(&control, place).await;
        }
    };
    tokio::select! {
        () = drained(&control, &place.fleet, grace) => {}
        () = asking => {}
    }
    Ok(())
}

/// Ending replicas under a controller that this cannot end would have it start them again, or leave players without any.
fn not_of_this_directory(place: &Whereabouts) -> Failure {
    Failure::refused(format!(
        "a controller of {} answers, but does not hold {}: that directory was removed while it ran, or it has another one \
         (--state DIR). Nothing was ended; end that controller first, or name its directory",
        place.fleet,
        place.state.path().display()
    ))
}

async fn ask_to_drain(control: &Control, place: &Whereabouts) -> Result<Value, Failure> {
    control.post("/v1/drain", &json!({}), &place.state).await
}

/// Waits until nothing is in flight any more, or until waiting makes no sense; says which.
async fn drained(control: &Control, fleet: &str, grace: Duration) {
    let started = Instant::now();
    let (mut told, mut gateway_seen) = (started, started);
    loop {
        let Ok(state) = control.state_of(fleet).await else {
            output::note("the controller does not answer any more: the rest is ended without draining");
            return;
        };
        let now = Instant::now();
        if state["stopping"] == "drained" {
            output::note(format_args!("drained after {} s", (now - started).as_secs()));
            return;
        }
        if !state["gateway_applied"].is_null() {
            gateway_seen = now;
        }
        if now - gateway_seen >= GATEWAY_GONE_AFTER {
            output::note("no gateway can be asked: there is nothing to drain by");
            return;
        }
        if now - started >= grace {
            output::note(format_args!("{} s are over: what is still in flight is cut off", grace.as_secs()));
            return;
        }
        if now - told >= TELL_EVERY {
            told = now;
            output::note(format_args!("draining for {} s: {}", (now - started).as_secs(), in_flight(&state)));
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// What each tier still has, in words.
fn in_flight(state: &Value) -> String {
    let tiers = state["tiers"].as_array().into_iter().flatten();
    let words = tiers.map(|tier| {
        let count = &tier["signals"]["in_flight"]["fresh"]["value"];
        let count = count.as_u64().map_or_else(|| "unknown".to_owned(), |it| it.to_string());
        format!("{} {count}", tier["tier"].as_str().unwrap_or_default())
    });
    format!("in flight: {}", words.collect::<Vec<_>>().join(", "))
}

/// The fleet's lock; every controller that holds it before is asked to end.
async fn take_over(state: &StateDir) -> Result<FleetLock, Failure> {
    let clock = AnchoredClock::start();
    let mut asked: Vec<HeldBy> = Vec::new();
    let mut deadline = Instant::now() + CONTROLLER_ENDS_WITHIN;
    loop {
        let holder = match FleetLock::acquire(state.path(), clock.now()) {
            Ok(lock) => return Ok(lock),
            Err(LockError::Held(holder)) => holder,
            Err(error) => return Err(Failure::refused(error)),
        };
        if Instant::now() >= deadline || asked.len() > MOST_CONTROLLERS {
            return Err(Failure::refused(format!("{holder} and does not end; end it first")));
        }
        if !asked.contains(&holder) && holder.ask_to_end().map_err(Failure::refused)? {
            asked.push(holder);
            deadline = Instant::now() + CONTROLLER_ENDS_WITHIN;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn whole_seconds(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number of seconds; write a whole number, 0 or more"))
}
