//! A request's place in the record: whatever becomes of its task, it is counted once.

use crate::failure::{Failed, Failure};
use crate::measured::Measured;
use crate::record::Record;
use evenkeel_workload::Arrival;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The record that all requests of a run share.
#[derive(Clone, Debug)]
pub(crate) struct SharedRecord(Arc<Mutex<Record>>);

impl SharedRecord {
    pub(crate) fn new(record: Record) -> Self {
        Self(Arc::new(Mutex::new(record)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request that has come due.
    pub(crate) fn offer(&self, arrival: Arrival) -> Ticket {
        self.lock().offered(arrival.tier, arrival.at);
        Ticket { record: self.clone(), arrival, sent: None, counted: false }
    }
}

/// One offered request. Dropped without a result (its task was ended), it counts as unfinished.
#[derive(Debug)]
pub(crate) struct Ticket {
    record: SharedRecord,
    arrival: Arrival,
    sent: Option<Instant>,
    counted: bool,
}

impl Ticket {
    /// Its sending begins now.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.sent = Some(now);
        self.record.lock().sent(self.arrival.at, now);
    }

    /// It was accepted for later.
    pub(crate) fn accepted(&self) {
        self.record.lock().accepted(self.arrival.tier);
    }

    /// It has ended.
    pub(crate) fn finish(mut self, result: Result<Measured, Failed>) {
        self.counted = true;
        let mut record = self.record.lock();
        match (result, self.sent) {
            (Ok(measured), Some(sent)) => record.succeeded(&self.arrival, sent, &measured),
            (Ok(_), None) => record.failed(&self.arrival, Failure::NotSent.into()),
            (Err(failed), _) => record.failed(&self.arrival, failed),
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.counted {
            self.record.lock().failed(&self.arrival, Failure::Unfinished.into());
        }
    }
}
