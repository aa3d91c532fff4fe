//! Every mistake at once, each with its place, its cause and its fix.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_fleet::{Problems, read};

fn mistakes() -> Problems {
    read(include_str!("files/twelve_mistakes.yaml"), "twelve_mistakes.yaml").unwrap_err()
}

#[test]
fn a_file_of_twelve_mistakes_names_each_with_its_place_cause_and_fix() {
    insta::assert_snapshot!(mistakes());
}

#[test]
fn structural_and_semantic_mistakes_are_told_together() {
    let problems = mistakes();
    let places: Vec<_> = problems.list().iter().map(|problem| (problem.line, problem.column)).collect();
    let mut distinct = places.clone();
    distinct.dedup();
    assert_eq!((places.len(), distinct.len()), (12, 12), "{problems}");
    assert!(places.is_sorted(), "in the file's order");
}

#[test]
fn a_terminal_shows_each_line_of_the_file_underlined() {
    insta::assert_snapshot!(mistakes().render(false));
}

#[test]
fn json_has_a_stable_shape() {
    let json = mistakes().to_json();
    assert_eq!(json["file"], "twelve_mistakes.yaml");
    let first = &json["problems"][0];
    assert_eq!(first["line"], 2);
    assert_eq!(first["column"], 7);
    assert_eq!(first["path"], "tick");
    assert!(first["message"].is_string() && first["help"].is_string());
}

#[test]
fn text_that_is_not_yaml_gives_its_one_place() {
    let problems = read("fleet: game\ntiers: {gold: [1, 2}\n", "broken.yaml").unwrap_err();
    assert_eq!(problems.list().len(), 1);
    assert_eq!(problems.list()[0].line, 2);
}

#[test]
fn a_tab_in_the_indentation_is_called_by_its_name_and_line() {
    let sound = include_str!("files/sound.yaml");
    for (from, to, line) in [
        ("    slack: 3\n", "\tslack: 3\n", 25),
        ("  freshness: 5s\n", "  \tfreshness: 5s\n", 8),
        ("  mode: advise\n", "\tmode: advise\n", 7),
        ("    start_up: 180s\n", "\n\n  \t  start_up: 180s\n", 51),
    ] {
        let problems = read(&sound.replace(from, to), "x").unwrap_err();
        let [problem] = problems.list() else { panic!("{problems}") };
        assert_eq!(problem.message, format!("line {line} is indented with a tab; YAML wants spaces"), "{to:?}");
        assert_eq!((problem.line, problem.column), (line, 1));
        assert!(problems.render(false).contains("put spaces in its place"));
    }
    let elsewhere = sound.replace("fleet: sound\n", "fleet: sound\t# by tab\n\t\n").replace("slack: 3", "slack: [3");
    assert!(!read(&elsewhere, "x").unwrap_err().to_string().contains("tab;"), "no tab is in this indentation");
}

#[test]
fn an_anchor_is_read_wherever_it_is_used() {
    let sound = include_str!("files/sound.yaml");
    let shared = sound
        .replacen("prompt_tokens: {mean: 300, sigma: 0.8}", "prompt_tokens: &prompts {mean: 300, sigma: 0.8}", 1)
        .replacen("prompt_tokens: {mean: 300, sigma: 0.8}", "prompt_tokens: *prompts", 1);
    let fleet = read(&shared, "x").unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(fleet.spec.tiers[0].requests.prompt_tokens, fleet.spec.tiers[1].requests.prompt_tokens);
    let problems = read(&shared.replace("&prompts {mean: 300", "&prompts {mean: none"), "x").unwrap_err();
    let paths: Vec<_> = problems.list().iter().map(|problem| problem.path.as_str()).collect();
    assert_eq!(paths, ["tiers.gold.requests.prompt_tokens.mean", "tiers.bronze.requests.prompt_tokens.mean"]);
}

#[test]
fn a_tier_written_twice_is_one_mistake() {
    let sound =
        include_str!("files/sound.yaml").replace("  bronze:\n", "  gold:\n").replace("tier: bronze", "tier: gold");
    let problems = read(&sound, "x").unwrap_err();
    assert!(problems.list()[0].message.contains("`gold` is written twice, first on line"), "{problems}");
}

/// The one problem of `text`, which can hold no other.
#[track_caller]
fn only(text: &str) -> evenkeel_fleet::Problem {
    let problems = read(text, "x").unwrap_err();
    let [problem] = problems.list() else { panic!("{problems}") };
    problem.clone()
}

#[test]
fn a_file_that_is_empty_double_or_too_deep_is_told_so_in_words() {
    for empty in ["", "\n\n", "# only a comment\n", "~\n", "---\n"] {
        let problem = only(empty);
        assert_eq!(problem.message, "nothing stands in this file", "{empty:?}");
        assert!(problem.help.contains("`fleet:`") && problem.help.contains("`tiers:`"), "{empty:?}: {problem}");
    }
    let second = only("fleet: a\n---\nfleet: b\n");
    assert!(second.message.starts_with("a second document begins here") && second.line >= 2, "{second}");
    let deep = only(&format!("fleet: {}{}\n", "[".repeat(40), "]".repeat(40)));
    assert!(deep.message.contains("more than 32 deep") && deep.line == 1, "{deep}");
    let swollen = only(&format!("a: &a [x]\nb: [{}]\n", "*a, ".repeat(2_000)));
    assert!(swollen.message.contains("anchors and aliases"), "{swollen}");
}

#[test]
fn an_empty_file_a_list_and_a_second_document_are_refused() {
    for text in ["", "- a\n- b\n", "fleet: a\n---\nfleet: b\n", "just words"] {
        assert!(!read(text, "x").unwrap_err().list().is_empty(), "{text:?}");
    }
}
