//! `policies:`

use crate::file::schedule;
use crate::form::{Leaf, Mapped, OneOf, Variant, Wrong};
use crate::model::ScheduleEntry;
use crate::scalar::{Choice, Number, Text};
use crate::section::{Object, Section};
use crate::unit::{Duration, Milliseconds, PerMinute, Share};
use crate::yaml::Kind;
use evenkeel_core::spec::{LatencyMetric, Objective, Per, PolicySpec, Signal};
use evenkeel_core::units::Span;
use serde_json::{Value, json};

/// A policy as far as it can be understood without the rest of its tier.
pub(crate) enum PolicyDraft {
    /// Complete.
    Ready(PolicySpec),
    /// Waits for the tier's objectives.
    Latency { objective: String, window: Span },
    /// Expanded outside the decision.
    Schedule(Vec<(String, ScheduleEntry)>),
}

impl PolicyDraft {
    /// Whether its recommendation swings enough to need cooldowns by default.
    pub(crate) const fn is_classic(&self) -> bool {
        !matches!(self, Self::Ready(PolicySpec::Capacity { .. }) | Self::Schedule(_))
    }

    /// The window that it averages over, if it has one.
    pub(crate) const fn window(&self) -> Option<Span> {
        match self {
            Self::Ready(PolicySpec::Capacity { window, .. } | PolicySpec::TargetTracking { window, .. })
            | Self::Latency { window, .. } => Some(*window),
            _ => None,
        }
    }

    /// The policy for the decision, its latency objective found among the tier's.
    pub(crate) fn spec(&self, objectives: &[(String, Objective)]) -> Option<PolicySpec> {
        Some(match self {
            Self::Ready(spec) => spec.clone(),
            Self::Schedule(_) => PolicySpec::Schedule,
            Self::Latency { objective, window } => {
                let [index] = matching(objective, objectives)[..] else { return None };
                PolicySpec::Latency { objective: index, window: *window }
            }
        })
    }
}

/// Indices of the objectives that `tpot` or `tpot p95` names.
pub(crate) fn matching(name: &str, objectives: &[(String, Objective)]) -> Vec<usize> {
    let mut words = name.split_whitespace();
    let (metric, quantile) = (words.next().unwrap_or_default(), words.next());
    let fits = |objective: &Objective| {
        let same = quantile.is_none_or(|name| crate::unit::quantile_name(objective.quantile) == name);
        objective.metric.name() == metric && same
    };
    objectives.iter().enumerate().filter(|(_, (_, objective))| fits(objective)).map(|(index, _)| index).collect()
}

/// Without a list, the capacity policy with its defaults.
pub(crate) fn default() -> PolicyDraft {
    PolicyDraft::Ready(PolicySpec::Capacity { window: Span::from_secs(60), hold: Span::from_secs(300) })
}

pub(crate) fn form() -> OneOf<PolicyDraft> {
    let schedule = Mapped { form: schedule::form(), into: PolicyDraft::Schedule };
    OneOf {
        what: "a policy",
        variants: vec![
            Variant::new(
                "capacity",
                "Staff the measured demand, by the stated attainment: no threshold to tune.",
                Object(capacity),
            ),
            Variant::new("target_tracking", "Keep a signal at a target.", Object(target_tracking)),
            Variant::new(
                "backlog_per_replica",
                "Keep the waiting requests at a number for each replica.",
                Object(backlog),
            ),
            Variant::new(
                "latency",
                "Grow while an objective is missed, shrink when one replica fewer would still meet it.",
                Object(latency),
            ),
            Variant::new("players_per_replica", "A replica for so many players.", Object(players)),
            Variant::new("schedule", "At least so many replicas at set times of the week.", schedule),
        ],
    }
}

fn window(policy: &mut Section<'_>) -> Option<Span> {
    policy.or("window", "The signal is averaged over this long; two ticks at least.", Duration::OR_ZERO, "60s")
}

fn capacity(policy: &mut Section<'_>) -> Option<PolicyDraft> {
    let window = window(policy);
    let hold = policy.or(
        "hold",
        "A level is kept until demand has not needed it for this long; two ticks at least.",
        Duration::OR_ZERO,
        "300s",
    );
    Some(PolicyDraft::Ready(PolicySpec::Capacity { window: window?, hold: hold? }))
}

