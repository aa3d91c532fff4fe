//! A request's bookkeeping, and the line of those that wait.

use super::clock::Moment;
use super::event::RequestId;
use alloc::collections::VecDeque;
use evenkeel_core::units::Time;

/// One request from submission to its last token.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) prompt: u32,
    /// Of the prompt, tokens that the prefix cache holds.
    pub(super) cached: u32,
    pub(super) output: u32,
    pub(super) arrived: Time,
    /// `arrived` plus the overhead: from here on it may join a batch.
    pub(super) queued: Time,
    pub(super) scheduled: Option<Time>,
    pub(super) first_token: Option<Time>,
    /// Its last token before a preemption, until the next token is out.
    pub(super) stalled: Option<Moment>,
    pub(super) preemptions: u32,
    /// It leaves when the iteration under way ends; its owner knows it no more.
    pub(super) cancelled: bool,
    pub(super) stage: Stage,
}

/// Where a request is, with what only matters there. Admissions are numbered, and the highest is preempted first.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    Waiting {
        place: i64,
        generated: u32,
    },
    Prefilling {
        admission: u64,
        generated: u32,
        /// Tokens in the cache: the cached prefix and what earlier iterations computed.
        computed: u32,
    },
    /// A decoding sequence gains a token with every iteration, so its count needs no update: it is the replica's
    /// iteration number less `origin`.
    Decoding {
        admission: u64,
        origin: u64,
    },
}

impl Request {
    /// Tokens generated when the replica has run `iteration` iterations.
    pub(super) fn generated(&self, iteration: u64) -> u32 {
        match self.stage {
            Stage::Waiting { generated, .. } | Stage::Prefilling { generated, .. } => generated,
            Stage::Decoding { origin, .. } => (iteration - origin) as u32,
        }
    }

    /// KV tokens it holds, or needs in order to be computed: the prompt and every generated token.
    pub(super) fn tokens(&self, iteration: u64) -> u64 {
        u64::from(self.prompt) + u64::from(self.generated(iteration))
    }
}

/// The waiting line: first come first served, the preempted at the front. One that leaves from the middle leaves a gap.
#[derive(Debug, Default)]
pub(super) struct WaitingLine {
    places: VecDeque<Option<RequestId>>,
    /// The front's place; it sinks with each that is put before.
    first: i64,
    waiting: usize,
}

impl WaitingLine {
    pub(super) fn push_back(&mut self, id: RequestId) -> i64 {
        self.places.push_back(Some(id));
        self.waiting += 1;
        self.first + self.places.len() as i64 - 1
    }

    pub(super) fn push_front(&mut self, id: RequestId) -> i64 {
        self.places.push_front(Some(id));
        self.waiting += 1;
        self.first -= 1;
        self.first
    }

    pub(super) fn front(&self) -> Option<RequestId> {
        self.places.front().copied().flatten()
    }

    pub(super) fn pop_front(&mut self) {
        self.remove(self.first);
    }

    pub(super) fn remove(&mut self, place: i64) {
        let index = usize::try_from(place - self.first).unwrap_or(usize::MAX);
        if self.places.get_mut(index).and_then(Option::take).is_some() {
            self.waiting -= 1;
        }
        while self.places.pop_front_if(|front| front.is_none()).is_some() {
            self.first += 1;
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.waiting
    }
}
