//! `backend:`

use crate::file::words;
use crate::form::{List, OneOf, Variant};
use crate::model::{BackendSettings, LocalSettings};
use crate::report::Report;
use crate::scalar::Text;
use crate::section::{Object, Section};
use crate::suggest;
use crate::unit::Duration;
use evenkeel_core::units::Span;

/// A backend as far as it could be read.
pub(crate) struct BackendDraft {
    pub(crate) path: String,
    pub(crate) command: Vec<(String, String)>,
    pub(crate) environment: Vec<String>,
    pub(crate) gpus: Vec<String>,
    pub(crate) ready_path: Option<String>,
    pub(crate) start_deadline: Option<Span>,
    pub(crate) drain_deadline: Option<Span>,
    pub(crate) grace: Option<Span>,
}

/// What the local backend puts into a command.
const PLACEHOLDERS: [&str; 4] = ["port", "index", "gpu", "file"];
/// A replica may take twice its start-up time before it is given up, unless the file says otherwise.
const START_DEADLINES_PER_START_UP: i64 = 2;

impl BackendDraft {
    /// The settings, with a start deadline of twice `start_up` where none is written.
    pub(crate) fn build(self, start_up: Span) -> Option<BackendSettings> {
        let twice = Span::from_micros(start_up.as_micros().saturating_mul(START_DEADLINES_PER_START_UP));
        Some(BackendSettings::Local(LocalSettings {
            command: self.command.into_iter().map(|(_, word)| word).collect(),
            environment: self.environment,
            gpus: self.gpus,
            ready_path: self.ready_path?,
            start_deadline: self.start_deadline.unwrap_or(twice),
            drain_deadline: self.drain_deadline?,
            grace: self.grace?,
        }))
    }
}

pub(crate) fn form() -> OneOf<BackendDraft> {
    OneOf {
        what: "a backend",
        variants: vec![Variant::new("local", "Replicas are processes of this machine.", Object(local))],
    }
}

fn local(local: &mut Section<'_>) -> Option<BackendDraft> {
    let path = local.path();
    let command = local.required(
        "command",
        "Argument vector, no shell. `{port}`, `{index}`, `{gpu}` and `{file}` (this file's path) are replaced; a first \
         word `evenkeel` means this very binary.",
        List { form: WORD, least: 1 },
    );
    let environment = local.optional(
        "environment",
        "NAMES of environment variables passed on from the controller's own environment; nothing else is.",
        List { form: words::Variable, least: 0 },
    );
    let gpus = local.optional(
        "gpus",
        "GPU ids handed out one to a replica as `{gpu}`; in quotes if they are numbers.",
        List { form: GPU, least: 0 },
    );
    let ready_path =
        local.or("ready_path", "Path that answers 2xx once the replica serves.", words::HTTP_PATH, "/health");
    let start_deadline = local.optional(
        "start_deadline",
        "Not ready after this long: ended and tried again. Twice `start_up` when left out.",
        Duration::POSITIVE,
    );
    let drain_deadline = local.or(
        "drain_deadline",
        "A draining replica is ended after this long even with work in flight.",
        Duration::POSITIVE,
        "60s",
    );
    let grace = local.or("grace", "From SIGTERM to SIGKILL.", Duration::POSITIVE, "10s");
    Some(BackendDraft {
        path,
        command: command.unwrap_or_default(),
        environment: environment.unwrap_or_default().into_iter().map(|(_, name)| name).collect(),
        gpus: gpus.unwrap_or_default().into_iter().map(|(_, id)| id).collect(),
        ready_path,
        start_deadline,
        drain_deadline,
        grace,
    })
}

const WORD: Text = Text {
    what: "a word of a command",
    example: "--port",
    pattern: r"^[\s\S]*$",
    rule: |text| text.contains('\0').then(|| "it holds a NUL".to_owned()),
};

const GPU: Text = Text {
    what: "a GPU's id",
    example: "GPU-8f2c",
    pattern: r"^\S+$",
    rule: |text| (text.is_empty() || text.contains(char::is_whitespace)).then(|| "it may hold no blanks".to_owned()),
};

/// Refuses placeholders that nothing fills in, and warns when a replica cannot learn its port from its command.
pub(crate) fn check_command(backend: &BackendDraft, report: &mut Report) {
    let mut used = Vec::new();
    for (path, word) in &backend.command {
        for name in placeholders(word) {
            if !PLACEHOLDERS.contains(&name) {
                let message = format!("nothing fills in `{{{name}}}`");
                report.problem(path, message, suggest::instead(name, &PLACEHOLDERS));
            }
            used.push(name);
        }
    }
    let command = format!("{}.command", backend.path);
    if backend.command.first().is_some_and(|(_, word)| word.is_empty()) {
        report.problem(&command, "the program's name is empty", "write its path first");
    }
    if used.contains(&"gpu") && backend.gpus.is_empty() {
        report.problem(
            &command,
            "`{gpu}` stands in the command but `gpus` lists none",
            "add `gpus: [...]`, or remove `{gpu}`",
        );
    }
    if !backend.command.is_empty() && !used.contains(&"port") {
        let message = "the command does not hold `{port}`, so every replica must take its port from EVENKEEL_PORT";
        report.warning(&command, message, "add `\"{port}\"` where the program expects its port");
    }
}

/// Names in braces. Braces around anything but letters and `_` are left alone: JSON may stand in an argument.
fn placeholders(word: &str) -> Vec<&str> {
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    word.split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name)
        .filter(|name| is_name(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_in_an_argument_is_no_placeholder() {
        assert_eq!(placeholders("--port={port}"), ["port"]);
        assert_eq!(placeholders("{index}-{gpu}"), ["index", "gpu"]);
        assert!(placeholders("{\"a\": 1} {} {A}").is_empty());
    }
}
