//! The threads that carry requests: one for each core, each with a runtime of its own.
//!
//! A client stays with one thread, and so do the connections to replicas that its requests take (the pool gives out only
//! those of the thread that asks): a request is carried from its first byte to its last without waking another thread. A
//! runtime that shares its tasks among threads wakes them to share, which costs more than the small work of passing a
//! request on.
//!
//! As nothing moves later, a client goes to the thread with the fewest: streams that stay for minutes would else pile up on
//! one thread as chance has it.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::thread;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The threads. Dropped, they end, with whatever runs on them.
#[derive(Debug)]
pub(crate) struct Workers {
    workers: Vec<Worker>,
    /// Whose turn is next.
    next: usize,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Held by each of its tasks as well, which counts them.
    tasks: Arc<()>,
    /// Dropped, it ends the thread.
    _running: oneshot::Sender<()>,
}

impl Workers {
    /// One thread for each core that the process may use.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let workers = (0..count).map(Worker::start).collect::<io::Result<_>>()?;
        Ok(Self { workers, next: 0 })
    }

    /// Starts `task` on the thread that has the fewest, the next one where several have, for `tasks` to wait for.
    pub(crate) fn spawn(&mut self, tasks: &mut JoinSet<()>, task: impl Future<Output = ()> + Send + 'static) {
        self.next = (self.next + 1) % self.workers.len().max(1);
        let (before, from_next) = self.workers.split_at(self.next);
        let in_turn = from_next.iter().chain(before);
        if let Some(worker) = in_turn.min_by_key(|worker| Arc::strong_count(&worker.tasks)) {
            let counted = Arc::clone(&worker.tasks);
            let task = async move {
                task.await;
                drop(counted);
            };
            tasks.spawn_on(task, &worker.runtime);
        }
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel();
        let serve = move || {
            // It is never told anything: the sender is dropped, and that is the end.
            let _ = runtime.block_on(ended);
        };
        thread::Builder::new().name(format!("client-{number}")).spawn(serve)?;
        Ok(Self { runtime: handle, tasks: Arc::default(), _running: running })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::mpsc;

    #[tokio::test]
    async fn tasks_take_turns_on_all_threads_and_end_with_them() {
        let mut workers = Workers::start().unwrap();
        let cores = thread::available_parallelism().unwrap().get();
        let (tell, told) = mpsc::channel();
        let mut tasks = JoinSet::new();
        for _ in 0..2 * cores {
            let tell = tell.clone();
            workers.spawn(&mut tasks, async move {
                tell.send(format!("{:?}", thread::current().id())).unwrap();
                std::future::pending().await
            });
        }
        let threads: Vec<String> = told.iter().take(2 * cores).collect();
        assert_eq!(threads.iter().collect::<BTreeSet<_>>().len(), cores);
        drop(workers);
        while let Some(ended) = tasks.join_next().await {
            assert!(ended.unwrap_err().is_cancelled());
        }
    }

    #[tokio::test]
    async fn what_stays_is_spread_whatever_came_and_went_between() {
        let mut workers = Workers::start().unwrap();
        let cores = workers.workers.len();
        let (tell, told) = mpsc::channel();
        let mut staying = JoinSet::new();
        for _ in 0..cores {
            let tell = tell.clone();
            workers.spawn(&mut staying, async move {
                tell.send(format!("{:?}", thread::current().id())).unwrap();
                std::future::pending().await
            });
            // One after the other, as many as bring the turn round to the same thread.
            for _ in 1..cores {
                let mut passing = JoinSet::new();
                workers.spawn(&mut passing, async {});
                passing.join_all().await;
            }
        }
        let threads: BTreeSet<String> = told.iter().take(cores).collect();
        assert_eq!(threads.len(), cores);
    }
}
