//! The threads that carry requests: one for each core, each with a runtime of its own.
//!
//! A client stays with one thread, and so do the connections to replicas that its requests take (the pool gives out only
//! those of the thread that asks): a request is carried from its first byte to its last without waking another thread. A
//! runtime that shares its tasks among threads wakes them to share, which costs more than the small work of passing a
//! request on.

use std::future::Future;
use std::io;
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

    /// Starts `task` on the next thread, for `tasks` to wait for.
    pub(crate) fn spawn(&mut self, tasks: &mut JoinSet<()>, task: impl Future<Output = ()> + Send + 'static) {
        self.next = (self.next + 1) % self.workers.len().max(1);
        if let Some(worker) = self.workers.get(self.next) {
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
        Ok(Self { runtime: handle, _running: running })
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
}
