//! Hands a tier's waiting requests to its replicas, as many at once as the replicas have places.

use super::backlog::Lease;
use super::collect::{CollectError, Collected, Seen, collect};
use super::desk::Desk;
use super::record::{HandedOut, Outcome, Standing};
use crate::forward::{Job, Limit, deliver};
use crate::refusal::Refusal;
use crate::request::Document;
use crate::tier::Tier;
use crate::upstream::Call;
use evenkeel_core::units::{Span, Time};
use evenkeel_fleet::model::AsynchronousSettings;
use http::Method;
use http::uri::PathAndQuery;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// How often leases and kept answers are looked through.
const SWEEP: Duration = Duration::from_secs(1);
/// So much longer is the lease in the file than the hand-out may take, which therefore tells itself how it ended.
const LEASE_MARGIN: Span = Span::from_secs(5);
/// Pause before a request that could not even be tried is due again, so that nothing spins.
const NOT_TRIED_PAUSE: Duration = Duration::from_millis(200);

/// Dispatches `tier`'s requests until it is dropped; what is handed out then is for whoever ends it to give back.
pub(crate) async fn dispatch(desk: Arc<Desk>, tier: Arc<Tier>, settings: AsynchronousSettings) {
    let mut running = JoinSet::new();
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        hand_out(&desk, &tier, &settings, &mut running).await;
        let sweeps = tokio::select! {
            () = tier.places_changed.notified() => false,
            Some(_) = running.join_next() => false,
            _ = sweep.tick() => true,
        };
        if sweeps {
            sweep_through(&desk, &tier, &settings).await;
        }
    }
}

/// Fills the places that are free.
async fn hand_out(desk: &Arc<Desk>, tier: &Arc<Tier>, settings: &AsynchronousSettings, running: &mut JoinSet<()>) {
    while running.try_join_next().is_some() {}
    let busy = u32::try_from(running.len()).unwrap_or(u32::MAX);
    let free = tier.places().saturating_sub(busy);
    let Some(backlog) = desk.backlog(&tier.name).cloned().filter(|backlog| free > 0 && backlog.stored() > 0) else {
        return;
    };
    let (name, now, lease) = (tier.name.clone(), tier.clock.now(), settings.lease + LEASE_MARGIN);
    let handed = desk.ask(move |store| {
        let handed = store.hand_out(&name, free, now, lease)?;
        // Held before the file's depth is read again: a request that changes hands is never missing from the backlog.
        Ok(handed
            .into_iter()
            .map(|request| (backlog.lease(&request.id, request.accepted), request))
            .collect::<Vec<_>>())
    });
    match handed.await {
        Ok(handed) => {
            for (lease, request) in handed {
                running.spawn(carry_out(Arc::clone(desk), Arc::clone(tier), settings.clone(), lease, request));
            }
        }
        Err(error) => tracing::error!(%error, tier = tier.name, "cannot hand out asynchronous requests"),
    }
}

async fn sweep_through(desk: &Desk, tier: &Tier, settings: &AsynchronousSettings) {
    let (name, now) = (tier.name.clone(), tier.clock.now());
    let (attempts, ttl) = (settings.max_attempts, settings.result_ttl);
    let swept = desk.ask(move |store| {
        store.forget(&name, now, ttl)?;
        store.expire(&name, now, attempts)
    });
    match swept.await {
        Ok(given_up) => tier.tally.failed.add(given_up as u64),
        Err(error) => tracing::error!(%error, tier = tier.name, "cannot sweep the asynchronous queue"),
    }
}

/// How a hand-out ended, and what is counted if its answer is kept.
struct Ended {
    outcome: Outcome,
    seen: Option<Seen>,
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, seen: None }
    }
}

