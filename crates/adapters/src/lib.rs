//! Outside systems behind the controller's ports, a folder each: engines' metrics pages, the gateway, the player count,
//! the webhook for events. Each reads or writes one wire format and turns what went wrong into a typed cause; none
//! decides anything.

pub mod engines;
mod fetch;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod gateway;
pub mod players;
pub mod prometheus;
pub mod webhook;

pub use fetch::{SetupError, plain_http_client};
