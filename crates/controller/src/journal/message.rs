//! What the loop hands to the thread that writes, and what both of them see.

use crate::operator::OperatorOrder;
use crate::ports::Order;
use evenkeel_core::autoscaler::{Evenkeel, FleetInputs};
use evenkeel_core::decision::Decision;
use evenkeel_core::units::Time;
use serde::Serialize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// What one tick leaves in the journal.
#[derive(Debug)]
pub struct TickRecord {
    /// The controller's epoch.
    pub epoch: u64,
    /// The inputs as decided on.
    pub inputs: FleetInputs,
    /// The decisions.
    pub decisions: Vec<Decision>,
    /// The orders that follow.
    pub orders: Vec<Order>,
    /// The autoscaler's state before the tick, where a replay shall be able to begin here.
    pub state: Option<Evenkeel>,
}

pub(super) enum Message {
    Tick(Box<TickRecord>),
    Outcome {
        order: Order,
        outcome: String,
    },
    /// Answers whether all before it is on disk.
    Barrier(oneshot::Sender<bool>),
    /// Answers whether the operator's orders are on disk.
    Operator(oneshot::Sender<bool>),
}

/// How the journal is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JournalHealth {
    /// Whether the last write reached the disk and nothing was refused since.
    pub writable: bool,
    /// What went wrong last, where something did.
    pub problem: Option<String>,
    /// Whether its file was removed or replaced, perhaps with the whole state directory, without which nothing is launched
    /// either. It stays so until the controller is started anew.
    pub removed: bool,
    /// Ticks written by this process.
    pub ticks_written: u64,
    /// Ticks lost because the queue was full or the disk unwritable.
    pub ticks_lost: u64,
    /// Size of the inputs written by this process, bytes.
    pub input_bytes_written: u64,
    /// Operator's orders that are in force and not on disk: a restart would forget them.
    pub orders_not_written: usize,
    /// The epoch of a controller that writes this journal in our place; then this one writes nothing more.
    pub fenced_by: Option<u64>,
}

/// What the loop and the thread both see.
#[derive(Default)]
pub(super) struct Shared {
    health: Mutex<JournalHealth>,
    /// Operator's orders that are not on disk yet. They wait beside the queue, so that neither a full queue nor a failed
    /// transaction loses one.
    orders: Mutex<Vec<(OperatorOrder, Time)>>,
}

impl Shared {
    pub(super) fn health(&self) -> MutexGuard<'_, JournalHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn orders(&self) -> MutexGuard<'_, Vec<(OperatorOrder, Time)>> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
