//! The journal as the loop sees it: a bounded queue before the thread that writes.

use super::message::{JournalHealth, Message, Shared, TickRecord};
use super::write::Writer;
use super::{JournalError, schema};
use crate::operator::{OperatorOrder, OperatorOrders};
use crate::ports::Order;
use evenkeel_core::units::{Span, Time};
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tokio::sync::oneshot;

/// Messages that may wait for the thread; a minute of ticks and their orders. One more is refused, and refused is
/// treated like an unwritable disk: alarm, and scale-in waits.
const WAITING: usize = 256;

/// The journal's writing end. Cloning gives another handle to the same thread.
#[derive(Clone)]
pub struct Journal {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

impl Journal {
    /// Opens the journal at `path` for the controller of `epoch`, makes it if need be, and starts its thread. Also gives
    /// the operator's orders that are in force; where one of them cannot be read the mode is `observe` from there on, as
    /// it may have been the one that stopped the fleet.
    ///
    /// # Errors
    /// When the file cannot be used or was made by another version.
    pub fn open(path: &Path, retention: Span, epoch: u64) -> Result<(Self, OperatorOrders), JournalError> {
        let connection = schema::open(path)?;
        let sqlite = |source| JournalError::Sqlite { path: path.display().to_string(), source };
        let (orders, damaged) = super::read::operator_orders(&connection).map_err(sqlite)?;
        let shared = Arc::new(Shared::default());
        shared.health().writable = true;
        if damaged > 0 {
            let problem = format!(
                "{damaged} of the operator's orders cannot be read, so the mode is `observe` until one sets it again"
            );
            tracing::error!(problem, "the journal is damaged");
            shared.health().problem = Some(problem);
        }
        let (queue, messages) = sync_channel(WAITING);
        let writer = Writer::new(connection, path, retention, epoch, shared.clone()).map_err(sqlite)?;
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || writer.run(&messages))
            .map_err(JournalError::Thread)?;
        Ok((Self { queue, shared }, orders))
    }

    /// Tells of something that befell this journal before it was opened.
    pub fn had(&self, problem: &str) {
        self.shared.health().problem = Some(problem.to_owned());
    }

    /// Hands over a tick. Never waits.
    pub fn record(&self, tick: TickRecord) {
        self.send(Message::Tick(Box::new(tick)));
    }

    /// Hands over how an order went. Never waits.
    pub fn outcome(&self, order: Order, outcome: String) {
        self.send(Message::Outcome { order, outcome });
    }

    /// Hands over an operator's order, and gives what tells whether it reached the disk at the first try; if it did not, it
    /// is written with the next transaction that succeeds. Never waits itself.
    pub fn operator(&self, order: OperatorOrder, at: Time) -> impl Future<Output = bool> + Send + 'static {
        self.shared.orders().push((order, at));
        let (done, written) = oneshot::channel();
        let sent = self.send(Message::Operator(done));
        async move { sent && written.await.unwrap_or(false) }
    }

    /// Waits until everything handed over is on disk, `within` at most; false if it is not.
    pub async fn settled(&self, within: Duration) -> bool {
        let (done, written) = oneshot::channel();
        self.send(Message::Barrier(done))
            && tokio::time::timeout(within, written).await.is_ok_and(|it| it.unwrap_or(false))
    }

    /// How it is.
    pub fn health(&self) -> JournalHealth {
        JournalHealth { orders_not_written: self.shared.orders().len(), ..self.shared.health().clone() }
    }

    fn send(&self, message: Message) -> bool {
        let problem = match self.queue.try_send(message) {
            Ok(()) => return true,
            Err(TrySendError::Full(_)) => "the journal's queue is full",
            Err(TrySendError::Disconnected(_)) => "the journal's thread has ended", // uncovered: it outlives every handle
        };
        let mut health = self.shared.health();
        health.writable = false;
        health.problem = Some(problem.to_owned());
        health.ticks_lost += 1;
        false
    }
}
