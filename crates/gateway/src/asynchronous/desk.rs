//! The thread that uses the file. Whatever is asked of it meanwhile is written together and made durable once, and only
//! then answered: an accepted request is on the disk.

use super::backlog::Backlog;
use super::store::{Store, StoreError};
use crate::state::StateDirectory;
use evenkeel_failpoint::{Point, hit};
use std::collections::BTreeMap;
use std::path::PathBuf;
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

/// What comes to the thread.
enum Message {
    Question(Question),
    /// Close the file.
    Close,
}

/// Where questions about the file are asked.
#[derive(Debug)]
pub(crate) struct Desk {
    questions: mpsc::Sender<Message>,
    backlogs: BTreeMap<String, Arc<Backlog>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Desk {
    /// The file that holds the queue.
    pub(crate) fn file_in(directory: &StateDirectory) -> PathBuf {
        directory.path().join("gateway-requests.sqlite")
    }

    /// Opens the file in `directory` for these tiers. Whatever was handed out by a process that died is due again.
    pub(crate) fn open(directory: &StateDirectory, tiers: &[&str]) -> Result<Self, StoreError> {
        let store = Store::open(&Self::file_in(directory))?;
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
        let (question, answered) = question(act);
        self.questions.send(Message::Question(question)).await.map_err(|_| StoreError::Gone)?;
        answered.await.map_err(|_| StoreError::NotWritten)?
    }

    /// Closes the file after what was asked so far, so that the next gateway can have it. Who asks later is told so.
    pub(crate) async fn close(&self) {
        let _ = self.questions.send(Message::Close).await;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let joined = thread.map(|thread| tokio::task::spawn_blocking(|| thread.join()));
        if let Some(joined) = joined
            && !matches!(joined.await, Ok(Ok(())))
        {
            tracing::error!("the thread of the asynchronous queue ended badly");
        }
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

/// What is sent to the thread to do `act`, and where its result comes.
fn question<T, F>(act: F) -> (Question, oneshot::Receiver<Result<T, StoreError>>)
where
    T: Send + 'static,
    F: FnOnce(&Store) -> rusqlite::Result<T> + Send + 'static,
{
    let (reply, answered) = oneshot::channel();
    let question: Question = Box::new(move |store| {
        let result = act(store);
        Box::new(move |durable| {
            let result = match result {
                Ok(_) if !durable => Err(StoreError::NotWritten),
                result => result.map_err(StoreError::from),
            };
            // Who no longer listens has left; what was done stays done.
            let _ = reply.send(result);
        })
    });
    (question, answered)
}

fn answer_all(store: &Store, mut asked: mpsc::Receiver<Message>, backlogs: &BTreeMap<String, Arc<Backlog>>) {
    while let Some(Message::Question(first)) = asked.blocking_recv() {
        let (batch, closes) = batch(first, &mut asked);
        answer_batch(store, batch, backlogs);
        if closes {
            return;
        }
    }
}

/// `first` and what waits behind it, a batch at most; and whether the file is to be closed after that.
fn batch(first: Question, asked: &mut mpsc::Receiver<Message>) -> (Vec<Question>, bool) {
    let mut batch = vec![first];
    while batch.len() < BATCH {
        match asked.try_recv() {
            Ok(Message::Question(next)) => batch.push(next),
            Ok(Message::Close) => return (batch, true),
            Err(_) => break,
        }
    }
    (batch, false)
}

fn answer_batch(store: &Store, batch: Vec<Question>, backlogs: &BTreeMap<String, Arc<Backlog>>) {
    if let Err(error) = store.begin() {
        // Dropped questions tell their askers that nothing was written.
        tracing::error!(%error, "the asynchronous queue cannot be written");
        return;
    }
    let mut answers = Vec::with_capacity(batch.len());
    for question in batch {
        answers.push(question(store));
        if !store.is_in_batch() {
            // All before is forgotten, and what follows would be kept although its asker is told that it is not.
            break;
        }
    }
    let durable = commit(store);
    if let Err(error) = &durable {
        tracing::error!(%error, "the asynchronous queue could not be written");
        store.roll_back();
    }
    note_backlogs(store, backlogs);
    answers.into_iter().for_each(|answer| answer(durable.is_ok()));
}

fn commit(store: &Store) -> Result<(), StoreError> {
    if !store.is_in_batch() {
        return Err(StoreError::NotWritten);
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::record::NewRequest;
    use super::*;
    use bytes::Bytes;
    use evenkeel_core::units::Time;
    use http::HeaderMap;

    type Accepted = oneshot::Receiver<Result<bool, StoreError>>;

    fn accept(id: &str) -> (Question, Accepted) {
        let (id, path, body) = (id.to_owned(), "/v1/completions".to_owned(), Bytes::from_static(b"{}").into());
        let request = NewRequest { id, path, headers: HeaderMap::new(), body };
        question(move |store| store.accept("bronze", &request, Time::from_micros(1), 10))
    }

    /// What the askers are told of one batch.
    fn told(store: &Store, ids: &[&str]) -> Vec<Option<Result<bool, StoreError>>> {
        let (batch, told): (Vec<_>, Vec<_>) = ids.iter().map(|id| accept(id)).unzip();
        answer_batch(store, batch, &BTreeMap::new());
        told.into_iter().map(|mut told| told.try_recv().ok()).collect()
    }

    #[test]
    fn when_sqlite_rolls_back_by_itself_nothing_of_the_batch_is_kept_and_everyone_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.sqlite");
        let store = Store::open(&path).unwrap();
        // Stands for a full disk, which ends a transaction in the same way.
        let trigger = "CREATE TRIGGER full BEFORE INSERT ON requests WHEN NEW.id = 'too much'
                       BEGIN SELECT RAISE(ROLLBACK, 'the disk is full'); END";
        rusqlite::Connection::open(&path).unwrap().execute_batch(trigger).unwrap();

        let told_each = told(&store, &["before", "too much", "after", "last"]);
        assert!(matches!(told_each[0], Some(Err(StoreError::NotWritten))), "{told_each:?}");
        let cause = told_each[1].as_ref().unwrap().as_ref().unwrap_err().to_string();
        assert!(cause.contains("the disk is full"), "{cause}");
        // Never done, so their senders are gone: `Desk::ask` makes that the same answer.
        assert!(told_each[2].is_none() && told_each[3].is_none(), "{told_each:?}");
        for id in ["before", "too much", "after", "last"] {
            assert!(store.find(id).unwrap().is_none(), "{id} is kept");
        }

        assert!(matches!(told(&store, &["next"])[..], [Some(Ok(true))]), "the next batch is a new one");
        assert!(store.find("next").unwrap().is_some());
    }

    #[test]
    fn what_would_go_into_a_file_that_was_removed_is_not_accepted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("queue.sqlite");
        let store = Store::open(&path).unwrap();
        assert!(matches!(told(&store, &["kept"])[..], [Some(Ok(true))]));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(told(&store, &["gone"])[..], [Some(Err(StoreError::NotWritten))]));
        // Another file under its name is not it.
        std::fs::write(&path, "").unwrap();
        assert!(matches!(told(&store, &["gone"])[..], [Some(Err(StoreError::NotWritten))]));
    }
}
