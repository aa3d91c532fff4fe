//! Players, arrivals and request lengths, from files or seeded generators.
//!
//! Everything here is a pure function of its arguments: the same input and seed give the same arrivals on every
//! platform (`libm`, own samplers). Time is a span since the start of the run.

pub mod arrivals;
pub mod availability;
mod calendar;
pub mod day;
pub mod lengths;
mod lines;
pub mod random;
pub mod scenario;
pub mod series;
mod series_file;
pub mod shape;
pub mod trace;
pub mod written;

pub use arrivals::{Arrival, Arrivals, TierTraffic, TrafficError};
pub use availability::{Availability, AvailabilityError};
pub use day::{Day, DayError};
pub use scenario::{Scenario, UnknownScenario};
pub use series::{PlayersSeries, Point, SeriesError};
pub use shape::{Shape, ShapeError};
pub use trace::{RequestTrace, TraceError, TraceRequest};
