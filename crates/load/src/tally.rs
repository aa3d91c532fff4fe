//! Counts of single requests: failures with their first and last moment, and answers inside the whole SLO.

use crate::measured::Measured;
use evenkeel_core::attainment::BoundCount;
use evenkeel_core::spec::{LatencyMetric, Objective};
use evenkeel_core::units::Span;
use std::time::Instant;

/// Failed requests of one kind. Moments are those at which the requests were to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FailureTally {
    pub(crate) requests: u64,
    pub(crate) first: Span,
    pub(crate) last: Span,
    /// What the server said, the first time that it said anything.
    pub(crate) message: Option<String>,
}

impl FailureTally {
    /// Requests end in another order than they were due.
    pub(crate) fn add(&mut self, at: Span, message: Option<String>) {
        self.first = if self.requests == 0 { at } else { self.first.min(at) };
        self.last = self.last.max(at);
        self.requests += 1;
        self.message = self.message.take().or_else(|| message.filter(|words| !words.trim().is_empty()));
    }
}

/// Answered requests against every objective of their tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Goodput {
    within: u64,
    /// Answers of which an objective's latency was not told.
    unknown: u64,
}

impl Goodput {
    pub(crate) fn add(&mut self, within: Option<bool>) {
        self.within += u64::from(within == Some(true));
        self.unknown += u64::from(within.is_none());
    }

    /// Requests inside the whole SLO; `None` where that is not known of every answer.
    pub(crate) fn within(self) -> Option<u64> {
        (self.unknown == 0).then_some(self.within)
    }
}

/// Answers against the length that was asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AnswerLengths {
    /// Answers whose length was told.
    told: u64,
    short: u64,
}

impl AnswerLengths {
    pub(crate) fn add(&mut self, asked: u32, told: Option<u64>) {
        self.told += u64::from(told.is_some());
        self.short += u64::from(told.is_some_and(|tokens| tokens < u64::from(asked)));
    }

    /// Answers that ended before their length; `None` where no length was told.
    pub(crate) fn short(self) -> Option<u64> {
        (self.told > 0).then_some(self.short)
    }
}

/// Whether an answer kept every bound by itself; `None` where there is no objective, or one's latency was not told. The
/// gaps between its tokens keep a bound when the objective's share of them does; an answer of one token keeps those on
/// further tokens.
pub(crate) fn within_slo(objectives: &[Objective], due: Instant, measured: &Measured) -> Option<bool> {
    let within = |objective: &Objective| keeps(objective, due, measured);
    let all = objectives.iter().map(within).try_fold(true, |all, within| Some(all & within?));
    all.filter(|_| !objectives.is_empty())
}

fn keeps(objective: &Objective, due: Instant, measured: &Measured) -> Option<bool> {
    let bound = objective.bound.to_duration();
    let since_due = |moment: Instant| moment.saturating_duration_since(due);
    match objective.metric {
        LatencyMetric::Ttft => measured.first_token.map(|first| since_due(first) <= bound),
        LatencyMetric::E2e => Some(since_due(measured.end) <= bound),
        LatencyMetric::QueueTime => measured.queue_time.map(|time| time <= bound),
        LatencyMetric::Tpot => {
            measured.first_token.map(|_| measured.time_per_output_token().is_none_or(|time| time <= bound))
        }
        LatencyMetric::Itl => measured.first_token.map(|_| {
            let mut gaps = BoundCount::default();
            measured.gaps.iter().for_each(|gap| gaps.add(*gap > bound));
            gaps.holds(objective.quantile, 0)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    /// First token after 100 ms, the last of eleven 500 ms later.
    fn answer(due: Instant) -> Measured {
        Measured {
            first_token: Some(due + MS(100)),
            end: due + MS(600),
            gaps: [vec![MS(20); 8], vec![MS(160); 2]].concat(),
            prompt_tokens: None,
            output_tokens: 11,
            told_output_tokens: Some(11),
            queue_time: None,
        }
    }

    fn objective(metric: LatencyMetric, quantile: f64, bound_ms: i64) -> Objective {
        Objective { metric, quantile, bound: Span::from_millis(bound_ms) }
    }

    #[test]
    fn an_answer_is_inside_the_slo_only_when_it_keeps_every_bound() {
        let due = Instant::now();
        let within = |objectives: &[Objective]| within_slo(objectives, due, &answer(due));
        let ttft = |bound| objective(LatencyMetric::Ttft, 0.95, bound);
        let tpot = |bound| objective(LatencyMetric::Tpot, 0.95, bound);
        assert_eq!(within(&[ttft(100), tpot(50), objective(LatencyMetric::E2e, 0.9, 600)]), Some(true));
        assert_eq!(within(&[ttft(100), tpot(49)]), Some(false));
        assert_eq!(within(&[ttft(99), tpot(50)]), Some(false));
        // Eight of ten gaps are short.
        assert_eq!(within(&[objective(LatencyMetric::Itl, 0.8, 20)]), Some(true));
        assert_eq!(within(&[objective(LatencyMetric::Itl, 0.9, 20)]), Some(false));
    }

    #[test]
    fn what_was_not_told_is_neither_inside_nor_outside() {
        let due = Instant::now();
        let queue = objective(LatencyMetric::QueueTime, 0.95, 10);
        assert_eq!(within_slo(&[queue], due, &answer(due)), None);
        assert_eq!(within_slo(&[], due, &answer(due)), None);
        let whole = Measured { first_token: None, ..answer(due) };
        assert_eq!(within_slo(&[objective(LatencyMetric::Ttft, 0.95, 1_000)], due, &whole), None);
        let mut goodput = Goodput::default();
        goodput.add(Some(true));
        goodput.add(Some(false));
        assert_eq!(goodput.within(), Some(1));
        goodput.add(None);
        assert_eq!(goodput.within(), None);
    }

    #[test]
    fn an_answer_of_one_token_has_no_further_token_to_be_late() {
        let due = Instant::now();
        let one = Measured { gaps: Vec::new(), output_tokens: 1, ..answer(due) };
        let objectives = [objective(LatencyMetric::Tpot, 0.95, 1), objective(LatencyMetric::Itl, 0.95, 1)];
        assert_eq!(within_slo(&objectives, due, &one), Some(true));
    }

    #[test]
    fn an_answer_is_short_only_where_its_length_was_told() {
        let mut lengths = AnswerLengths::default();
        lengths.add(10, None);
        assert_eq!(lengths.short(), None, "not known, which is not zero");
        lengths.add(10, Some(10));
        assert_eq!(lengths.short(), Some(0));
        lengths.add(10, Some(2));
        assert_eq!(lengths.short(), Some(1));
    }

    #[test]
    fn the_first_and_the_last_failure_are_found_whatever_order_they_end_in() {
        let mut tally = FailureTally::default();
        for (second, message) in [(5, None), (3, Some("busy")), (9, Some("gone")), (4, None)] {
            tally.add(Span::from_secs(second), message.map(str::to_owned));
        }
        let (first, last, message) = (Span::from_secs(3), Span::from_secs(9), Some("busy".to_owned()));
        assert_eq!(tally, FailureTally { requests: 4, first, last, message });
    }
}
