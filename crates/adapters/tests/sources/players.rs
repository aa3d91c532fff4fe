//! The player count from each place it can come from.

use crate::double::{Answer, Double};
use axum::http::StatusCode;
use evenkeel_adapters::players::{Players, PlayersPush};
use evenkeel_controller::ports::{Source as _, SourceError};
use evenkeel_core::observe::{Cause, Reading};
use evenkeel_core::spec::Signal;
use evenkeel_core::units::{Span, Time};
use evenkeel_fleet::model::PlayersSource;
use std::time::Duration;

const PATIENT: Duration = Duration::from_secs(20);

fn now(second: i64) -> Time {
    Time::from_micros(1_700_000_000_000_000) + Span::from_secs(second)
}

fn players(source: &PlayersSource, push: &PlayersPush, timeout: Duration) -> Players {
    let shares = [("gold".to_owned(), 0.25), ("silver".to_owned(), 0.75)];
    Players::new(source, push.clone(), shares, timeout).unwrap()
}

async fn read(players: &mut Players, second: i64) -> Result<Vec<Reading<u64>>, SourceError> {
    let findings = players.read(now(second), &[]).await?;
    assert_eq!(findings.iter().map(|finding| finding.tier.as_str()).collect::<Vec<_>>(), ["gold", "silver"]);
    Ok(findings.into_iter().map(|finding| finding.signals.players).collect())
}

fn both(gold: u64, silver: u64, second: i64) -> Vec<Reading<u64>> {
    [gold, silver].map(|value| Reading::Fresh { value, at: now(second) }).to_vec()
}

#[tokio::test]
async fn a_pulled_document_is_shared_out_among_the_tiers() {
    let double = Double::answering(Answer::ok("{\"players\": {\"online\": 1000}}")).await;
    let source =
        PlayersSource::Http { url: format!("{}/stats?key=1", double.url), pointer: "/players/online".to_owned() };
    let mut players = players(&source, &PlayersPush::default(), PATIENT);
    assert_eq!(read(&mut players, 1).await.unwrap(), both(250, 750, 1));
    assert_eq!(double.asked()[0].uri.to_string(), "/stats?key=1");
    assert_eq!(players.covers("gold"), [Signal::Players]);
    assert_eq!(players.covers("bronze"), []);
    double.answer(Answer::ok("{\"players\": {\"online\": 0}}"));
    assert_eq!(read(&mut players, 2).await.unwrap(), both(0, 0, 2), "nobody online is a value");
}

