//! Why: the decision log out of the journal, and one tier explained.

use super::Shared;
use super::error::{ApiError, ErrorBody};
use super::fields::Query;
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use evenkeel_controller::explain;
use evenkeel_controller::journal::{DecisionRow, JournalError, JournalReader};
use evenkeel_controller::view::TierView;
use evenkeel_core::decision::{Decision, Reason};
use evenkeel_core::observe::Supply;
use evenkeel_core::units::Time;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::ToSchema;

/// Rows answered when nobody says how many.
const DEFAULT_LIMIT: i64 = 100;
/// Rows answered at most.
const MOST_ROWS: i64 = 1_000;
/// Changes that an explanation goes back.
const EXPLAINED_CHANGES: u32 = 20;
/// Rows among which the holds between those changes are looked for.
const LOOKED_THROUGH: u32 = 400;

/// A run of equal decisions, in words and in full.
#[derive(Serialize, ToSchema)]
pub(super) struct DecisionEntry {
    /// Grows with time.
    id: i64,
    /// First tick of the run.
    #[schema(value_type = i64)]
    first_us: Time,
    /// Last tick of the run.
    #[schema(value_type = i64)]
    last_us: Time,
    /// Ticks in the run.
    ticks: u64,
    /// The controller that decided; null where the tick is past its retention.
    epoch: Option<u64>,
    /// The first tick's decision in a sentence.
    explanation: String,
    /// Each recommendation in words.
    recommendations: Vec<String>,
    /// Each guard's change in words.
    clamps: Vec<String>,
    /// The decision itself.
    #[schema(value_type = Object)]
    decision: Decision,
}

impl From<DecisionRow> for DecisionEntry {
    fn from(row: DecisionRow) -> Self {
        let DecisionRow { id, first_us, last_us, ticks, epoch, decision } = row;
        Self {
            id,
            first_us,
            last_us,
            ticks,
            epoch,
            explanation: explain::sentence(&decision),
            recommendations: decision.recommendations.iter().map(explain::figures).collect(),
            clamps: decision.clamps.iter().map(explain::clamp).collect(),
            decision,
        }
    }
}

/// One tier explained.
#[derive(Serialize, ToSchema)]
pub(super) struct Explanation {
    tier: String,
    /// The newest tick.
    now: Now,
    /// The newest changes, and between them the newest run of holding; the newest first.
    recent: Vec<DecisionEntry>,
}

/// The newest tick's decision.
#[derive(Serialize, ToSchema)]
struct Now {
    explanation: String,
    recommendations: Vec<String>,
    clamps: Vec<String>,
    #[schema(value_type = String)]
    reason: Reason,
    /// Ready and starting replicas there shall be.
    desired: u32,
    /// The replicas it was taken over.
    #[schema(value_type = Object)]
    supply: Supply,
}

impl From<&TierView> for Now {
    fn from(tier: &TierView) -> Self {
        Self {
            explanation: tier.explanation.clone(),
            recommendations: tier.recommendations.clone(),
            clamps: tier.clamps.clone(),
            reason: tier.decision.reason,
            desired: tier.decision.desired,
            supply: tier.decision.supply,
        }
    }
}

