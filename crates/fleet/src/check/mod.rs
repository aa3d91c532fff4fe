//! What each key cannot know of the others: combinations that make no sense. Every rule works on what could be read and
//! stays silent about the rest, so that structural and semantic mistakes are told together.

mod criteria;
mod limits;
mod listeners;
mod names;
mod objectives;
mod policies;
mod profile;
mod replica;
mod timing;
mod waking;

use crate::file::{Draft, backend};
use crate::report::Report;

/// Runs every rule.
pub(crate) fn check(draft: &Draft, report: &mut Report) {
    listeners::check(draft, report);
    names::check(draft, report);
    limits::shared(draft, report);
    limits::players(draft, report);
    timing::fleet(draft, report);
    for tier in &draft.tiers {
        limits::tier(tier, report);
        timing::tier(tier, draft, report);
        profile::check(tier, report);
        objectives::check(tier, report);
        objectives::first_byte(tier, draft, report);
        policies::check(tier, draft, report);
        waking::check(tier, report);
        if let Some(backend) = &tier.backend {
            backend::check_command(backend, report);
        }
        replica::check(tier, draft, report);
    }
    criteria::check(draft, report);
}