fn backlog(policy: &mut Section<'_>) -> Option<PolicyDraft> {
    let target = policy.required(
        "target",
        "Waiting requests for each replica.",
        Number { what: "requests", or_zero: false, most: None },
    );
    Some(PolicyDraft::Ready(PolicySpec::BacklogPerReplica { target: target? }))
}

fn players(policy: &mut Section<'_>) -> Option<PolicyDraft> {
    let players = policy.required(
        "players",
        "Players that one replica carries.",
        Number { what: "players", or_zero: false, most: None },
    );
    Some(PolicyDraft::Ready(PolicySpec::PlayersPerReplica { players: players? }))
}

fn latency(policy: &mut Section<'_>) -> Option<PolicyDraft> {
    let objective = policy.required(
        "objective",
        "Which of the tier's objectives: its metric, with the quantile where the metric has several.",
        Text {
            what: "an objective",
            example: "tpot p95",
            pattern: r"^(ttft|tpot|itl|e2e|queue_time)( p[0-9]+(\.[0-9]+)?)?$",
            rule: objective_rule,
        },
    );
    let window = window(policy);
    Some(PolicyDraft::Latency { objective: objective?, window: window? })
}

fn objective_rule(text: &str) -> Option<String> {
    let (metric, quantile) = text.split_once(' ').map_or((text, None), |(metric, quantile)| (metric, Some(quantile)));
    if !LatencyMetric::ALL.iter().any(|known| known.name() == metric) {
        return Some(format!("`{metric}` is no latency metric"));
    }
    quantile.and_then(|quantile| crate::unit::quantile(quantile).err()).map(|wrong| wrong.message)
}

fn target_tracking(policy: &mut Section<'_>) -> Option<PolicyDraft> {
    let signal = policy.required("signal", "The signal.", TrackedSignal);
    let target = policy.required("target", "Its target in the signal's own unit: `75%`, `50`, `13/s`, `2s`.", Target);
    let per = policy.optional(
        "per",
        "`replica`: the target holds for each replica; `tier`: for the tier together, and the count moves in proportion. \
         Left out: `replica`, for shares of requests and for times `tier`.",
        Choice { what: "whose target it is", words: vec![("replica", Per::Replica), ("tier", Per::Tier)] },
    );
    let window = window(policy);
    let unit = Unit::of(signal?);
    let target = target?;
    let Some(value) = unit.value(target) else {
        policy.check(|report, path| {
            let message = format!("the target is {}, but this signal is {}", target.name(), unit.name());
            report.problem(&format!("{path}.target"), message, format!("write for example `{}`", unit.example()));
        });
        return None;
    };
    let natural = if unit.adds_up() { Per::Replica } else { Per::Tier };
    Some(PolicyDraft::Ready(PolicySpec::TargetTracking {
        signal: signal?,
        target: value,
        per: per.unwrap_or(natural),
        window: window?,
    }))
}

/// A signal that can have a target: every one but latency, which has a policy of its own. It does not go down in
/// proportion when replicas are added: it has a floor that no replica lowers, and it explodes where they are short.
struct TrackedSignal;

impl TrackedSignal {
    fn choice() -> Choice<Signal> {
        let tracked = Signal::ALL.into_iter().filter(|signal| *signal != Signal::Latency);
        Choice { what: "a signal", words: tracked.map(|signal| (signal.name(), signal)).collect() }
    }
}

impl Leaf for TrackedSignal {
    type Value = Signal;

    fn parse(&self, kind: &Kind) -> Result<Signal, Wrong> {
        let is_latency = |text: &str| {
            text == Signal::Latency.name() || LatencyMetric::ALL.iter().any(|metric| metric.name() == text)
        };
        match kind {
            Kind::Text(text) if is_latency(text) => Err(Wrong::new(
                format!("`{text}` does not go down in proportion when replicas are added, so no target is kept by it"),
                "write the policy that grows while an objective is missed: `- latency: {objective: tpot p95}`",
            )),
            _ => Self::choice().parse(kind),
        }
    }

    fn show(&self, value: &Signal) -> String {
        value.name().to_owned()
    }

