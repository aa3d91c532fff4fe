//! What a server said when it failed a request, cut to what a person reads.

use crate::plan::ApiKey;
use serde_json::Value;

/// Characters shown.
const LONGEST: usize = 200;
/// Bytes looked at for them.
const LOOKED_AT: usize = 2_000;

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

/// On one line and short, without the key: some servers repeat what they were sent. `None` where no word is left.
pub(crate) fn for_people(words: &str, api_key: Option<&ApiKey>) -> Option<String> {
    let words = &words[..words.floor_char_boundary(LOOKED_AT)];
    let hidden = api_key.map_or_else(|| words.to_owned(), |key| key.hidden_in(words));
    let blank = |it: char| it.is_whitespace() || it.is_control();
    let line = hidden.split(blank).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let shown = match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}\u{2026}", &line[..end]),
        None => line,
    };
    Some(shown).filter(|words| !words.is_empty())
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
    fn a_part_of_the_key_and_one_that_is_written_otherwise_are_hidden_too() {
        let key = ApiKey::new("sk-Abcdefgh/Ijklmnop+Qrstuvwx==").unwrap();
        for (said, shown) in [
            ("bad key sk-Abcdefgh/Ijk", "bad key (the key)"),
            ("SK-ABCDEFGH/IJKLMNOP+QRSTUVWX==", "(the key)"),
            ("sk-Abcdefgh%2FIjklmnop%2BQrstuvwx%3D%3D", "(the key)%2F(the key)%2B(the key)%3D%3D"),
            ("key sk-Abcd\u{2026}, \u{fc}ber", "key sk-Abcd\u{2026}, \u{fc}ber"),
        ] {
            assert_eq!(for_people(said, Some(&key)).unwrap(), shown);
        }
        let short = ApiKey::new("abc").unwrap();
        assert_eq!(for_people("the key abc is wrong", Some(&short)).unwrap(), "the key (the key) is wrong");
    }

    #[test]
    fn a_key_that_could_not_be_found_in_words_is_none() {
        assert!(["", "  ", "sk secret", "sk-\u{fc}"].into_iter().all(|key| ApiKey::new(key).is_none()));
    }

    #[test]
    fn what_is_shown_is_one_short_line_without_the_key() {
        let key = ApiKey::new("sk-secret").unwrap();
        let shown = for_people("Incorrect\n  key\u{1b}[31m sk-secret", Some(&key)).unwrap();
        assert_eq!(shown, "Incorrect key [31m (the key)");
        // A blank that copying left is no part of what the server sees and repeats.
        let pasted = ApiKey::new(" sk-secret\n").unwrap();
        assert_eq!(for_people("no such key: sk-secret.", Some(&pasted)).unwrap(), "no such key: (the key).");
        for cut in [LONGEST, LOOKED_AT] {
            let shown = for_people(&format!("{}sk-secret", "x ".repeat(cut / 2 - 2)), Some(&key)).unwrap();
            assert!(!shown.contains("sk-s"), "{shown}");
        }
        assert_eq!(for_people(&"\u{fc}".repeat(LONGEST), None).unwrap().chars().count(), LONGEST);
    }
}
