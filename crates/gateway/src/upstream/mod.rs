//! Connections to replicas.
//!
//! A connection has no task of its own: the request that uses it reads and writes it, and nobody does while it waits in
//! its replica's pool. That spares task switches for each request, makes back-pressure and cancellation come by themselves
//! (who does not read lets the replica wait; who is dropped takes the connection along), and costs that a connection which
//! the replica closed may be noticed only when it is taken out again. Such a one is replaced without anyone noticing.

mod call;
mod connection;
mod head;
mod origin;
mod pool;
mod replica;
mod reply;

pub(crate) use call::Call;
pub(crate) use connection::Broken;
#[cfg(feature = "fuzz")]
pub(crate) use head::take_head;
pub(crate) use origin::Origin;
pub(crate) use replica::Replica;
pub(crate) use reply::{Reply, ReplyBody};
