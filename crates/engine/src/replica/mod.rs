//! One replica of a continuous-batching engine: chunked prefill, a token budget per iteration, a KV cache with
//! preemption, prefix hits. Request-level events in O(log n) each, though every token's moment is exact.
//!
//! An **iteration** gives each decoding sequence one token, then spends what is left of the token budget on the prompt
//! under way and on waiting prompts in order. Its length follows from the [`Profile`]. While nothing is prefilled the
//! composition stays the same until the next sequence finishes, the KV cache fills or a prompt may join, so all those
//! iterations are one **stretch** with a closed form; it may be cut at any boundary without moving a later token.
//!
//! Two rules settle what happens in the same instant. A prompt joins the first iteration that begins *after* it is
//! ready, and an idle replica begins one the moment a prompt is ready, with that prompt alone: as a real engine's loop
//! does. A cancellation takes effect when the iteration under way ends.
//!
//! Left out: block rounding in the cache, speculative decoding, disaggregated prefill, multimodal input.

mod batch;
mod clock;
mod completion;
mod cost;
mod decoding;
mod event;
mod request;

pub use cost::InvalidProfile;
pub use event::{Counters, Event, Finished, IterationRun, Phase, Progress, Refused, RequestId};

use crate::sequence::Sequence;
use alloc::vec::Vec;
use batch::{Chunk, Step};
use clock::Moment;
use cost::{Cost, Limits};
use decoding::Decoding;
use evenkeel_core::profile::Profile;
use evenkeel_core::units::{Span, Time};
use request::{Request, Stage, WaitingLine};

/// A replica, at the moment up to which it was last advanced.
#[derive(Debug)]
pub struct Replica {
    cost: Cost,
    limits: Limits,
    now: Time,
    requests: Sequence<Request>,
    submitted: u64,
    waiting: WaitingLine,
    /// Everything with room in the cache, by number of admission.
    running: Vec<(u64, RequestId)>,
    admissions: u64,
    decoding: Decoding,
    /// The prompt whose computation the last iteration left unfinished.
    partial: Option<RequestId>,
    /// Running requests whose owner has gone; they leave at the next boundary.
    cancelled: Vec<RequestId>,
    /// Iterations run.
    iteration: u64,
    /// KV tokens of the decoding sequences.
    context: u64,
    /// KV tokens set aside for the prompts being computed.
    reserved: u64,
    /// The iterations under way; `None` while idle.
    step: Option<Step>,
    /// The prompts' parts in the iteration under way.
    chunks: Vec<Chunk>,
    busy: Span,
    busy_since: Option<Time>,
    counters: Counters,
    events: Vec<Event>,
}

impl Replica {
    /// An idle replica at the moment `start`.
    ///
    /// # Errors
    /// When a constant of the profile is not a usable number; see [`InvalidProfile`].
    pub fn new(profile: &Profile, start: Time) -> Result<Self, InvalidProfile> {
        Ok(Self {
            cost: Cost::of(profile)?,
            limits: Limits::of(profile)?,
            now: start,
            requests: Sequence::default(),
            submitted: 0,
            waiting: WaitingLine::default(),
            running: Vec::new(),
            admissions: 0,
            decoding: Decoding::default(),
            partial: None,
            cancelled: Vec::new(),
            iteration: 0,
            context: 0,
            reserved: 0,
            step: None,
            chunks: Vec::new(),
            busy: Span::ZERO,
            busy_since: None,
            counters: Counters::default(),
            events: Vec::new(),
        })
    }

    /// Takes a request of `prompt_tokens` that will generate `output_tokens`, arriving at `now` (or at the moment
    /// last advanced to, where that is later).
    ///
    /// # Errors
    /// When it could never be served here; see [`Refused`].
    pub fn submit(&mut self, now: Time, prompt_tokens: u32, output_tokens: u32) -> Result<RequestId, Refused> {
        let cached = self.cost.cached_prefix(prompt_tokens);
        self.submit_cached(now, prompt_tokens, output_tokens, cached)
    }

    /// The same for a prompt of which the prefix cache holds `cached_tokens`, whatever the profile's share is; the last token
    /// is always computed, since its computation yields the first output token.
    ///
    /// # Errors
    /// When it could never be served here; see [`Refused`].
    pub fn submit_cached(
        &mut self,
        now: Time,
        prompt_tokens: u32,
        output_tokens: u32,
        cached_tokens: u32,
    ) -> Result<RequestId, Refused> {
        self.refusal(prompt_tokens, output_tokens)?;
        self.advance(now);
        let id = RequestId(self.submitted);
        self.submitted += 1;
        let request = Request {
            prompt: prompt_tokens,
            cached: cached_tokens.min(prompt_tokens.saturating_sub(1)),
            output: output_tokens,
            arrived: self.now,
            queued: self.now + self.cost.overhead,
            scheduled: None,
            first_token: None,
            stalled: None,
            preemptions: 0,
            cancelled: false,
            stage: Stage::Waiting { place: self.waiting.push_back(id), generated: 0 },
        };
        self.requests.push(request);
        self.replan();
        self.advance(self.now);
        Ok(id)
    }

