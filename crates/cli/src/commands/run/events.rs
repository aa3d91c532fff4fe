//! Events to their sinks: standard output, a file, a webhook. Each sink has a queue of its own, so that a slow one holds up
//! no other.

use crate::failure::Failure;
use async_trait::async_trait;
use evenkeel_adapters::webhook::{Retry, Webhook};
use evenkeel_controller::events::{CloudEvent, EventSink};
use evenkeel_fleet::model::EventSettings;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use tokio::sync::mpsc;

/// Events that wait for one sink; more are dropped and said.
const WAITING: usize = 256;

/// Delivers what comes from `happened` to every sink of `settings`.
pub(super) fn deliver(settings: &EventSettings, mut happened: mpsc::Receiver<CloudEvent>) -> Result<(), Failure> {
    let sinks = sinks(settings)?;
    let queues: Vec<_> = sinks.into_iter().map(queue).collect();
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

fn queue(mut sink: Box<dyn EventSink>) -> mpsc::Sender<CloudEvent> {
    let (sender, mut events) = mpsc::channel::<CloudEvent>(WAITING);
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            if let Err(error) = sink.deliver(&event).await {
                tracing::warn!(sink = sink.name(), id = event.id, error, "an event was given up");
            }
        }
    });
    sender
}

fn sinks(settings: &EventSettings) -> Result<Vec<Box<dyn EventSink>>, Failure> {
    let mut sinks: Vec<Box<dyn EventSink>> = Vec::new();
    if settings.stdout {
        sinks.push(Box::new(Lines { name: "stdout", out: std::io::stdout() }));
    }
    if let Some(path) = &settings.file {
        sinks.push(Box::new(Lines { name: "file", out: open(path)? }));
    }
    if let Some(url) = &settings.webhook {
        let token = settings.webhook_token_variable.as_ref().and_then(|name| std::env::var(name).ok());
        let webhook = Webhook::new(url, token.as_deref(), Retry::default()).map_err(Failure::usage)?;
        sinks.push(Box::new(webhook));
    }
    Ok(sinks)
}

fn open(path: &PathBuf) -> Result<File, Failure> {
    let opened = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    opened.map_err(|error| Failure::refused(format!("events cannot be written to {}: {error}", path.display())))
}

/// A line of JSON for each event.
struct Lines<W> {
    name: &'static str,
    out: W,
}

#[async_trait]
impl<W: Write + Send> EventSink for Lines<W> {
    fn name(&self) -> &str {
        self.name
    }

    async fn deliver(&mut self, event: &CloudEvent) -> Result<(), String> {
        let mut line = serde_json::to_string(event).map_err(|error| error.to_string())?;
        line.push('\n');
        self.out.write_all(line.as_bytes()).and_then(|()| self.out.flush()).map_err(|error| error.to_string())
    }
}
