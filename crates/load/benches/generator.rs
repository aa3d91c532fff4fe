//! How many requests a core of this machine sends and reads, against a server that answers at once: the load
//! generator must never be the limit of a load test. The server is a process of its own, so that its work is not
//! counted.
//!
//! Prints `name  figure  unit  goal  ok|short`, as `make bench` collects it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/support/mod.rs"]
mod support;

use evenkeel_load::progress::Silent;
use evenkeel_load::{Options, Summary, Target};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::{gold_plan, options};

const GOAL_PER_CORE_SECOND: f64 = 20_000.0;
const OFFERED_PER_SECOND: f64 = 15_000.0;
const RUN_MILLIS: i64 = 6_000;

/// Makes this very program the server.
const SERVE: &str = "serve";

/// A stream of one token.
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 129\r\n\r\n\
    data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"}}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";

fn main() {
    if std::env::args().any(|argument| argument == SERVE) {
        return serve();
    }
    let mut server = Command::new(std::env::current_exe().unwrap())
        .arg(SERVE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let target = target(&mut server);
    let before = cpu_seconds();
    let summary = load(target);
    let spent = cpu_seconds() - before;
    // The server ends when its standard input does.
    drop(server.stdin.take());
    server.wait().unwrap();
    report(&summary, spent);
}

fn report(summary: &Summary, cpu_seconds: f64) {
    let gold = &summary.tiers[0];
    assert_eq!(gold.failed_requests, 0, "{:?}", gold.failures);
    let per_core_second = gold.succeeded_requests as f64 / cpu_seconds;
    let verdict = if per_core_second >= GOAL_PER_CORE_SECOND { "ok" } else { "short" };
    println!(
        "load_generator_requests_per_core_second  {per_core_second:.0}  requests/s  >={GOAL_PER_CORE_SECOND}  {verdict}"
    );
    eprintln!(
        "{} requests at {OFFERED_PER_SECOND}/s in {cpu_seconds:.2} CPU seconds; own lag p50 {:.3} ms, p99 {:.3} ms",
        gold.succeeded_requests, summary.lag.p50_ms, summary.lag.p99_ms
    );
}

fn load(target: Target) -> Summary {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options = Options { drain: Duration::from_secs(10), ..options() };
    let mut silent = Silent;
    let plan = gold_plan(OFFERED_PER_SECOND, RUN_MILLIS, Vec::new());
    let run = evenkeel_load::run(plan, target, options, None, &mut silent, std::future::pending);
    runtime.block_on(run)
}

fn target(server: &mut Child) -> Target {
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    Target::parse(line.trim()).unwrap()
}

/// User and system time of this process: fields 14 and 15 of `/proc/self/stat`, in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks = |field: usize| after_name.split_whitespace().nth(field - 3).unwrap().parse::<f64>().unwrap();
    (ticks(14) + ticks(15)) / 100.0
}

fn serve() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    println!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer(stream));
        }
    });
    // Blocks until the parent closes it.
    let _ = std::io::stdin().read(&mut [0]);
}

fn answer(stream: TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse().ok()?;
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        writer.write_all(ANSWER).ok()?;
    }
}
