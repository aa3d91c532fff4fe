//! What the next iteration is made of, and for how many iterations it stays so.

use super::Replica;
use super::clock::{Moment, Stretch};
use super::event::RequestId;
use super::request::Stage;
use evenkeel_core::units::Time;

/// Iterations under way.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) stretch: Stretch,
    /// How many iterations keep this composition; 1 where prompts are computed.
    pub(super) iterations: u64,
    /// When the last of them ends.
    pub(super) end: Moment,
    /// Sequences that gain a token in each.
    pub(super) sequences: u64,
    pub(super) prefill_tokens: u64,
}

/// A prompt's part in one iteration.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) id: RequestId,
    pub(super) tokens: u32,
    /// The prompt is whole after it, so the iteration yields a token.
    pub(super) completes: bool,
}

impl Replica {
    /// Begins the next iteration at the boundary `at`, or goes idle.
    pub(super) fn compose(&mut self, at: Moment) {
        self.preempt(at);
        let sequences = self.decoding.len() as u64;
        let mut length = self.cost.decode(sequences, self.context);
        let mut budget = self.limits.batched_tokens.saturating_sub(sequences);
        if let Some(id) = self.partial.filter(|_| budget > 0) {
            length += self.add_chunk(id, &mut budget);
        }
        while let Some(id) = self.waiting.front().filter(|id| self.admissible(*id, budget)) {
            if !self.joins(id, at) {
                break;
            }
            self.admit(id, at);
            length += self.add_chunk(id, &mut budget);
        }
        if sequences == 0 && self.chunks.is_empty() {
            return self.go_idle(at);
        }
        self.busy_since.get_or_insert(at.visible());
        let stretch = Stretch { began: at, first: length, growth: self.cost.growth(sequences) };
        let prefill_tokens = self.chunks.iter().map(|chunk| u64::from(chunk.tokens)).sum();
        self.step = Some(Step { stretch, iterations: 1, end: at, sequences, prefill_tokens });
        self.replan();
    }

    fn go_idle(&mut self, at: Moment) {
        self.step = None;
        if let Some(since) = self.busy_since.take() {
            self.busy = self.busy + at.visible().since(since);
        }
    }

    /// Sends the newest back to the waiting line until the rest fits the cache. A request that would not fit alone is
    /// refused at the door, so the oldest always stays. Nobody is admitted in the same iteration: the front of the line
    /// is then the very request that did not fit.
    fn preempt(&mut self, at: Moment) {
        while self.context + self.reserved > self.limits.kv_tokens {
            let Some((admission, id)) = self.running.pop() else { break };
            let iteration = self.iteration;
            let place = self.waiting.push_front(id);
            let request = self.request_mut(id);
            let (tokens, generated) = (request.tokens(iteration), request.generated(iteration));
            let (stage, output) = (request.stage, request.output);
            request.preemptions += 1;
            request.stage = Stage::Waiting { place, generated };
            if let Stage::Decoding { origin, .. } = stage {
                request.stalled = Some(at);
                self.decoding.remove(&(origin + u64::from(output), admission, id));
                self.context -= tokens;
            } else {
                self.partial = None;
                self.reserved -= tokens;
            }
            self.counters.preemptions += 1;
        }
    }

    /// Whether a waiting request finds room in the batch and in the cache. While a batch only decodes, the answer can
    /// turn from yes to no but never back, so a stretch need not look again.
    fn admissible(&self, id: RequestId, budget: u64) -> bool {
        let needed = self.request(id).tokens(self.iteration);
        budget > 0
            && self.running.len() < self.limits.sequences
            && self.context + self.reserved + needed <= self.limits.kv_tokens
    }

    /// Whether a prompt is in time for an iteration that begins at `at`: ready before it, or the one whose readiness
    /// begins it.
    fn joins(&self, id: RequestId, at: Moment) -> bool {
        let ready = Moment::at(self.request(id).queued);
        ready < at || (ready == at && self.decoding.is_empty() && self.chunks.is_empty())
    }

    fn admit(&mut self, id: RequestId, at: Moment) {
        self.waiting.pop_front();
        let admission = self.admissions;
        self.admissions += 1;
        self.running.push((admission, id));
        let iteration = self.iteration;
        let request = self.request_mut(id);
        let (prompt, cached) = (request.prompt, request.cached);
        let first_time = request.scheduled.is_none();
        request.scheduled.get_or_insert(at.visible());
        let generated = request.generated(iteration);
        request.stage = Stage::Prefilling { admission, generated, computed: cached };
        self.reserved += u64::from(prompt) + u64::from(generated);
        if first_time {
            self.counters.prefix_queried_tokens += u64::from(prompt);
            self.counters.prefix_hit_tokens += u64::from(cached);
        }
    }

    /// Gives a prompt as much of the budget as it can use; returns the time that this adds to the iteration.
    fn add_chunk(&mut self, id: RequestId, budget: &mut u64) -> u128 {
        let request = self.request(id);
        let Stage::Prefilling { generated, computed, .. } = request.stage else { return 0 };
        let remaining = request.prompt + generated - computed;
        let tokens = u32::try_from(*budget).unwrap_or(u32::MAX).min(remaining);
        let completes = tokens == remaining;
        *budget -= u64::from(tokens);
        self.partial = (!completes).then_some(id);
        self.chunks.push(Chunk { id, tokens, completes });
        self.cost.prefill(computed, tokens)
    }

    /// For how many iterations the present composition holds: until a sequence finishes, the cache is full, a waiting
    /// prompt may join, or a cancelled request leaves.
    pub(super) fn replan(&mut self) {
        let Some(step) = &self.step else { return };
        let mixed = !self.chunks.is_empty() || !self.cancelled.is_empty();
        let iterations = if mixed { 1 } else { self.iterations_alike(&step.stretch, step.sequences) };
        if let Some(step) = &mut self.step {
            (step.iterations, step.end) = (iterations, step.stretch.boundary(iterations));
        }
    }

    fn iterations_alike(&self, stretch: &Stretch, sequences: u64) -> u64 {
        let to_finish = self.decoding.first().map_or(1, |(finish, ..)| finish - self.iteration);
        let room = self.limits.kv_tokens.saturating_sub(self.context + self.reserved);
        let to_full_cache = room / sequences.max(1) + 1;
        let limit = to_finish.min(to_full_cache);
        let budget = self.limits.batched_tokens.saturating_sub(sequences);
        match self.waiting.front().filter(|id| self.admissible(*id, budget)) {
            Some(id) => limit.min(iterations_past(stretch, self.request(id).queued, limit)),
            None => limit,
        }
    }
}

/// Iterations up to the first boundary after `ready`.
fn iterations_past(stretch: &Stretch, ready: Time, limit: u64) -> u64 {
    stretch.ended_by(ready, limit) + 1
}