    fn describe(&self) -> Value {
        Self::choice().describe()
    }
}

/// What a signal counts in, as core measures it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A number that adds up over replicas.
    Count,
    /// Events a second, which add up over replicas.
    PerSecond,
    /// A share of each replica, 0 to 1: the sum over replicas is the load.
    ShareOfReplica,
    /// A share of requests, 0 to 1.
    ShareOfRequests,
    /// A time, in seconds.
    Seconds,
    /// A time, in milliseconds.
    Millis,
}

impl Unit {
    pub(crate) const fn of(signal: Signal) -> Self {
        match signal {
            Signal::Offered | Signal::Finished => Self::PerSecond,
            Signal::QueueDepth | Signal::InFlight | Signal::EngineWaiting | Signal::Players => Self::Count,
            Signal::GpuUtilization | Signal::KvUtilization => Self::ShareOfReplica,
            Signal::PrefixCacheMiss | Signal::ErrorShare => Self::ShareOfRequests,
            Signal::OldestQueued | Signal::Latency => Self::Seconds,
            Signal::Pace => Self::Millis,
        }
    }

    /// Whether twice the replicas halve what each of them sees.
    pub(crate) const fn adds_up(self) -> bool {
        matches!(self, Self::Count | Self::PerSecond | Self::ShareOfReplica)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Count => "a plain number",
            Self::PerSecond => "a rate",
            Self::ShareOfReplica | Self::ShareOfRequests => "a share",
            Self::Seconds | Self::Millis => "a time",
        }
    }

    const fn example(self) -> &'static str {
        match self {
            Self::Count => "50",
            Self::PerSecond => "13/s",
            Self::ShareOfReplica => "75%",
            Self::ShareOfRequests => "1%",
            Self::Seconds => "2s",
            Self::Millis => "16ms",
        }
    }

    fn value(self, quantity: Quantity) -> Option<f64> {
        match (self, quantity) {
            (Self::Count, Quantity::Count(number)) => Some(number),
            (Self::PerSecond, Quantity::PerMinute(rate)) => Some(rate / 60.0),
            (Self::ShareOfReplica | Self::ShareOfRequests, Quantity::Share(share)) => Some(share),
            (Self::Seconds, Quantity::Millis(millis)) => Some(millis / 1e3),
            (Self::Millis, Quantity::Millis(millis)) => Some(millis),
            _ => None,
        }
    }
}

/// A target before its signal's unit is known.
#[derive(Clone, Copy)]
pub(crate) enum Quantity {
    Count(f64),
    PerMinute(f64),
    Share(f64),
    Millis(f64),
}

impl Quantity {
    const fn name(self) -> &'static str {
        match self {
            Self::Count(_) => "a plain number",
            Self::PerMinute(_) => "a rate",
            Self::Share(_) => "a share",
            Self::Millis(_) => "a time",
        }
    }
}

struct Target;

const COUNT: Number = Number { what: "the target", or_zero: false, most: None };

impl Leaf for Target {
    type Value = Quantity;

    fn parse(&self, kind: &Kind) -> Result<Quantity, Wrong> {
        match kind {
            Kind::Text(text) if text.ends_with('%') => Share::SOME.parse(kind).map(Quantity::Share),
            Kind::Text(text) if text.contains('/') => PerMinute.parse(kind).map(Quantity::PerMinute),
            Kind::Text(_) => match Milliseconds.parse(kind)? {
                millis if millis > 0.0 => Ok(Quantity::Millis(millis)),
                _ => Err(Wrong::new("a target of no time cannot be met", "write a time above zero")),
            },
            _ => COUNT.parse(kind).map(Quantity::Count),
        }
    }

    fn show(&self, value: &Quantity) -> String {
        match value {
            Quantity::Count(number) => COUNT.show(number),
            Quantity::PerMinute(rate) => PerMinute.show(rate),
            Quantity::Share(share) => Share::SOME.show(share),
            Quantity::Millis(millis) => Milliseconds.show(millis),
        }
    }

    fn describe(&self) -> Value {
        json!({
            "anyOf": [COUNT.describe(), Share::SOME.describe(), PerMinute.describe(), Milliseconds.describe()],
        })
    }
}
