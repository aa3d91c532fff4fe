//! Clients of the gateway: one request, or traffic that goes on until it is told to end.

use crate::world::PATIENCE;
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A request to `tier` for `tokens` tokens, with a prompt of about `prompt_tokens`: four bytes each.
pub(crate) fn asking(tier: &str, prompt_tokens: usize, tokens: usize) -> String {
    let prompt = "word".repeat(prompt_tokens);
    format!(r#"{{"model": "{tier}", "prompt": "{prompt}", "max_tokens": {tokens}}}"#)
}

/// One request on a connection of its own: status and body.
pub(crate) fn exchange(address: &str, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
    let mut connection = TcpStream::connect(address)?;
    // Longer than the gateway's patience with a replica, a minute, after which another one answers.
    connection.set_read_timeout(Some(2 * PATIENCE))?;
    let length = body.len();
    write!(
        connection,
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok((status, body.to_owned()))
}

/// Asks the gateway at `address` for `tokens` tokens as a stream; gives the whole answer as it came.
pub(crate) fn complete(address: &str, tokens: usize) -> String {
    let body = format!(r#"{{"model": "gold", "prompt": "a b c", "max_tokens": {tokens}, "stream": true}}"#);
    let length = body.len();
    let mut connection = TcpStream::connect(address).unwrap();
    write!(
        connection,
        "POST /v1/completions HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

/// What became of requests.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Answers by status.
    pub(crate) statuses: BTreeMap<u16, usize>,
    /// Connections that were refused or broken off.
    pub(crate) broken: usize,
    /// The longest that one request took.
    pub(crate) slowest: Duration,
}

impl Told {
    pub(crate) fn well(&self) -> usize {
        self.statuses.get(&200).copied().unwrap_or(0)
    }

    /// All were answered, and well.
    pub(crate) fn assert_all_well(&self) {
        assert!(self.well() > 0, "{self:?}");
        assert_eq!((self.statuses.len(), self.broken), (1, 0), "{self:?}");
    }

    fn add(&mut self, outcome: io::Result<(u16, String)>, took: Duration) {
        match outcome {
            Ok((status, _)) => *self.statuses.entry(status).or_default() += 1,
            Err(error) => {
                // Shown where a test fails.
                println!("broken after {took:?}: {error}");
                self.broken += 1;
            }
        }
        self.slowest = self.slowest.max(took);
    }

    fn join(mut self, other: Self) -> Self {
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        Self { broken: self.broken + other.broken, slowest: self.slowest.max(other.slowest), ..self }
    }
}

/// Several clients, each with one request after the other.
pub(crate) struct Traffic {
    done: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Told>>,
}

impl Traffic {
    pub(crate) fn begin(gateway: &str, clients: usize, body: &str) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let client = |_| {
            let (gateway, body, done) = (gateway.to_owned(), body.to_owned(), done.clone());
            thread::spawn(move || {
                let mut told = Told::default();
                while !done.load(Ordering::Relaxed) {
                    let sent = Instant::now();
                    told.add(exchange(&gateway, "POST", "/v1/completions", &body), sent.elapsed());
                    thread::sleep(Duration::from_millis(20));
                }
                told
            })
        };
        Self { clients: (0..clients).map(client).collect(), done }
    }

    /// Lets each client's last request end.
    pub(crate) fn end(mut self) -> Told {
        self.done.store(true, Ordering::Relaxed);
        self.clients.drain(..).map(|client| client.join().unwrap()).fold(Told::default(), Told::join)
    }
}

/// Also where an assertion fails.
impl Drop for Traffic {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

/// So many requests in the same moment.
pub(crate) fn herd(gateway: &str, count: usize, body: &str) -> Told {
    thread::scope(|scope| {
        let one = |_| {
            scope.spawn(|| {
                let sent = Instant::now();
                let mut told = Told::default();
                told.add(exchange(gateway, "POST", "/v1/completions", body), sent.elapsed());
                told
            })
        };
        let clients: Vec<_> = (0..count).map(one).collect();
        clients.into_iter().map(|client| client.join().unwrap()).fold(Told::default(), Told::join)
    })
}
