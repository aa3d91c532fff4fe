//! A small fleet in a directory of its own, and everything that was started for it, ended when the test ends.

use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Generous: this machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    directory: tempfile::TempDir,
    pub(crate) fleet: PathBuf,
    controller: String,
    gateway: String,
    parts: Vec<Child>,
    state_is_named: bool,
    careless: bool,
    /// A process in whose mount namespace everything runs.
    namespace: Option<Child>,
}

/// A fleet with one tier, quick to start, whose capacity policy forgets within seconds.
const FLEET: &str = "
fleet: small
tick: 500ms
controller: {listen: 127.0.0.1:CONTROLLER, mode: act, freshness: 3s}
gateway: {listen: 127.0.0.1:GATEWAY}
tiers:
  gold:
    model: tiny
    replicas: {minimum: 1, maximum: 6}
    price: $1/hour
    slo: {attainment: 99%, objectives: [{tpot: {p95: 60ms}}]}
    requests: {prompt_tokens: {mean: 60, sigma: 0.3}, output_tokens: {mean: 20, sigma: 0.2}, per_player: 60/min}
    profile: {source: estimate, iteration: 20ms, per_sequence: 1ms, per_prefill_token: 100us, max_batched_tokens: 256, max_sequences: 4, kv_tokens: 20000, max_model_tokens: 4096}
    start_up: 1s
    policies: [{capacity: {window: 2s, hold: 3s}}]
    backend: {local: {command: [evenkeel, replica, --fleet, \"{file}\", --tier, gold, --port, \"{port}\" TRUTH], start_deadline: 20s, drain_deadline: 20s, grace: 5s}}
criteria: [{failed_requests: {at_most: 0}}]
";

/// Where the demo's file and the one above say that controller and gateway listen.
const LISTENERS: [[&str; 2]; 2] = [["127.0.0.1:CONTROLLER", "127.0.0.1:7070"], ["127.0.0.1:GATEWAY", "127.0.0.1:8080"]];

impl World {
    pub(crate) fn new(truth: &str) -> Self {
        Self::of(&FLEET.replace("TRUTH", truth))
    }

    /// The fleet of this file, on ports of its own.
    pub(crate) fn of(fleet_file: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let fleet = directory.path().join("fleet.yaml");
        let [controller, gateway] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
        let mut text = fleet_file.to_owned();
        for (names, address) in LISTENERS.iter().zip([&controller, &gateway]) {
            text = names.iter().fold(text, |text, name| text.replace(name, address));
        }
        fs::write(&fleet, text).unwrap();
        Self {
            directory,
            fleet,
            controller,
            gateway,
            parts: Vec::new(),
            state_is_named: true,
            careless: false,
            namespace: None,
        }
    }

    /// From now on no command is told where state lives.
    pub(crate) fn keep_state_where_it_is_by_default(&mut self) {
        self.state_is_named = false;
    }

    pub(crate) fn state(&self) -> PathBuf {
        let place = if self.state_is_named { "state" } else { ".local/state/evenkeel/small" };
        self.directory.path().join(place)
    }

    /// From now on whatever is started logs all there is, and lets others read what it makes unless it says otherwise.
    pub(crate) fn be_careless(&mut self) {
        self.careless = true;
    }

    /// From now on state lives on a disk of so many MiB, which nothing outside the fleet sees.
    ///
    /// # Errors
    /// Says why this process cannot have one.
    pub(crate) fn keep_state_on_a_disk_of(&mut self, mebibytes: u32) -> Result<(), String> {
        let state = self.state();
        fs::create_dir_all(&state).unwrap();
        let mount = format!(
            "mount -t tmpfs -o size={mebibytes}m,mode=700 none '{}' && echo mounted && exec sleep 3600",
            state.display()
        );
        let mut unshare = Command::new("unshare");
        if !geteuid().is_root() {
            unshare.args(["--user", "--map-root-user"]);
        }
        unshare.args(["--mount", "--propagation", "private", "sh", "-c", &mount]).stdin(Stdio::null());
        let holder = unshare.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut holder = holder.map_err(|error| format!("unshare: {error}"))?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        if line.trim() != "mounted" {
            return Err(said(&holder.wait_with_output().unwrap()).trim().to_owned());
        }
        self.namespace = Some(holder);
        Ok(())
    }

    /// The state directory by a path that leads into the fleet's own mount namespace.
    pub(crate) fn state_as_seen_from_here(&self) -> PathBuf {
        let root = self.namespace.as_ref().map(|holder| format!("/proc/{}/root", holder.id())).unwrap_or_default();
        PathBuf::from(format!("{root}{}", self.state().display()))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = match &self.namespace {
            Some(holder) => entering(holder.id()),
            None if self.careless => careless(),
            None => Command::new(program()),
        };
        command.args(arguments).env("HOME", self.directory.path()).env_remove("XDG_STATE_HOME");
        if self.state_is_named {
            command.env("EVENKEEL_STATE_DIR", self.state());
        } else {
            command.env_remove("EVENKEEL_STATE_DIR");
        }
        command.stdin(Stdio::null());
        command
    }

    /// Starts `run` or `gateway`; its log goes to a file that is shown when a wait fails.
    pub(crate) fn start(&mut self, part: &str) -> usize {
        self.start_to_fail(part, "")
    }

    /// The same, with a schedule of what shall fail; see the crate `failpoint`.
    pub(crate) fn start_to_fail(&mut self, part: &str, failpoints: &str) -> usize {
        self.start_with(part, failpoints, Stdio::null())
    }

    /// The same, with `stdout` for its standard output.
    pub(crate) fn start_with(&mut self, part: &str, failpoints: &str, stdout: Stdio) -> usize {
        let mut command = self.command(&[part, self.fleet.to_str().unwrap()]);
        if !failpoints.is_empty() {
            command.env("EVENKEEL_FAILPOINTS", failpoints);
        }
        command.stdout(stdout);
        self.spawn(part, command)
    }

    /// Starts `load` with these flags; its summary, as JSON, is what [`Self::summary`] gives.
    pub(crate) fn start_load(&mut self, flags: &[&str]) -> usize {
        let mut arguments = vec!["load", self.fleet.to_str().unwrap(), "-o", "json"];
        arguments.extend(flags);
        let mut command = self.command(&arguments);
        command.stdout(fs::File::create(self.log("summary", self.parts.len())).unwrap());
        self.spawn("load", command)
    }

    /// What a load test that has ended found.
    pub(crate) fn summary(&self, load: usize) -> Value {
        let text = fs::read_to_string(self.log("summary", load)).unwrap();
        serde_json::from_str(&text)
            .unwrap_or_else(|_| panic!("{}", fs::read_to_string(self.log("load", load)).unwrap()))
    }

    fn spawn(&mut self, part: &str, mut command: Command) -> usize {
        let log = fs::File::create(self.log(part, self.parts.len())).unwrap();
        self.parts.push(command.stderr(log).spawn().unwrap());
        self.parts.len() - 1
    }

    pub(crate) fn log(&self, part: &str, number: usize) -> PathBuf {
        self.directory.path().join(format!("{part}-{number}.log"))
    }

    /// Where the controller listens.
    pub(crate) fn controller(&self) -> &str {
        &self.controller
    }

    /// Where the gateway listens.
    pub(crate) fn gateway(&self) -> &str {
        &self.gateway
    }

    /// Replaces a piece of the fleet file, which must be there.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.fleet).unwrap();
        assert!(text.contains(from), "{from} is not in the fleet file");
        fs::write(&self.fleet, text.replace(from, to)).unwrap();
    }

    /// Waits until a part has written `words` to its log.
    pub(crate) fn wait_for_log(&self, part: &str, number: usize, words: &str) {
        let log = self.log(part, number);
        let deadline = Instant::now() + PATIENCE;
        while !fs::read_to_string(&log).unwrap().contains(words) {
            assert!(Instant::now() < deadline, "waited for `{words}` in\n{}", fs::read_to_string(&log).unwrap());
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// A part's process id.
    pub(crate) fn pid(&self, part: usize) -> u32 {
        self.parts[part].id()
    }

    /// Asks a part to end, by SIGTERM.
    pub(crate) fn terminate(&self, part: usize) {
        signal(self.parts[part].id().cast_signed(), Signal::TERM);
    }

    /// The exit code of a part that is about to end; `None` if a signal ended it.
    pub(crate) fn exit_code(&mut self, part: usize) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.parts[part].try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "part {part} does not end");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether a part has ended.
    pub(crate) fn has_ended(&mut self, part: usize) -> bool {
        self.parts[part].try_wait().unwrap().is_some()
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, part: usize) {
        self.parts[part].kill().unwrap();
        self.parts[part].wait().unwrap();
    }

    /// Runs a command to its end.
    pub(crate) fn evenkeel(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn status(&self) -> Option<Value> {
        let output = self.evenkeel(&["status", self.fleet.to_str().unwrap(), "-o", "json"]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).unwrap())
    }

    /// Bounds gold from below for `seconds`.
    pub(crate) fn at_least(&self, count: u32, seconds: u32) {
        self.bound(&["--at-least", &count.to_string()], seconds);
    }

    /// Keeps gold at `count`, whatever traffic there is.
    pub(crate) fn exactly(&self, count: u32) {
        self.bound(&["--at-least", &count.to_string(), "--at-most", &count.to_string()], 600);
    }

    fn bound(&self, bounds: &[&str], seconds: u32) {
        let (fleet, until) = (self.fleet.to_str().unwrap(), format!("{seconds}s"));
        let arguments = [&["override", fleet, "gold", "--until", &until, "--because", "a test"], bounds].concat();
        let output = self.evenkeel(&arguments);
        assert!(output.status.success(), "{}", said(&output));
    }

    /// Waits until the status of gold is as `reached` wants it.
    pub(crate) fn wait_for(&self, what: &str, reached: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut last = None;
        while Instant::now() < deadline {
            if let Some(state) = self.status() {
                let gold = state["tiers"][0].clone();
                if reached(&gold) {
                    return gold;
                }
                last = Some(gold["explanation"].clone());
            }
            thread::sleep(Duration::from_millis(200));
        }
        panic!("waited for {what}; last: {last:?}");
    }

    /// Waits until the whole status is as `reached` wants it.
    pub(crate) fn wait_for_state(&self, what: &str, reached: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !self.status().is_some_and(|state| reached(&state)) {
            assert!(Instant::now() < deadline, "waited for {what}");
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until the fleet is in `mode`.
    pub(crate) fn wait_for_mode(&self, mode: &str) {
        self.wait_for_state(mode, |state| state["mode"] == mode);
    }

    /// Waits until the gateway's report reaches the controller: the tier is not blind any more.
    pub(crate) fn wait_for_sight(&self) {
        self.wait_for("the gateway to be read", |gold| !gold["signals"]["offered"]["fresh"].is_null());
    }

    /// Process ids of the fleet's replicas, by the environment that each carries.
    pub(crate) fn replicas(&self) -> Vec<i32> {
        // Before the first start there is no directory, and nothing lives in it.
        let Ok(state) = self.state().canonicalize() else { return Vec::new() };
        let mark = format!("EVENKEEL_STATE_DIR={}", state.display());
        let carries = |pid: i32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            let variables: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
            variables.contains(&mark.as_bytes()) && variables.iter().any(|it| it.starts_with(b"EVENKEEL_INTENT="))
        };
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries.filter_map(|it| it.file_name().to_str()?.parse().ok()).filter(|pid| carries(*pid)).collect()
    }

    /// The journal replays to the same decisions bit for bit.
    pub(crate) fn assert_replays(&self) {
        let output = self.evenkeel(&["replay", self.fleet.to_str().unwrap(), "-o", "json"]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["different"], Value::Array(vec![]), "{found}");
        assert!(found["ticks"].as_u64().unwrap() > 0);
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for part in &mut self.parts {
            let _ = part.kill();
            let _ = part.wait();
        }
        let _ = self.evenkeel(&["stop", self.fleet.to_str().unwrap(), "--grace", "1"]);
        if let Some(holder) = &mut self.namespace {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

/// The program with every log, and with no mask on the files it makes.
fn careless() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(program()).env("RUST_LOG", "trace");
    command
}

/// Waits for what no status tells.
pub(crate) fn until(what: &str, reached: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "waited for {what}");
        thread::sleep(Duration::from_millis(100));
    }
}

/// The program in the mount namespace of the process `holder`.
fn entering(holder: u32) -> Command {
    let mut command = Command::new("nsenter");
    if !geteuid().is_root() {
        command.arg(format!("--user=/proc/{holder}/ns/user")).arg("--preserve-credentials");
    }
    command.arg(format!("--mount=/proc/{holder}/ns/mnt")).arg("--").arg(program());
    command
}

/// Launches of `tier` ever: each has a log of its own.
pub(crate) fn launches(world: &World, tier: &str) -> usize {
    let names = fs::read_dir(world.state().join("replicas")).into_iter().flatten().flatten().map(|it| it.file_name());
    let is_log = |name: &str| name.starts_with(tier) && name.ends_with(".log");
    names.filter(|name| is_log(name.to_str().unwrap())).count()
}

/// Where the replica listens whose process is `pid`.
pub(crate) fn address_of(pid: i32) -> String {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    let at = words.iter().position(|word| *word == b"--port").unwrap();
    format!("127.0.0.1:{}", std::str::from_utf8(words[at + 1]).unwrap())
}

pub(crate) fn ready(gold: &Value) -> u64 {
    gold["decision"]["supply"]["ready"].as_u64().unwrap()
}

/// Sends a signal to a process of this test.
pub(crate) fn signal(pid: i32, signal: Signal) {
    kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
}

/// What a command said to people.
pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The program under test: this build's, or another's by `EVENKEEL_PROGRAM`, as figures are taken of a release build.
fn program() -> PathBuf {
    std::env::var_os("EVENKEEL_PROGRAM").map_or_else(|| env!("CARGO_BIN_EXE_evenkeel").into(), PathBuf::from)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
