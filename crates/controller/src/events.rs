//! What happened, as CloudEvents 1.0.

use crate::actuation::FailingReplica;
use crate::operator::OperatorOrder;
use crate::view::Stray;
use async_trait::async_trait;
use evenkeel_core::check::Violation;
use evenkeel_core::decision::Decision;
use evenkeel_core::observe::ReplicaId;
use evenkeel_core::units::Time;
use serde::Serialize;
use serde_json::{Value, json};

/// Takes events one by one; never called on the decision's path.
#[async_trait]
pub trait EventSink: Send {
    /// Its name, for logs.
    fn name(&self) -> &str;

    /// Delivers one event, with its own retries.
    ///
    /// # Errors
    /// Says why the event was given up.
    async fn deliver(&mut self, event: &CloudEvent) -> Result<(), String>;
}

/// One event in the CloudEvents 1.0 JSON format.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CloudEvent {
    /// Always `1.0`.
    pub specversion: &'static str,
    /// Unique with the source: a replayed or repeated event has the same one.
    pub id: String,
    /// The fleet and the controller's epoch.
    pub source: String,
    /// What kind of event.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The tier, or the fleet.
    pub subject: String,
    /// RFC 3339, UTC.
    pub time: String,
    /// Always JSON.
    pub datacontenttype: &'static str,
    /// The details.
    pub data: Value,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// A decision grew or shrank a tier.
    Scaled(Box<Decision>),
    /// A replica began to serve.
    Ready(String, ReplicaId),
    /// A replica ended without being told.
    Failed(String, ReplicaId, Option<String>),
    /// The gateway found a replica failing its requests, or it failed for so long that it is replaced.
    Failing(FailingReplica),
    /// A backend did not carry out an order.
    Refused(String, String),
    /// A decision broke an invariant; it was not acted on.
    InvariantBroken(Violation),
    /// A replica's tier is gone from the fleet file; it runs on.
    Stray(Stray),
    /// The fleet is being stopped: every replica drains.
    Stopping,
    /// An operator ordered something.
    Ordered(OperatorOrder),
    /// The fleet file changed: what changed, in words.
    Reloaded(Vec<String>),
    /// The fleet file changed and cannot be used; the old one stays in force.
    ReloadRefused(String),
    /// The journal cannot be written: scale-in waits.
    JournalUnwritable(String),
    /// The journal can be written again.
    JournalWritable,
    /// The journal was damaged and a new one begun: the operator's orders are lost.
    JournalSetAside(String),
    /// Another controller has taken over: this one stops acting.
    Fenced(u64),
}

impl Happening {
    /// The event of this happening.
    pub fn event(&self, fleet: &str, epoch: u64, number: u64, at: Time) -> CloudEvent {
        let (kind, subject, data) = self.parts();
        CloudEvent {
            specversion: "1.0",
            id: format!("{epoch}-{number}"),
            source: format!("/evenkeel/{fleet}/{epoch}"),
            kind,
            subject: subject.unwrap_or_else(|| fleet.to_owned()),
            time: rfc3339(at),
            datacontenttype: "application/json",
            data,
        }
    }

    fn parts(&self) -> (&'static str, Option<String>, Value) {
        match self {
            Self::Scaled(decision) => (
                "dev.evenkeel.tier.scaled",
                Some(decision.tier.clone()),
                json!({
                    "from": decision.supply.current(), "to": decision.desired, "reason": decision.reason,
                    "explanation": crate::explain::sentence(decision),
                }),
            ),
            Self::Ready(tier, id) => ("dev.evenkeel.replica.ready", Some(tier.clone()), json!({ "replica": id })),
            Self::Failed(tier, id, note) => {
                ("dev.evenkeel.replica.failed", Some(tier.clone()), json!({ "replica": id, "note": note }))
            }
            Self::Failing(failing) => (
                "dev.evenkeel.alarm.replica_failing",
                Some(failing.tier.clone()),
                json!({ "replica": failing.replica, "replaced": failing.replaced }),
            ),
            Self::Refused(tier, why) => ("dev.evenkeel.order.refused", Some(tier.clone()), json!({ "why": why })),
            Self::InvariantBroken(violation) => {
                let tier = Some(violation.tier.clone()).filter(|tier| !tier.is_empty());
                ("dev.evenkeel.alarm.invariant", tier, json!(violation))
            }
            Self::Stray(stray) => {
                ("dev.evenkeel.alarm.stray_replica", Some(stray.tier.clone()), json!({ "replica": stray.replica }))
            }
            Self::Stopping => ("dev.evenkeel.fleet.stopping", None, json!({})),
            Self::Ordered(order) => ("dev.evenkeel.operator.ordered", None, json!(order)),
            Self::Reloaded(changes) => ("dev.evenkeel.fleet.reloaded", None, json!({ "changes": changes })),
            Self::ReloadRefused(why) => ("dev.evenkeel.alarm.reload_refused", None, json!({ "why": why })),
            Self::JournalUnwritable(why) => ("dev.evenkeel.alarm.journal_unwritable", None, json!({ "why": why })),
            Self::JournalWritable => ("dev.evenkeel.journal.writable", None, json!({})),
            Self::JournalSetAside(why) => ("dev.evenkeel.alarm.journal_set_aside", None, json!({ "why": why })),
            Self::Fenced(epoch) => ("dev.evenkeel.alarm.fenced", None, json!({ "by_epoch": epoch })),
        }
    }
}

/// Microseconds since the epoch as RFC 3339 in UTC.
pub fn rfc3339(at: Time) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros()).map_or_else(|_| at.as_micros().to_string(), |it| it.to_string())
}