    fn refusal(&self, prompt: u32, output: u32) -> Result<(), Refused> {
        let tokens = u64::from(prompt) + u64::from(output);
        if prompt == 0 || output == 0 {
            return Err(Refused::Empty);
        }
        if tokens > self.limits.model_tokens {
            return Err(Refused::AboveModelLength { tokens, limit: self.limits.model_tokens });
        }
        if tokens > self.limits.kv_tokens {
            return Err(Refused::AboveKvCache { tokens, limit: self.limits.kv_tokens });
        }
        Ok(())
    }

    /// Forgets a request wherever it is, and says how far it had come; `None` where it has finished or left before.
    /// A running one keeps its place until the iteration under way ends.
    pub fn cancel(&mut self, now: Time, id: RequestId) -> Option<Progress> {
        self.advance(now);
        let progress = self.progress(id)?;
        self.counters.cancelled += 1;
        let request = self.request_mut(id);
        if let Stage::Waiting { place, .. } = request.stage {
            self.waiting.remove(place);
            self.requests.take(id.number());
        } else {
            request.cancelled = true;
            self.cancelled.push(id);
        }
        self.replan();
        Some(progress)
    }

    /// Runs every iteration that ends by `now`, and leaves what happened for [`Self::drain_events`]. An earlier `now`
    /// than before does nothing.
    pub fn advance(&mut self, now: Time) {
        loop {
            match &self.step {
                Some(step) if step.end.visible() <= now => self.end_step(),
                Some(_) => break self.end_iterations_before(now),
                None => match self.ready_at() {
                    Some(ready) if ready <= now => self.compose(Moment::at(ready)),
                    _ => break,
                },
            }
        }
        self.now = self.now.max(now);
    }

    /// The next moment at which advancing does more than move tokens along: a request begins, ends or changes the
    /// batch. `None` while idle. A request submitted or cancelled meanwhile may bring it forward.
    pub fn next_event(&self) -> Option<Time> {
        self.step.as_ref().map(|step| step.end.visible()).or_else(|| self.ready_at())
    }

    /// When the iteration under way ends and every decoding sequence has one more token; `None` while idle. Whoever
    /// streams tokens advances to this moment, then reads [`Self::tokens_of`].
    pub fn next_boundary(&self) -> Option<Time> {
        self.step.as_ref().map(|step| step.stretch.boundary(1).visible())
    }

    /// Takes the events since the last call, in order. They pile up until taken.
    pub fn drain_events(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.events.drain(..)
    }

    /// The same for whoever asks often: adds them to a list, which keeps its memory as the replica's own does.
    pub fn take_events(&mut self, into: &mut Vec<Event>) {
        if into.is_empty() {
            core::mem::swap(&mut self.events, into);
        } else {
            into.append(&mut self.events);
        }
    }

    /// How far a request had come at the moment last advanced to; `None` once it has finished or was cancelled.
    pub fn progress(&self, id: RequestId) -> Option<Progress> {
        let request = self.requests.get(id.number()).filter(|request| !request.cancelled)?;
        let (phase, yields) = match request.stage {
            Stage::Waiting { .. } => (Phase::Waiting, false),
            Stage::Prefilling { .. } => (Phase::Prefilling, self.chunks.iter().any(|c| c.id == id && c.completes)),
            Stage::Decoding { .. } => (Phase::Decoding, true),
        };
        let next_token = self.next_boundary().filter(|_| yields);
        Some(Progress { phase, tokens: request.generated(self.iteration), next_token })
    }

    /// Tokens that a request had generated at the moment last advanced to; `None` once it has finished or was
    /// cancelled.
    pub fn tokens_of(&self, id: RequestId) -> Option<u32> {
        self.progress(id).map(|progress| progress.tokens)
    }

    /// When a request's next token is out, where the iteration that yields it has begun.
    pub fn next_token_time(&self, id: RequestId) -> Option<Time> {
        self.progress(id)?.next_token
    }

    /// The moment last advanced to.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Requests in the batch: decoding, or their prompt being computed.
    pub fn running(&self) -> usize {
        self.running.len()
    }

    /// Requests in the waiting line, those still in the fixed overhead included.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Share of the KV cache in use, 0 to 1. It may pass 1 by a token per sequence until the next iteration preempts.
    pub fn kv_usage(&self) -> f64 {
        (self.context + self.reserved) as f64 / self.limits.kv_tokens as f64
    }

    /// Time spent in iterations up to the moment last advanced to.
    pub fn busy(&self) -> Span {
        let under_way = self.busy_since.map_or(Span::ZERO, |since| self.now.since(since));
        self.busy + under_way
    }

    /// Totals since the replica began, up to the last boundary.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// When the first waiting request may join a batch.
    fn ready_at(&self) -> Option<Time> {
        self.waiting.front().map(|id| self.request(id).queued)
    }

    #[expect(clippy::expect_used, reason = "every id in the line, the batch and the chunks has an entry in `requests`")]
    fn request(&self, id: RequestId) -> &Request {
        self.requests.get(id.number()).expect("a known request")
    }

    #[expect(clippy::expect_used, reason = "every id in the line, the batch and the chunks has an entry in `requests`")]
    fn request_mut(&mut self, id: RequestId) -> &mut Request {
        self.requests.get_mut(id.number()).expect("a known request")
    }
}
