//! The route table: taken from the controller, kept while the controller is gone, and kept on disk for a restart.

mod events;
mod kept;
mod reach;
mod subscription;
mod table;

pub(crate) use reach::look_for_replicas;
pub(crate) use subscription::follow;
pub(crate) use table::Routes;
