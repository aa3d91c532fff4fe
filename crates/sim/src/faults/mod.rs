//! Faults in virtual time: Evenkeel's decision code in a made-up world in which chance breaks what can break, judged at
//! every step, until all is well again and the fleet has to converge (the habit of TigerBeetle's VOPR and of madsim).
//!
//! A seed gives a fleet and its demand ([`setting`]) and, with a length, a [`schedule`] of faults. [`run()`] lets the fleet
//! live through it: [`world`] has the replicas and the cloud, [`senses`] what the controller is told of them, [`judge`]
//! what must hold, [`settle`] what must come to hold once the faults are over. [`trial()`] does one seed, [`shrink`] makes
//! a failure small, and [`replay`] does a seed under a schedule that was written down.
//!
//! Out of scope, because it is not the decision's: the controller's book of launches and drains, its journal and its
//! gateway. `crates/controller/tests/days` breaks those.

pub mod breach;
pub mod course;
mod dice;
mod digest;
pub mod judge;
pub mod load;
pub mod needs;
mod pace;
pub mod run;
pub mod schedule;
pub mod senses;
pub mod setting;
pub mod settle;
pub mod shrink;
mod text;
pub mod trial;
pub mod weather;
pub mod world;

pub use breach::{Breach, Broken};
pub use course::run;
pub use run::{Moment, Report};
pub use schedule::{Fault, Kind, Schedule, Source};
pub use setting::Setting;
pub use trial::{Failure, replay, trial};

/// Time between two decisions, seconds.
pub const TICK: u32 = 5;
/// The same as a span.
pub const TICK_SPAN: evenkeel_core::units::Span = evenkeel_core::units::Span::from_secs(TICK as i64);
