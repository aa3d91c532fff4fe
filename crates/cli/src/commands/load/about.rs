//! What a report tells of the run that the run itself does not know.

use crate::command_line;
use evenkeel_load::report::About;

/// What was run, where, and when it begins: now.
pub(super) fn about(name: &str, traffic: &str) -> About {
    About {
        name: name.to_owned(),
        traffic: traffic.to_owned(),
        started: jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        machine: machine(),
        version: format!("evenkeel {}", env!("CARGO_PKG_VERSION")),
        command: command_line::given(),
    }
}

/// Cores, processor and memory as far as the system tells, and its kind.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map(|cores| format!("{cores} cores")).ok();
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let processor = read("/proc/cpuinfo").and_then(|text| field(&text, "model name"));
    let memory = read("/proc/meminfo").and_then(|text| gibibytes(&field(&text, "MemTotal")?));
    let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
    [cores, processor, memory, Some(system)].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The first `name: value`.
fn field(text: &str, name: &str) -> Option<String> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// `16384000 kB` as `15.6 GiB of memory`.
fn gibibytes(text: &str) -> Option<String> {
    let kibibytes: f64 = text.strip_suffix(" kB")?.parse().ok()?;
    Some(format!("{:.1} GiB of memory", kibibytes / 1_048_576.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_does_not_tell_is_left_out() {
        assert_eq!(field("processor : 0\nmodel name\t: Fast 9000\n", "model name").as_deref(), Some("Fast 9000"));
        assert_eq!(field("processor : 0\n", "model name"), None);
        assert_eq!(gibibytes("16384000 kB").as_deref(), Some("15.6 GiB of memory"));
    }
}
