//! `behavior:` and `when_blind:`

use crate::form::{Mapped, WordOr};
use crate::scalar::Whole;
use crate::section::{Object, Section};
use crate::unit::Duration;
use evenkeel_core::spec::{Behavior, Blind, Pace, StepLimit};
use evenkeel_core::units::Span;

/// Limits as written; what is left out depends on the tier's policies.
#[derive(Clone, Copy, Default)]
pub(crate) struct BehaviorDraft {
    pub(crate) scale_out: PaceDraft,
    pub(crate) scale_in: PaceDraft,
}

/// One direction as written.
#[derive(Clone, Copy, Default)]
pub(crate) struct PaceDraft {
    pub(crate) window: Option<Span>,
    pub(crate) cooldown: Option<Span>,
    pub(crate) step: Option<StepLimit>,
}

/// Classic policies react to one number and would swing without them. The capacity policy's rules hold by themselves,
/// and a schedule does not react at all.
const CLASSIC_COOLDOWN_OUT: Span = Span::from_secs(60);
const CLASSIC_COOLDOWN_IN: Span = Span::from_secs(300);

impl BehaviorDraft {
    /// The limits in force for a tier with a classic policy, or without one.
    pub(crate) fn resolve(self, classic: bool) -> Behavior {
        let cooldown = |written: Option<Span>, default| written.unwrap_or(if classic { default } else { Span::ZERO });
        let pace = |draft: PaceDraft, default| Pace {
            window: draft.window.unwrap_or_default(),
            cooldown: cooldown(draft.cooldown, default),
            step: draft.step,
        };
        Behavior {
            scale_out: pace(self.scale_out, CLASSIC_COOLDOWN_OUT),
            scale_in: pace(self.scale_in, CLASSIC_COOLDOWN_IN),
        }
    }
}

pub(crate) fn read(behavior: &mut Section<'_>) -> Option<BehaviorDraft> {
    let scale_out = behavior.optional("scale_out", "Growing.", Object(read_pace));
    let scale_in = behavior.optional("scale_in", "Shrinking.", Object(read_pace));
    Some(BehaviorDraft { scale_out: scale_out.unwrap_or_default(), scale_in: scale_in.unwrap_or_default() })
}

fn read_pace(pace: &mut Section<'_>) -> Option<PaceDraft> {
    let window = pace.optional(
        "window",
        "Stabilization window: growing follows the smallest, shrinking the largest recommendation in it. Off unless \
         written.",
        Duration::OR_ZERO,
    );
    let cooldown = pace.optional(
        "cooldown",
        "No change in this direction for this long after the last one. Left out: 60s out and 300s in where a classic \
         policy stands, off where only `capacity` and `schedule` do.",
        Duration::OR_ZERO,
    );
    let step = pace.optional("step", "How far one period may move. Off unless written.", Object(read_step));
    Some(PaceDraft { window, cooldown, step })
}

fn read_step(step: &mut Section<'_>) -> Option<StepLimit> {
    let replicas =
        step.or("replicas", "Replicas per period.", Whole { what: "replicas", least: 0, most: 100_000 }, "0");
    let percent = step.or(
        "percent",
        "Percent of the count at the period's start, rounded up; the larger of the two counts.",
        Whole { what: "percent", least: 0, most: 10_000 },
        "0",
    );
    let period = step.required("period", "The period; two ticks at least.", Duration::OR_ZERO);
    if (replicas, percent) == (Some(0), Some(0)) {
        step.check(|report, path| {
            report.problem_at_key(
                path,
                "the step lets nothing move",
                "write `replicas` or `percent` above 0, or remove `step`",
            );
        });
    }
    Some(StepLimit { replicas: replicas?, percent: percent?, period: period? })
}

/// `hold`, or `{at_least, after}`.
pub(crate) fn blind() -> Mapped<WordOr<Object<Blind>>, Blind> {
    Mapped { form: WordOr { word: "hold", form: Object(read_blind) }, into: |other| other.unwrap_or(Blind::Hold) }
}

fn read_blind(blind: &mut Section<'_>) -> Option<Blind> {
    let replicas = blind.required(
        "at_least",
        "Replicas to grow to while blind.",
        Whole { what: "replicas", least: 1, most: 100_000 },
    );
    let after = blind.or("after", "Blind for this long first.", Duration::OR_ZERO, "60s");
    Some(Blind::AtLeast { replicas: replicas?, after: after? })
}
