//! 'Did you mean': the nearest of the names that would have been right.

/// The candidate nearest to `written`, if it is near enough to be a slip.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = written.to_ascii_lowercase().replace(['-', ' '], "_");
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&plain, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(3) || abbreviates(&plain, candidate))
        .min()
        .map(|(_, candidate)| candidate)
}

/// `min` for `minimum`, or `golden` for `gold`: one begins with the other, by three letters or more.
fn abbreviates(written: &str, candidate: &str) -> bool {
    written.len().min(candidate.len()) >= 3 && (candidate.starts_with(written) || written.starts_with(candidate))
}

/// The fix for an unknown name: the nearest one, or all of them.
pub(crate) fn instead(written: &str, candidates: &[&str]) -> String {
    match nearest(written, candidates.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if candidates.is_empty() => "remove it; nothing may be written here".to_owned(),
        None => format!("known here: {}", candidates.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_named_and_a_foreign_word_is_not() {
        let known = ["minimum", "maximum"];
        assert_eq!(nearest("minumum", known), Some("minimum"));
        assert_eq!(nearest("max", known), Some("maximum"));
        assert_eq!(nearest("golden", ["gold", "silver"]), Some("gold"));
        assert_eq!(nearest("MAXIMUM", known), Some("maximum"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(instead("colour", &known), "known here: minimum, maximum");
    }
}
