//! The page in a real browser: a running controller's decision is read off it. Needs Debian's chromium and
//! chromium-driver; without them the test says so and skips.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::json;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

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

/// What is to be ended when the test ends, well or badly.
struct Started(Vec<Child>);

impl Drop for Started {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test]
async fn a_decision_is_read_off_the_page_and_no_data_is_told_from_zero() {
    let programs = ["/usr/bin/chromium", "/usr/bin/chromedriver"];
    if let Some(absent) = programs.iter().find(|path| !Path::new(path).exists()) {
        println!("skipped: {absent} is not installed (Debian: chromium, chromium-driver)");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (controller, driver) = (free_port(), free_port());
    let fleet = directory.path().join("fleet.yaml");
    let text = FLEET.replace("CONTROLLER", &controller.to_string()).replace("GATEWAY", &free_port().to_string());
    fs::write(&fleet, text).unwrap();
    let mut started = Started(Vec::new());
    let mut run = evenkeel(directory.path(), &["run", fleet.to_str().unwrap()]);
    started.0.push(run.spawn().unwrap());
    let mut browser = Command::new(programs[1]);
    started
        .0
        .push(browser.arg(format!("--port={driver}")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let client = connect(driver, directory.path()).await;
    client.goto(&format!("http://127.0.0.1:{controller}/")).await.unwrap();

    let log = text_of(&client, "#tier-gold .decision-log", "minimum").await;
    assert!(log.contains("grew 0 -> 1, the minimum"), "{log}");
    let recommendations = text_of(&client, "#tier-gold .recommendations", "capacity").await;
    assert!(recommendations.contains("cannot tell"), "without a gateway demand is not known: {recommendations}");
    let tier = text_of(&client, "#tier-gold", "no data").await;
    assert!(tier.contains("no data"), "what is missing is not shown as zero: {tier}");

    let picture = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page.png");
    fs::write(picture, client.screenshot().await.unwrap()).unwrap();
    client.close().await.unwrap();
    evenkeel(directory.path(), &["stop", fleet.to_str().unwrap(), "--grace", "1"]).status().unwrap();
}

fn evenkeel(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(arguments).env("EVENKEEL_STATE_DIR", home.join("state")).env("HOME", home);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Chromium keeps to loopback: everything that would look further is off.
async fn connect(port: u16, directory: &Path) -> Client {
    let profile = format!("--user-data-dir={}", directory.join("browser").display());
    let arguments = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-sync",
        "--disable-background-networking",
        "--disable-component-update",
        "--window-size=1280,1600",
        &profile,
    ];
    let wanted = json!({ "goog:chromeOptions": { "args": arguments, "binary": "/usr/bin/chromium" } });
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        builder.capabilities(wanted.as_object().unwrap().clone());
        match builder.connect(&format!("http://127.0.0.1:{port}")).await {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < deadline, "no browser: {error}"),
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// The text of an element, once it contains `expected`.
async fn text_of(client: &Client, selector: &str, expected: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut text = String::new();
    while Instant::now() < deadline {
        if let Ok(element) = client.find(Locator::Css(selector)).await {
            text = element.text().await.unwrap_or_default();
            if text.contains(expected) {
                break;
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
    text
}
