//! Asynchronous tiers: a request is accepted at once, answered later, and its answer fetched by its id.
//!
//! Accepted requests wait in SQLite ([`store`]), which one thread of its own uses ([`desk`]) so that no disk holds up
//! other requests; what it accepted survives a kill -9. A [`dispatcher`] for each tier hands them to replicas through the
//! tier's ordinary queue, so places, retries and doubt are the same as for everyone. Each hand-out is a lease: one that
//! brings no answer in time is handed out again, up to the tier's number of attempts. So a request is carried out at least
//! once, perhaps more often.

mod backlog;
mod collect;
mod desk;
mod dispatcher;
mod intake;
mod record;
mod store;

pub(crate) use desk::Desk;
pub(crate) use dispatcher::dispatch;
pub(crate) use intake::{accept, no_queue, result};
pub(crate) use store::Store;
pub use store::StoreError;
