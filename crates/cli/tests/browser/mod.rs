//! Debian's chromium, driven by its chromedriver.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

use crate::skipped;
use fantoccini::{Client, ClientBuilder};
use serde_json::json;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::{Instant, sleep};

const CHROMIUM: &str = "/usr/bin/chromium";
const CHROMEDRIVER: &str = "/usr/bin/chromedriver";
/// Generous: this machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with its owner.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether a test has to skip; it says so.
pub fn is_absent() -> bool {
    let absent = [CHROMIUM, CHROMEDRIVER].into_iter().find(|path| !Path::new(path).exists());
    if let Some(absent) = absent {
        skipped::tell(&format!("a browser test, for {absent} is not installed (Debian: chromium, chromium-driver)"));
    }
    absent.is_some()
}

/// A browser with its profile in `directory`, and its driver. Close the client before the driver ends: the driver leaves
/// the browser behind when it is killed.
pub async fn open(directory: &Path) -> (Client, Ended) {
    let port = free_port();
    let mut driver = Command::new(CHROMEDRIVER);
    driver.arg(format!("--port={port}")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let driver = Ended(driver.spawn().unwrap());
    (connect(port, directory).await, driver)
}

pub fn free_port() -> u16 {
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
    let wanted = json!({ "goog:chromeOptions": { "args": arguments, "binary": CHROMIUM } });
    let deadline = Instant::now() + PATIENCE;
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
