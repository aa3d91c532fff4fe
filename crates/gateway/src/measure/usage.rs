//! What an engine says about a request's tokens: the `usage` object of the OpenAI forms.

use memchr::memmem;
use serde::Deserialize;

/// A hundred times the longest context there is. What claims more is no engine that could be believed in anything, and a
/// few such claims would make the sums of all run over.
const MOST_TOKENS: u64 = 1_000_000_000;

/// Tokens of one request, as the engine counted them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Usage {
    /// Tokens of the prompt.
    pub(crate) prompt_tokens: u64,
    /// Tokens of the output.
    #[serde(rename = "completion_tokens", default)]
    pub(crate) output_tokens: u64,
}

impl Usage {
    /// The last `usage` object in `json`, which may be cut at its start; `None` when there is none or it is `null`.
    pub(crate) fn find(json: &[u8]) -> Option<Self> {
        const KEY: &[u8] = b"\"usage\"";
        let after_key = json.get(memmem::rfind(json, KEY)? + KEY.len()..)?;
        let value = after_key.trim_ascii_start().strip_prefix(b":")?;
        // The object ends before the document does: only its own bytes are read.
        let usage = serde_json::Deserializer::from_slice(value).into_iter::<Self>().next()?.ok()?;
        (usage.prompt_tokens <= MOST_TOKENS && usage.output_tokens <= MOST_TOKENS).then_some(usage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_found_at_the_end_of_a_cut_document() {
        let tail = br#"lo"}}],"usage": {"prompt_tokens": 12, "total_tokens": 40, "completion_tokens": 28}}"#;
        assert_eq!(Usage::find(tail), Some(Usage { prompt_tokens: 12, output_tokens: 28 }));
    }

    #[test]
    fn a_count_of_tokens_that_no_engine_has_is_not_believed() {
        let claimed = |prompt: u64, output: u64| {
            let text = format!(r#"{{"usage":{{"prompt_tokens":{prompt},"completion_tokens":{output}}}}}"#);
            Usage::find(text.as_bytes()).is_some()
        };
        assert!(claimed(MOST_TOKENS, 1) && claimed(1, MOST_TOKENS));
        assert!(!claimed(MOST_TOKENS + 1, 1) && !claimed(1, u64::MAX));
    }

    #[test]
    fn no_usage_is_unknown_and_not_zero() {
        assert_eq!(Usage::find(br#"{"choices":[],"usage":null}"#), None);
        assert_eq!(Usage::find(br#"{"choices":[]}"#), None);
    }
}
