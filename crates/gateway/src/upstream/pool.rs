//! The connections to one replica that wait for their next request.

use super::connection::Connection;
use std::sync::{Mutex, PoisonError};
use std::thread::{ThreadId, current};
use std::time::{Duration, Instant};

/// A connection that waited this long is closed. Engines' servers close theirs after 5 s (uvicorn's default), and a
/// request sent just then would break.
const IDLE_LIMIT: Duration = Duration::from_secs(4);

/// The newest is used first, so that surplus ones grow old and go.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    since: Instant,
    /// The thread that used it, whose runtime watches it: on another one each of its bytes would wake both.
    thread: ThreadId,
    connection: Box<Connection>,
}

impl Pool {
    /// Takes the connection that this thread used last, if it still stands.
    pub(super) async fn take(&self) -> Option<Box<Connection>> {
        loop {
            let Idle { since, mut connection, .. } = self.pop()?;
            if since.elapsed() < IDLE_LIMIT && connection.is_usable().await {
                return Some(connection);
            }
        }
    }

    fn pop(&self) -> Option<Idle> {
        let (thread, mut idle) = (current().id(), self.lock());
        let newest = idle.iter().rposition(|it| it.thread == thread)?;
        Some(idle.remove(newest))
    }

    /// Gives a usable connection back.
    pub(super) fn put(&self, connection: Box<Connection>) {
        self.lock().push(Idle { since: Instant::now(), thread: current().id(), connection });
    }

    /// Closes those that waited too long.
    pub(crate) fn close_idle(&self) {
        // The oldest lie at the bottom. Closing happens outside the lock.
        let old = {
            let mut idle = self.lock();
            let count = idle.partition_point(|it| it.since.elapsed() >= IDLE_LIMIT);
            idle.drain(..count).collect::<Vec<_>>()
        };
        drop(old);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_connection_goes_only_to_the_thread_that_used_it() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let pool = Arc::new(Pool::default());
        pool.put(Connection::open(&address).await.unwrap());
        let _accepted = listener.accept().await.unwrap();
        let elsewhere = Arc::clone(&pool);
        let taken = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(elsewhere.take()).is_some()
        });
        assert!(!taken.join().unwrap(), "its bytes would wake both threads");
        assert!(pool.take().await.is_some());
        assert!(pool.take().await.is_none(), "it was given out once");
    }
}
