//! A client's connection.
//!
//! hyper reads requests off it and writes answers to it. Around hyper stands a [`stream`] of our own that adds what hyper
//! leaves out: it refuses a head that could be read in two ways ([`requests`]), says in words why a head was refused, and
//! closes in such a way that a client that is still sending can read the refusal.

mod conversation;
#[cfg(feature = "fuzz")]
mod oracle;
mod requests;
mod stream;

pub(crate) use conversation::{ClientLimits, converse};
#[cfg(feature = "fuzz")]
pub(crate) use oracle::Oracle;
#[cfg(feature = "fuzz")]
pub(crate) use requests::Requests;
