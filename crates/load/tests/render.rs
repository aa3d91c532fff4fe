//! The summary as people and programs read it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use evenkeel_load::Summary;
use evenkeel_load::render::{Colors, text};
use evenkeel_load::summary::{Ended, Outcome};
use fixture::summary;

#[test]
fn people_read_criteria_first_then_tiers_then_failures_then_lag() {
    insta::assert_snapshot!(text(&summary(), Colors::None));
}

#[test]
fn programs_read_names_that_carry_their_units() {
    insta::assert_json_snapshot!(summary());
}

#[test]
fn a_run_that_ended_early_says_so() {
    let interrupted = Summary { ended: Ended::Interrupted, sent_seconds: 31.4, ..summary() };
    assert!(text(&interrupted, Colors::None).contains("sent for 31.4 s of 240 s, interrupted"));
}

#[test]
fn what_shows_nothing_is_said_in_plain_words_and_does_not_read_like_a_pass() {
    let said = |outcome| text(&Summary { outcome, ..summary() }, Colors::None);
    assert!(said(Outcome::Held).contains("    Every criterion that was judged held.\n"));
    assert!(said(Outcome::NoCriteria).contains("There are no criteria: nothing was judged"));
    for (outcome, words) in [
        (Outcome::NothingSent, "No request was sent"),
        (Outcome::NothingAnswered, "No request was answered"),
        (Outcome::NothingJudged, "No criterion could be judged"),
        (Outcome::NeverRead, "A figure that a criterion asks for was never read"),
    ] {
        let said = said(outcome);
        assert!(said.contains(words) && said.contains("does not count as passed"), "{said}");
        assert!(!outcome.passed());
    }
}

#[test]
fn only_a_terminal_gets_colors() {
    let (plain, colored) = (text(&summary(), Colors::None), text(&summary(), Colors::Ansi));
    assert!(!plain.contains('\u{1b}'));
    assert!(colored.contains("\u{1b}[31m\u{2717}\u{1b}[0m silver") && colored.contains("\u{1b}[33m-\u{1b}[0m gold"));
    let codes = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[0m"];
    assert_eq!(codes.iter().fold(colored, |text, code| text.replace(code, "")), plain);
}

#[test]
fn a_summary_survives_its_own_json() {
    let text = serde_json::to_string(&summary()).unwrap();
    assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary());
}
