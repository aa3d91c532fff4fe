//! Events to their sinks: standard output, a file, a webhook. Each sink has a queue of its own, so that a slow one holds up
//! no other; and those that block have a thread of their own, for the runtime's are needed by the API and the loop.

use crate::failure::Failure;
use evenkeel_adapters::webhook::{Retry, Webhook};
use evenkeel_controller::events::{CloudEvent, EventSink};
use evenkeel_fleet::model::EventSettings;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use tokio::sync::mpsc;

/// Events that wait for one sink; more are dropped and said.
const WAITING: usize = 256;

/// Delivers what comes from `happened` to every sink of `settings`.
pub(super) fn deliver(settings: &EventSettings, mut happened: mpsc::Receiver<CloudEvent>) -> Result<(), Failure> {
    let queues = queues(settings)?;
    tokio::spawn(async move {
        while let Some(event) = happened.recv().await {
            for queue in &queues {
                if queue.try_send(event.clone()).is_err() {
                    tracing::warn!(id = event.id, "an event was dropped: its sink is too slow");
                }
            }
        }
    });
    Ok(())
}

fn queues(settings: &EventSettings) -> Result<Vec<mpsc::Sender<CloudEvent>>, Failure> {
    let mut queues = Vec::new();
    if settings.stdout {
        queues.push(lines("stdout", io::stdout())?);
    }
    if let Some(path) = &settings.file {
        queues.push(lines("file", open(path)?)?);
    }
    if let Some(url) = &settings.webhook {
        let token = settings.webhook_token_variable.as_ref().and_then(|name| std::env::var(name).ok());
        queues.push(posts(Webhook::new(url, token.as_deref(), Retry::default()).map_err(Failure::usage)?));
    }
    Ok(queues)
}

/// A webhook waits without blocking.
fn posts(mut sink: Webhook) -> mpsc::Sender<CloudEvent> {
    let (sender, mut events) = mpsc::channel::<CloudEvent>(WAITING);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Err(error) = sink.deliver(&event).await {
                given_up(sink.name(), &event, &error);
            }
        }
    });
    sender
}

/// A line of JSON for each event. Nobody waits for the thread: one that a stalled pipe holds ends with the process.
fn lines(name: &'static str, mut out: impl Write + Send + 'static) -> Result<mpsc::Sender<CloudEvent>, Failure> {
    let (sender, mut events) = mpsc::channel::<CloudEvent>(WAITING);
    let write = move || {
        while let Some(event) = events.blocking_recv() {
            if let Err(error) = write_line(&mut out, &event) {
                given_up(name, &event, &error.to_string());
            }
        }
    };
    let thread = std::thread::Builder::new().name(format!("events-{name}"));
    thread.spawn(write).map_err(|error| Failure::internal(format!("no thread to write events: {error}")))?;
    Ok(sender)
}

fn write_line(out: &mut impl Write, event: &CloudEvent) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}

fn given_up(sink: &str, event: &CloudEvent, error: &str) {
    tracing::warn!(sink, id = event.id, error, "an event was given up");
}

/// Opened for reading too: a named pipe that nobody reads yet would hold up the opening for writing alone (man 7 fifo).
fn open(path: &PathBuf) -> Result<File, Failure> {
    let opened = std::fs::OpenOptions::new().create(true).read(true).append(true).mode(0o600).open(path);
    opened.map_err(|error| Failure::refused(format!("events cannot be written to {}: {error}", path.display())))
}
