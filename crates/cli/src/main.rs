//! The `evenkeel` binary.
mod api;

fn main() {}
