//! What a reader of a tier's figures must know beside them, in sentences.

use crate::summary::TierSummary;
use evenkeel_report::words::count;

/// Empty for a tier whose requests were sent and answered as they were meant.
pub(crate) fn of(tier: &TierSummary) -> Vec<String> {
    [cut_requests(tier), short_answers(tier)].into_iter().flatten().collect()
}

fn cut_requests(tier: &TierSummary) -> Option<String> {
    let cut = tier.cut_requests.filter(|cut| *cut > 0)?;
    Some(format!(
        "{} of {} requests of the trace were longer than 90 % of what the engine takes, and were cut to that.",
        count(cut),
        count(tier.offered_requests)
    ))
}

fn short_answers(tier: &TierSummary) -> Option<String> {
    let short = tier.short_answers.filter(|short| *short > 0)?;
    Some(format!(
        "{} of {} answers ended after fewer tokens than were asked for: they count as answered, and the figures are of \
         less work than was meant.",
        count(short),
        count(tier.succeeded_requests)
    ))
}
