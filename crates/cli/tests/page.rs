//! The page in a real browser, before a running controller: its decisions are read off it. Needs Debian's chromium and
//! chromium-driver; without them the tests say so and skip.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod browser;
mod skipped;

use browser::{Ended, PATIENCE, free_port};
use fantoccini::{Client, Locator};
use futures::FutureExt as _;
use serde_json::{Value, json};
use std::fs;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// No gateway runs, so no signal of it is known.
const FLEET: &str = "
fleet: shown
controller: {listen: 127.0.0.1:CONTROLLER, mode: act}
gateway: {listen: 127.0.0.1:GATEWAY}
tiers:
  gold:
    model: tiny
    replicas: {minimum: 1, maximum: 3}
    price: $1/hour
    slo: {attainment: 99%, objectives: [{tpot: {p95: 60ms}}]}
    requests: {prompt_tokens: {mean: 60, sigma: 0.3}, output_tokens: {mean: 20, sigma: 0.2}, per_player: 60/min}
    profile: {source: estimate, iteration: 20ms, per_sequence: 1ms, per_prefill_token: 100us, max_batched_tokens: 256, max_sequences: 4, kv_tokens: 20000, max_model_tokens: 4096}
    start_up: 1s
    backend: {local: {command: [evenkeel, replica, --fleet, \"{file}\", --tier, gold, --port, \"{port}\"]}}
";

#[tokio::test]
async fn a_decision_is_read_off_the_page_and_no_data_is_told_from_zero() {
    on_the_page(async |shown| {
        let log = shown.text_with("#tier-gold .decision-log", "minimum").await;
        assert!(log.contains("grew 0 -> 1, the minimum"), "{log}");
        let recommendations = shown.text_with("#tier-gold .recommendations", "cannot tell").await;
        assert!(recommendations.contains("capacity"), "without a gateway demand is not known: {recommendations}");
        for (name, value) in [("demand", "no data"), ("queue depth", "no data"), ("draining", "0")] {
            let figure = format!("#tier-gold .numbers [data-key='{name}'] dd");
            assert_eq!(shown.text_with(&figure, value).await, value, "{name}");
        }
        shown.keep_picture("page.png").await;
    })
    .await;
}

#[tokio::test]
async fn what_was_held_is_shown_when_asked_for_and_each_entry_opens_to_its_whole_chain() {
    on_the_page(async |shown| {
        shown.text_with("#tier-gold .decision-log", "minimum").await;
        shown.click("#held-gold").await;
        shown.text_with("#tier-gold .decision-log", "held 1: it cannot see").await;
        shown.click("#tier-gold .log li:last-child summary").await;
        let opened = shown.text_with("#tier-gold .log .unfolded", "desired 1").await;
        for part in ["cannot tell", "no policy could tell", "minimum 0 \u{2192} 1", "reason grew to minimum"] {
            assert!(opened.contains(part), "{part}: {opened}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_chart_has_a_label_and_a_table_with_its_figures() {
    on_the_page(async |shown| {
        shown.text_with("#tier-gold .numbers", "desired").await;
        let labels = "return [...document.querySelectorAll('canvas')].map(it => it.role + ': ' + it.ariaLabel)";
        let labels: Vec<String> = serde_json::from_value(shown.run(labels).await).unwrap();
        assert_eq!(labels.len(), 2, "{labels:?}");
        assert!(labels[0].starts_with("img: Replicas of gold. Now no data on demand"), "{labels:?}");
        assert!(labels[1].starts_with("img: Traffic of gold. Now requests/s no data"), "{labels:?}");
        shown.run("for (const it of document.querySelectorAll('.as-table')) it.open = true").await;
        let replicas = shown.text_with("#tier-gold .chart-block:nth-of-type(1) tbody tr", "no data").await;
        assert!(replicas.ends_with('1'), "one is desired at each tick: {replicas}");
        let traffic = shown.text_with("#tier-gold .chart-block:nth-of-type(2) tbody tr", "no data").await;
        assert!(traffic.ends_with("no data no data"), "what is not known is no zero in the table either: {traffic}");
    })
    .await;
}

#[tokio::test]
async fn a_controller_that_is_gone_is_said_loudly_and_forgotten_once_it_is_back() {
    on_the_page(async |shown| {
        shown.text_with("#tier-gold .numbers", "desired").await;
        shown.stop_controller();
        let banner = shown.text_with("#banner", "lost").await;
        assert!(banner.contains("Everything below is of"), "{banner}");
        shown.start_controller();
        shown.until("return document.getElementById('banner').hidden").await;
    })
    .await;
}

#[tokio::test]
async fn the_page_turns_nothing_into_zero_and_breaks_a_line_where_ticks_are_missing() {
    on_the_page(async |shown| {
        let found = shown
            .run(
                "const { fixed, percent, span } = await import('/assets/format.js');
                 const { inWords } = await import('/assets/reading.js');
                 const { columns } = await import('/assets/history.js');
                 const ticks = [1, 2, 9].map((second) => ({ at_us: second * 1e6, demand: second === 2 ? null : 0 }));
                 return {
                     zero: [fixed(0, 1), percent(0), span(0)],
                     nothing: [fixed(null, 1), percent(null), span(undefined), fixed(NaN, 1)],
                     almost: percent(0.99999, 2),
                     missing: inWords({ missing: { cause: 'timed_out' } }, 0, String),
                     stale: inWords({ stale: { value: 3, at: 1e6 } }, 15e6, String),
                     gap: columns(ticks, 5e6, [(it) => it.demand]),
                 };",
            )
            .await;
        assert_eq!(found["zero"], json!(["0.0", "0.0 %", "0 s"]));
        assert_eq!(found["nothing"], json!(["no data", "no data", "no data", "no data"]));
        assert_eq!(found["almost"], "99.99 %", "only the whole is 100 %");
        assert_eq!(found["missing"], json!({"kind": "missing", "text": "no data", "note": "the source took too long"}));
        assert_eq!(found["stale"], json!({"kind": "stale", "text": "3", "note": "stale, 14 s old"}));
        assert_eq!(found["gap"], json!([[1, 2, 2.000_001, 9], [0, null, null, 0]]));
    })
    .await;
}

/// Opens the page of a controller of its own, lets `read` look at it, and leaves nothing running, also when it fails.
async fn on_the_page(read: impl AsyncFnOnce(&mut Shown)) {
    if browser::is_absent() {
        return;
    }
    let mut shown = Shown::open().await;
    let outcome = AssertUnwindSafe(read(&mut shown)).catch_unwind().await;
    // The driver ends the browser when the session is closed, and leaves it behind when it is killed.
    let closed = shown.client.clone().close().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
    closed.unwrap();
}

/// A fleet in a directory of its own, its controller, and a browser on its page.
struct Shown {
    client: Client,
    fleet: Fleet,
    _driver: Ended,
}

struct Fleet {
    directory: tempfile::TempDir,
    file: PathBuf,
    controller: Option<Ended>,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.controller = None;
        // Replicas outlive their controller.
        let _ = self.evenkeel(&["stop", "--grace", "1"]).status();
    }
}

impl Fleet {
    fn start(port: u16) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fleet.yaml");
        let text = FLEET.replace("CONTROLLER", &port.to_string()).replace("GATEWAY", &free_port().to_string());
        fs::write(&file, text).unwrap();
        let mut fleet = Self { directory, file, controller: None };
        fleet.run();
        fleet
    }

    fn run(&mut self) {
        self.controller = Some(Ended(self.evenkeel(&["run"]).spawn().unwrap()));
    }

    /// `evenkeel COMMAND FLEET OPTIONS`.
    fn evenkeel(&self, arguments: &[&str]) -> Command {
        let home = self.directory.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.arg(arguments[0]).arg(&self.file).args(&arguments[1..]);
        command.env("EVENKEEL_STATE_DIR", home.join("state")).env("HOME", home);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Shown {
    async fn open() -> Self {
        let controller = free_port();
        let fleet = Fleet::start(controller);
        let (client, driver) = browser::open(fleet.directory.path()).await;
        let shown = Self { client, fleet, _driver: driver };
        shown.go_to(&format!("http://127.0.0.1:{controller}/")).await;
        shown
    }

    /// Loads the page, again until the controller listens.
    async fn go_to(&self, address: &str) {
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = self.client.goto(address).await {
            assert!(Instant::now() < deadline, "{address}: {error}");
            sleep(Duration::from_millis(200)).await;
        }
    }

    fn stop_controller(&mut self) {
        self.fleet.controller = None;
    }

    fn start_controller(&mut self) {
        self.fleet.run();
    }

    /// The visible text of the first such element, once it contains `expected`.
    async fn text_with(&self, selector: &str, expected: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut text = None;
        while Instant::now() < deadline {
            if let Ok(element) = self.client.find(Locator::Css(selector)).await {
                text = element.text().await.ok();
            }
            if let Some(text) = text.take_if(|text| text.contains(expected)) {
                return text;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("waited for '{expected}' in {selector}; last: {text:?}");
    }

    async fn click(&self, selector: &str) {
        self.client.find(Locator::Css(selector)).await.unwrap().click().await.unwrap();
    }

    /// What a script in the page returns; it may await.
    async fn run(&self, script: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1]; (async () => {{ {script} }})().then(done, it => done('' + it))"
        );
        self.client.execute_async(&script, vec![]).await.unwrap()
    }

    /// Waits until a script in the page returns true.
    async fn until(&self, script: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.run(script).await != true {
            assert!(Instant::now() < deadline, "waited for {script}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn keep_picture(&self, name: &str) {
        let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(picture, self.client.screenshot().await.unwrap()).unwrap();
    }
}
