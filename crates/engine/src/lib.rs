//! One replica's continuous batching and the tier queue before it, as state machines.
