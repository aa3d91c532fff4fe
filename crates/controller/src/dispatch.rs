//! Orders on their way to the backend. A worker for each tier carries them out one after the other, so a slow one delays
//! no other tier; what has not begun can be withdrawn.

use crate::journal::{DONE, Journal};
use crate::ports::{Backend, BackendError, Order};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::mpsc;

/// What became of an order.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The backend carried it out, or said why not.
    Applied(Order, Result<(), BackendError>),
    /// It was withdrawn before it began.
    Withdrawn(Order),
}

/// The workers and what they bring back. A tier gets no further launch before the last is answered and no replica is ended
/// twice, so what waits is bounded by the tier's replicas.
pub(crate) struct Dispatch {
    backend: Arc<dyn Backend>,
    journal: Option<Journal>,
    workers: BTreeMap<String, mpsc::UnboundedSender<(u64, Order)>>,
    answers: (mpsc::UnboundedSender<Answer>, mpsc::UnboundedReceiver<Answer>),
    /// Counts withdrawals: an order handed over before the last one does not begin any more.
    withdrawals: Arc<AtomicU64>,
}

impl Dispatch {
    pub(crate) fn new(backend: Arc<dyn Backend>, journal: Option<Journal>) -> Self {
        let (workers, answers) = (BTreeMap::new(), mpsc::unbounded_channel());
        Self { backend, journal, workers, answers, withdrawals: Arc::default() }
    }

    /// Hands `order` to its tier's worker.
    pub(crate) fn send(&mut self, order: Order) {
        let permit = self.withdrawals.load(Ordering::Relaxed);
        if !self.workers.contains_key(&order.tier) {
            self.workers.insert(order.tier.clone(), self.worker());
        }
        if let Some(worker) = self.workers.get(&order.tier) {
            // A worker ends only with the loop.
            let _ = worker.send((permit, order));
        }
    }

    /// Withdraws every order that has not begun.
    pub(crate) fn withdraw(&self) {
        self.withdrawals.fetch_add(1, Ordering::Relaxed);
    }

    /// The next answer, if there is one.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        self.answers.1.try_recv().ok()
    }

    fn worker(&self) -> mpsc::UnboundedSender<(u64, Order)> {
        let (sender, mut orders) = mpsc::unbounded_channel::<(u64, Order)>();
        let (backend, journal) = (self.backend.clone(), self.journal.clone());
        let (answers, withdrawals) = (self.answers.0.clone(), self.withdrawals.clone());
        tokio::spawn(async move {
            while let Some((permit, order)) = orders.recv().await {
                let answer = if permit == withdrawals.load(Ordering::Relaxed) {
                    let outcome = backend.apply(&order).await;
                    Answer::Applied(order, outcome)
                } else {
                    Answer::Withdrawn(order)
                };
                if let Some(journal) = &journal {
                    let (order, words) = answer.told();
                    journal.outcome(order.clone(), words);
                }
                let _ = answers.send(answer);
            }
        });
        sender
    }
}

impl Answer {
    /// The order, and what became of it in words.
    fn told(&self) -> (&Order, String) {
        match self {
            Self::Applied(order, Ok(())) => (order, DONE.to_owned()),
            Self::Applied(order, Err(error)) => (order, error.to_string()),
            Self::Withdrawn(order) => (order, "withdrawn before it began".to_owned()),
        }
    }
}
