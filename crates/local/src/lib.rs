//! One machine as a backend: replicas as process groups, and the emulated replica.

pub mod backend;
pub mod emulated;
