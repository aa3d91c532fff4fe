//! The thread that uses the file. Whatever is asked of it meanwhile is written together and made durable once, and only
//! then answered: an accepted request is on the disk.

use super::backlog::Backlog;
use super::store::{Store, StoreError};
use crate::state::StateDirectory;
use evenkeel_failpoint::{Point, hit};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use tokio::sync::{mpsc, oneshot};

/// Questions that may wait for the thread; who asks more waits.
const WAITING_QUESTIONS: usize = 1_024;
/// Questions answered with one commit at most.
const BATCH: usize = 256;

/// Something to do with the file; it returns what answers the asker once the batch is durable, or is not.
type Question = Box<dyn FnOnce(&Store) -> Answer + Send>;
type Answer = Box<dyn FnOnce(bool) + Send>;

/// Where questions about the file are asked.
#[derive(Debug)]
pub(crate) struct Desk {
    questions: mpsc::Sender<Question>,
    backlogs: BTreeMap<String, Arc<Backlog>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Desk {
    /// Opens the file in `directory` for these tiers. Whatever was handed out by a process that died is due again.
    pub(crate) fn open(directory: &StateDirectory, tiers: &[&str]) -> Result<Self, StoreError> {
        let store = Store::open(&directory.path().join("gateway-requests.sqlite"))?;
        store.end_leases()?;
        let backlogs: BTreeMap<String, Arc<Backlog>> =
            tiers.iter().map(|tier| ((*tier).to_owned(), Arc::default())).collect();
        note_backlogs(&store, &backlogs);
        let (questions, asked) = mpsc::channel(WAITING_QUESTIONS);
        // The thread has the directory as long as it has the file.
        let (directory, noted) = (directory.clone(), backlogs.clone());
        let thread = thread::Builder::new().name("async-queue".into()).spawn(move || {
            answer_all(&store, asked, &noted);
            drop((store, directory));
        })?;
        Ok(Self { questions, backlogs, thread: Mutex::new(Some(thread)) })
    }

    /// What waits in `tier`.
    pub(crate) fn backlog(&self, tier: &str) -> Option<&Arc<Backlog>> {
        self.backlogs.get(tier)
    }

    /// Does `act` with the file and returns its result once it is durable.
    pub(crate) async fn ask<T, F>(&self, act: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Store) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, answered) = oneshot::channel();
        let question: Question = Box::new(move |store| {
            let result = act(store);
            Box::new(move |durable| {
                let result = if durable { result.map_err(StoreError::from) } else { Err(StoreError::NotWritten) };
                // Who no longer listens has left; what was done stays done.
                let _ = reply.send(result);
            })
        });
        self.questions.send(question).await.map_err(|_| StoreError::Gone)?;
        answered.await.map_err(|_| StoreError::NotWritten)?
    }
}

impl Drop for Desk {
    /// Waits for the batch under way, so that whoever opens the file next finds it closed.
    fn drop(&mut self) {
        let (nowhere, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.questions, nowhere));
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(_)) = thread.map(JoinHandle::join) {
            tracing::error!("the thread of the asynchronous queue ended badly");
        }
    }
}

fn answer_all(store: &Store, mut asked: mpsc::Receiver<Question>, backlogs: &BTreeMap<String, Arc<Backlog>>) {
    while let Some(first) = asked.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(next) = asked.try_recv()
        {
            batch.push(next);
        }
        answer_batch(store, batch, backlogs);
    }
}

fn answer_batch(store: &Store, batch: Vec<Question>, backlogs: &BTreeMap<String, Arc<Backlog>>) {
    if let Err(error) = store.begin() {
        // Dropped questions tell their askers.
        tracing::error!(%error, "the asynchronous queue cannot be written");
        return;
    }
    let answers: Vec<Answer> = batch.into_iter().map(|question| question(store)).collect();
    let durable = commit(store);
    if let Err(error) = &durable {
        tracing::error!(%error, "the asynchronous queue could not be written");
        store.roll_back();
    }
    note_backlogs(store, backlogs);
    answers.into_iter().for_each(|answer| answer(durable.is_ok()));
}

fn commit(store: &Store) -> Result<(), StoreError> {
    hit(Point::QueueCommit)?;
    store.commit()?;
    Ok(hit(Point::QueueCommitted)?)
}

/// Depths that cannot be read stay as they were; the next batch brings them.
fn note_backlogs(store: &Store, backlogs: &BTreeMap<String, Arc<Backlog>>) {
    for (tier, backlog) in backlogs {
        match store.waiting(tier) {
            Ok(waiting) => backlog.note(waiting),
            Err(error) => tracing::error!(%error, tier, "cannot read the depth of the asynchronous queue"),
        }
    }
}
