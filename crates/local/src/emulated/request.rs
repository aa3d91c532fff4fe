//! The requests that a replica takes: the part of OpenAI's completion and chat forms that decides what the engine does.
//! Everything else in a body (temperature, stop words, ...) is accepted and ignored, as it changes no timing here.

use super::failure::Failure;
use serde::Deserialize;
use serde_json::Value;

/// Which of the two forms a request came in, and its answer goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `/v1/completions`.
    Completion,
    /// `/v1/chat/completions`.
    Chat,
}

/// A request as the engine sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) form: Form,
    pub(super) prompt_tokens: u32,
    /// The exact length of the output; `None` leaves it to the replica.
    pub(super) max_tokens: Option<u32>,
    pub(super) stream: bool,
    /// Whether a stream ends with a chunk that holds the usage.
    pub(super) include_usage: bool,
}

/// The fields of both forms.
#[derive(Deserialize)]
struct Body {
    model: Option<String>,
    prompt: Option<Value>,
    messages: Option<Vec<Message>>,
    max_tokens: Option<i64>,
    /// The chat form's newer name of `max_tokens`, which wins over it.
    max_completion_tokens: Option<i64>,
    n: Option<i64>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Value,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

impl Job {
    /// Reads a body meant for the model `served`.
    ///
    /// # Errors
    /// In the words of OpenAI's form: 400 for a body that cannot be served, 404 for another model.
    pub(super) fn read(form: Form, body: &[u8], served: &str) -> Result<Self, Failure> {
        let body: Body = serde_json::from_slice(body)
            .map_err(|error| Failure::bad_request(format!("the body is not a request: {error}")))?;
        if let Some(model) = body.model.as_deref().filter(|model| *model != served) {
            return Err(Failure::unknown_model(model));
        }
        if body.n.is_some_and(|n| n != 1) {
            return Err(Failure::bad_request("n must be 1: this engine gives one answer to a request".to_owned()));
        }
        if body.stream_options.is_some() && !body.stream {
            return Err(Failure::bad_request("stream_options needs stream: true".to_owned()));
        }
        Ok(Self {
            form,
            prompt_tokens: prompt_tokens(form, &body)?,
            max_tokens: output_tokens(&body)?,
            stream: body.stream,
            include_usage: body.stream_options.is_some_and(|options| options.include_usage),
        })
    }
}

fn output_tokens(body: &Body) -> Result<Option<u32>, Failure> {
    let Some(asked) = body.max_completion_tokens.or(body.max_tokens) else { return Ok(None) };
    match u32::try_from(asked) {
        Ok(tokens) if tokens > 0 => Ok(Some(tokens)),
        _ => Err(Failure::bad_request(format!("max_tokens is {asked}: write at least 1"))),
    }
}

fn prompt_tokens(form: Form, body: &Body) -> Result<u32, Failure> {
    let tokens = match form {
        Form::Completion => body
            .prompt
            .as_ref()
            .and_then(tokens_of_prompt)
            .ok_or_else(|| Failure::bad_request("prompt must be one string or one list of token ids".to_owned()))?,
        Form::Chat => {
            let messages = body.messages.as_deref().filter(|messages| !messages.is_empty());
            let messages = messages.ok_or_else(|| Failure::bad_request("messages must hold a message".to_owned()))?;
            tokens_in(messages.iter().map(|message| bytes_of_content(&message.content)).sum())
        }
    };
    // An empty prompt still has the token that begins every sequence.
    Ok(u32::try_from(tokens).unwrap_or(u32::MAX).max(1))
}

/// Tokens of a prompt; `None` for a form that holds no prompt, or several.
fn tokens_of_prompt(prompt: &Value) -> Option<usize> {
    match prompt {
        Value::String(text) => Some(tokens_in(text.len())),
        Value::Array(ids) if ids.iter().all(Value::is_u64) => Some(ids.len()),
        _ => None,
    }
}

/// The estimate that the gateway makes as well: four bytes a token, rounded up.
const fn tokens_in(bytes: usize) -> usize {
    bytes.div_ceil(4)
}

/// Bytes of text in a message: its content, or the text parts of it.
fn bytes_of_content(content: &Value) -> usize {
    match content {
        Value::String(text) => text.len(),
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).map(str::len).sum()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use serde_json::json;

    fn read(form: Form, body: &Value) -> Result<Job, Failure> {
        Job::read(form, body.to_string().as_bytes(), "tiny")
    }

    #[test]
    fn a_prompt_is_a_token_for_every_four_bytes_rounded_up() {
        for (prompt, tokens) in [("", 1), ("a", 1), ("abcd", 1), ("abcde", 2), ("\u{e4}\u{e4}\u{e4}", 2)] {
            let job = read(Form::Completion, &json!({"model": "tiny", "prompt": prompt})).unwrap();
            assert_eq!(job.prompt_tokens, tokens, "{prompt:?}");
        }
        assert_eq!(read(Form::Completion, &json!({"prompt": [5, 6, 7]})).unwrap().prompt_tokens, 3);
    }

    #[test]
    fn a_chat_counts_the_text_of_all_messages_together() {
        let messages = json!([
            {"role": "system", "content": "abc"},
            {"role": "user", "content": [{"type": "text", "text": "de"}, {"type": "image_url", "image_url": {"url": "x"}}]},
            {"role": "assistant", "content": null},
        ]);
        let job =
            read(Form::Chat, &json!({"messages": messages, "max_completion_tokens": 9, "max_tokens": 4})).unwrap();
        assert_eq!((job.prompt_tokens, job.max_tokens), (2, Some(9)));
    }

    #[test]
    fn streaming_and_its_usage_are_asked_for_separately() {
        let plain = read(Form::Completion, &json!({"prompt": "a", "stream": true})).unwrap();
        assert!(plain.stream && !plain.include_usage);
        let usage = json!({"prompt": "a", "stream": true, "stream_options": {"include_usage": true}});
        assert!(read(Form::Completion, &usage).unwrap().include_usage);
    }

    #[test]
    fn what_cannot_be_served_is_refused_with_the_fix() {
        for (body, status, word) in [
            (json!({"prompt": "a", "model": "other"}), 404, "other"),
            (json!({"prompt": ["a", "b"]}), 400, "one string"),
            (json!({"model": "tiny"}), 400, "prompt"),
            (json!({"prompt": "a", "max_tokens": 0}), 400, "at least 1"),
            (json!({"prompt": "a", "max_tokens": -3}), 400, "at least 1"),
            (json!({"prompt": "a", "n": 2}), 400, "n must be 1"),
            (json!({"prompt": "a", "stream_options": {"include_usage": true}}), 400, "stream: true"),
            (json!([1]), 400, "not a request"),
        ] {
            let failure = read(Form::Completion, &body).unwrap_err();
            assert_eq!(failure.status.as_u16(), status, "{body}");
            assert!(failure.message.contains(word), "{body}: {}", failure.message);
        }
        assert!(read(Form::Chat, &json!({"messages": []})).unwrap_err().message.contains("messages"));
    }
}
