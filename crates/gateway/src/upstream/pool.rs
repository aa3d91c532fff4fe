//! The connections to one replica that wait for their next request.

use super::connection::Connection;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A connection that waited this long is closed. Engines' servers close theirs after 5 s (uvicorn's default), and a
/// request sent just then would break.
const IDLE_LIMIT: Duration = Duration::from_secs(4);

/// The newest is used first, so that surplus ones grow old and go.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    idle: Mutex<Vec<(Instant, Box<Connection>)>>,
}

impl Pool {
    /// Takes the connection used last, if it still stands.
    pub(super) async fn take(&self) -> Option<Box<Connection>> {
        loop {
            let (since, mut connection) = self.lock().pop()?;
            if since.elapsed() < IDLE_LIMIT && connection.is_usable().await {
                return Some(connection);
            }
        }
    }

    /// Gives a usable connection back.
    pub(super) fn put(&self, connection: Box<Connection>) {
        self.lock().push((Instant::now(), connection));
    }

    /// Closes those that waited too long.
    pub(crate) fn close_idle(&self) {
        // The oldest lie at the bottom. Closing happens outside the lock.
        let old = {
            let mut idle = self.lock();
            let count = idle.partition_point(|(since, _)| since.elapsed() >= IDLE_LIMIT);
            idle.drain(..count).collect::<Vec<_>>()
        };
        drop(old);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(Instant, Box<Connection>)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
