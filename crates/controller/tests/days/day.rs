//! Fleets and days at random.

use evenkeel_controller::operator::Mode;
use evenkeel_core::spec::{Behavior, Blind, Pace, Per, PolicySpec, Signal, StepLimit, TierSpec};
use evenkeel_core::units::Span;
use evenkeel_fleet::model::Fleet;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;

/// One tier of the fleet file, under its name.
const TIER: &str = include_str!("../fixtures/tier.yaml");
pub(crate) const TIERS: [&str; 2] = ["gold", "silver"];
/// The longest window of a made-up fleet, seconds.
const LONGEST: i64 = 12;

pub(crate) const fn seconds(seconds: i64) -> Span {
    Span::from_secs(seconds)
}

/// A fleet that tells no more than what was made up.
#[derive(Clone)]
pub(crate) struct MadeUp(pub(crate) Arc<Fleet>);

impl std::fmt::Debug for MadeUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "shared maximum {:?}", self.0.spec.shared_maximum)?;
        self.0.spec.tiers.iter().try_for_each(|it| {
            let TierSpec { name, minimum, maximum, priority, policies, behavior, blind, .. } = it;
            write!(f, "; {name}: {minimum} to {maximum}, priority {priority}, {policies:?}, {behavior:?}, {blind:?}")
        })
    }
}

/// What happens before a tick.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Nothing,
    /// The tier's sources say this from now on.
    Tells(usize, Tells),
    /// The backend deals like this with the tier's orders from now on.
    Answers(usize, Answers),
    Listed(usize, bool),
    /// Ready replicas end without being told.
    Crash(usize, usize),
    /// A ready replica's health check is late for three seconds.
    Late(usize),
    /// The gateway finds so many of the tier's ready replicas failing from now on.
    Fails(usize, usize),
    Override(usize, Option<u32>, Option<u32>, i64),
    Mode(Mode),
    Pause(i64),
    /// Whether the journal can be written.
    Journal(bool),
    Gateway(Gateway),
    /// Whether the fleet is being stopped.
    Stop(bool),
    Reload(MadeUp),
    /// Another controller takes over; what waited at the backend was carried out just before, or never is.
    Restart(bool),
}

