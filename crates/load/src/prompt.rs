//! Request bodies.

use crate::plan::ApiKey;
use crate::target::Target;
use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;
use serde::Serialize;

/// Three letters and a space are about one token; so is a word of the common byte-pair vocabularies.
const BYTES_PER_TOKEN: usize = 4;

/// Words of three letters.
const WORDS: [&[u8; 4]; 32] = [
    b"act ", b"air ", b"arm ", b"ask ", b"bed ", b"big ", b"box ", b"boy ", b"car ", b"cup ", b"day ", b"dog ",
    b"ear ", b"eat ", b"end ", b"eye ", b"far ", b"fly ", b"get ", b"gun ", b"hat ", b"ice ", b"key ", b"law ",
    b"map ", b"oil ", b"pay ", b"red ", b"run ", b"sea ", b"sun ", b"top ",
];

/// A request to `/v1/chat/completions`.
#[derive(Serialize)]
struct ChatRequest<'a> {
    model: &'a str,
    messages: [Message<'a>; 1],
    max_tokens: u32,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    /// Engines stop where the model would, unless told; the drawn output length is then not what is generated.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ignore_eos: bool,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// What a request asks for.
pub(crate) struct Ask<'a> {
    /// Model name.
    pub(crate) model: &'a str,
    /// Which request of the run this is: it chooses the words, so that no prompt repeats another's beginning and a
    /// prefix cache finds nothing that real players would not share.
    pub(crate) number: u64,
    /// Prompt length.
    pub(crate) prompt_tokens: u32,
    /// Output length.
    pub(crate) output_tokens: u32,
    /// Whether tokens are streamed.
    pub(crate) stream: bool,
    /// Whether the engine is told to go on to the output length.
    pub(crate) ignore_eos: bool,
}

impl Ask<'_> {
    /// The request's head, to which a body belongs.
    pub(crate) fn request(&self, target: &Target, api_key: Option<&ApiKey>) -> http::request::Builder {
        target.request(Method::POST, "/v1/chat/completions", api_key).header(CONTENT_TYPE, "application/json")
    }

    /// The JSON body.
    pub(crate) fn body(&self) -> Bytes {
        let content = prompt(self.number, self.prompt_tokens);
        let request = ChatRequest {
            model: self.model,
            messages: [Message { role: "user", content: &content }],
            max_tokens: self.output_tokens,
            stream: self.stream,
            stream_options: self.stream.then_some(StreamOptions { include_usage: true }),
            ignore_eos: self.ignore_eos,
        };
        // Strings, numbers and flags always serialize.
        serde_json::to_vec(&request).unwrap_or_default().into()
    }
}

/// A text of about `tokens` tokens that depends on `number` from its first words on.
fn prompt(number: u64, tokens: u32) -> String {
    // Knuth's multiplicative constant spreads consecutive numbers over all bits.
    let mut state = (number.wrapping_add(1)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::with_capacity(tokens as usize * BYTES_PER_TOKEN);
    for _ in 0..tokens {
        // Marsaglia's xorshift: words need no quality, only variety.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.extend(WORDS[(state >> 32) as usize % WORDS.len()].iter().copied().map(char::from));
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_has_four_bytes_a_token_and_its_own_beginning() {
        assert_eq!(prompt(1, 300).len(), 1_200);
        let beginnings: std::collections::BTreeSet<String> = (0..1_000).map(|number| prompt(number, 16)).collect();
        assert_eq!(beginnings.len(), 1_000);
        assert_eq!(prompt(7, 40), prompt(7, 40));
    }

    #[test]
    fn the_body_says_what_is_asked() {
        let ask =
            Ask { model: "gold-model", number: 3, prompt_tokens: 2, output_tokens: 40, stream: true, ignore_eos: true };
        let body: serde_json::Value = serde_json::from_slice(&ask.body()).unwrap();
        assert_eq!(body["model"], "gold-model");
        assert_eq!(body["max_tokens"], 40);
        assert_eq!(body["stream"], true);
        assert_eq!(body["stream_options"]["include_usage"], true);
        assert_eq!(body["ignore_eos"], true);
        assert_eq!(body["messages"][0]["content"].as_str().unwrap().len(), 8);
    }

    #[test]
    fn a_body_without_a_stream_leaves_the_stream_s_options_out() {
        let ask = Ask { model: "m", number: 0, prompt_tokens: 1, output_tokens: 1, stream: false, ignore_eos: false };
        let body: serde_json::Value = serde_json::from_slice(&ask.body()).unwrap();
        assert!(body.get("stream_options").is_none() && body.get("ignore_eos").is_none());
    }
}
