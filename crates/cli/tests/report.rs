//! A load test of a server without a fleet file, and its report in a real browser. The server is one emulated replica. A
//! simulation's page is read in the same browser.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod browser;
mod skipped;

use browser::{Ended, PATIENCE, free_port};
use fantoccini::{Client, Locator};
use futures::FutureExt as _;
use serde_json::Value;
use std::fs;
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Only the replica reads it.
const FLEET: &str = "
fleet: alone
controller: {listen: 127.0.0.1:1}
gateway: {listen: 127.0.0.1:2}
tiers:
  gold:
    model: tiny
    replicas: {minimum: 1, maximum: 1}
    price: $1/hour
    slo: {attainment: 99%, objectives: [{tpot: {p95: 60ms}}]}
    requests: {prompt_tokens: {mean: 60, sigma: 0.3}, output_tokens: {mean: 20, sigma: 0.2}, per_player: 60/min}
    profile: {source: estimate, iteration: 5ms, per_sequence: 1ms, per_prefill_token: 10us, max_batched_tokens: 256, max_sequences: 8, kv_tokens: 20000, max_model_tokens: 4096}
    start_up: 1ms
    backend: {local: {command: [evenkeel, replica, --fleet, \"{file}\", --tier, gold, --port, \"{port}\"]}}
";

#[tokio::test]
async fn a_server_without_a_fleet_file_is_loaded_and_judged_by_thresholds() {
    let server = Server::start().await;
    // No machine is as slow as the first bound, and no answer of twenty tokens comes within the second.
    let held = server.load(&["--shape", "20:2s", "--threshold", "e2e.p50<10m", "--threshold", "failed<=0"]);
    assert_eq!(held.status.code(), Some(0), "{}", String::from_utf8_lossy(&held.stderr));
    let summary: Value = serde_json::from_slice(&held.stdout).unwrap();
    assert_eq!(summary["outcome"], "held");
    let tier = &summary["tiers"][0];
    assert_eq!((&tier["tier"], &tier["goodput_share"]), (&Value::from("tiny"), &Value::from(1.0)), "{tier}");
    assert_eq!(summary["cost"], Value::Null, "without a controller nobody knows what it cost");

    let failed = server.load(&["--shape", "20:2s", "--threshold", "failed<=0", "--threshold", "e2e.p1<1ms"]);
    let summary: Value = serde_json::from_slice(&failed.stdout).unwrap();
    // On a machine that lags the bound of a millisecond is not judged.
    let judged = summary["criteria"][1]["verdict"] == "failed";
    assert_eq!(failed.status.code(), Some(i32::from(judged)), "{summary}");
    assert_eq!(summary["tiers"][0]["goodput_share"], 0.0);
}

#[tokio::test]
async fn a_trace_of_requests_is_sent_request_for_request() {
    let server = Server::start().await;
    let trace = server.directory.path().join("trace.csv");
    fs::write(&trace, "t_s,in_tok,out_tok\n5,30,7\n65,40,5\n125,50,3\n").unwrap();
    let sent = server.load(&["--trace", trace.to_str().unwrap(), "--compress", "60", "--threshold", "failed<=0"]);
    assert_eq!(sent.status.code(), Some(0), "{}", String::from_utf8_lossy(&sent.stderr));
    let summary: Value = serde_json::from_slice(&sent.stdout).unwrap();
    let tier = &summary["tiers"][0];
    assert_eq!((&tier["offered_requests"], &tier["output_tokens"]), (&Value::from(3), &Value::from(15)), "{tier}");
    assert_eq!(summary["players"], Value::Array(Vec::new()), "nobody counted players");
}

#[test]
fn what_is_missing_or_wrong_is_a_usage_error_before_anything_is_sent() {
    for (arguments, words) in [
        (&["--model", "tiny"][..], "--target"),
        (&["--target", "http://127.0.0.1:9"], "without a fleet file `--model` says what is asked for"),
        (&[][..], "FLEET"),
        (&["--target", "http://127.0.0.1:9", "--model", "tiny", "--threshold", "fast"], "is no threshold"),
        (&["--target", "http://127.0.0.1:9", "--model", "tiny", "--shape", "fast"], "is no stage"),
        (&["--target", "http://127.0.0.1:9", "--model", "tiny", "--report", "/no/such/place.html"], "--report"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_evenkeel")).arg("load").args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        assert!(told.contains(words), "{arguments:?}: {told}");
    }
}

#[tokio::test]
async fn the_report_is_read_in_a_browser_with_the_table_behind_a_chart() {
    if browser::is_absent() {
        return;
    }
    let server = Server::start().await;
    let report = server.directory.path().join("report.html");
    let written = report.to_str().unwrap();
    let output = server.load(&["--shape", "10..40:3s", "--threshold", "failed<=0", "--report", written]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let (client, _driver) = browser::open(server.directory.path()).await;
    let outcome = AssertUnwindSafe(read(&client, &report)).catch_unwind().await;
    // The driver ends the browser when the session is closed, and leaves it behind when it is killed.
    let closed = client.close().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
    closed.unwrap();
}

async fn read(client: &Client, report: &Path) {
    client.goto(&format!("file://{}", report.display())).await.unwrap();
    let text = async |selector: &str| client.find(Locator::Css(selector)).await.unwrap().text().await.unwrap();
    assert_eq!(text("#verdict").await, "Passed");
    assert!(text("#criteria tbody tr").await.contains("failed requests <= 0"));
    assert!(text("#cost").await.contains("not known"), "no controller, no cost");
    assert!(text("#run code").await.starts_with("evenkeel load --target http://127.0.0.1:"));
    client.find(Locator::Css("#traffic .chart:first-of-type summary")).await.unwrap().click().await.unwrap();
    let row = text("#traffic .chart:first-of-type tbody tr").await;
    assert!(row.starts_with("0:00") && row.ends_with("10"), "ten players at the beginning: {row}");
    // The pointer over a chart tells the figures of that moment.
    let tip = "const svg = document.querySelector('#traffic svg'), box = svg.getBoundingClientRect();
        svg.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + 1, clientY: box.top + 1 }));
        return document.querySelector('#traffic .tip').textContent";
    assert_eq!(client.execute(tip, vec![]).await.unwrap(), "0:00players: 10");
}

#[tokio::test]
async fn a_simulations_page_is_read_in_a_browser_with_what_a_column_holds_under_the_pointer() {
    if browser::is_absent() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (file, page) = (directory.path().join("fleet.yaml"), directory.path().join("page.html"));
    fs::write(&file, FLEET.replace("maximum: 1}", "maximum: 50}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.arg("simulate").arg(&file).args(["--scenario", "day", "--peak", "500", "--history", "6h", "-o", "html"]);
    let output = command.args(["--policies", "evenkeel,hpa,static"]).stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    fs::write(&page, output.stdout).unwrap();
    let (client, _driver) = browser::open(directory.path()).await;
    let outcome = AssertUnwindSafe(read_simulation(&client, &page)).catch_unwind().await;
    let closed = client.close().await;
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
    closed.unwrap();
}

async fn read_simulation(client: &Client, page: &Path) {
    client.goto(&format!("file://{}", page.display())).await.unwrap();
    let count = async |selector: &str| client.find_all(Locator::Css(selector)).await.unwrap().len();
    assert_eq!((count("#policies tbody tr").await, count("#supply figure").await), (3, 3));
    assert_eq!((count("#worst figure").await, count("#frontier circle").await), (3, 3));
    let text = async |selector: &str| client.find(Locator::Css(selector)).await.unwrap().text().await.unwrap();
    let verdict = text("#verdict").await;
    assert!(["Kept by", "Missed by"].iter().any(|word| verdict.starts_with(word)), "{verdict}");
    assert!(text("#run code").await.starts_with("evenkeel simulate "));
    let tip = "const svg = document.querySelector('#supply figure svg'), box = svg.getBoundingClientRect();
        svg.dispatchEvent(new PointerEvent('pointermove', { clientX: box.left + 1, clientY: box.top + 1 }));
        return document.querySelector('#supply .tip').textContent";
    let told = client.execute(tip, vec![]).await.unwrap();
    let told = told.as_str().unwrap();
    assert!(told.starts_with("0d 06:00:00most demand: ") && told.contains("fewest ready: "), "{told}");
}

/// One emulated replica.
struct Server {
    directory: tempfile::TempDir,
    port: u16,
    _replica: Ended,
}

impl Server {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (file, port) = (directory.path().join("fleet.yaml"), free_port());
        fs::write(&file, FLEET).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.arg("replica").arg("--fleet").arg(&file).args(["--tier", "gold", "--port", &port.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let replica = Ended(command.spawn().unwrap());
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "the replica does not listen");
            sleep(Duration::from_millis(50)).await;
        }
        Self { directory, port, _replica: replica }
    }

    /// `evenkeel load` against it, with JSON as its result.
    fn load(&self, arguments: &[&str]) -> Output {
        let target = format!("http://127.0.0.1:{}", self.port);
        let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
        command.args(["load", "--target", &target, "--model", "tiny", "-o", "json", "--per-player", "60/min"]);
        command.args(["--prompt-tokens", "60,0.3", "--output-tokens", "20,0.2"]).args(arguments);
        command.stdin(Stdio::null()).output().unwrap()
    }
}
