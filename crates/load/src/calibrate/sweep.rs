//! Which requests a calibration sends, and which observations follow from their answers.

use super::CalibrationError;
use super::client::{Answer, Client, milliseconds};
use super::limits::Limits;
use super::observation::{Kind, Observation};
use evenkeel_workload::random::Stream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Prompt tokens of a short request.
const SHORT: u32 = 16;
/// Iterations of pure decoding that are hoped for in a burst.
const DECODES: u32 = 32;
/// So many iterations make one observation: enough that a token's way to us does not count, few enough that an outlier
/// spoils little.
const GROUP: usize = 8;
/// Tokens that sequences generate while prompts join them.
const MIXED_DECODES: u32 = 64;
/// Attention's share shows in a few long contexts; more would only cost time.
const LONG_CONTEXTS: [u32; 2] = [1, 4];

/// One round of a sweep: every cell once. The machine's slow drift then meets all cells alike.
pub(super) async fn round(
    client: &Arc<Client>,
    limits: &Limits,
    random: &mut Stream,
) -> Result<Vec<Observation>, CalibrationError> {
    let mut observations = Vec::new();
    let mut gap = Duration::ZERO;
    for sequences in limits.concurrencies() {
        let decodes = decode(client, limits, sequences, SHORT).await?;
        gap = decodes.first().map_or(gap, |it| Duration::from_secs_f64(it.measured_ms / it.iterations / 1e3));
        observations.extend(decodes);
    }
    for sequences in limits.joined() {
        for prompt_tokens in limits.joining_prompts(sequences) {
            observations.extend(mixed(client, sequences, prompt_tokens, gap, random).await?);
        }
    }
    for sequences in LONG_CONTEXTS.into_iter().filter(|it| *it <= limits.top()) {
        observations.extend(decode(client, limits, sequences, limits.long_prompt(sequences)).await?);
    }
    for prompt_tokens in limits.prompts() {
        observations.push(prefill(client, limits, prompt_tokens).await?);
    }
    Ok(observations)
}

/// Sends `sequences` requests at once, and looks at the time in which all of them decode.
async fn decode(
    client: &Arc<Client>,
    limits: &Limits,
    sequences: u32,
    prompt_tokens: u32,
) -> Result<Vec<Observation>, CalibrationError> {
    // While the prompts are computed, those that came first decode already.
    let prompts = (sequences * prompt_tokens).div_ceil(limits.max_batched_tokens);
    let answers = together(client, sequences, prompt_tokens, DECODES + prompts + 2).await?;
    let (Some(from), Some(until)) = (answers.iter().map(Answer::first).max(), answers.iter().map(Answer::last).min())
    else {
        return Ok(Vec::new());
    };
    let Some(shown) = answers.iter().find(|answer| answer.is_even()) else { return Ok(Vec::new()) };
    let inside: Vec<Instant> = shown.events.iter().copied().filter(|it| *it >= from && *it <= until).collect();
    // The first token and the last one may share their iteration with something else.
    let inside = inside.get(1..inside.len().saturating_sub(1)).unwrap_or_default();
    let usual = usual_gap(inside);
    let groups = inside.windows(GROUP + 1).step_by(GROUP).filter(|group| come_one_by_one(group, usual));
    Ok(groups.map(|group| decode_observation(&answers, group)).collect())
}

/// The mean gap.
fn usual_gap(events: &[Instant]) -> Duration {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Duration::ZERO };
    last.duration_since(*first) / u32::try_from(events.len().max(2) - 1).unwrap_or(u32::MAX)
}

/// Tokens that were late, on the engine's side or on ours, and then came together do not show when iterations ended.
fn come_one_by_one(events: &[Instant], usual: Duration) -> bool {
    events.windows(2).all(|pair| pair[1].duration_since(pair[0]) >= usual / 4)
}

fn decode_observation(answers: &[Answer], window: &[Instant]) -> Observation {
    let (from, until) = (window[0], window[window.len() - 1]);
    let iterations = (window.len() - 1) as f64;
    let sequences = answers.len() as f64;
    Observation {
        kind: Kind::Decode,
        measured_ms: milliseconds(from, until),
        uncertainty_ms: 0.0,
        overheads: 0.0,
        iterations,
        sequences: answers.len() as u32,
        cached_tokens: cached(answers, from) + sequences * (iterations - 1.0) / 2.0,
        prefill_chunks: 0.0,
        prefill_tokens: 0.0,
        prefill_squares: 0.0,
    }
}

