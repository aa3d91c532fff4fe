//! What the documents say is true: their links lead somewhere, their commands exist, their fleet files can be read, and
//! their tables list what the code has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use evenkeel_core::decision::Reason;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every document by its path from the root.
fn documents() -> BTreeMap<PathBuf, String> {
    let root = root();
    let folders = [root.clone(), root.join("docs")];
    let files = folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let documents = files.filter(|path| path.extension() == Some("md".as_ref()));
    documents
        .map(|path| (path.strip_prefix(&root).unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()))
        .collect()
}

fn document(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

/// The fenced blocks in one language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    text.split(&*fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

/// The words in backquotes that begin the rows of the table between `<!-- name` and `<!-- /name -->`.
fn first_column(text: &str, name: &str) -> BTreeSet<String> {
    let start = text.find(&format!("<!-- {name}:")).unwrap_or_else(|| panic!("no table {name}"));
    let table = text[start..].split(&format!("<!-- /{name} -->")).next().unwrap();
    table.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned())).collect()
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    for (path, text) in documents() {
        let folder = root().join(&path).parent().unwrap().to_owned();
        for target in text.split("](").skip(1).map(|rest| rest.split([')', '#']).next().unwrap()) {
            let elsewhere = target.is_empty() || target.starts_with("http");
            assert!(elsewhere || folder.join(target).exists(), "{}: {target} does not exist", path.display());
        }
    }
}

