//! Requests a second through the gateway and through nginx, and LiteLLM where it is there, by wrk with 64 connections.

use crate::servers::Servers;
use crate::{median, tell};
use std::net::SocketAddr;
use std::process::Command;

const PAIRS: usize = 5;
const SECONDS: &str = "3s";
const GOAL: f64 = 0.8;

const SCRIPT: &str = r#"
wrk.method = "POST"
wrk.path = "/v1/chat/completions"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"model":"gold","messages":[{"role":"user","content":"hello wide world"}]}'
"#;

pub(crate) fn measure(servers: &Servers) {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("post.lua");
    std::fs::write(&script, SCRIPT).unwrap();
    let run = |address: SocketAddr| requests_per_second(address, &script);
    let (mut ours, mut theirs, mut shares, mut direct) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PAIRS {
        let (mine, other, none) = (run(servers.gateway), run(servers.nginx), run(servers.upstream));
        shares.push(mine / other);
        ours.push(mine);
        theirs.push(other);
        direct.push(none);
    }
    println!("# requests/s: gateway {:.0}, nginx {:.0}, direct {:.0}", median(ours), median(theirs), median(direct));
    if let Some(litellm) = servers.litellm {
        println!("# requests/s: LiteLLM {:.0}", median((0..PAIRS).map(|_| run(litellm)).collect()));
    }
    let share = median(shares);
    tell("gateway_throughput_of_nginx", share, "ratio", ">= 0.8", share >= GOAL);
}

fn requests_per_second(address: SocketAddr, script: &std::path::Path) -> f64 {
    let url = format!("http://{address}");
    let output = Command::new("wrk").args(["-t1", "-c64", "-d", SECONDS, "-s"]).arg(script).arg(url).output();
    let output = output.expect("wrk is installed");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if let Some(bad) = text.lines().find(|line| line.contains("Non-2xx")) {
        panic!("{address}: {bad}");
    }
    let line = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    line.and_then(|line| line.trim().parse().ok()).unwrap_or_else(|| panic!("{address}: {text}"))
}
