//! Texts that several pages of the file share: names, addresses, variables, paths.

use crate::form::{Leaf, Wrong};
use crate::scalar::Text;
use crate::secret::looks_secret;
use crate::yaml::Kind;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// The pattern of a fleet's or tier's name: it becomes part of file names, host names and metric labels.
pub(crate) const NAME_PATTERN: &str = "^[a-z0-9][a-z0-9-]{0,62}$";

/// The name of a fleet or schedule entry.
pub(crate) const NAME: Text = Text { what: "a name", example: "game", pattern: NAME_PATTERN, rule: name_rule };

fn name_rule(text: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let right = (1..=63).contains(&text.len()) && text.bytes().all(allowed) && !text.starts_with('-');
    (!right).then(|| "it may hold lower-case letters, digits and `-`, 63 at most, and not begin with `-`".to_owned())
}

/// A tier's name, as a key.
pub(crate) fn name(text: &str) -> Result<String, Wrong> {
    let plain: String =
        text.to_ascii_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let plain = plain.trim_matches('-');
    let Some(wrong) = name_rule(text) else { return Ok(text.to_owned()) };
    let help = match name_rule(plain) {
        None => format!("write `{plain}`"),
        // Nothing of it can stay, as of a name of emoji alone, or too much.
        Some(_) => format!("write for example `{}`", NAME.example),
    };
    Err(Wrong::new(format!("`{text}` is not a tier's name: {wrong}"), help))
}

/// A model's name, as clients ask for it.
pub(crate) const MODEL: Text = Text {
    what: "a model's name",
    example: "Qwen/Qwen2.5-3B-Instruct-AWQ",
    pattern: r"^\S+$",
    rule: |text| (text.is_empty() || text.contains(char::is_whitespace)).then(|| "it may hold no blanks".to_owned()),
};

/// The name of an environment variable; its value stays out of the file. People write the value itself here, so whatever
/// is no name is not shown.
pub(crate) struct Variable;

impl Leaf for Variable {
    type Value = String;

    fn parse(&self, kind: &Kind) -> Result<String, Wrong> {
        let why = match kind {
            Kind::Text(text) => match variable_rule(text) {
                None => return Ok(text.clone()),
                Some(why) => why.to_owned(),
            },
            Kind::Number(_) => "not a number".to_owned(),
            other => format!("not {}", other.as_written()),
        };
        let help =
            "write for example `HOOK_TOKEN`; its value comes from the controller's environment, never from this file";
        Err(Wrong::new(format!("the NAME of an environment variable belongs here, {why}"), help).hiding(true))
    }

    fn show(&self, value: &String) -> String {
        value.clone()
    }

    fn describe(&self) -> Value {
        json!({
            "title": "the NAME of an environment variable",
            "type": "string",
            "pattern": "^[A-Za-z_][A-Za-z0-9_]*$",
            "examples": ["HOOK_TOKEN"],
        })
    }
}

fn variable_rule(text: &str) -> Option<&'static str> {
    let sound = !text.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match text {
        "" => Some("not an empty text"),
        _ if text.contains('=') => Some("the name only, without its value"),
        _ if looks_secret(text) => Some("and this looks like the secret itself"),
        _ if sound => None,
        _ => Some("of letters, digits and `_`"),
    }
}

/// An HTTP address without a secret in it.
pub(crate) const URL: Text = Text {
    what: "an http or https address",
    example: "http://127.0.0.1:9000/players",
    pattern: r"^https?://[^\s@]+$",
    rule: url_rule,
};

fn url_rule(text: &str) -> Option<String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        None => Some("it begins with `http://` or `https://`".to_owned()),
        Some(rest) if rest.contains('@') => Some("a user or a password does not belong into the file".to_owned()),
        Some(rest) if rest.is_empty() || rest.starts_with(['/', ':', '?']) => Some("its host is missing".to_owned()),
        Some(rest) if rest.contains(char::is_whitespace) => Some("it may hold no blanks".to_owned()),
        Some(_) => None,
    }
}

/// The path part of an address.
pub(crate) const HTTP_PATH: Text = Text {
    what: "a path on the replica",
    example: "/health",
    pattern: r"^/\S*$",
    rule: |text| {
        (!text.starts_with('/') || text.contains(char::is_whitespace))
            .then(|| "it begins with `/` and holds no blanks".to_owned())
    },
};

/// A JSON pointer (RFC 6901).
pub(crate) const POINTER: Text = Text {
    what: "a JSON pointer",
    example: "/players/online",
    pattern: "^(/.*)?$",
    rule: |text| (!text.is_empty() && !text.starts_with('/')).then(|| "it begins with `/`".to_owned()),
};

/// A file of this machine.
pub(crate) const FILE_PATH: Text = Text {
    what: "a file's path",
    example: "events.jsonl",
    pattern: r"^[\s\S]+$",
    rule: |text| text.is_empty().then(|| "it is empty".to_owned()),
};

/// Where to listen.
pub(crate) struct Address;

impl Leaf for Address {
    type Value = SocketAddr;

    fn parse(&self, kind: &Kind) -> Result<SocketAddr, Wrong> {
        let wrong = || {
            Wrong::new(
                format!("an address and a port belong here, not {}", kind.as_written()),
                "write for example `127.0.0.1:8080`",
            )
        };
        match kind {
            Kind::Text(text) => text.replacen("localhost:", "127.0.0.1:", 1).parse().map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }

    fn show(&self, value: &SocketAddr) -> String {
        value.to_string()
    }

    fn describe(&self) -> Value {
        json!({ "title": "an address and a port", "type": "string", "pattern": r"^.+:[0-9]{1,5}$", "examples": ["127.0.0.1:8080"] })
    }
}
