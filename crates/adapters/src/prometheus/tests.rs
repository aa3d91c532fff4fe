#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;
use proptest::prelude::*;

fn one(line: &str) -> Sample<'_> {
    let page = Page::parse(line).unwrap();
    assert_eq!(page.samples().len(), 1, "{line}");
    page.samples()[0].clone()
}

#[test]
fn a_line_is_a_name_labels_and_a_value() {
    let sample = one("vllm:num_requests_waiting{engine=\"0\", model_name=\"tiny\",} 3.0");
    assert_eq!(sample.name, "vllm:num_requests_waiting");
    assert_eq!(sample.labels, [("engine", Cow::Borrowed("0")), ("model_name", Cow::Borrowed("tiny"))]);
    assert!((sample.value - 3.0).abs() < 1e-9);
    assert_eq!(one("up 1").labels, []);
    assert_eq!(one("up{} 1").labels, []);
    assert_eq!(one("up { } 1").labels, []);
}

#[test]
fn values_may_be_written_in_every_way_the_format_knows() {
    for (text, value) in [("1.5e+09", 1.5e9), ("-3", -3.0), ("+Inf", f64::INFINITY), ("-Inf", f64::NEG_INFINITY)] {
        assert_eq!(one(&format!("x {text}")).value.to_bits(), value.to_bits(), "{text}");
    }
    assert!(one("x NaN").value.is_nan());
}

#[test]
fn escapes_in_a_label_are_resolved_and_nothing_in_it_ends_the_line() {
    let sample = one(r#"x{path="C:\\a\"b\n}# {,",other="\d\u{e4}"} 1"#);
    assert_eq!(sample.labels[0].1, "C:\\a\"b\n}# {,");
    assert_eq!(sample.labels[1].1, "\\d\\u{e4}");
}

#[test]
fn comments_timestamps_exemplars_and_carriage_returns_are_passed_over() {
    let text = "# HELP x What\n# TYPE x counter\r\n\r\nx 1 1700000000000\r\n  x 2\nx_bucket{le=\"1\"} 3 # {trace=\"a\"} 0.5 1.7e9\nx 4 1.5 # {a=\"b\"} 1\n# EOF\n";
    let page = Page::parse(text).unwrap();
    let values: Vec<_> = page.samples().iter().map(|sample| sample.value).collect();
    assert_eq!(values, [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(page.named("x").count(), 3);
}

#[test]
fn a_name_is_matched_whole_so_a_longer_one_never_counts() {
    let page =
        Page::parse("vllm:num_requests_waiting 1\nvllm:num_requests_waiting_by_reason{reason=\"deferred\"} 7").unwrap();
    assert_eq!(page.named("vllm:num_requests_waiting").count(), 1);
}

#[test]
fn a_page_that_is_wrong_anywhere_is_refused_with_the_line() {
    for (line, what) in [
        ("9x 1", "name of a metric"),
        ("{a=\"b\"} 1", "name of a metric"),
        ("x", "value is missing"),
        ("x one", "not a number"),
        ("x{a} 1", "no value"),
        ("x{a=b} 1", "no quotes"),
        ("x{a=\"b} 1", "does not end"),
        ("x{a=\"b\\", "does not end"),
        ("x{a=\"b\"", "comma"),
        ("x{a=\"b\" c=\"d\"} 1", "comma"),
        ("x{,} 1", "name of a label"),
        ("x 1 soon", "timestamp"),
        ("x 1 2 3", "after the timestamp"),
        ("<html>", "name of a metric"),
    ] {
        let malformed = Page::parse(&format!("ok 1\n{line}\n")).unwrap_err();
        assert_eq!(malformed.line, 2, "{line}");
        assert!(malformed.what.contains(what), "{line}: {malformed}");
    }
}

#[test]
fn a_page_without_end_is_refused_before_it_fills_the_memory() {
    let page = "x 1\n".repeat(MOST_SAMPLES + 1);
    assert_eq!(Page::parse(&page).unwrap_err().line, MOST_SAMPLES + 1);
    let labels = "a=\"b\",".repeat(1_000);
    assert!(Page::parse(&format!("x{{{labels}}} 1")).unwrap_err().what.contains("too many labels"));
}

#[test]
fn the_emulated_replicas_own_page_reads_whole() {
    let text = include_str!("../../../local/tests/fixtures/emulated_replica.prom");
    let page = Page::parse(text).unwrap();
    let written = text.lines().filter(|line| !line.starts_with('#')).count();
    assert_eq!(page.samples().len(), written);
    assert!(page.samples().iter().all(|sample| sample.labels.iter().any(|(name, _)| *name == "engine")));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[a-z0-9:_{}=\",\\\\ \t\n#.+\u{e4}\u{1f600}-]{0,200}") {
        let _ = Page::parse(&text);
    }

    #[test]
    fn what_is_written_is_what_is_read(
        name in "[a-zA-Z_:][a-zA-Z0-9_:]{0,20}",
        labels in proptest::collection::vec(("[a-z_][a-z0-9_]{0,8}", "\\PC{0,12}"), 0..5),
        value in any::<f64>(),
    ) {
        let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let written: Vec<_> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escape(text))).collect();
        let line = format!("{name}{{{}}} {value:?}", written.join(","));
        let page = Page::parse(&line).unwrap();
        let sample = &page.samples()[0];
        prop_assert_eq!(sample.name, name.as_str());
        let read: Vec<_> = sample.labels.iter().map(|(label, text)| ((*label).to_owned(), text.to_string())).collect();
        prop_assert_eq!(read, labels);
        prop_assert!(sample.value.to_bits() == value.to_bits() || sample.value.is_nan() && value.is_nan());
    }
}
