//! The answers: OpenAI's JSON bodies, and the server-sent events of a stream, one for each token.

use super::metrics::Reason;
use super::request::Form;
use bytes::{BufMut, Bytes, BytesMut};
use serde_json::{Value, json};

/// Every token reads like this; a client that counts tokens counts these.
const TOKEN: &str = " word";

/// What is the same in every part of one request's answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) form: Form,
    /// Unique within the replica.
    pub(super) number: u64,
    /// Unix time in seconds.
    pub(super) created: i64,
    pub(super) model: String,
    pub(super) prompt_tokens: u32,
    pub(super) include_usage: bool,
}

impl Answer {
    /// The whole body of an answer that is not streamed.
    pub(super) fn body(&self, output_tokens: u32, reason: Reason) -> Value {
        let text = TOKEN.repeat(output_tokens as usize);
        let mut choice = json!({"index": 0, "logprobs": null, "finish_reason": reason.name()});
        let object = match self.form {
            Form::Completion => {
                choice["text"] = json!(text);
                "text_completion"
            }
            Form::Chat => {
                choice["message"] = json!({"role": "assistant", "content": text});
                "chat.completion"
            }
        };
        let mut body = self.envelope(object, json!([choice]));
        body["usage"] = self.usage(output_tokens);
        body
    }

    /// The chunk that opens a chat stream with the role; a completion stream has none.
    pub(super) fn opening(&self) -> Option<Bytes> {
        let delta = json!({"role": "assistant", "content": ""});
        (self.form == Form::Chat).then(|| event(&self.chunk(json!({"delta": delta}), None)))
    }

    /// A token in the middle of the stream.
    pub(super) fn token(&self) -> Bytes {
        event(&self.chunk(self.text(), None))
    }

    /// The last token with the reason why it is the last, the usage where asked for, and the end mark.
    pub(super) fn closing(&self, output_tokens: u32, reason: Reason) -> Bytes {
        let mut events = BytesMut::from(event(&self.chunk(self.text(), Some(reason))));
        if self.include_usage {
            let mut last = self.envelope(self.stream_object(), json!([]));
            last["usage"] = self.usage(output_tokens);
            events.put(event(&last));
        }
        events.put_slice(b"data: [DONE]\n\n");
        events.freeze()
    }

    fn text(&self) -> Value {
        match self.form {
            Form::Completion => json!({"text": TOKEN}),
            Form::Chat => json!({"delta": {"content": TOKEN}}),
        }
    }

    fn chunk(&self, mut choice: Value, reason: Option<Reason>) -> Value {
        choice["index"] = json!(0);
        choice["logprobs"] = Value::Null;
        choice["finish_reason"] = json!(reason.map(Reason::name));
        let mut chunk = self.envelope(self.stream_object(), json!([choice]));
        if self.include_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    const fn stream_object(&self) -> &'static str {
        match self.form {
            Form::Completion => "text_completion",
            Form::Chat => "chat.completion.chunk",
        }
    }

    fn envelope(&self, object: &str, choices: Value) -> Value {
        let prefix = match self.form {
            Form::Completion => "cmpl",
            Form::Chat => "chatcmpl",
        };
        json!({
            "id": format!("{prefix}-{}-{}", self.created, self.number),
            "object": object,
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }

    fn usage(&self, output_tokens: u32) -> Value {
        json!({
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": output_tokens,
            "total_tokens": u64::from(self.prompt_tokens) + u64::from(output_tokens),
        })
    }
}

fn event(chunk: &Value) -> Bytes {
    Bytes::from(format!("data: {chunk}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(form: Form, include_usage: bool) -> Answer {
        Answer { form, number: 3, created: 1_700_000_000, model: "tiny".to_owned(), prompt_tokens: 7, include_usage }
    }

    fn parsed(events: &Bytes) -> Vec<Value> {
        let text = String::from_utf8_lossy(events);
        let data = text.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
        data.filter_map(|data| serde_json::from_str(data).ok()).collect()
    }

    #[test]
    fn a_whole_answer_tells_its_usage_and_reason() {
        let body = answer(Form::Chat, false).body(2, Reason::Stop);
        assert_eq!(body["choices"][0]["message"]["content"], " word word");
        assert_eq!(body["choices"][0]["finish_reason"], "stop");
        assert_eq!(body["object"], "chat.completion");
        assert_eq!(body["usage"], json!({"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}));
        assert_eq!(answer(Form::Completion, false).body(1, Reason::Length)["choices"][0]["text"], " word");
    }

    #[test]
    fn only_the_last_token_carries_a_reason_and_the_stream_ends_with_done() {
        let answer = answer(Form::Completion, false);
        assert_eq!(parsed(&answer.token())[0]["choices"][0]["finish_reason"], Value::Null);
        let closing = answer.closing(5, Reason::Length);
        let events = parsed(&closing);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0]["choices"][0]["finish_reason"], "length");
        assert_eq!(events[0].get("usage"), None);
        assert!(closing.ends_with(b"data: [DONE]\n\n"));
    }

    #[test]
    fn usage_comes_in_a_last_chunk_without_choices_where_it_is_asked_for() {
        let answer = answer(Form::Chat, true);
        assert_eq!(parsed(&answer.token())[0]["usage"], Value::Null);
        let events = parsed(&answer.closing(5, Reason::Length));
        assert_eq!(events[1]["choices"], json!([]));
        assert_eq!(events[1]["usage"]["completion_tokens"], 5);
    }

    #[test]
    fn a_chat_stream_opens_with_the_role() {
        let opening = answer(Form::Chat, false).opening();
        let first = opening.as_ref().map(parsed).unwrap_or_default();
        assert_eq!(first[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
        assert_eq!(answer(Form::Completion, false).opening(), None);
    }
}
