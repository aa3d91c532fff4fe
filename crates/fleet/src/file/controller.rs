//! `controller:`

use crate::file::words;
use crate::model::{ControllerSettings, EventSettings, Mode};
use crate::scalar::{Choice, Flag};
use crate::section::{Object, Section};
use crate::unit::Duration;
use std::path::PathBuf;

pub(crate) fn read(controller: &mut Section<'_>) -> Option<ControllerSettings> {
    let listen = controller.or("listen", "Where its API and page listen.", words::Address, "127.0.0.1:7070");
    let mode = controller.or(
        "mode",
        "What it may do at first: `observe` journals only, `advise` decides and publishes, `act` also acts. \
         `evenkeel mode` changes it for good.",
        mode(),
        "act",
    );
    let freshness = controller.or(
        "freshness",
        "A signal older than this is stale: it never removes a replica. Two ticks at least.",
        Duration::OR_ZERO,
        "5s",
    );
    let retention = controller.or(
        "retention",
        "How long every tick's inputs stay in the journal and can be replayed; two hours or more.",
        Duration::POSITIVE,
        "14d",
    );
    let events = controller.or_empty("events", "Where CloudEvents go.", Object(events));
    Some(ControllerSettings {
        listen: listen?,
        mode: mode?,
        freshness: freshness?,
        retention: retention?,
        events: events?,
    })
}

fn mode() -> Choice<Mode> {
    Choice { what: "a mode", words: vec![("observe", Mode::Observe), ("advise", Mode::Advise), ("act", Mode::Act)] }
}

fn events(events: &mut Section<'_>) -> Option<EventSettings> {
    let stdout = events.or("stdout", "To standard output, a line each.", Flag, "false");
    let file = events.optional("file", "To this file, a line each.", words::FILE_PATH);
    let webhook = events.optional("webhook", "By POST, with retries.", Object(webhook));
    let (url, token) = webhook.unzip();
    Some(EventSettings {
        stdout: stdout?,
        file: file.map(PathBuf::from),
        webhook: url,
        webhook_token_variable: token.flatten(),
    })
}

fn webhook(webhook: &mut Section<'_>) -> Option<(String, Option<String>)> {
    let url = webhook.required("url", "Where to post.", words::URL);
    let token = webhook.optional(
        "token_variable",
        "NAME of the environment variable whose value goes along as a bearer token; never the token itself.",
        words::Variable,
    );
    Some((url?, token))
}