/// The decision log, the newest first. Equal decisions in a row are one entry.
#[utoipa::path(
    get, path = "/v1/decisions", tag = "why",
    params(
        ("tier" = Option<String>, Query, description = "Only this tier"),
        ("limit" = Option<i64>, Query, description = "At most so many, 100 if not given", minimum = 1, maximum = 1000),
        ("changes_only" = Option<bool>, Query, description = "Only what grew or shrank"),
    ),
    responses(
        (status = 200, description = "Runs of decisions", body = Vec<DecisionEntry>),
        (status = 400, description = "Every mistake in the query", body = ErrorBody),
        (status = 404, description = "No such tier, and no decision about one either", body = ErrorBody),
        (status = 503, description = "The journal cannot be read", body = ErrorBody),
    ),
)]
pub(super) async fn decisions(
    State(shared): State<Arc<Shared>>,
    mut query: Query,
) -> Result<Json<Vec<DecisionEntry>>, ApiError> {
    let tier = query.text("tier");
    let limit = query.whole("limit", 1..=MOST_ROWS).unwrap_or(DEFAULT_LIMIT);
    let changes_only = query.truth("changes_only").unwrap_or(false);
    let (tier, limit, changes_only) = query.finish((tier, limit, changes_only))?;
    let limit = u32::try_from(limit).unwrap_or(u32::MAX);
    let asked = tier.clone();
    let rows = from_journal(&shared, move |journal| journal.decisions(asked.as_deref(), limit, changes_only)).await?;
    // A tier that is no longer in the fleet still has its past; a misspelt one has none.
    if let Some(tier) = tier.filter(|_| rows.is_empty()) {
        shared.existing_tier(&tier)?;
    }
    Ok(Json(rows.into_iter().map(Into::into).collect()))
}

/// Why a tier has the replicas it has: now, and its newest changes.
#[utoipa::path(
    get, path = "/v1/explain/{tier}", tag = "why",
    params(("tier" = String, Path, description = "The tier")),
    responses(
        (status = 200, description = "The tier explained", body = Explanation),
        (status = 404, description = "No such tier; the message lists those that exist", body = ErrorBody),
        (status = 503, description = "No tick has ended yet, or the journal cannot be read", body = ErrorBody),
    ),
)]
pub(super) async fn explain_tier(
    State(shared): State<Arc<Shared>>,
    tier: Result<Path<String>, PathRejection>,
) -> Result<Json<Explanation>, ApiError> {
    let tier = tier_of(tier)?;
    shared.existing_tier(&tier)?;
    let view = shared.view()?;
    // A tier that a reload has just added is decided on at the next tick.
    let now = view.tiers.iter().find(|it| it.tier == tier).map(Now::from).ok_or_else(ApiError::not_ready)?;
    let asked = tier.clone();
    let recent = from_journal(&shared, move |journal| recent(journal, &asked)).await?;
    Ok(Json(Explanation { tier, now, recent: recent.into_iter().map(Into::into).collect() }))
}

/// The tier named in a path.
pub(super) fn tier_of(tier: Result<Path<String>, PathRejection>) -> Result<String, ApiError> {
    tier.map(|Path(tier)| tier).map_err(|error| ApiError::mistakes(&[error.body_text()]))
}

/// The newest changes and, before, between and after them, the newest run of holding each.
fn recent(journal: &JournalReader, tier: &str) -> Result<Vec<DecisionRow>, JournalError> {
    let changes = journal.decisions(Some(tier), EXPLAINED_CHANGES, true)?;
    // With fewer changes than asked for there is nothing older that would have to be left out.
    let complete = changes.len() == EXPLAINED_CHANGES as usize;
    let oldest = changes.last().map_or(i64::MIN, |row| row.id);
    let mut chosen: BTreeMap<i64, DecisionRow> = changes.into_iter().map(|row| (row.id, row)).collect();
    let mut after_change = true;
    for row in journal.decisions(Some(tier), LOOKED_THROUGH, false)? {
        if complete && row.id < oldest {
            break;
        }
        let change = chosen.contains_key(&row.id);
        if after_change && !change {
            chosen.insert(row.id, row);
        }
        after_change = change;
    }
    Ok(chosen.into_values().rev().collect())
}

/// Reads the journal off the runtime's threads.
async fn from_journal<T: Send + 'static>(
    shared: &Shared,
    read: impl FnOnce(&JournalReader) -> Result<T, JournalError> + Send + 'static,
) -> Result<T, ApiError> {
    let refused = |why: String| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "journal_unreadable", why);
    let _turn = shared.journal_reads.acquire().await.map_err(|error| refused(error.to_string()))?;
    let journal = shared.journal.clone();
    let read = tokio::task::spawn_blocking(move || read(&journal)).await;
    read.map_err(|error| refused(error.to_string()))?.map_err(|error| refused(error.to_string()))
}
