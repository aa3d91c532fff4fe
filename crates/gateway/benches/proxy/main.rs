//! The gateway's speed beside nginx with upstream keepalive, and what it adds to a direct connection.
//!
//! `cargo bench -p evenkeel-gateway --bench proxy` prints a line for each goal: name, figure, unit, goal, ok or short.
//! Every server is a process of its own, runs are interleaved, figures are medians. Needs `nginx` and `wrk`. LiteLLM's proxy
//! stands beside where `EVENKEEL_LITELLM` names its program: `pip install 'litellm[proxy]'` brings it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/gateway/fixture.rs"]
mod fixture;
mod latency;
mod servers;
mod throughput;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use servers::{Servers, run_gateway, run_upstream};

fn main() {
    // As `evenkeel gateway` does: 500 streams and their connections to the replica are more than the usual 1,024 files.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["upstream"] => run_upstream(),
        ["gateway", upstream] => run_gateway(upstream),
        // `cargo test --benches` runs this too, to see whether it starts; a figure is not wanted then.
        ["--test", ..] => {}
        _ => measure(),
    }
}

fn measure() {
    let servers = Servers::start();
    throughput::measure(&servers);
    latency::measure(&servers);
}

/// Prints one goal's line.
fn tell(name: &str, figure: f64, unit: &str, goal: &str, reached: bool) {
    println!("{name}\t{figure:.3}\t{unit}\t{goal}\t{}", if reached { "ok" } else { "short" });
}

/// The middle of `values`.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
