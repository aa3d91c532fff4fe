//! An open load on the engine: every request at its time, whatever became of those before.

use super::CalibrationError;
use super::client::{Answer, Client, milliseconds};
use super::latencies::Latencies;
use super::model::Sent;
use crate::pacer::{Paced, Pacer};
use evenkeel_core::units::Span;
use evenkeel_workload::Arrival;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinSet;

/// What a run showed.
pub(super) struct Run {
    pub(super) sent: Vec<Sent>,
    pub(super) latencies: Latencies,
    /// How much later than due each request was sent, ms.
    pub(super) lags: Vec<f64>,
}

/// Sends the requests and waits for all answers.
pub(super) async fn run(client: &Arc<Client>, arrivals: Vec<Arrival>, length: Span) -> Result<Run, CalibrationError> {
    let started = Instant::now();
    let mut pacer = Pacer::start(arrivals.into_iter(), started, length, None);
    let mut asked = JoinSet::new();
    while let Some(Paced::Due(arrival)) = pacer.due.recv().await {
        let client = Arc::clone(client);
        let due = started + arrival.at.to_duration();
        asked.spawn(async move { (due, client.ask(arrival.prompt_tokens, arrival.output_tokens).await) });
    }
    let mut run = Run { sent: Vec::new(), latencies: Latencies::default(), lags: Vec::new() };
    while let Some(ended) = asked.join_next().await {
        let (due, answer) = ended.map_err(|_| CalibrationError::Interrupted)?;
        let answer = answer?;
        run.lags.push(milliseconds(due, answer.sent));
        run.take(&answer, started);
    }
    Ok(run)
}

impl Run {
    fn take(&mut self, answer: &Answer, started: Instant) {
        let at = Span::from_secs_f64(answer.sent.duration_since(started).as_secs_f64());
        let Answer { prompt_tokens, output_tokens, .. } = *answer;
        self.sent.push(Sent { at, prompt_tokens, output_tokens });
        let (first, last) = (answer.first(), answer.last());
        self.latencies.ttft.push(milliseconds(answer.sent, first));
        if output_tokens > 1 {
            self.latencies.tpot.push(milliseconds(first, last) / f64::from(output_tokens - 1));
        }
        let gaps = answer.events.windows(2).map(|pair| (milliseconds(pair[0], pair[1]), 1.0));
        self.latencies.gaps.extend(gaps);
        // Tokens that came together have no gap between them, as far as anyone outside the engine can tell.
        let together = u64::from(output_tokens).saturating_sub(answer.events.len() as u64);
        if together > 0 {
            self.latencies.gaps.push((0.0, together as f64));
        }
    }
}
