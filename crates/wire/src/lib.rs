//! What Evenkeel's processes say to each other, as JSON over loopback HTTP: the route table from controller to gateway,
//! the gateway's report back, and the intent that a replica carries in its environment.

pub mod intent;
pub mod report;
pub mod routes;
