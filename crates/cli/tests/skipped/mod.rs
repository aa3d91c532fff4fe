//! Tests of the program that need a browser or a mount say so where they skip, and `scripts/check` says it again at its end:
//! a check that was not made must not look like one that passed.
#![allow(clippy::unwrap_used, unreachable_pub)]

use std::fs::OpenOptions;
use std::io::Write;

/// Names the file that collects what was skipped.
const SKIPPED_VARIABLE: &str = "EVENKEEL_SKIPPED";

/// Says that a test skips.
pub fn tell(why: &str) {
    println!("skipped: {why}");
    if let Some(file) = std::env::var_os(SKIPPED_VARIABLE) {
        let mut file = OpenOptions::new().append(true).create(true).open(file).unwrap();
        // One write: tests run beside each other.
        file.write_all(format!("{why}\n").as_bytes()).unwrap();
    }
}
