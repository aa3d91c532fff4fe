//! What a server said when it failed a request, cut to what a person reads.

use crate::plan::ApiKey;
use serde_json::Value;

/// Characters shown.
const LONGEST: usize = 200;

/// The words in an error's body: OpenAI's servers send `{"error": {"message": ...}}`, FastAPI's `{"detail": ...}`, others
/// plain text. `None` for a body without words.
pub(crate) fn in_body(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let words = serde_json::from_str(&text).map_or_else(|_| text.into_owned(), |value: Value| in_value(&value));
    Some(words).filter(|words| !words.trim().is_empty())
}

/// The words in a JSON value; where none stand at a usual place, all of it.
pub(crate) fn in_value(value: &Value) -> String {
    let known = |name| value.get(name).filter(|inside| !inside.is_null());
    let inside = || ["error", "message", "detail"].into_iter().find_map(known);
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Object(fields) if fields.is_empty() => String::new(),
        Value::Object(_) => inside().map_or_else(|| value.to_string(), in_value),
        _ => value.to_string(),
    }
}

/// On one line and short, without the key: some servers repeat what they were sent. The key is hidden before the words
/// are cut, so that no beginning of it is left.
pub(crate) fn for_people(words: &str, api_key: Option<&ApiKey>) -> String {
    let hidden = api_key.map_or_else(|| words.to_owned(), |key| key.hidden_in(words));
    let blank = |it: char| it.is_whitespace() || it.is_control();
    let line = hidden.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}\u{2026}", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_found_where_servers_put_them() {
        let said = |body: &str| in_body(body.as_bytes());
        assert_eq!(said(r#"{"error":{"message":"no replica","type":"unavailable"}}"#).unwrap(), "no replica");
        assert_eq!(said(r#"{"object":"error","message":"too long"}"#).unwrap(), "too long");
        assert_eq!(said(r#"{"detail":"Not Found"}"#).unwrap(), "Not Found");
        assert_eq!(said(r#"{"error":"expired"}"#).unwrap(), "expired");
        assert_eq!(said(r#"{"error":null,"message":"busy"}"#).unwrap(), "busy");
        assert_eq!(said(r#"{"detail":[{"loc":["body"]}]}"#).unwrap(), r#"[{"loc":["body"]}]"#);
        assert_eq!(said("upstream connect error").unwrap(), "upstream connect error");
        assert_eq!((said(""), said(" \n"), said("null"), said("{}")), (None, None, None, None));
    }

    #[test]
    fn a_key_that_could_not_be_found_in_words_is_none() {
        assert!(["", "  ", "sk secret", "sk-\u{fc}"].into_iter().all(|key| ApiKey::new(key).is_none()));
    }

    #[test]
    fn what_is_shown_is_one_short_line_without_the_key() {
        let key = ApiKey::new("sk-secret").unwrap();
        let shown = for_people("Incorrect\n  key\u{1b}[31m sk-secret", Some(&key));
        assert_eq!(shown, "Incorrect key [31m (the key)");
        // A blank that copying left is no part of what the server sees and repeats.
        let pasted = ApiKey::new(" sk-secret\n").unwrap();
        assert_eq!(for_people("no such key: sk-secret.", Some(&pasted)), "no such key: (the key).");
        let straddling = format!("{}sk-secret", "x".repeat(LONGEST - 3));
        let shown = for_people(&straddling, Some(&key));
        assert!(!shown.contains("sk-") && shown.ends_with('\u{2026}'), "{shown}");
        assert_eq!(for_people(&"\u{fc}".repeat(LONGEST), None).chars().count(), LONGEST);
    }
}
