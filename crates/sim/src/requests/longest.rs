//! Which requests an engine takes: those that fit its model and its cache, and ask for something.

use evenkeel_core::profile::Profile;

/// Tokens that an engine of this profile takes in one request, prompt and output together.
pub const fn longest_request(profile: &Profile) -> u32 {
    if profile.max_model_tokens < profile.kv_tokens { profile.max_model_tokens } else { profile.kv_tokens }
}

/// Whether one that takes `longest` tokens in a request takes this one.
pub(super) fn takes(longest: u32, prompt_tokens: u32, output_tokens: u32) -> bool {
    let tokens = u64::from(prompt_tokens) + u64::from(output_tokens);
    tokens <= u64::from(longest) && prompt_tokens > 0 && output_tokens > 0
}
