//! A replica written as plainly as possible: one iteration at a time, one token at a time, lists instead of indexes.
//! It shares no code with the engine, which must agree with it to the microsecond.

use evenkeel_core::profile::Profile;
use std::collections::VecDeque;

const FEMTOS_PER_MS: f64 = 1e12;
const FEMTOS_PER_MICRO: i128 = 1_000_000_000;

#[derive(Clone, Debug)]
pub struct Input {
    /// Microseconds.
    pub arrives: i64,
    pub prompt: u32,
    pub output: u32,
    /// Microseconds; not before `arrives`.
    pub cancelled: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Whole microseconds at which each token was out.
    pub tokens: Vec<i64>,
    pub finished: bool,
    pub preemptions: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Prefilling { computed: i128 },
    Decoding,
}

pub struct PlainReplica<'a> {
    profile: &'a Profile,
    inputs: Vec<Input>,
    pub outcomes: Vec<Outcome>,
    waiting: VecDeque<usize>,
    running: Vec<(usize, Stage)>,
    arrived: usize,
}

/// Runs `inputs`, in order of arrival, to the end.
pub fn run(profile: &Profile, inputs: &[Input]) -> Vec<Outcome> {
    let mut replica = PlainReplica::new(profile);
    inputs.iter().for_each(|input| replica.submit(input.clone()));
    let mut now = 0;
    while let Some(next) = replica.iteration(now) {
        now = next;
    }
    replica.outcomes
}

fn femtos(ms: f64) -> i128 {
    (ms * FEMTOS_PER_MS).round() as i128
}

impl<'a> PlainReplica<'a> {
    pub fn new(profile: &'a Profile) -> Self {
        let (inputs, outcomes) = (Vec::new(), Vec::new());
        Self { profile, inputs, outcomes, waiting: VecDeque::new(), running: Vec::new(), arrived: 0 }
    }

    /// Takes one more request, which arrives no earlier than those before.
    pub fn submit(&mut self, input: Input) {
        self.inputs.push(input);
        self.outcomes.push(Outcome::default());
    }

    fn ready(&self, request: usize) -> i128 {
        let overhead_micros = (self.profile.overhead_ms * 1e3).round() as i128;
        (i128::from(self.inputs[request].arrives) + overhead_micros) * FEMTOS_PER_MICRO
    }

    fn cancelled_before(&self, request: usize, now: i128) -> bool {
        self.inputs[request].cancelled.is_some_and(|at| i128::from(at) * FEMTOS_PER_MICRO < now)
    }

    fn tokens(&self, request: usize) -> i128 {
        i128::from(self.inputs[request].prompt) + self.outcomes[request].tokens.len() as i128
    }

    fn held(&self) -> i128 {
        self.running.iter().map(|(request, _)| self.tokens(*request)).sum()
    }

    fn cached_prefix(&self, request: usize) -> i128 {
        let prompt = self.inputs[request].prompt;
        ((f64::from(prompt) * self.profile.prefix_hit_share).floor() as i128).min(i128::from(prompt) - 1)
    }

    /// Runs the iteration that begins at `now` or at the next arrival; returns its end, `None` when all is done.
    pub fn iteration(&mut self, mut now: i128) -> Option<i128> {
        while self.arrived < self.inputs.len() && self.ready(self.arrived) < now {
            self.waiting.push_back(self.arrived);
            self.arrived += 1;
        }
        self.drop_cancelled(now);
        self.preempt();
        while self.running.is_empty() && self.waiting.is_empty() {
            if self.arrived == self.inputs.len() {
                return None;
            }
            now = now.max(self.ready(self.arrived));
            self.waiting.push_back(self.arrived);
            self.arrived += 1;
            self.drop_cancelled(now);
        }
        let decoding: Vec<usize> = self.running.iter().filter(|r| r.1 == Stage::Decoding).map(|r| r.0).collect();
        let context: i128 = decoding.iter().map(|request| self.tokens(*request)).sum();
        let mut length = femtos(self.profile.iteration_ms)
            + self.sequences(decoding.len() as i128)
            + femtos(self.profile.per_cached_token_ms) * context;
        let completed = self.prefill(i128::from(self.profile.max_batched_tokens) - decoding.len() as i128);
        length += completed.1;
        let end = now + length;
        // A request that left meanwhile has no token in this iteration.
        self.drop_cancelled(end);
        for request in decoding.into_iter().chain(completed.0) {
            self.emit(request, end);
        }
        Some(end)
    }

