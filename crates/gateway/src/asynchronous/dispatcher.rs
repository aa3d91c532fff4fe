//! Hands a tier's waiting requests to its replicas, as many at once as the replicas have places.

use super::desk::Desk;
use super::record::{HandedOut, KeptAnswer, Outcome, Standing};
use crate::answer::Refusal;
use crate::clock::duration;
use crate::forward::{CollectError, Collected, Job, deliver};
use crate::request::Document;
use crate::tier::Tier;
use crate::upstream::Call;
use evenkeel_fleet::model::AsynchronousSettings;
use http::Method;
use http::uri::PathAndQuery;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// How often leases and kept answers are looked through.
const SWEEP: Duration = Duration::from_secs(1);
/// Pause before a request that could not even be tried is due again, so that nothing spins.
const NOT_TRIED_PAUSE: Duration = Duration::from_millis(200);

/// Dispatches `tier`'s requests until `ending`, then waits for those handed out.
pub(crate) async fn dispatch(
    desk: Arc<Desk>,
    tier: Arc<Tier>,
    settings: AsynchronousSettings,
    mut ending: watch::Receiver<bool>,
) {
    let mut running = JoinSet::new();
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*ending.borrow() {
        hand_out(&desk, &tier, &settings, &mut running).await;
        let sweeps = tokio::select! {
            _ = ending.changed() => false,
            () = tier.places_changed.notified() => false,
            Some(_) = running.join_next() => false,
            _ = sweep.tick() => true,
        };
        if sweeps {
            sweep_through(&desk, &tier, &settings).await;
        }
    }
    while running.join_next().await.is_some() {}
}

/// Fills the places that are free.
async fn hand_out(desk: &Arc<Desk>, tier: &Arc<Tier>, settings: &AsynchronousSettings, running: &mut JoinSet<()>) {
    while running.try_join_next().is_some() {}
    let busy = u32::try_from(running.len()).unwrap_or(u32::MAX);
    let free = tier.places().saturating_sub(busy);
    if free == 0 || desk.depth(&tier.name).is_none_or(|depth| depth.queued() == 0) {
        return;
    }
    let (name, now, lease) = (tier.name.clone(), tier.clock.now(), settings.lease);
    match desk.ask(move |store| store.hand_out(&name, free, now, lease)).await {
        Ok(handed) => {
            for request in handed {
                running.spawn(carry_out(Arc::clone(desk), Arc::clone(tier), settings.clone(), request));
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

/// One hand-out, from the lease's beginning to its end.
async fn carry_out(desk: Arc<Desk>, tier: Arc<Tier>, settings: AsynchronousSettings, request: HandedOut) {
    let (id, attempt) = (request.id.clone(), request.attempt);
    let lease = duration(settings.lease);
    let outcome = match timeout(lease, try_once(&tier, &settings, request)).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Outcome::Failed { error: format!("no answer within {}", settings.lease), answer: None },
    };
    if outcome == Outcome::NotTried {
        sleep(NOT_TRIED_PAUSE).await;
    }
    let (now, attempts) = (tier.clock.now(), settings.max_attempts);
    let hopeless = matches!(&outcome, Outcome::Hopeless { answer: Some(_), .. });
    match desk.ask(move |store| store.end(&id, attempt, &outcome, now, attempts)).await {
        // The client's own mistake is counted where the answer passed.
        Ok(Some(Standing::Failed)) if !hopeless => tier.tally.failed.increment(),
        Ok(_) => {}
        // The lease ends, and the request is handed out again.
        Err(error) => tracing::error!(%error, tier = tier.name, "cannot keep an answer"),
    }
}

async fn try_once(tier: &Arc<Tier>, settings: &AsynchronousSettings, request: HandedOut) -> Outcome {
    let Some(job) = job(request) else {
        return Outcome::Hopeless { error: "the kept request is damaged".into(), answer: None };
    };
    match deliver(tier, &job, duration(settings.lease)).await {
        Err(refusal) => refused(refusal),
        Ok(delivery) => match delivery.collect(tier, settings.result_max_bytes).await {
            Ok(collected) => answered(collected),
            Err(CollectError::TooLong) => {
                let error = format!("the answer is longer than {} bytes", settings.result_max_bytes);
                Outcome::Hopeless { error, answer: None }
            }
            Err(CollectError::BrokenOff) => {
                Outcome::Failed { error: "the replica broke off its answer".into(), answer: None }
            }
        },
    }
}

fn refused(refusal: Refusal) -> Outcome {
    match refusal.code {
        "no_replica" | "queue_full" => Outcome::NotTried,
        _ => Outcome::Failed { error: refusal.message, answer: None },
    }
}

fn answered(collected: Collected) -> Outcome {
    let status = collected.status;
    let answer = KeptAnswer { status, content_type: collected.content_type, body: collected.body };
    if status.is_server_error() {
        return Outcome::Failed { error: format!("the replica answered {status}"), answer: Some(answer) };
    }
    if status.is_client_error() {
        return Outcome::Hopeless { error: format!("the replica refused: {status}"), answer: Some(answer) };
    }
    Outcome::Succeeded(answer)
}

/// The request as the forwarding part takes it. It was readable when it was accepted.
fn job(request: HandedOut) -> Option<Job> {
    let document = Document::read(&request.body).unwrap_or_default();
    let call =
        Call { method: Method::POST, path: PathAndQuery::try_from(request.path).ok()?, headers: request.headers };
    Some(Job { arrived: request.accepted, first_hand_over: request.attempt == 1, call, body: request.body, document })
}
