//! The few things that the gateway reads in a JSON body, without building the rest: the model's name with its place, and
//! the prompt's size.

use bytes::{Bytes, BytesMut};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Bytes of text that count as one token where no engine tells.
const BYTES_PER_TOKEN: u64 = 4;

/// What was found in a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Document {
    /// The model's name.
    pub(crate) model: Option<String>,
    /// Where the name's JSON string stands in the body.
    place: Option<Range<usize>>,
    /// Tokens of the prompt, estimated at four bytes each.
    pub(crate) prompt_tokens: u64,
    /// Whether the answer is wanted token by token.
    pub(crate) streamed: bool,
}

/// The model name that an engine answers to, also in the form that a body has it in.
#[derive(Clone, Debug)]
pub(crate) struct ServedModel {
    /// The name.
    pub(crate) name: String,
    json: String,
}

impl ServedModel {
    /// The name `name`.
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), json: serde_json::Value::from(name).to_string() }
    }
}

/// A body that cannot be routed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BadDocument {
    /// There is none.
    #[error("it is empty")]
    Empty,
    /// It is JSON of another kind.
    #[error("it is {0}")]
    NotAnObject(&'static str),
    /// The model is named by something else than a text.
    #[error("its `model` is no text")]
    ModelIsNoText,
    /// It is no JSON, or a member is of a kind that nobody could use.
    #[error("{0}")]
    Unreadable(#[from] serde_json::Error),
}

/// The members read; all others are skipped. A second `model` is an error, so no reader behind us can see another one.
#[derive(serde::Deserialize)]
struct Members<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    stream: Option<bool>,
    #[serde(default)]
    messages: Text,
    #[serde(default)]
    prompt: Text,
    #[serde(default)]
    input: Text,
}

impl Document {
    /// Reads `body`.
    ///
    /// # Errors
    /// When it is not a JSON object, or names a model twice or by something else than a text.
    pub(crate) fn read(body: &Bytes) -> Result<Self, BadDocument> {
        must_be_object(body)?;
        let members: Members<'_> = serde_json::from_slice(body)?;
        let text = members.messages.bytes + members.prompt.bytes + members.input.bytes;
        let tokens = members.messages.tokens + members.prompt.tokens + members.input.tokens;
        let prompt_tokens = text.div_ceil(BYTES_PER_TOKEN) + tokens;
        let streamed = members.stream.unwrap_or(false);
        let Some(raw) = members.model else { return Ok(Self { prompt_tokens, streamed, ..Self::default() }) };
        let name: Cow<'_, str> = serde_json::from_str(raw.get()).map_err(|_| BadDocument::ModelIsNoText)?;
        // The raw value borrows from the body, so its address tells its place.
        let start = raw.get().as_ptr() as usize - body.as_ptr() as usize;
        let place = Some(start..start + raw.get().len());
        Ok(Self { model: Some(name.into_owned()), place, prompt_tokens, streamed })
    }

    /// The body with the model's name replaced by `served`; every other byte stays as the client sent it.
    pub(crate) fn with_model(&self, body: &Bytes, served: &ServedModel) -> Bytes {
        let (Some(model), Some(place)) = (&self.model, &self.place) else { return body.clone() };
        if *model == served.name {
            return body.clone();
        }
        let mut rewritten = BytesMut::with_capacity(body.len() - place.len() + served.json.len());
        rewritten.extend_from_slice(body.get(..place.start).unwrap_or_default());
        rewritten.extend_from_slice(served.json.as_bytes());
        rewritten.extend_from_slice(body.get(place.end..).unwrap_or_default());
        rewritten.freeze()
    }
}

/// A list would be read as an object's members in their order, so its kind is looked at first.
fn must_be_object(body: &[u8]) -> Result<(), BadDocument> {
    let kind = match body.trim_ascii_start().first() {
        Some(b'{') => return Ok(()),
        None => return Err(BadDocument::Empty),
        Some(b'[') => "a list",
        Some(b'"') => "a text",
        Some(b'-' | b'0'..=b'9') => "a number",
        // Whatever else it is, the reader tells.
        Some(_) if serde_json::from_slice::<IgnoredAny>(body).is_err() => return Ok(()),
        Some(_) => "no object but true, false or null",
    };
    Err(BadDocument::NotAnObject(kind))
}