/// One hand-out, from the lease's beginning to its end.
async fn carry_out(desk: Arc<Desk>, tier: Arc<Tier>, settings: AsynchronousSettings, lease: Lease, request: HandedOut) {
    let (id, attempt) = (request.id.clone(), request.attempt);
    let ended = match timeout(settings.lease.to_duration(), try_once(&tier, &settings, &lease, request)).await {
        Ok(ended) => ended,
        Err(_elapsed) if lease.whereabouts.is_inside() => {
            Outcome::Failed { error: format!("no answer within {}", settings.lease), answer: None }.into()
        }
        // It waited for a replica all the while, or for another one after the first.
        Err(_elapsed) => Outcome::NotTried.into(),
    };
    if ended.outcome == Outcome::NotTried {
        sleep(NOT_TRIED_PAUSE).await;
    }
    let (outcome, now, attempts) = (ended.outcome, tier.clock.now(), settings.max_attempts);
    match desk.ask(move |store| store.end(&id, attempt, &outcome, now, attempts)).await {
        Ok(standing) => count(&tier, standing, ended.seen.as_ref()),
        // The lease ends, and the request is handed out again.
        Err(error) => tracing::error!(%error, tier = tier.name, "cannot keep an answer"),
    }
}

/// Counts a request when its end is on disk: once, however often it was carried out.
fn count(tier: &Tier, standing: Option<Standing>, seen: Option<&Seen>) {
    match (standing, seen) {
        (Some(Standing::Succeeded), Some(seen)) => seen.count_success(tier),
        (Some(Standing::Failed), Some(seen)) => seen.count_client_error(tier),
        (Some(Standing::Failed), None) => tier.tally.failed.increment(),
        // It goes on, or another hand-out has ended it.
        _ => {}
    }
}

async fn try_once(tier: &Arc<Tier>, settings: &AsynchronousSettings, lease: &Lease, request: HandedOut) -> Ended {
    let Some(job) = job(lease, request) else {
        let error = "the kept request is damaged".into();
        return Outcome::Hopeless { handed_over: None, error, answer: None }.into();
    };
    let delivery = match deliver(tier, &job, Limit::of_one_piece(settings.lease.to_duration())).await {
        Ok(delivery) => delivery,
        Err(refusal) => return refused(refusal).into(),
    };
    let handed_over = delivery.handed_over;
    match collect(delivery, tier, settings.result_max_bytes).await {
        Ok(collected) => answered(handed_over, collected),
        Err(CollectError::TooLong) => {
            let error = format!("the answer is longer than {} bytes", settings.result_max_bytes);
            Outcome::Hopeless { handed_over: Some(handed_over), error, answer: None }.into()
        }
        Err(CollectError::BrokenOff) => {
            Outcome::Failed { error: "the replica broke off its answer".into(), answer: None }.into()
        }
    }
}

fn refused(refusal: Refusal) -> Outcome {
    match refusal.code {
        "no_replica" | "queue_full" => Outcome::NotTried,
        _ => Outcome::Failed { error: refusal.message, answer: None },
    }
}

fn answered(handed_over: Time, collected: Collected) -> Ended {
    let Collected { answer, seen } = collected;
    let status = answer.status;
    if status.is_server_error() {
        return Outcome::Failed { error: format!("the replica answered {status}"), answer: Some(answer) }.into();
    }
    let outcome = if status.is_client_error() {
        let error = format!("the replica refused: {status}");
        Outcome::Hopeless { handed_over: Some(handed_over), error, answer: Some(answer) }
    } else {
        Outcome::Succeeded { handed_over, answer }
    };
    Ended { outcome, seen: Some(seen) }
}

/// The request as the forwarding part takes it. It was readable when it was accepted.
fn job(lease: &Lease, request: HandedOut) -> Option<Job> {
    let document = Document::read(&request.body).unwrap_or_default();
    let call =
        Call { method: Method::POST, path: PathAndQuery::try_from(request.path).ok()?, headers: request.headers };
    let whereabouts = Some(Arc::clone(&lease.whereabouts));
    Some(Job { arrived: request.accepted, whereabouts, call, body: request.body.into(), document })
}
