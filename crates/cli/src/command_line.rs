//! The command line as a shell takes it, for reports that say how they were made.

/// What was given. Secrets come by the environment, so none stands in it.
pub(crate) fn given() -> String {
    in_shell(std::env::args().skip(1))
}

fn in_shell(arguments: impl Iterator<Item = String>) -> String {
    let words = std::iter::once("evenkeel".to_owned()).chain(arguments.map(|word| quoted(&word)));
    words.collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_pasted_into_a_shell() {
        let words = ["load", "my fleet.yaml", "--threshold", "gold.ttft.p95<250ms", "it's"].map(str::to_owned);
        let expected = r"evenkeel load 'my fleet.yaml' --threshold 'gold.ttft.p95<250ms' 'it'\''s'";
        assert_eq!(in_shell(words.into_iter()), expected);
    }
}
