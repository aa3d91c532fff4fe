//! What an operator can change: pause, mode, overrides, the draining before a stop, and the pushed player count. An order is
//! in force at once; the answer waits for the journal and tells whether the order outlives a restart.

use super::Shared;
use super::decisions::tier_of;
use super::error::{ApiError, ErrorBody};
use super::fields::{Fields, NoFields};
use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use evenkeel_adapters::players::MOST_PLAYERS;
use evenkeel_controller::events::rfc3339;
use evenkeel_controller::live::{Command, Taken};
use evenkeel_controller::operator::{Mode, OperatorOrder};
use evenkeel_core::decision::Override;
use evenkeel_core::units::{Span, Time};
use evenkeel_fleet::model::PlayersSource;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use utoipa::{IntoResponses, ToSchema};

/// The loop answers between two ticks and the journal within moments; past this the outcome is unknown.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The longest pause and the farthest end of an override: a later moment is a slip of units.
const FARTHEST_SECONDS: i64 = 366 * 86_400;
/// Characters of a reason at most.
const MOST_REASON: usize = 500;

/// The answer to an order.
#[derive(Serialize, ToSchema)]
pub(super) struct Kept {
    /// Whether it outlives this process. False for an order while the journal cannot be written: it is written as soon as
    /// that is possible. Always false for a player count and a drain.
    durable: bool,
    /// What keeps the order from having its whole effect, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl Kept {
    const fn durable(durable: bool) -> Self {
        Self { durable, note: None }
    }
}

/// Why an order is not in force.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "the document is made from it; answers are made from `ApiError`")]
enum Refusal {
    /// Every mistake in the body
    #[response(status = 400)]
    Mistakes(ErrorBody),
    /// No token, or a wrong one
    #[response(status = 401)]
    Token(ErrorBody),
    /// Another controller holds the fleet
    #[response(status = 409)]
    NotOurs(ErrorBody),
    /// The controller is stopping
    #[response(status = 503)]
    Stopping(ErrorBody),
    /// It is not known whether it is in force
    #[response(status = 504)]
    Unknown(ErrorBody),
}

/// Take no action for a while. Decisions, and their publishing, go on.
#[derive(ToSchema)]
#[schema(example = json!({"for_seconds": 600}))]
pub(super) struct PauseRequest {
    /// From now on; 0 ends the pause.
    #[schema(minimum = 0, maximum = 31_622_400)]
    for_seconds: i64,
}

/// What the controller may do from now on.
#[derive(ToSchema)]
#[schema(example = json!({"mode": "advise"}))]
pub(super) struct ModeRequest {
    /// `observe`, `advise` or `act`.
    #[schema(value_type = String, pattern = "^(observe|advise|act)$")]
    mode: Mode,
}

/// Keep a tier's count at or above, or at or below, a number until a moment.
#[derive(ToSchema)]
#[schema(example = json!({"tier": "gold", "at_least": 5, "until_us": 1_790_000_000_000_000_i64, "because": "launch day"}))]
pub(super) struct OverrideRequest {
    /// The tier.
    tier: String,
    /// Replicas at least.
    at_least: Option<u32>,
    /// Replicas at most; it removes replicas if there are more.
    at_most: Option<u32>,
    /// Until when, microseconds since 1970, UTC.
    until_us: i64,
    /// Why; it is kept in the journal and shown.
    #[schema(min_length = 1, max_length = 500)]
    because: String,
}

/// How many play now.
#[derive(ToSchema)]
#[schema(example = json!({"players": 1234}))]
pub(super) struct PlayersRequest {
    /// Players online, all tiers together.
    #[schema(minimum = 0)]
    players: f64,
}

/// Pauses all action, or ends the pause.
#[utoipa::path(
    post, path = "/v1/pause", tag = "orders", security(("token" = [])), request_body = PauseRequest,
    responses((status = 200, description = "In force", body = Kept), Refusal),
)]
pub(super) async fn pause(State(shared): State<Arc<Shared>>, mut fields: Fields) -> Result<Json<Kept>, ApiError> {
    let seconds = fields.required("for_seconds", "600", |fields| fields.whole("for_seconds", 0..=FARTHEST_SECONDS));
    let request = fields.finish(seconds.map(|for_seconds| PauseRequest { for_seconds }))?;
    let until = shared.clock.now() + Span::from_secs(request.for_seconds);
    give(&shared, OperatorOrder::Pause(until)).await
}

