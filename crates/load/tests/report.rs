//! The report's figures, as a person reads them off the page.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod fixture;

use evenkeel_load::Summary;
use evenkeel_load::cost::Cost;
use evenkeel_load::report::{About, html};
use evenkeel_load::summary::{Outcome, TierSummary};
use evenkeel_load::waiting::Waiting;
use fixture::summary;

fn about() -> About {
    About {
        name: "game".to_owned(),
        traffic: "players by the shape 0..1000:2m,1000:2m".to_owned(),
        started: "2026-11-24 12:00:00 UTC".to_owned(),
        machine: "2 cores, linux x86_64".to_owned(),
        version: "evenkeel 0.1.0".to_owned(),
        command: "evenkeel load game.yaml --report load.html".to_owned(),
    }
}

/// The page without its markup: a line for each piece of text; a table's row is one line.
fn read(html: &str) -> String {
    let body = html.split("<main>").nth(1).unwrap().split("</main>").next().unwrap();
    let mut out = String::new();
    for piece in body.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap();
        let starts_line = ["tr", "h1", "h2", "p", "dt", "caption", "figcaption", "summary", "svg"];
        let name = tag.split([' ', '/']).next().unwrap();
        if starts_line.contains(&name) {
            out.push('\n');
        }
        if name == "td" || name == "th" {
            out.push_str(" | ");
        }
        // What is drawn has its table.
        if name != "text" && !text.trim().is_empty() {
            out.push_str(text.trim());
            out.push(' ');
        }
    }
    let lines = out.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_report_answers_how_fast_it_scaled_what_failed_and_what_it_cost() {
    insta::assert_snapshot!(read(&html(&summary(), &about())));
}

#[test]
fn it_loads_nothing_and_a_name_in_it_cannot_become_markup() {
    let mut evil = summary();
    evil.tiers[0].tier = "<script src=//x>".to_owned();
    evil.fleet[0].tier = "<img src=x onerror=alert(1)>".to_owned();
    let page = html(&evil, &About { name: "</title><script>alert(1)</script>".to_owned(), ..about() });
    assert_eq!(page.matches("<script").count(), 1, "our own");
    assert!(!page.contains("<img") && !page.contains("<link") && !page.contains("@import") && !page.contains("url("));
    assert!(page.contains("default-src 'none'"));
    let addresses = page.matches("http").count();
    assert_eq!(addresses, page.matches("http-equiv").count() + page.matches("http://127.0.0.1:8080").count());
}

#[test]
fn a_run_without_a_controller_has_no_data_where_it_cannot_know_and_no_zero() {
    let alone = Summary { fleet: Vec::new(), ..summary() };
    let text = read(&html(&alone, &about()));
    assert!(text.contains("scale-up no data no controller told its replicas"), "{text}");
    assert!(text.contains("cost no data no controller told a price"), "{text}");
    assert!(text.contains("That is not nothing: it is not known."), "{text}");
}

#[test]
fn the_figure_of_waiting_is_that_of_players_who_wait_and_never_only_where_nobody_did() {
    let tile = |gold: Option<Waiting>, bronze: Option<Waiting>| {
        let mut summary = summary();
        (summary.fleet[0].waiting, summary.fleet[1].waiting) = (gold, bronze);
        let page = read(&html(&summary, &about()));
        page.lines().find(|line| line.starts_with("requests waited ")).unwrap().to_owned()
    };
    let waited =
        |longest_seconds, most_requests| Some(Waiting { longest_seconds, longest_at_seconds: 0.0, most_requests });
    // Bronze is asynchronous: a backlog is what it is for.
    let shown = tile(waited(3.0, 5), waited(700.0, 900));
    assert_eq!(shown, "requests waited 3 s on end at most, in gold; 5 at once");
    // In one sample some waited, and no further one tells for how long.
    assert_eq!(tile(waited(0.0, 5), None), "requests waited 0 s on end at most, in gold; 5 at once");
    assert_eq!(tile(waited(0.0, 0), None), "requests waited never in no sample of those that told");
    assert_eq!(tile(None, waited(9.0, 9)), "requests waited no data no source told the queue");
}

#[test]
fn the_verdict_is_never_better_than_the_outcome() {
    let verdict = |outcome| read(&html(&Summary { outcome, ..summary() }, &about()));
    assert!(verdict(Outcome::Held).contains("\nPassed Every criterion that was judged held."));
    for (outcome, words) in [
        (Outcome::Failed, "\nFailed 1 of 5 criteria: silver ttft p95 &lt;= 250 ms: 312 ms."),
        (Outcome::NoCriteria, "\nNot judged There are no criteria"),
        (Outcome::NothingSent, "\nNot passed No request was sent"),
        (Outcome::NothingAnswered, "\nNot passed No request was answered"),
        (Outcome::NothingJudged, "\nNot passed No criterion could be judged"),
        (Outcome::NeverRead, "\nNot passed A figure that a criterion asks for was never read"),
    ] {
        assert!(verdict(outcome).contains(words), "{outcome:?}");
    }
}

#[test]
fn a_run_without_failures_says_so_and_one_with_a_price_says_what_a_thousand_requests_cost() {
    let mut clean = summary();
    clean.tiers.iter_mut().for_each(|tier: &mut TierSummary| tier.failures.clear());
    clean.cost = Some(Cost { usd: 1.5, known_seconds: 243.0 });
    clean.cost_usd_per_1000_requests = Some(0.106_7);
    let text = read(&html(&clean, &about()));
    assert!(text.contains("Nothing: all 14,069 requests were answered."), "{text}");
    assert!(text.contains("cost $1.50 $0.1067 for 1,000 answered requests"), "{text}");
}