    /// What so many decoding sequences add: a straight line within each step, then so much for each.
    fn sequences(&self, sequences: i128) -> i128 {
        let (mut below, mut before) = (0, 0);
        for step in &self.profile.decode_steps {
            let (at, added) = (i128::from(step.sequences), femtos(step.added_ms));
            if sequences <= at {
                return before + (added - before) * (sequences - below) / (at - below);
            }
            (below, before) = (at, added);
        }
        before + femtos(self.profile.per_sequence_ms) * (sequences - below)
    }

    fn drop_cancelled(&mut self, now: i128) {
        let present = self.waiting.iter().copied().chain(self.running.iter().map(|running| running.0));
        let gone: Vec<usize> = present.filter(|request| self.cancelled_before(*request, now)).collect();
        self.waiting.retain(|request| !gone.contains(request));
        self.running.retain(|(request, _)| !gone.contains(request));
    }

    fn preempt(&mut self) {
        while self.held() > i128::from(self.profile.kv_tokens) {
            let (newest, _) = self.running.pop().unwrap();
            self.outcomes[newest].preemptions += 1;
            self.waiting.push_front(newest);
        }
    }

    /// Computes prompt tokens; returns the prompts completed and the time it takes.
    fn prefill(&mut self, mut budget: i128) -> (Vec<usize>, i128) {
        let mut completed = Vec::new();
        let mut time = 0;
        loop {
            let partial = self.running.iter().position(|r| r.1 != Stage::Decoding && !completed.contains(&r.0));
            let Some(at) = partial.or_else(|| self.admit(budget)) else { break };
            let (request, Stage::Prefilling { computed }) = self.running[at] else { break };
            let chunk = budget.min(self.tokens(request) - computed);
            if chunk == 0 {
                break;
            }
            budget -= chunk;
            time += femtos(self.profile.per_prefill_token_ms) * chunk
                + femtos(self.profile.per_prefill_chunk_ms)
                + femtos(self.profile.per_prefill_token_squared_ms / 2.0) * chunk * (2 * computed + chunk);
            self.running[at].1 = Stage::Prefilling { computed: computed + chunk };
            if computed + chunk == self.tokens(request) {
                completed.push(request);
            }
        }
        (completed, time)
    }

    fn admit(&mut self, budget: i128) -> Option<usize> {
        let next = *self.waiting.front()?;
        let sequences = self.profile.max_sequences.min(self.profile.max_batched_tokens) as usize;
        let fits = self.held() + self.tokens(next) <= i128::from(self.profile.kv_tokens);
        if budget == 0 || self.running.len() >= sequences || !fits {
            return None;
        }
        self.waiting.pop_front();
        self.running.push((next, Stage::Prefilling { computed: self.cached_prefix(next) }));
        Some(self.running.len() - 1)
    }

    fn emit(&mut self, request: usize, end: i128) {
        let Some(at) = self.running.iter().position(|r| r.0 == request) else { return };
        self.outcomes[request].tokens.push((end + FEMTOS_PER_MICRO - 1).div_euclid(FEMTOS_PER_MICRO) as i64);
        self.running[at].1 = Stage::Decoding;
        if self.outcomes[request].tokens.len() == self.inputs[request].output as usize {
            self.outcomes[request].finished = true;
            self.running.remove(at);
        }
    }
}
