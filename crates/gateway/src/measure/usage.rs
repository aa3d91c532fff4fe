//! What an engine says about a request's tokens: the `usage` object of the OpenAI forms.

use memchr::memmem;
use serde::Deserialize;

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
        serde_json::Deserializer::from_slice(value).into_iter::<Self>().next()?.ok()
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
    fn no_usage_is_unknown_and_not_zero() {
        assert_eq!(Usage::find(br#"{"choices":[],"usage":null}"#), None);
        assert_eq!(Usage::find(br#"{"choices":[]}"#), None);
    }
}
