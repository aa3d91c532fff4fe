//! Whatever is written, reading ends in a fleet or in mistakes with places.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_fleet::read;
use proptest::prelude::*;

const SOUND: &str = include_str!("files/sound.yaml");

fn read_and_render(text: &str) {
    if let Err(problems) = read(text, "x.yaml") {
        assert!(!problems.list().is_empty());
        assert!(problems.list().iter().all(|problem| problem.line >= 1 && problem.column >= 1));
        assert!(!problems.render(false).is_empty());
    }
}

/// A word at which readers trip.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("~"),
        Just("{}"),
        Just("[]"),
        Just("99999999999999999999"),
        Just("-1"),
        Just(".nan"),
        Just(".inf"),
        Just("1e999"),
        Just("no"),
        Just("007"),
        Just("0x1F"),
        Just("\"\""),
        Just("é€"),
        Just("&a x"),
        Just("*a"),
        Just("!!int x"),
        Just("<<: *a"),
        Just("$/hour"),
        Just("%"),
        Just("p95"),
        Just("ms"),
        Just("0s"),
        Just("999999999999d"),
        Just("|\n  block"),
    ]
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn text_of_yamls_own_characters(text in "[a-z0-9 :,\\[\\]{}&*!|>'\"%@`#?.~\\n\\t-]{0,200}") {
        read_and_render(&text);
    }

    #[test]
    fn any_text(text in ".{0,100}") {
        read_and_render(&text);
    }

    #[test]
    fn the_sound_file_with_a_value_replaced(line in 0usize..110, word in word()) {
        let lines: Vec<_> = SOUND.lines().enumerate().map(|(index, text)| match text.split_once(": ") {
            Some((key, _)) if index == line => format!("{key}: {word}"),
            _ => text.to_owned(),
        }).collect();
        read_and_render(&lines.join("\n"));
    }

    #[test]
    fn the_sound_file_cut_and_stitched(start in 0usize..SOUND.len(), length in 0usize..200, word in word()) {
        let end = (start + length).min(SOUND.len());
        read_and_render(&format!("{}{word}{}", &SOUND[..start], &SOUND[end..]));
    }
}
