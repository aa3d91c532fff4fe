//! What the gateway measures of each request, and the counts of a tier.

mod histogram;
mod meter;
mod sse;
mod tally;
mod usage;

pub(crate) use meter::Meter;
#[cfg(feature = "fuzz")]
pub(crate) use sse::SseReader;
pub(crate) use tally::Tally;
