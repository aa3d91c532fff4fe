//! Calibrating the emulated replica, whose constants are known, in real time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use evenkeel_core::profile::Profile;
use evenkeel_core::spec::Lengths;
use evenkeel_core::units::Span;
use evenkeel_load::Target;
use evenkeel_load::calibrate::{CalibrationError, Comparing, Engine, Figure, Kind, Settings, verify};
use evenkeel_local::emulated::{self, OPEN_OUTPUT};
use std::time::Duration;
use support::{Ending, Reply, Server, quick};

/// An engine so slow that the noise of a loaded machine is small beside it.
fn slow_engine() -> Profile {
    Profile {
        iteration_ms: 20.0,
        per_sequence_ms: 8.0,
        decode_steps: Vec::new(),
        per_cached_token_ms: 0.0,
        per_prefill_token_ms: 1.0,
        per_prefill_chunk_ms: 0.0,
        per_prefill_token_squared_ms: 0.0,
        max_batched_tokens: 256,
        max_sequences: 3,
        kv_tokens: 10_000,
        max_model_tokens: 512,
        prefix_hit_share: 0.0,
        overhead_ms: 20.0,
    }
}

async fn replica(profile: Profile) -> Target {
    let replica = emulated::Server::bind(emulated::Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        model: "slow".to_owned(),
        profile,
        start_up: Duration::ZERO,
        seed: 1,
        open_output: OPEN_OUTPUT,
        drain: Duration::from_secs(5),
        fault: None,
    })
    .await
    .unwrap();
    let address = replica.address();
    tokio::spawn(replica.run(std::future::pending()));
    Target::parse(&format!("http://{address}")).unwrap()
}

fn settings() -> Settings {
    Settings {
        model: None,
        api_key: None,
        max_batched_tokens: 256,
        max_sequences: 3,
        kv_tokens: Some(10_000),
        max_model_tokens: Some(512),
        top_concurrency: 64,
        longest_prompt: 160,
        rounds: 1,
        seed: 1,
        timeout: Duration::from_secs(60),
    }
}

async fn refused(server: &Server, settings: Settings) -> String {
    Engine::prepare(server.target.clone(), settings).await.expect_err("it is no engine to be measured").to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_constants_of_an_engine_come_back_from_its_tokens() {
    let truth = slow_engine();
    let mut engine = Engine::prepare(replica(truth.clone()).await, settings()).await.unwrap();
    let (calibration, comparison) = verify(&mut engine, &comparing(), 1, &mut |_| {}).await.unwrap();
    let found = &calibration.profile;
    let near = |found: f64, truth: f64, share: f64| (found / truth - 1.0).abs() <= share;
    // What matters is how long iterations are; single constants may trade a little with each other.
    for sequences in [1.0, 2.0, 3.0] {
        let (is, says) = (truth.decode_iteration_ms(sequences, 40.0), found.decode_iteration_ms(sequences, 40.0));
        assert!(near(says, is, 0.25), "{sequences} sequences: {says} ms, truly {is} ms: {found:?}");
    }
    assert!(near(found.prefill_ms(200.0, 1.0), truth.prefill_ms(200.0, 1.0), 0.25), "{found:?}");
    let (alone, truly) = (found.overhead_ms + found.iteration_ms, truth.overhead_ms + truth.iteration_ms);
    assert!(near(alone, truly, 0.4), "a short prompt alone: {alone} ms, truly {truly} ms");
    assert_eq!((found.max_batched_tokens, found.max_sequences, found.kv_tokens), (256, 3, 10_000));
    assert_eq!(calibration.model, "slow");
    assert!(calibration.fit.errors[&Kind::Decode].observations >= 4);
    let [half] = comparison.loads.as_slice() else { panic!("one load: {comparison:?}") };
    assert!(half.requests > 0 && half.requests_per_second > 0.5, "{half:?}");
    for (figure, compared) in &half.figures {
        assert!(compared.measured.len() == 1 && compared.model.len() == 1, "{figure:?}: {compared:?}");
        assert!(compared.error.is_finite() && compared.spread == 0.0, "{figure:?}: {compared:?}");
    }
    // An iteration takes 20 ms at least, for the engine and for the model of it.
    let gap = &half.figures[&Figure::ItlMean];
    assert!(gap.measured[0] > 19.0 && gap.model[0] > 15.0, "{gap:?}");
}

/// One short load, to see that both sides tell their figures; how near they are to each other is this machine's affair.
fn comparing() -> Comparing {
    Comparing {
        loads: vec![0.5],
        prompt_tokens: Lengths { mean: 30.0, sigma: 0.5 },
        output_tokens: Lengths { mean: 10.0, sigma: 0.5 },
        repeats: 1,
        length: Span::from_secs(5),
        itl_bound_ms: None,
    }
}

#[tokio::test]
async fn what_is_no_engine_is_told_from_an_engine_that_is_not_there() {
    let page = Server::start(|_| Reply::Json(404, "{}".to_owned())).await;
    assert_eq!(refused(&page, settings()).await, "no engine answers there: GET /v1/models answers 404 Not Found");
    let gone = Target::parse("http://127.0.0.1:1").unwrap();
    let nothing = Engine::prepare(gone, settings()).await.unwrap_err();
    assert!(nothing.to_string().starts_with("nothing to measure: no connection"), "{nothing}");
}

#[tokio::test]
async fn a_model_that_is_not_served_is_refused_before_anything_is_sent() {
    let wrong = Settings { model: Some("other".to_owned()), ..settings() };
    let refused = Engine::prepare(replica(slow_engine()).await, wrong).await.unwrap_err();
    assert_eq!(refused.to_string(), "the model `other` is not served there; there are slow");
    assert!(matches!(refused, CalibrationError::NotServed { .. }));
}

/// An engine that tells its model and answers requests in some way.
async fn engine(answer: impl Fn() -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |asked| match asked.path.as_str() {
        "/v1/models" => Reply::Json(200, r#"{"data":[{"id":"tiny"}]}"#.to_owned()),
        "/v1/chat/completions" => answer(),
        _ => Reply::Json(404, String::new()),
    })
    .await
}

#[tokio::test]
async fn an_engine_that_fails_or_counts_otherwise_is_not_measured() {
    let failing = engine(|| Reply::Json(500, "{}".to_owned())).await;
    assert!(refused(&failing, settings()).await.contains("a request of the sweep failed: answered 500"));
    // Eight tokens are asked for, and five come.
    let stopping = engine(quick).await;
    assert!(refused(&stopping, settings()).await.contains("must obey `max_tokens` with `ignore_eos`"));
    // Every prompt is told to have nine tokens, however long it is.
    let tokens = || Reply::Tokens { first: Duration::ZERO, gap: Duration::ZERO, tokens: 8, ending: Ending::Done };
    assert!(refused(&engine(tokens).await, settings()).await.contains("does not count tokens"));
}

#[tokio::test]
async fn limits_that_the_engine_does_not_tell_are_asked_for_by_their_flag() {
    let engine = engine(quick).await;
    let refused_without = |settings: Settings| refused(&engine, settings);
    let cache = refused_without(Settings { kv_tokens: None, ..settings() }).await;
    assert_eq!(cache, "the engine does not tell how many tokens its KV cache holds; say it with `--kv-tokens`");
    assert!(refused_without(Settings { max_model_tokens: None, ..settings() }).await.contains("--max-model-tokens"));
    let one_at_a_time = refused_without(Settings { max_sequences: 1, ..settings() }).await;
    assert!(one_at_a_time.contains("too few points can be measured"), "{one_at_a_time}");
}