#[test]
fn every_command_shown_exists_and_takes_the_options_shown() {
    let mut seen = 0;
    for (path, text) in documents() {
        let lines = blocks(&text, "sh").into_iter().flat_map(str::lines);
        for line in lines.filter(|line| line.starts_with("evenkeel ")) {
            let words: Vec<&str> = line.split_whitespace().skip(1).collect();
            let help = Command::new(env!("CARGO_BIN_EXE_evenkeel")).arg(words[0]).arg("--help").output().unwrap();
            assert!(help.status.success(), "{}: `{line}` is no command", path.display());
            let help = String::from_utf8(help.stdout).unwrap();
            for option in words.iter().filter(|word| word.starts_with('-')) {
                assert!(help.contains(option), "{}: `{line}` has an unknown option:\n{help}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 5, "only {seen} commands found: the blocks are not marked `sh`");
}

#[test]
fn every_make_target_shown_exists() {
    let makefile = document("Makefile");
    let targets: BTreeSet<&str> = makefile.lines().filter_map(|line| line.split_once(": ##")).map(|it| it.0).collect();
    for (path, text) in documents() {
        for target in text.split("`make ").skip(1).map(|rest| rest.split(['`', ' ']).next().unwrap()) {
            assert!(targets.contains(target), "{}: make {target}", path.display());
        }
    }
    assert!(targets.contains("demo") && targets.contains("test"));
}

#[test]
fn the_table_of_reasons_lists_every_reason() {
    let reasons: BTreeSet<String> = Reason::ALL.iter().map(|reason| reason.name().to_owned()).collect();
    assert_eq!(first_column(&document("docs/decision.md"), "reasons"), reasons);
}

#[test]
fn the_table_of_events_lists_every_event() {
    let source = include_str!("../../controller/src/events.rs");
    let kinds = source.split("\"dev.evenkeel.").skip(1).map(|rest| rest.split('"').next().unwrap());
    let kinds: BTreeSet<String> = kinds.map(|kind| format!("dev.evenkeel.{kind}")).collect();
    assert!(!kinds.is_empty());
    assert_eq!(first_column(&document("docs/events.md"), "events"), kinds);
}

#[test]
fn every_piece_of_a_fleet_file_shown_can_be_read() {
    let mut read = 0;
    for (path, text) in documents() {
        for piece in blocks(&text, "yaml").into_iter().filter(|piece| !piece.contains("...")) {
            let whole = Template::new().with(piece);
            if let Err(problems) = evenkeel_fleet::read(&whole, "piece.yaml") {
                panic!("{}:\n{piece}\n{problems}", path.display());
            }
            read += 1;
        }
    }
    assert!(read > 7, "only {read} pieces found");
}

/// A fleet file with the least in it, into which a piece is put where its keys belong.
struct Template {
    file: BTreeMap<&'static str, String>,
    tier: BTreeMap<&'static str, String>,
}

impl Template {
    fn new() -> Self {
        let file = [
            ("fleet", "fleet: example\n"),
            ("players", "players: {push: {}}\n"),
            ("controller", ""),
            ("gateway", ""),
            ("criteria", ""),
        ];
        let tier = [
            ("model", "model: a-model\n"),
            ("replicas", "replicas: {minimum: 1, maximum: 8}\n"),
            ("price", "price: $1/hour\n"),
            ("slo", "slo: {attainment: 99%, objectives: [{tpot: {p95: 16ms}}]}\n"),
            (
                "requests",
                "requests: {prompt_tokens: {mean: 300, sigma: 0.8}, output_tokens: {mean: 40, sigma: 0.8}, per_player: 3.4/min}\n",
            ),
            (
                "profile",
                "profile: {source: estimate, iteration: 6.5ms, per_sequence: 90us, per_prefill_token: 80us, \
                 max_batched_tokens: 112, max_sequences: 7, kv_tokens: 400000, max_model_tokens: 4096}\n",
            ),
            ("start_up", "start_up: 180s\n"),
            ("policies", ""),
            ("behavior", ""),
            ("backend", "backend: {local: {command: [engine, \"{port}\"]}}\n"),
            ("asynchronous", ""),
        ];
        let owned = |(key, text): (&'static str, &str)| (key, text.to_owned());
        Self { file: file.map(owned).into(), tier: tier.map(owned).into() }
    }

    /// The whole file with `piece` in it.
    fn with(mut self, piece: &str) -> String {
        if piece.starts_with("command:") {
            return self.with(&format!("backend:\n  local:\n{}", indented(piece, 4)));
        }
        for part in parts(piece) {
            let key = part.split(':').next().unwrap();
            if let Some(text) = self.file.get_mut(key) {
                *text = part;
            } else if let Some(text) = self.tier.get_mut(key) {
                *text = part;
            } else {
                panic!("`{key}` is no key of a fleet file or of a tier");
            }
        }
        if !self.tier["asynchronous"].is_empty() {
            self.tier.insert("slo", LATER_SLO.to_owned());
        }
        let keys: String = self.tier.values().map(|text| indented(text, 4)).collect();
        let file: String = self.file.into_values().collect();
        format!("{file}tiers:\n  gold:\n{keys}{BRONZE}")
    }
}

/// Nobody waits for the tokens of an asynchronous tier.
const LATER_SLO: &str = "slo: {attainment: 95%, objectives: [{queue_time: {p95: 60s}}]}\n";

/// The asynchronous tier that pieces about criteria speak of.
const BRONZE: &str = "  bronze:
    model: b-model
    replicas: {minimum: 1, maximum: 8}
    price: $1/hour
    slo: {attainment: 95%, objectives: [{queue_time: {p95: 60s}}]}
    requests: {prompt_tokens: {mean: 300, sigma: 0.8}, output_tokens: {mean: 40, sigma: 0.8}, per_player: 1/hour}
    profile:
      {source: estimate, iteration: 100ms, per_sequence: 10ms, per_prefill_token: 1ms, max_batched_tokens: 512,
      max_sequences: 8, kv_tokens: 40000, max_model_tokens: 4096}
    start_up: 120s
    backend: {local: {command: [engine, \"{port}\"]}}
    asynchronous: {}
";

/// A piece cut at its keys that are not indented; comments alone are left out.
fn parts(piece: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for line in piece.lines().filter(|line| !line.starts_with('#')) {
        match parts.last_mut() {
            Some(part) if line.starts_with(' ') => *part += &format!("{line}\n"),
            _ => parts.push(format!("{line}\n")),
        }
    }
    parts
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
}