/// Sets the mode; it wins over the fleet file's from then on.
#[utoipa::path(
    post, path = "/v1/mode", tag = "orders", security(("token" = [])), request_body = ModeRequest,
    responses((status = 200, description = "In force", body = Kept), Refusal),
)]
pub(super) async fn mode(State(shared): State<Arc<Shared>>, mut fields: Fields) -> Result<Json<Kept>, ApiError> {
    let mode = fields.required("mode", "\"advise\"", read_mode);
    let request = fields.finish(mode.map(|mode| ModeRequest { mode }))?;
    give(&shared, OperatorOrder::Mode(request.mode)).await
}

fn read_mode(fields: &mut Fields) -> Option<Mode> {
    match fields.text("mode", 20)?.as_str() {
        "observe" => Some(Mode::Observe),
        "advise" => Some(Mode::Advise),
        "act" => Some(Mode::Act),
        other => {
            fields.mistake(format!("`mode` must be observe, advise or act, it is `{other}`"));
            None
        }
    }
}

/// Sets a tier's override. The tier's maximum and minimum still hold.
#[utoipa::path(
    post, path = "/v1/override", tag = "orders", security(("token" = [])), request_body = OverrideRequest,
    responses((status = 200, description = "In force", body = Kept), Refusal),
)]
pub(super) async fn set_override(
    State(shared): State<Arc<Shared>>,
    mut fields: Fields,
) -> Result<Json<Kept>, ApiError> {
    let request = read_override(&shared, &mut fields);
    let OverrideRequest { tier, at_least, at_most, until_us, because } = fields.finish(request)?;
    let note = beyond_limits(&shared, &tier, at_least, at_most);
    let order = Override { at_least, at_most, until: Time::from_micros(until_us), because };
    let Json(kept) = give(&shared, OperatorOrder::Override { tier, order: Some(order) }).await?;
    Ok(Json(Kept { note, ..kept }))
}

/// Which of the tier's limits an override would pass, in words.
fn beyond_limits(shared: &Shared, tier: &str, at_least: Option<u32>, at_most: Option<u32>) -> Option<String> {
    let fleet = shared.fleet();
    let spec = fleet.spec.tiers.iter().find(|it| it.name == tier)?;
    if at_least.is_some_and(|it| it > spec.maximum) {
        return Some(format!("{tier} stays at its maximum of {}", spec.maximum));
    }
    let below = at_most.is_some_and(|it| it < spec.minimum);
    below.then(|| format!("{tier} stays at its minimum of {}", spec.minimum))
}

fn read_override(shared: &Shared, fields: &mut Fields) -> Option<OverrideRequest> {
    let tier = fields.required("tier", "\"gold\"", |fields| {
        let tier = fields.text("tier", 200)?;
        let names = shared.fleet().spec.tiers.iter().map(|it| it.name.clone()).collect::<Vec<_>>();
        if !names.contains(&tier) {
            fields.mistake(format!("there is no tier `{tier}`; the fleet has {}", names.join(", ")));
        }
        Some(tier)
    });
    let (at_least, at_most) = read_bounds(fields);
    let until = fields.required("until_us", "1790000000000000", |fields| read_until(shared.clock.now(), fields));
    let because = fields.required("because", "\"launch day\"", |fields| fields.text("because", MOST_REASON));
    Some(OverrideRequest { tier: tier?, at_least, at_most, until_us: until?, because: because? })
}

fn read_bounds(fields: &mut Fields) -> (Option<u32>, Option<u32>) {
    let neither = !fields.gives("at_least") && !fields.gives("at_most");
    let mut count = |key| fields.whole(key, 0..=i64::from(u32::MAX)).and_then(|count| u32::try_from(count).ok());
    let (at_least, at_most) = (count("at_least"), count("at_most"));
    if neither {
        fields.mistake("`at_least` or `at_most` is missing, for example `\"at_least\": 5`");
    }
    if let (Some(low), Some(high)) = (at_least, at_most)
        && low > high
    {
        fields.mistake(format!("`at_least` {low} is more than `at_most` {high}"));
    }
    (at_least, at_most)
}

/// A moment ahead, not so far that it must be a slip of units.
fn read_until(now: Time, fields: &mut Fields) -> Option<i64> {
    let until = fields.whole("until_us", i64::MIN..=i64::MAX)?;
    let moment = Time::from_micros(until);
    if moment <= now {
        let (is, now) = (rfc3339(moment), rfc3339(now));
        fields.mistake(format!(
            "`until_us` is {is}, which is not ahead of now, {now}; it counts microseconds since 1970"
        ));
    } else if moment.since(now) > Span::from_secs(FARTHEST_SECONDS) {
        fields.mistake("`until_us` is more than a year ahead; it counts microseconds since 1970");
    }
    Some(until)
}

