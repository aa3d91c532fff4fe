//! What the module's host calls. Bytes go in and out one by one, so that no memory is shared and nothing is unsafe but the
//! names.
#![allow(unsafe_code, reason = "an exported name might meet another of the same name; there is none")]

use std::cell::RefCell;

thread_local! {
    static FLEET: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static SERIES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static RESULT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The fleet file's next byte.
#[unsafe(no_mangle)]
pub extern "C" fn fleet_byte(byte: u32) {
    FLEET.with_borrow_mut(|fleet| fleet.push(byte as u8));
}

/// The series' next byte.
#[unsafe(no_mangle)]
pub extern "C" fn series_byte(byte: u32) {
    SERIES.with_borrow_mut(|series| series.push(byte as u8));
}

/// Simulates what came in, and says how long the result is.
#[unsafe(no_mangle)]
pub extern "C" fn simulate() -> u32 {
    let fleet = FLEET.with_borrow(|fleet| String::from_utf8_lossy(fleet).into_owned());
    let result = SERIES.with_borrow(|series| crate::simulated(&fleet, series));
    RESULT.set(result.into_bytes());
    RESULT.with_borrow(|result| result.len() as u32)
}

/// A byte of the result.
#[unsafe(no_mangle)]
pub extern "C" fn result_byte(index: u32) -> u32 {
    RESULT.with_borrow(|result| result.get(index as usize).copied().map_or(0, u32::from))
}
