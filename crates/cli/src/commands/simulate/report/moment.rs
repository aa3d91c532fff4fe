//! Moments of the series as `--from` and `--to` count them: days, hours, minutes and seconds after its first.

use super::path::number;

/// `7d`, `7d 02:10`, `0d 00:04:05`.
pub(super) fn moment(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    match (hours, minutes, seconds) {
        (0, 0, 0) => format!("{days}d"),
        (_, _, 0) => format!("{days}d {hours:02}:{minutes:02}"),
        _ => format!("{days}d {hours:02}:{minutes:02}:{seconds:02}"),
    }
}

/// How long something lasts, by its two largest units: `15 d`, `7 d 2 h`, `1 min 30 s`, `2.5 s`.
pub(super) fn length(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{} s", number(seconds));
    }
    let whole = seconds.max(0.0).round() as u64;
    let parts = [(whole / 86_400, "d"), (whole / 3_600 % 24, "h"), (whole / 60 % 60, "min"), (whole % 60, "s")];
    let said: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n} {unit}")).collect();
    said[..said.len().min(2)].join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_without_doubt_which_number_is_which() {
        let shown = [0.0, 245.0, 7_800.0, 604_800.0, 612_600.0].map(moment);
        assert_eq!(shown, ["0d", "0d 00:04:05", "0d 02:10", "7d", "7d 02:10"]);
    }

    #[test]
    fn a_length_is_told_by_its_two_largest_units() {
        let shown = [0.0, 2.5, 45.0, 90.0, 3_600.0, 612_605.0].map(length);
        assert_eq!(shown, ["0 s", "2.5 s", "45 s", "1 min 30 s", "1 h", "7 d 2 h"]);
    }
}
