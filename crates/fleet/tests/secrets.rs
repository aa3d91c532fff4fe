//! A secret that was written into the file by mistake is refused and shown nowhere.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_fleet::{Problems, read};

const SOUND: &str = include_str!("files/sound.yaml");
const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";

/// The sound file with `from` replaced is refused at `path`, and nothing that is printed of it holds `secret`.
#[track_caller]
fn hidden(from: &str, to: &str, secret: &str, path: &str) -> Problems {
    assert_eq!(SOUND.matches(from).count(), 1, "{from:?} must stand once in sound.yaml");
    let problems = read(&SOUND.replace(from, to), "x").expect_err("it must be refused");
    assert!(problems.list().iter().any(|problem| problem.path == path), "{problems}");
    for shown in [problems.to_string(), problems.render(false), problems.to_json().to_string(), format!("{problems:?}")]
    {
        assert!(!shown.contains(secret), "{shown}");
    }
    problems
}

const VARIABLE: &str = "controller.events.webhook.token_variable";

#[test]
fn a_token_where_its_variables_name_belongs_is_refused_without_repeating_it() {
    for token in [TOKEN, "sk-live-abc", "HOOK_TOKEN=hunter2", "0x1F", "hunter2!", "12345678901234567890"] {
        let problems = hidden("WEBHOOK_TOKEN", token, token, VARIABLE);
        let [problem] = problems.list() else { panic!("one problem expected: {problems}") };
        assert!(problem.message.contains("the NAME of an environment variable belongs here"), "{problem}");
        assert!(problem.help.contains("HOOK_TOKEN"), "{problem}");
    }
    hidden("[HF_HOME]", "[HF_HOME, \"HF_TOKEN=hunter2\"]", "hunter2", "tiers.gold.backend.local.environment[1]");
}

#[test]
fn a_token_under_a_key_of_its_own_is_not_shown_beside_what_to_write() {
    let problems =
        hidden("token_variable: WEBHOOK_TOKEN", "token: hunter2", "hunter2", "controller.events.webhook.token");
    assert_eq!(problems.list()[0].help, "did you mean `token_variable`?");
}

#[test]
fn a_password_in_an_address_is_not_shown() {
    let problems =
        hidden("http://127.0.0.1:9000/events", "http://me:hunter2@host/", "hunter2", "controller.events.webhook.url");
    assert!(problems.list()[0].message.starts_with("this is not an http or https address: a user"), "{problems}");
}

#[test]
fn another_mistake_beside_a_secret_is_underlined_where_it_stands_and_the_secret_stays_hidden() {
    let to = format!("token_variable: {TOKEN}é, retries: 3");
    let problems = hidden("token_variable: WEBHOOK_TOKEN", &to, TOKEN, "controller.events.webhook.retries");
    let rendered = problems.render(false);
    let blanked = format!("token_variable: {}, retries: 3}}", "*".repeat(TOKEN.len() + "é".len()));
    assert!(rendered.contains(&blanked), "{rendered}");
}
