//! The way of a metric from where it is counted to who decides by it: a value for each period, readable a delay after its end.
//!
//! Peers have their own published periods ([`crate::peers`]); this is the same for Evenkeel, which sees its offered demand
//! through one. A reading keeps the time at which it held, so its age is known, and it is read until the next one is there.

use evenkeel_core::observe::{Offered, Reading};
use evenkeel_core::units::{Span, Time};
use std::collections::VecDeque;
use thiserror::Error;

/// A named way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pipeline {
    /// Each slot's value as soon as the slot is over.
    #[default]
    Direct,
    /// Evenkeel's own gateway: counts of a second, at once.
    Gateway,
    /// Prometheus, scraping each 15 s: what most charts set (its own default is a minute). Read as soon as scraped.
    Prometheus,
    /// High-resolution metrics of a SageMaker endpoint: 10 s, read a period later, as
    /// [`Peer::SageMaker`](crate::peers::Peer::SageMaker) reads them.
    SageMaker,
    /// ECS's metrics of 20 s (AWS, June 2026; aws/containers-roadmap#2113), read a period later.
    Ecs,
    /// CloudWatch's standard resolution: a minute, read a period later.
    CloudWatch,
}

/// A name that no pipeline has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no metric pipeline `{name}`; there are {}", Pipeline::ALL.map(Pipeline::name).join(", "))]
pub struct UnknownPipeline {
    /// The name.
    pub name: String,
}

impl Pipeline {
    /// All of them, the fastest first.
    pub const ALL: [Self; 6] =
        [Self::Direct, Self::Gateway, Self::Prometheus, Self::SageMaker, Self::Ecs, Self::CloudWatch];

    /// The name used on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Gateway => "gateway",
            Self::Prometheus => "prometheus",
            Self::SageMaker => "sagemaker",
            Self::Ecs => "ecs",
            Self::CloudWatch => "cloudwatch",
        }
    }

    /// The one of this name.
    ///
    /// # Errors
    /// None has it.
    pub fn parse(name: &str) -> Result<Self, UnknownPipeline> {
        let found = Self::ALL.into_iter().find(|pipeline| pipeline.name() == name);
        found.ok_or_else(|| UnknownPipeline { name: name.to_owned() })
    }

    /// What a value covers.
    pub const fn period(self) -> Span {
        match self {
            Self::Direct => Span::ZERO,
            Self::Gateway => Span::from_secs(1),
            Self::Prometheus => Span::from_secs(15),
            Self::SageMaker => Span::from_secs(10),
            Self::Ecs => Span::from_secs(20),
            Self::CloudWatch => Span::from_secs(60),
        }
    }

    /// How old a reading can get before the next one is there, by one who counts in slots and looks at their ends.
    pub fn oldest(self, slot: Span) -> Span {
        self.period() + self.delay() + slot
    }

    /// From its end until it can be read.
    pub const fn delay(self) -> Span {
        match self {
            Self::Direct | Self::Gateway | Self::Prometheus => Span::ZERO,
            Self::SageMaker | Self::Ecs | Self::CloudWatch => self.period(),
        }
    }
}

/// What was offered, on its way to who decides.
#[derive(Clone, Debug, Default)]
pub(crate) struct OnItsWay {
    pipeline: Pipeline,
    /// Of the period that has not ended.
    counted: Option<Offered>,
    /// Ended, and not readable yet; each with the end of its period.
    sent: VecDeque<(Time, Offered)>,
    readable: Reading<Offered>,
}

impl OnItsWay {
    pub(crate) fn through(pipeline: Pipeline) -> Self {
        Self { pipeline, ..Self::default() }
    }

    /// Takes in what a slot that ends `now` offered; gives back what can be read now.
    pub(crate) fn pass(&mut self, counted: Reading<Offered>, now: Time) -> Reading<Offered> {
        if self.pipeline == Pipeline::Direct {
            return counted;
        }
        if let Reading::Fresh { value, at } = counted {
            self.count(value, at);
        }
        while let Some((at, value)) = self.sent.pop_front_if(|(at, _)| *at + self.pipeline.delay() <= now) {
            self.readable = Reading::Fresh { value, at };
        }
        self.readable
    }

    fn count(&mut self, slot: Offered, at: Time) {
        let before = self.counted.take().unwrap_or_default();
        let offered = Offered {
            requests: before.requests + slot.requests,
            prompt_tokens: before.prompt_tokens + slot.prompt_tokens,
            over: before.over + slot.over,
        };
        if offered.over >= self.pipeline.period() {
            self.sent.push_back((at, offered));
        } else {
            self.counted = Some(offered);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Span = Span::from_secs(5);

    fn at(second: i64) -> Time {
        Time::default() + Span::from_secs(second)
    }

    /// What is read at the end of each slot of 5 s, in which so many requests come: second of its end, requests, seconds.
    fn read(pipeline: Pipeline, slots: impl Iterator<Item = u64>) -> Vec<Option<(i64, u64, i64)>> {
        let mut way = OnItsWay::through(pipeline);
        let read = slots.enumerate().map(|(slot, requests)| {
            let now = at(5 * (slot as i64 + 1));
            let value = Offered { requests, prompt_tokens: 10 * requests, over: SLOT };
            match way.pass(Reading::Fresh { value, at: now }, now) {
                Reading::Fresh { value, at } => {
                    assert_eq!(value.prompt_tokens, 10 * value.requests);
                    Some((at.as_micros() / 1_000_000, value.requests, value.over.as_micros() / 1_000_000))
                }
                _ => None,
            }
        });
        read.collect()
    }

    #[test]
    fn what_is_as_fast_as_the_slots_changes_nothing() {
        for pipeline in [Pipeline::Direct, Pipeline::Gateway] {
            assert_eq!(read(pipeline, 1..=2), [Some((5, 1, 5)), Some((10, 2, 5))]);
        }
    }

    #[test]
    fn a_scrape_is_read_until_the_next_one_and_grows_old() {
        let third = Some((15, 1 + 2 + 3, 15));
        assert_eq!(read(Pipeline::Prometheus, 1..=6), [None, None, third, third, third, Some((30, 4 + 5 + 6, 15))]);
    }

    #[test]
    fn a_period_of_ten_seconds_is_read_ten_seconds_after_its_end() {
        let first = Some((10, 1 + 2, 10));
        assert_eq!(read(Pipeline::SageMaker, 1..=5), [None, None, None, first, first]);
    }

    #[test]
    fn nothing_that_was_offered_is_lost_on_the_way() {
        for pipeline in Pipeline::ALL {
            let read = read(pipeline, 1..=120);
            let mut seen: Vec<_> = read.into_iter().flatten().collect();
            seen.dedup();
            let until = seen.last().map_or(0, |(at, ..)| *at);
            assert!(until >= 480, "{pipeline:?}");
            let offered: u64 = (1..=until as u64 / 5).sum();
            assert_eq!(seen.iter().map(|(_, requests, _)| requests).sum::<u64>(), offered, "{pipeline:?}");
            assert_eq!(Pipeline::parse(pipeline.name()), Ok(pipeline));
        }
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_there_are() {
        assert_eq!(
            Pipeline::parse("kafka").map_err(|error| error.to_string()),
            Err("there is no metric pipeline `kafka`; there are direct, gateway, prometheus, sagemaker, ecs, cloudwatch".into())
        );
    }
}
