//! The target that the variable FUZZ_TARGET names, driven by libFuzzer.
#![no_main]

use evenkeel_fuzz::{Target, named};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    named(&name).unwrap_or_else(|| panic!("FUZZ_TARGET names no target: `{name}`"))
});

fuzz_target!(|data: &[u8]| (TARGET.run)(data));
