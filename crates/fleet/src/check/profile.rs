//! Profiles that no engine accepts.

use crate::file::profile::ProfileDraft;
use crate::file::tier::TierDraft;
use crate::report::Report;

pub(super) fn check(tier: &TierDraft, report: &mut Report) {
    let profile = &tier.profile;
    // Reading the weights alone takes a time in every iteration. Without it a replica has no pace to be judged by.
    if profile.iteration_ms.is_some_and(|iteration| iteration <= 0.0) {
        let help = "write the time of a step of the engine, for example `6.5ms`";
        report.problem(&tier.at("profile.iteration"), "an iteration takes no time at all", help);
    }
    steps(profile, report);
    if let (Some(tokens), Some(sequences)) = (profile.max_batched_tokens, profile.max_sequences)
        && tokens < sequences
    {
        let message = format!("{sequences} sequences decode a token each, but an iteration takes only {tokens} tokens");
        report.problem(&tier.at("profile.max_batched_tokens"), message, "raise it, or lower `max_sequences`");
    }
    let Some(longest) = profile.max_model_tokens else { return };
    if let Some(kv) = profile.kv_tokens.filter(|kv| *kv < longest) {
        let message = format!("the KV cache holds {kv} tokens, fewer than one longest request of {longest}");
        report.problem(&tier.at("profile.kv_tokens"), message, "raise it, or lower `max_model_tokens`");
    }
    if let (Some(prompt), Some(output)) = (tier.requests.prompt_tokens, tier.requests.output_tokens)
        && prompt.mean + output.mean > f64::from(longest)
    {
        let tokens = prompt.mean + output.mean;
        let message = format!("a mean request has {tokens} tokens, more than the longest that the engine accepts");
        report.problem(&tier.at("profile.max_model_tokens"), message, "raise it, or correct the requests' means");
    }
}

/// More sequences never take less time.
fn steps(profile: &ProfileDraft, report: &mut Report) {
    for pair in profile.decode_steps.windows(2) {
        let [(_, before), (path, step)] = pair else { continue };
        if step.sequences <= before.sequences {
            let message = format!("{} sequences stand after {}", step.sequences, before.sequences);
            report.problem(&format!("{path}.sequences"), message, "write the steps in ascending order, each once");
        } else if step.added_ms < before.added_ms {
            let message = format!("{} sequences add less than {}", step.sequences, before.sequences);
            report.problem(&format!("{path}.added"), message, "write no less than at the step before");
        }
    }
}
