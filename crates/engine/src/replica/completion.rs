//! The end of iterations: tokens counted, prompts completed, requests finished or gone.

use super::Replica;
use super::batch::Step;
use super::clock::{Moment, to_span};
use super::event::{Event, Finished, IterationRun, RequestId};
use super::request::Stage;
use evenkeel_core::units::Time;

impl Replica {
    /// Ends all iterations under way and begins the next ones.
    pub(super) fn end_step(&mut self) {
        let Some(step) = self.step.take() else { return };
        let end = step.end;
        self.count(&step, step.iterations);
        self.release_cancelled();
        self.finish_sequences(end);
        self.complete_prompts(end);
        self.compose(end);
    }

    /// Ends those iterations of a stretch that are over by `now`, the stretch itself going on.
    pub(super) fn end_iterations_before(&mut self, now: Time) {
        let ended = self.step.as_ref().map_or(0, |step| step.stretch.ended_by(now, step.iterations));
        if ended == 0 {
            return;
        }
        if let Some(mut step) = self.step.take() {
            self.count(&step, ended);
            step.stretch = step.stretch.after(ended);
            step.iterations -= ended;
            self.step = Some(step);
        }
    }

    fn count(&mut self, step: &Step, iterations: u64) {
        let gone =
            self.cancelled.iter().filter(|id| matches!(self.request(**id).stage, Stage::Decoding { .. })).count();
        let gaps = iterations * step.sequences - gone as u64;
        self.iteration += iterations;
        self.context += iterations * step.sequences;
        self.counters.iterations += iterations;
        self.counters.generation_tokens += gaps;
        self.events.push(Event::Iterations(IterationRun {
            iterations,
            sequences: step.sequences,
            prefill_tokens: step.prefill_tokens,
            gaps,
            first: to_span(step.stretch.first),
            last: to_span(step.stretch.length_of(iterations - 1)),
        }));
    }

    fn release_cancelled(&mut self) {
        while let Some(id) = self.cancelled.pop() {
            let Some(request) = self.requests.take(id.number()) else { continue };
            let tokens = request.tokens(self.iteration);
            match request.stage {
                Stage::Decoding { admission, origin } => {
                    self.leave_batch(admission);
                    self.decoding.remove(&(origin + u64::from(request.output), admission, id));
                    self.context -= tokens;
                }
                Stage::Prefilling { admission, .. } => {
                    self.leave_batch(admission);
                    self.chunks.retain(|chunk| chunk.id != id);
                    self.partial = self.partial.filter(|partial| *partial != id);
                    self.reserved -= tokens;
                }
                // One that waits is forgotten at once, and nothing is preempted between a cancellation and here.
                Stage::Waiting { .. } => {}
            }
        }
    }

    fn finish_sequences(&mut self, end: Moment) {
        while let Some((_, admission, id)) = self.decoding.first().copied().filter(|(at, ..)| *at == self.iteration) {
            self.decoding.pop_first();
            self.context -= self.request(id).tokens(self.iteration);
            self.finish(id, admission, end);
        }
    }

    fn complete_prompts(&mut self, end: Moment) {
        let mut chunks = core::mem::take(&mut self.chunks);
        for chunk in chunks.drain(..) {
            let iteration = self.iteration;
            let request = self.request_mut(chunk.id);
            if let Stage::Prefilling { admission, generated, computed } = request.stage {
                let computed = computed + chunk.tokens;
                request.stage = Stage::Prefilling { admission, generated, computed };
                if chunk.completes {
                    let reserved = request.tokens(iteration);
                    self.reserved -= reserved;
                    self.yield_token(chunk.id, admission, generated + 1, end);
                }
            }
        }
        // The emptied list keeps its memory for the next iteration.
        self.chunks = chunks;
    }

    /// A whole prompt yields a token in the same iteration; from the next one on its sequence decodes.
    fn yield_token(&mut self, id: RequestId, admission: u64, generated: u32, end: Moment) {
        let iteration = self.iteration;
        let request = self.request_mut(id);
        let origin = iteration - u64::from(generated);
        request.stage = Stage::Decoding { admission, origin };
        let (prompt, output) = (request.prompt, request.output);
        let event = match request.stalled.take() {
            Some(stalled) => Event::Resumed { id, gap: end.since(stalled) },
            None => {
                request.first_token = Some(end.visible());
                Event::FirstToken { id, at: end.visible() }
            }
        };
        if matches!(event, Event::FirstToken { .. }) {
            self.counters.prompt_tokens += u64::from(prompt);
        }
        self.events.push(event);
        self.counters.generation_tokens += 1;
        if generated == output {
            self.finish(id, admission, end);
        } else {
            self.context += u64::from(prompt) + u64::from(generated);
            self.decoding.insert((origin + u64::from(output), admission, id));
        }
    }

    /// Admissions only grow, so the list is in their order.
    fn leave_batch(&mut self, admission: u64) {
        if let Ok(place) = self.running.binary_search_by_key(&admission, |running| running.0) {
            self.running.remove(place);
        }
    }

    fn finish(&mut self, id: RequestId, admission: u64, end: Moment) {
        self.leave_batch(admission);
        let Some(request) = self.requests.take(id.number()) else { return };
        self.counters.finished += 1;
        let finished = end.visible();
        self.events.push(Event::Finished(Finished {
            id,
            arrived: request.arrived,
            queued: request.queued,
            scheduled: request.scheduled.unwrap_or(finished),
            first_token: request.first_token.unwrap_or(finished),
            finished,
            prompt_tokens: request.prompt,
            output_tokens: request.output,
            preemptions: request.preemptions,
        }));
    }
}