/// The time to the first token of a prompt that comes alone.
async fn prefill(client: &Client, limits: &Limits, prompt_tokens: u32) -> Result<Observation, CalibrationError> {
    let answer = client.ask(prompt_tokens, 1).await?;
    let tokens = f64::from(answer.prompt_tokens);
    let chunks = f64::from(answer.prompt_tokens.div_ceil(limits.max_batched_tokens));
    Ok(Observation {
        kind: Kind::Prefill,
        measured_ms: milliseconds(answer.sent, answer.first()),
        uncertainty_ms: 0.0,
        overheads: 1.0,
        iterations: chunks,
        sequences: 0,
        cached_tokens: 0.0,
        prefill_chunks: chunks,
        prefill_tokens: tokens,
        prefill_squares: tokens * tokens / 2.0,
    })
}

/// Lets prompts join `sequences` that decode, one after another, each at a moment by chance.
async fn mixed(
    client: &Arc<Client>,
    sequences: u32,
    prompt_tokens: u32,
    gap: Duration,
    random: &mut Stream,
) -> Result<Vec<Observation>, CalibrationError> {
    let over = Arc::new(AtomicBool::new(false));
    let joining = async {
        let mut joined = Vec::new();
        while !over.load(Ordering::Relaxed) {
            tokio::time::sleep(gap.mul_f64(2.0 + 2.0 * random.uniform())).await;
            joined.push(client.ask(prompt_tokens, 1).await?);
        }
        Ok::<_, CalibrationError>(joined)
    };
    let decoding = async {
        let answers = together(client, sequences, SHORT, MIXED_DECODES).await;
        over.store(true, Ordering::Relaxed);
        answers
    };
    let (answers, joined) = tokio::join!(decoding, joining);
    let answers = answers?;
    Ok(joined?.iter().filter_map(|joined| mixed_observations(&answers, joined)).flatten().collect())
}

/// The iteration that computed the prompt is the one at whose end its first token came. `None` where the sequences did
/// not all decode around it.
fn mixed_observations(answers: &[Answer], joined: &Answer) -> Option<[Observation; 2]> {
    let shown = answers.iter().find(|answer| answer.is_even())?;
    let (from, until) = (answers.iter().map(Answer::first).max()?, answers.iter().map(Answer::last).min()?);
    let distance = |at: &Instant| joined.first().max(*at).duration_since(joined.first().min(*at));
    let end = (2..shown.events.len()).min_by_key(|index| distance(&shown.events[*index]))?;
    let [before, began, ended] = [end - 2, end - 1, end].map(|index| shown.events[index]);
    if before <= from || ended >= until || joined.sent < from || began < joined.sent {
        return None;
    }
    if !come_one_by_one(shown.events.get(end - 2..end + 2)?, usual_gap(&shown.events)) {
        return None;
    }
    let tokens = f64::from(joined.prompt_tokens);
    let iteration = Observation {
        kind: Kind::Mixed,
        measured_ms: milliseconds(began, ended),
        uncertainty_ms: 0.0,
        overheads: 0.0,
        iterations: 1.0,
        sequences: answers.len() as u32,
        cached_tokens: cached(answers, began),
        prefill_chunks: 1.0,
        prefill_tokens: tokens,
        prefill_squares: tokens * tokens / 2.0,
    };
    // It became ready at some moment of the iteration before: half of it, give or take a deviation of 1/sqrt(12).
    let joining = Observation {
        kind: Kind::Joining,
        measured_ms: milliseconds(joined.sent, began),
        uncertainty_ms: milliseconds(before, began) / 12_f64.sqrt(),
        overheads: 1.0,
        iterations: 0.5,
        cached_tokens: cached(answers, before),
        prefill_chunks: 0.0,
        prefill_tokens: 0.0,
        prefill_squares: 0.0,
        ..iteration
    };
    Some([iteration, joining])
}

/// Cached tokens of all sequences in the iteration that begins at `moment`.
fn cached(answers: &[Answer], moment: Instant) -> f64 {
    answers.iter().map(|answer| f64::from(answer.prompt_tokens) + answer.tokens_by(moment)).sum()
}

/// Sends so many requests at once and waits for all.
async fn together(
    client: &Arc<Client>,
    sequences: u32,
    prompt_tokens: u32,
    output_tokens: u32,
) -> Result<Vec<Answer>, CalibrationError> {
    let mut asked = JoinSet::new();
    for _ in 0..sequences {
        let client = Arc::clone(client);
        asked.spawn(async move { client.ask(prompt_tokens, output_tokens).await });
    }
    let mut answers = Vec::new();
    while let Some(answer) = asked.join_next().await {
        answers.push(answer.map_err(|_| CalibrationError::Interrupted)??);
    }
    Ok(answers)
}
