//! Memory of this process.

/// The second field of `/proc/self/statm`, in pages of 4 KiB.
pub(crate) fn resident_bytes() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    4_096 * text.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
}