#[tokio::test]
async fn a_pull_that_fails_says_why_and_hides_the_key() {
    let double = Double::answering(Answer::ok("{}")).await;
    let url = format!("{}/stats?key=secret", double.url);
    let source = PlayersSource::Http { url, pointer: "/players".to_owned() };
    let mut players = players(&source, &PlayersPush::default(), Duration::from_secs(2));
    for (answer, cause) in [
        (Answer::ok("{}"), Cause::Malformed),
        (Answer::ok("no json"), Cause::Malformed),
        (Answer::ok("{\"players\": \"many\"}"), Cause::NotANumber),
        (Answer::ok("{\"players\": -1}"), Cause::NotANumber),
        (Answer::status(StatusCode::FORBIDDEN, ""), Cause::Refused),
        (
            Answer {
                headers: vec![("location", "http://127.0.0.1:1/".to_owned())],
                ..Answer::status(StatusCode::FOUND, "")
            },
            Cause::Refused,
        ),
        (Answer::ok("{\"players\": 1}").late(PATIENT), Cause::TimedOut),
    ] {
        double.answer(answer);
        let error = read(&mut players, 0).await.unwrap_err();
        assert_eq!(error.cause, cause, "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    drop(double);
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let url = Double::answering(Answer::ok("1")).await.url.clone();
    let source = PlayersSource::Http { url: format!("{url}/?key=secret"), pointer: String::new() };
    let error = read(&mut players(&source, &PlayersPush::default(), PATIENT), 0).await.unwrap_err();
    assert_eq!(error.cause, Cause::Unreachable);
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn a_pushed_count_keeps_the_time_of_the_push_so_that_it_grows_stale() {
    let push = PlayersPush::default();
    let mut players = players(&PlayersSource::Push, &push, PATIENT);
    assert_eq!(read(&mut players, 0).await.unwrap_err().cause, Cause::Unreachable);
    push.push(400.0, now(1)).unwrap();
    for nonsense in [f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(push.push(nonsense, now(2)).unwrap_err().cause, Cause::NotANumber);
    }
    let readings = read(&mut players, 60).await.unwrap();
    assert_eq!(readings, both(100, 300, 1));
    assert_eq!(readings[0].aged(now(60), Span::from_secs(10)).blind(), Some(Cause::Stale));
}

#[tokio::test]
async fn a_file_is_read_anew_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("players");
    let source = PlayersSource::File { path: path.clone(), pointer: None };
    let mut players = players(&source, &PlayersPush::default(), PATIENT);
    assert_eq!(read(&mut players, 0).await.unwrap_err().cause, Cause::Unreachable);
    std::fs::write(&path, "200\n").unwrap();
    assert_eq!(read(&mut players, 1).await.unwrap(), both(50, 150, 1));
    std::fs::write(&path, "").unwrap();
    assert_eq!(read(&mut players, 2).await.unwrap_err().cause, Cause::Malformed, "half written is not zero");
    std::fs::write(&path, "8".repeat(2_000_000)).unwrap();
    assert_eq!(read(&mut players, 3).await.unwrap_err().cause, Cause::Malformed);
}

#[tokio::test]
async fn a_pipe_is_no_player_file_as_its_reader_would_wait_for_a_writer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("players");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let source = PlayersSource::File { path, pointer: None };
    let mut players = players(&source, &PlayersPush::default(), PATIENT);
    let error = read(&mut players, 0).await.unwrap_err();
    assert_eq!(error.cause, Cause::Malformed);
    assert!(error.detail.contains("is no ordinary file"), "{}", error.detail);
}

#[tokio::test]
async fn an_address_that_is_none_is_refused_at_the_start() {
    let source = PlayersSource::Http { url: "players.example".to_owned(), pointer: String::new() };
    let error = Players::new(&source, PlayersPush::default(), [], PATIENT).unwrap_err();
    assert!(error.to_string().contains("players.example"), "{error}");
}

#[tokio::test]
async fn a_source_that_sends_elsewhere_is_not_followed() {
    let (elsewhere, double) =
        (Double::answering(Answer::ok("{\"players\": 9}")).await, Double::answering(Answer::ok("")).await);
    let source = PlayersSource::Http { url: double.url.clone(), pointer: "/players".to_owned() };
    let mut players = players(&source, &PlayersPush::default(), PATIENT);
    for status in [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::TEMPORARY_REDIRECT] {
        let headers = vec![("location", elsewhere.url.clone())];
        double.answer(Answer { headers, ..Answer::status(status, "") });
        assert_eq!(read(&mut players, 1).await.unwrap_err().cause, Cause::Refused, "{status}");
    }
    assert!(elsewhere.asked().is_empty(), "whoever answers decides what else in this network is asked");
}

#[tokio::test]
async fn an_endless_document_is_cut_and_a_packed_one_is_not_unpacked() {
    let double = Double::answering(Answer::ok(" ".repeat(2 << 20) + "{\"players\": 9}")).await;
    let source = PlayersSource::Http { url: double.url.clone(), pointer: "/players".to_owned() };
    let mut players = players(&source, &PlayersPush::default(), PATIENT);
    let error = read(&mut players, 1).await.unwrap_err();
    assert_eq!(error.cause, Cause::Malformed);
    assert!(error.detail.contains("more than 1048576 bytes"), "{error}");
    let headers = vec![("content-encoding", "gzip".to_owned())];
    double.answer(Answer { headers, ..Answer::ok("{\"players\": 9}") });
    assert_eq!(read(&mut players, 2).await.unwrap(), both(2, 7, 2), "it is read as it came");
    assert!(double.asked().iter().all(|asked| !asked.headers.contains_key("accept-encoding")));
}