impl Event {
    /// The tier that it happens to, where it is one.
    pub(crate) const fn tier(&self) -> Option<usize> {
        match self {
            Self::Tells(tier, _)
            | Self::Answers(tier, _)
            | Self::Listed(tier, _)
            | Self::Crash(tier, _)
            | Self::Late(tier)
            | Self::Fails(tier, _)
            | Self::Override(tier, ..) => Some(*tier),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Tells {
    /// So much work, just now.
    Load(u64),
    /// So much work, longer ago than counts.
    Stale(u64),
    /// So much work, and figures that are no numbers where there can be such.
    NotANumber(u64),
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// It carries orders out after so many ticks, and says so.
    Done(usize),
    Throttled,
    Fenced,
    /// It ends what is to end, and has no room for what is to start.
    NoCapacity,
    /// It does not know whether the order was carried out. It was, and what it starts shows two ticks later; or it was not.
    Unknown(bool),
    /// It does not come back.
    Hangs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gateway {
    /// It obeys the newest table, and replicas that drain have work or none.
    Follows(bool),
    /// A new one obeys the newest table and counts from zero, while the one before still has work in whatever drains.
    Restarted,
    /// It obeys the table that it obeyed before.
    Lags,
    Gone,
}

fn policy() -> impl Strategy<Value = PolicySpec> {
    let window = || (1..LONGEST).prop_map(seconds);
    let tracking = |signal, target| {
        window().prop_map(move |window| PolicySpec::TargetTracking { signal, target, per: Per::Replica, window })
    };
    prop_oneof![
        (window(), window()).prop_map(|(window, hold)| PolicySpec::Capacity { window, hold }),
        tracking(Signal::InFlight, 8.0),
        tracking(Signal::GpuUtilization, 0.75),
        (1.0..20.0_f64).prop_map(|target| PolicySpec::BacklogPerReplica { target }),
        (2.0..30.0_f64).prop_map(|players| PolicySpec::PlayersPerReplica { players }),
    ]
}

fn pace() -> impl Strategy<Value = Pace> {
    let step = option::of((1..3_u32, 0..150_u32, 1..8_i64))
        .prop_map(|it| it.map(|(replicas, percent, period)| StepLimit { replicas, percent, period: seconds(period) }));
    let some = (0..LONGEST, 0..LONGEST, step).prop_map(|(window, cooldown, step)| Pace {
        window: seconds(window),
        cooldown: seconds(cooldown),
        step,
    });
    prop_oneof![Just(Pace::default()), some]
}

/// `tier` of the fixture with other limits, policies and patience.
fn changed(tier: TierSpec) -> impl Strategy<Value = TierSpec> {
    let blind = prop_oneof![
        Just(Blind::Hold),
        (0..9_u32, 0..9_i64).prop_map(|(replicas, after)| Blind::AtLeast { replicas, after: seconds(after) }),
    ];
    (0..3_u32, 1..7_u32, 0..3_u32, vec(policy(), 1..3), pace(), pace(), blind).prop_map(
        move |(minimum, more, priority, policies, scale_out, scale_in, blind)| TierSpec {
            minimum,
            maximum: minimum + more,
            priority,
            policies,
            behavior: Behavior { scale_out, scale_in },
            blind,
            ..tier.clone()
        },
    )
}

/// A fleet of two tiers.
pub(crate) fn fleet(shared_maximum: impl Strategy<Value = Option<u32>>) -> impl Strategy<Value = MadeUp> {
    let text = format!(
        "fleet: pair\ncontroller: {{mode: act}}\ntiers:\n  gold:{}  silver:{}",
        TIER.replace("MODEL", "a"),
        TIER.replace("MODEL", "b")
    );
    let base = evenkeel_fleet::read(&text, "pair.yaml").unwrap_or_else(|problems| panic!("{problems}"));
    let tiers: Vec<_> = base.spec.tiers.iter().cloned().map(changed).collect();
    (tiers, shared_maximum).prop_map(move |(tiers, shared_maximum)| {
        let mut fleet = base.clone();
        (fleet.spec.tiers, fleet.spec.shared_maximum) = (tiers, shared_maximum);
        MadeUp(Arc::new(fleet))
    })
}

pub(crate) fn shared_maximum() -> impl Strategy<Value = Option<u32>> {
    option::of(1..12_u32)
}

fn load() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..80_u64]
}

/// What happens to one tier.
fn to_a_tier() -> impl Strategy<Value = Event> {
    let tells = prop_oneof![
        8 => load().prop_map(Tells::Load),
        2 => load().prop_map(Tells::Stale),
        1 => load().prop_map(Tells::NotANumber),
        2 => Just(Tells::Nothing),
    ];
    let answers = prop_oneof![
        4 => (0..4_usize).prop_map(Answers::Done),
        1 => select(&[Answers::Throttled, Answers::Fenced, Answers::NoCapacity, Answers::Hangs][..]),
        1 => any::<bool>().prop_map(Answers::Unknown),
    ];
    let count = || option::of(0..9_u32);
    let tier = || 0..TIERS.len();
    prop_oneof![
        6 => (tier(), tells).prop_map(|(tier, tells)| Event::Tells(tier, tells)),
        3 => (tier(), answers).prop_map(|(tier, answers)| Event::Answers(tier, answers)),
        2 => (tier(), any::<bool>()).prop_map(|(tier, listed)| Event::Listed(tier, listed)),
        1 => (tier(), 1..4_usize).prop_map(|(tier, count)| Event::Crash(tier, count)),
        1 => tier().prop_map(Event::Late),
        1 => (tier(), 0..4_usize).prop_map(|(tier, count)| Event::Fails(tier, count)),
        2 => (tier(), count(), count(), 0..20_i64)
            .prop_map(|(tier, least, most, long)| Event::Override(tier, least, most, long)),
    ]
}

/// What happens to all.
fn to_all(shared_maximum: BoxedStrategy<Option<u32>>) -> impl Strategy<Value = Event> {
    let gateway = prop_oneof![
        2 => any::<bool>().prop_map(Gateway::Follows),
        2 => select(&[Gateway::Restarted, Gateway::Lags, Gateway::Gone][..]),
    ];
    prop_oneof![
        3 => gateway.prop_map(Event::Gateway),
        2 => select(&[Mode::Act, Mode::Act, Mode::Advise, Mode::Observe][..]).prop_map(Event::Mode),
        1 => (-1..9_i64).prop_map(Event::Pause),
        1 => any::<bool>().prop_map(Event::Journal),
        1 => any::<bool>().prop_map(Event::Stop),
        1 => fleet(shared_maximum).prop_map(Event::Reload),
        1 => any::<bool>().prop_map(Event::Restart),
    ]
}

/// An event for each tick.
pub(crate) fn day(shared_maximum: impl Strategy<Value = Option<u32>> + 'static) -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        12 => Just(Event::Nothing),
        9 => to_a_tier(),
        3 => to_all(shared_maximum.boxed()),
    ];
    vec(event, 40..160)
}
