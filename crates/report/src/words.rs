//! Figures as people read them.

/// A time of so many milliseconds with about three digits: `0.42 ms`, `14.7 ms`, `312 ms`, `3.22 s`.
pub fn milliseconds(value: f64) -> String {
    // Compared as it would be printed, so that 9.996 becomes 10.0 and not 10.00.
    match value {
        value if value < 9.995 => format!("{} ms", trimmed(value, 2)),
        value if value < 99.95 => format!("{} ms", trimmed(value, 1)),
        value if value < 999.5 => format!("{value:.0} ms"),
        value => seconds(value / 1e3),
    }
}

/// US dollars with about three digits: `$1,234`, `$12.30`, `$0.0123`.
pub fn money(usd: f64) -> String {
    match usd {
        usd if usd >= 999.5 => format!("${}", count(usd.round() as u64)),
        usd if usd >= 0.995 || usd == 0.0 => format!("${usd:.2}"),
        usd => format!("${usd:.4}"),
    }
}

/// A share as a percentage: `99.9 %`. Never rounded up to 100 %.
pub fn percent(share: f64) -> String {
    let hundredths = (share * 1e4).round();
    let hundredths = if share < 1.0 { hundredths.min(9_999.0) } else { hundredths };
    format!("{} %", trimmed(hundredths / 1e2, 2))
}

/// A quantile's short name: `p95`, `p99.9`.
pub fn quantile_name(quantile: f64) -> String {
    format!("p{}", trimmed(quantile * 100.0, 3))
}

/// A count with thousands apart: `12,345`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let grouped = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    grouped.collect::<Vec<_>>().join(",")
}

/// A time of so many seconds with about three digits: `9.5 s`, `14.7 s`, `312 s`.
pub fn seconds(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{} s", trimmed(value, 2)),
        value if value < 99.95 => format!("{} s", trimmed(value, 1)),
        value => format!("{value:.0} s"),
    }
}

/// At most so many decimals, without zeros at their end.
fn trimmed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_about_three_digits() {
        let shown = [0.0, 0.421, 1.5, 9.996, 14.72, 99.96, 312.4, 3_218.0, 12_512.0, 600_000.0].map(milliseconds);
        let expected =
            ["0 ms", "0.42 ms", "1.5 ms", "10 ms", "14.7 ms", "100 ms", "312 ms", "3.22 s", "12.5 s", "600 s"];
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_share_below_one_is_never_shown_as_all() {
        assert_eq!([1.0, 0.999_99, 0.95, 0.0].map(percent), ["100 %", "99.99 %", "95 %", "0 %"]);
    }

    #[test]
    fn counts_and_quantiles_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.5, 0.95, 0.999].map(quantile_name), ["p50", "p95", "p99.9"]);
    }
}
