//! Two reports of one tier as signals. Levels need only the later one; everything counted needs both.

use super::latency::Counted;
use evenkeel_core::observe::{Cause, Finished, Latency, Offered, Portion, Reading, Signals};
use evenkeel_core::spec::{LatencyMetric, Objective};
use evenkeel_core::units::{Span, Time};
use evenkeel_wire::report::TierReport;

/// What makes two reports comparable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Between<'a> {
    /// The earlier report of the tier, or why there is none.
    pub(super) before: Result<&'a TierReport, Cause>,
    /// Time between the two by the gateway's own clock; above zero.
    pub(super) over: Span,
}

/// The signals at `at`.
pub(super) fn signals(between: Between<'_>, now: &TierReport, objectives: &[Objective], at: Time) -> Signals {
    let finished = between.before.and_then(|before| finished(before, now, between.over));
    Signals {
        offered: reading(between.before.and_then(|before| offered(before, now, between.over)), at),
        queue_depth: level(now, now.queued, at),
        oldest_queued: level(now, now.oldest_queued_us, at),
        in_flight: level(now, now.in_flight, at),
        finished: finished.map_or_else(|cause| Reading::Missing { cause }, |value| level(now, value, at)),
        latency: objectives.iter().map(|objective| reading(latency(between, now, objective), at)).collect(),
        pace: reading(counted(between, now, LatencyMetric::Tpot).map(|counted| counted.mean_ms()), at),
        error_share: reading(
            finished.map(|it| Portion { part: it.failed, whole: it.failed.saturating_add(it.succeeded) }),
            at,
        ),
        ..Signals::default()
    }
}

/// While a gateway that was there before still ends answers, there may be more than this one counts: waiting, inside, and
/// ending.
const fn level<T: Copy>(now: &TierReport, value: T, at: Time) -> Reading<T> {
    if now.earlier_answers { Reading::AtLeast { value, at } } else { Reading::Fresh { value, at } }
}

fn latency(between: Between<'_>, now: &TierReport, objective: &Objective) -> Result<Latency, Cause> {
    counted(between, now, objective.metric)?.against(objective)
}

fn counted<'a>(between: Between<'_>, now: &'a TierReport, metric: LatencyMetric) -> Result<Counted<'a>, Cause> {
    Counted::between(between.before?, now, metric)
}

/// What replicas refused for the client's fault is no demand: one broken client would buy GPUs for nothing.
fn offered(before: &TierReport, now: &TierReport, over: Span) -> Result<Offered, Cause> {
    let refused = grown(before.client_errors, now.client_errors)?;
    Ok(Offered {
        requests: grown(before.offered, now.offered)?.saturating_sub(refused),
        prompt_tokens: grown(before.offered_prompt_tokens, now.offered_prompt_tokens)?,
        over,
    })
}

fn finished(before: &TierReport, now: &TierReport, over: Span) -> Result<Finished, Cause> {
    Ok(Finished {
        succeeded: grown(before.succeeded, now.succeeded)?,
        failed: grown(before.failed, now.failed)?,
        prompt_tokens: grown(before.prompt_tokens, now.prompt_tokens)?,
        output_tokens: grown(before.output_tokens, now.output_tokens)?,
        over,
    })
}

fn grown(before: u64, now: u64) -> Result<u64, Cause> {
    now.checked_sub(before).ok_or(Cause::CounterReset)
}

fn reading<T>(value: Result<T, Cause>, at: Time) -> Reading<T> {
    match value {
        Ok(value) => Reading::Fresh { value, at },
        Err(cause) => Reading::Missing { cause },
    }
}