/// Ends a tier's override. It is no mistake if there is none.
#[utoipa::path(
    delete, path = "/v1/override/{tier}", tag = "orders", security(("token" = [])),
    params(("tier" = String, Path, description = "The tier")),
    responses(
        (status = 200, description = "Ended", body = Kept),
        (status = 404, description = "No such tier; the message lists those that exist", body = ErrorBody),
        Refusal,
    ),
)]
pub(super) async fn end_override(
    State(shared): State<Arc<Shared>>,
    tier: Result<Path<String>, PathRejection>,
) -> Result<Json<Kept>, ApiError> {
    let tier = tier_of(tier)?;
    shared.existing_tier(&tier)?;
    give(&shared, OperatorOrder::Override { tier, order: None }).await
}

/// Takes a player count, for fleets whose file says `players: {push: {}}`. It holds until it is stale; a controller that
/// restarts does not know it.
#[utoipa::path(
    post, path = "/v1/players", tag = "orders", security(("token" = [])), request_body = PlayersRequest,
    responses(
        (status = 200, description = "Taken; `durable` is false, as a count is soon replaced", body = Kept),
        (status = 400, description = "Every mistake in the body", body = ErrorBody),
        (status = 401, description = "No token, or a wrong one", body = ErrorBody),
        (status = 409, description = "The fleet takes its players from elsewhere", body = ErrorBody),
    ),
)]
pub(super) async fn players(State(shared): State<Arc<Shared>>, mut fields: Fields) -> Result<Json<Kept>, ApiError> {
    let players = fields.required("players", "1234", |fields| fields.number("players"));
    let players = players.filter(|players| {
        let sound = (0.0..=MOST_PLAYERS).contains(players);
        if !sound {
            fields.mistake(format!("`players` must be from 0 to {MOST_PLAYERS}, it is {players}"));
        }
        sound
    });
    let PlayersRequest { players } = fields.finish(players.map(|players| PlayersRequest { players }))?;
    if shared.fleet().players != Some(PlayersSource::Push) {
        let message = "the fleet file does not say `players: {push: {}}`, so nothing would read a pushed count";
        return Err(ApiError::new(StatusCode::CONFLICT, "players_not_pushed", message));
    }
    shared.players.push(players, shared.clock.now()).map_err(|error| ApiError::mistakes(&[error.to_string()]))?;
    Ok(Json(Kept::durable(false)))
}

/// Drains every replica and launches none, for the fleet is being stopped; `stopping` in the state tells when all are empty.
/// It holds for ten seconds: whoever stops the fleet asks again before, and if nobody does, the fleet serves on.
#[utoipa::path(
    post, path = "/v1/drain", tag = "orders", security(("token" = [])),
    responses((status = 200, description = "Draining, for ten seconds", body = Kept), Refusal),
)]
pub(super) async fn drain(State(shared): State<Arc<Shared>>, _: NoFields) -> Result<Json<Kept>, ApiError> {
    shared.published.commands.send(Command::Drain).await.map_err(|_| stopping())?;
    Ok(Json(Kept::durable(false)))
}

/// Gives an order to the loop and waits for the journal.
async fn give(shared: &Shared, order: OperatorOrder) -> Result<Json<Kept>, ApiError> {
    let (done, answer) = oneshot::channel();
    let asked = async {
        shared.published.commands.send(Command::Order(order, done)).await.ok()?;
        answer.await.ok()
    };
    match tokio::time::timeout(ANSWER_WITHIN, asked).await {
        Ok(Some(Taken::Durable)) => Ok(Json(Kept::durable(true))),
        Ok(Some(Taken::NotDurable)) => Ok(Json(Kept::durable(false))),
        Ok(Some(Taken::NotOurs)) => {
            let message = "another controller holds the fleet: the order is not in force, give it to that one";
            Err(ApiError::new(StatusCode::CONFLICT, "other_controller", message))
        }
        Ok(None) => Err(stopping()),
        Err(_) => {
            let message = "the controller did not answer in time, so it is not known whether the order is in force: look at /v1/state before repeating it";
            Err(ApiError::new(StatusCode::GATEWAY_TIMEOUT, "outcome_unknown", message))
        }
    }
}

fn stopping() -> ApiError {
    let message = "the controller is stopping; the order may not be in force";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", message)
}