/// How much text a prompt holds, in whichever of the OpenAI forms: a string, token ids, messages, parts of messages.
#[derive(Clone, Copy, Debug, Default)]
struct Text {
    bytes: u64,
    tokens: u64,
}

impl Text {
    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.tokens += other.tokens;
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, token ids or messages")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text { bytes: text.len() as u64, tokens: 0 })
    }

    fn visit_u64<E>(self, _token: u64) -> Result<Text, E> {
        Ok(Text { bytes: 0, tokens: 1 })
    }

    fn visit_i64<E>(self, _token: i64) -> Result<Text, E> {
        Ok(Text { bytes: 0, tokens: 1 })
    }

    fn visit_f64<E>(self, _number: f64) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_bool<E>(self, _flag: bool) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_unit<E>(self) -> Result<Text, E> {
        Ok(Text::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Text, A::Error> {
        let mut sum = Text::default();
        while let Some(item) = items.next_element::<Text>()? {
            sum.add(item);
        }
        Ok(sum)
    }

    /// Only what a message says counts, not its role or an image's address.
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Text, A::Error> {
        let mut sum = Text::default();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if name == "content" || name == "text" {
                sum.add(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(body: &'static str) -> Document {
        Document::read(&Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn only_the_models_name_is_rewritten() {
        let body = Bytes::from_static(br#"{ "n":1.50, "model" : "g\u006fld","messages":[] , "x":"model"}"#);
        let document = Document::read(&body).unwrap();
        assert_eq!(document.model.as_deref(), Some("gold"));
        let rewritten = document.with_model(&body, &ServedModel::new("Qwen \"3B\""));
        assert_eq!(rewritten, br#"{ "n":1.50, "model" : "Qwen \"3B\"","messages":[] , "x":"model"}"#.as_slice());
    }

    #[test]
    fn a_body_without_a_model_or_with_the_served_one_is_not_copied() {
        for text in [r#"{"prompt":"a"}"#, r#"{"model":"served"}"#] {
            let body = Bytes::from_static(text.as_bytes());
            let sent = Document::read(&body).unwrap().with_model(&body, &ServedModel::new("served"));
            assert_eq!(sent.as_ptr(), body.as_ptr());
        }
    }

    #[test]
    fn two_models_in_one_body_are_refused() {
        assert!(Document::read(&Bytes::from_static(br#"{"model":"gold","model":"silver"}"#)).is_err());
        assert!(Document::read(&Bytes::from_static(br#"{"model":7}"#)).is_err());
    }

    #[test]
    fn a_body_that_is_no_object_is_told_what_it_is() {
        for (body, told) in [
            ("", "it is empty"),
            (" [1]", "it is a list"),
            (r#"["gold",true,"a","b","c"]"#, "it is a list"),
            (r#""gold""#, "it is a text"),
            ("-7", "it is a number"),
            ("null", "it is no object but true, false or null"),
            ("model=gold", "expected value at line 1 column 1"),
            (r#"{"model":7}"#, "its `model` is no text"),
            (r#"{"model":"#, "EOF while parsing a value at line 1 column 9"),
        ] {
            let refused = Document::read(&Bytes::from_static(body.as_bytes())).unwrap_err();
            assert_eq!(refused.to_string(), told, "{body}");
        }
    }

    #[test]
    fn prompt_tokens_are_estimated_from_the_text_alone() {
        assert_eq!(read(r#"{"messages":[{"role":"user","content":"12345678"}]}"#).prompt_tokens, 2);
        let parts = r#"{"messages":[{"role":"user","content":[{"type":"text","text":"1234"}]}]}"#;
        assert_eq!(read(parts).prompt_tokens, 1);
        assert_eq!(read(r#"{"prompt":"123456789"}"#).prompt_tokens, 3);
        assert_eq!(read(r#"{"prompt":[17,4,9]}"#).prompt_tokens, 3);
        assert_eq!(read(r#"{"model":"gold"}"#).prompt_tokens, 0);
    }

    #[test]
    fn only_a_true_stream_is_streamed() {
        assert!(read(r#"{"stream":true}"#).streamed);
        for body in [r#"{"stream":false}"#, r#"{"stream":null}"#, "{}"] {
            assert!(!read(body).streamed, "{body}");
        }
    }
}
