//! A request's bookkeeping, and the line of those that wait.

use super::clock::Moment;
use super::event::RequestId;
use alloc::collections::BTreeMap;
use evenkeel_core::units::Time;

/// One request from submission to its last token.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) prompt: u32,
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

/// The waiting line: first come first served, the preempted at the front, removal from anywhere in O(log n).
#[derive(Debug, Default)]
pub(super) struct WaitingLine {
    places: BTreeMap<i64, RequestId>,
    last: i64,
}

impl WaitingLine {
    pub(super) fn push_back(&mut self, id: RequestId) -> i64 {
        self.last += 1;
        self.places.insert(self.last, id);
        self.last
    }

    pub(super) fn push_front(&mut self, id: RequestId) -> i64 {
        let place = self.places.first_key_value().map_or(self.last, |(place, _)| place - 1);
        self.places.insert(place, id);
        place
    }

    pub(super) fn front(&self) -> Option<RequestId> {
        self.places.first_key_value().map(|(_, id)| *id)
    }

    pub(super) fn pop_front(&mut self) {
        self.places.pop_first();
    }

    pub(super) fn remove(&mut self, place: i64) {
        self.places.remove(&place);
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }
}
