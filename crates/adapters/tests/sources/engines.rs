//! Engines' metrics over real sockets: what counts, and that what is missing is never zero.

use crate::double::{Answer, Double};
use axum::http::StatusCode;
use evenkeel_adapters::engines::Engines;
use evenkeel_controller::ports::{Finding, LivingReplica, Source as _};
use evenkeel_core::observe::{Cause, Mean, Portion, Reading, ReplicaId};
use evenkeel_core::profile::Profile;
use evenkeel_core::spec::Signal;
use evenkeel_core::units::{Span, Time};
use evenkeel_fleet::model::EngineKind;
use evenkeel_local::emulated::{OPEN_OUTPUT, Options, Server};
use std::net::SocketAddr;
use std::time::Duration;

const PATIENT: Duration = Duration::from_secs(20);

fn at(second: i64) -> Time {
    Time::from_micros(1_700_000_000_000_000) + Span::from_secs(second)
}

fn engines(engine: EngineKind, timeout: Duration) -> Engines {
    Engines::new([("gold".to_owned(), engine)], timeout).unwrap()
}

fn living(name: &str, url: &str) -> LivingReplica {
    LivingReplica { tier: "gold".to_owned(), id: ReplicaId(name.to_owned()), url: url.to_owned(), ready: true }
}

/// A page of vLLM with the emulated replica's busy share.
fn page(waiting: u32, kv: f64, busy: f64, queried: u64, found: u64) -> Answer {
    Answer::ok(format!(
        "# TYPE vllm:num_requests_running gauge\n\
         vllm:num_requests_running{{engine=\"0\"}} 2.0\n\
         vllm:num_requests_waiting{{engine=\"0\"}} {waiting}.0\n\
         vllm:num_requests_waiting_by_reason{{engine=\"0\",reason=\"deferred\"}} 99.0\n\
         vllm:kv_cache_usage_perc{{engine=\"0\"}} {kv}\n\
         vllm:prefix_cache_queries_total{{engine=\"0\"}} {queried}.0\n\
         vllm:prefix_cache_hits_total{{engine=\"0\"}} {found}.0\n\
         evenkeel_replica_busy_share {busy}\n"
    ))
}

async fn read(engines: &mut Engines, second: i64, living: &[LivingReplica]) -> Finding {
    let mut findings = engines.read(at(second), living).await.unwrap();
    assert_eq!(findings.len(), 1);
    findings.remove(0)
}

fn fresh<T: Copy>(reading: Reading<T>) -> T {
    *reading.fresh().unwrap_or_else(|| panic!("missing: {:?}", reading.blind()))
}

#[tokio::test]
async fn two_replicas_are_one_reading_with_sums_and_counts() {
    let (one, two) =
        (Double::answering(page(3, 0.5, 0.9, 0, 0)).await, Double::answering(page(1, 0.25, 0.7, 0, 0)).await);
    let finding =
        read(&mut engines(EngineKind::Vllm, PATIENT), 0, &[living("a", &one.url), living("b", &two.url)]).await;
    let Mean { sum, count } = fresh(finding.signals.kv_utilization);
    assert!((sum - 0.75).abs() < 1e-9 && count == 2);
    let Mean { sum, count } = fresh(finding.signals.gpu_utilization);
    assert!((sum - 1.6).abs() < 1e-9 && count == 2);
    assert_eq!(fresh(finding.signals.engine_waiting), 4);
    assert_eq!(finding.replica_load, [(ReplicaId("a".to_owned()), 5), (ReplicaId("b".to_owned()), 3)]);
    assert!(one.asked().iter().all(|asked| asked.uri.path() == "/metrics"));
}

#[tokio::test]
async fn a_replica_that_is_gone_or_not_ready_is_neither_asked_nor_counted() {
    let (one, two) =
        (Double::answering(page(3, 0.5, 0.9, 0, 0)).await, Double::answering(page(7, 0.9, 1.0, 0, 0)).await);
    let mut engines = engines(EngineKind::Vllm, PATIENT);
    let both = [living("a", &one.url), living("b", &two.url)];
    assert_eq!(fresh(read(&mut engines, 0, &both).await.signals.engine_waiting), 10);
    let asked = two.asked().len();
    let starting = LivingReplica { ready: false, ..both[1].clone() };
    assert_eq!(fresh(read(&mut engines, 1, &[both[0].clone(), starting]).await.signals.engine_waiting), 3);
    let other_tier = LivingReplica { tier: "silver".to_owned(), ..both[1].clone() };
    assert_eq!(fresh(read(&mut engines, 2, &[both[0].clone(), other_tier]).await.signals.engine_waiting), 3);
    assert_eq!(two.asked().len(), asked);
}

#[tokio::test]
async fn one_silent_replica_makes_the_tier_partial_and_all_silent_ones_say_why() {
    let one = Double::answering(page(3, 0.5, 0.9, 0, 0)).await;
    let two = Double::answering(page(3, 0.5, 0.9, 0, 0)).await;
    let mut engines = engines(EngineKind::Vllm, PATIENT);
    let both = [living("a", &one.url), living("b", &two.url)];
    let error = Answer::status(StatusCode::INTERNAL_SERVER_ERROR, "");
    two.answer(error.clone());
    let partial = read(&mut engines, 0, &both).await;
    assert_eq!(partial.signals.engine_waiting.blind(), Some(Cause::Partial));
    assert_eq!(partial.signals.kv_utilization.blind(), Some(Cause::Partial));
    assert_eq!(partial.signals.gpu_utilization.blind(), Some(Cause::Partial));
    assert_eq!(partial.replica_load.len(), 1, "the silent one's load is unknown, not zero");
    one.answer(error);
    assert_eq!(read(&mut engines, 1, &both).await.signals.engine_waiting.blind(), Some(Cause::Refused));
}

#[tokio::test]
async fn a_blackout_is_unreachable_and_a_slow_replica_is_timed_out() {
    let closed = Double::answering(page(0, 0.0, 0.0, 0, 0)).await.url.clone();
    let slow = Double::answering(page(0, 0.0, 0.0, 0, 0).late(PATIENT)).await;
    let mut engines = engines(EngineKind::Vllm, Duration::from_secs(2));
    let gone = read(&mut engines, 0, &[living("a", &closed)]).await.signals;
    assert_eq!(gone.engine_waiting, Reading::Missing { cause: Cause::Unreachable });
    let late = read(&mut engines, 1, &[living("b", &slow.url)]).await.signals;
    assert_eq!(late.engine_waiting, Reading::Missing { cause: Cause::TimedOut });
    assert_eq!(late.prefix_cache_miss.blind(), Some(Cause::TimedOut));
    assert_eq!(late.players, Reading::default(), "what it does not cover stays 'not configured'");
}

#[tokio::test]
async fn no_ready_replica_is_told_apart_from_an_idle_one() {
    let finding = read(&mut engines(EngineKind::Vllm, PATIENT), 0, &[]).await;
    for signal in [finding.signals.engine_waiting.blind(), finding.signals.gpu_utilization.blind()] {
        assert_eq!(signal, Some(Cause::NoReplica));
    }
    let idle = Double::answering(page(0, 0.0, 0.0, 0, 0)).await;
    let finding = read(&mut engines(EngineKind::Vllm, PATIENT), 0, &[living("a", &idle.url)]).await;
    assert_eq!(fresh(finding.signals.engine_waiting), 0);
}

#[tokio::test]
async fn prefix_misses_are_differences_and_a_reset_or_a_new_replica_makes_none() {
    let one = Double::answering(page(0, 0.0, 0.0, 1_000, 900)).await;
    let two = Double::answering(page(0, 0.0, 0.0, 50, 50)).await;
    let mut engines = engines(EngineKind::Vllm, PATIENT);
    let (only, both) = ([living("a", &one.url)], [living("a", &one.url), living("b", &two.url)]);
    assert_eq!(read(&mut engines, 0, &only).await.signals.prefix_cache_miss.blind(), Some(Cause::FirstReading));

    one.answer(page(0, 0.0, 0.0, 1_100, 930));
    let misses = fresh(read(&mut engines, 1, &only).await.signals.prefix_cache_miss);
    assert_eq!(misses, Portion { part: 70, whole: 100 });

    // A replica joins: its part cannot be known yet.
    assert_eq!(read(&mut engines, 2, &both).await.signals.prefix_cache_miss.blind(), Some(Cause::Partial));
    two.answer(page(0, 0.0, 0.0, 60, 58));
    let misses = fresh(read(&mut engines, 3, &both).await.signals.prefix_cache_miss);
    assert_eq!(misses, Portion { part: 2, whole: 10 });

    // One restarts under its old name, then both.
    one.answer(page(0, 0.0, 0.0, 5, 5));
    assert_eq!(read(&mut engines, 4, &both).await.signals.prefix_cache_miss.blind(), Some(Cause::Partial));
    one.answer(page(0, 0.0, 0.0, 1, 0));
    two.answer(page(0, 0.0, 0.0, 1, 0));
    assert_eq!(read(&mut engines, 5, &both).await.signals.prefix_cache_miss.blind(), Some(Cause::CounterReset));

    // A read that failed loses nothing: the next difference spans it.
    one.answer(Answer::status(StatusCode::SERVICE_UNAVAILABLE, ""));
    read(&mut engines, 6, &only).await;
    one.answer(page(0, 0.0, 0.0, 11, 5));
    let misses = fresh(read(&mut engines, 7, &only).await.signals.prefix_cache_miss);
    assert_eq!(misses, Portion { part: 5, whole: 10 });
}

#[tokio::test]
async fn numbers_that_are_none_and_pages_that_are_none_are_refused_at_the_door() {
    let replica = Double::answering(Answer::ok("")).await;
    let only = [living("a", &replica.url)];
    let mut engines = engines(EngineKind::Vllm, PATIENT);
    for (body, waiting, kv) in [
        ("vllm:num_requests_waiting NaN\nvllm:kv_cache_usage_perc +Inf\n", Cause::NotANumber, Cause::NotANumber),
        ("vllm:num_requests_waiting -1\nvllm:kv_cache_usage_perc -0.5\n", Cause::NotANumber, Cause::NotANumber),
        // A percentage where a share belongs.
        ("vllm:kv_cache_usage_perc 37\n", Cause::Malformed, Cause::Malformed),
        // One rank's NaN does not hide behind another's number.
        (
            "vllm:num_requests_waiting{engine=\"0\"} 1\nvllm:num_requests_waiting{engine=\"1\"} NaN\n",
            Cause::NotANumber,
            Cause::NotConfigured,
        ),
        ("<html>not here</html>", Cause::Malformed, Cause::Malformed),
        ("", Cause::Malformed, Cause::NotConfigured),
    ] {
        replica.answer(Answer::ok(body));
        let signals = read(&mut engines, 0, &only).await.signals;
        assert_eq!(
            (signals.engine_waiting.blind(), signals.kv_utilization.blind()),
            (Some(waiting), Some(kv)),
            "{body}"
        );
    }
    replica.answer(Answer::ok("x 1\n".repeat(2_000_000)));
    assert_eq!(read(&mut engines, 0, &only).await.signals.engine_waiting.blind(), Some(Cause::Malformed));
}

#[tokio::test]
async fn each_engine_is_read_by_its_own_names_old_and_new() {
    let old_vllm = "vllm:num_requests_running 1\nvllm:num_requests_waiting 2\nvllm:gpu_cache_usage_perc 0.5\n\
                    vllm:gpu_prefix_cache_queries_total 1\nvllm:gpu_prefix_cache_hits_total 1\n";
    // Two ranks, whose shares are averaged and whose queues are added.
    let two_ranks = "vllm:num_requests_running{engine=\"0\"} 1\nvllm:num_requests_running{engine=\"1\"} 0\n\
                     vllm:num_requests_waiting{engine=\"0\"} 2\nvllm:num_requests_waiting{engine=\"1\"} 0\n\
                     vllm:kv_cache_usage_perc{engine=\"0\"} 0.7\nvllm:kv_cache_usage_perc{engine=\"1\"} 0.3\n";
    let sglang = "sglang:num_running_reqs 1\nsglang:num_queue_reqs 2\nsglang:token_usage 0.5\n\
                  sglang:prompt_tokens_total 4\nsglang:cached_tokens_total{cache_source=\"device\"} 1\n";
    let tgi = "tgi_batch_current_size 1\ntgi_queue_size 2\n";
    let llama = "llamacpp:requests_processing 1\nllamacpp:requests_deferred 2\nllamacpp:kv_cache_usage_ratio 0.5\n";
    for (engine, body, kv) in [
        (EngineKind::Vllm, old_vllm, Some(0.5)),
        (EngineKind::Vllm, two_ranks, Some(0.5)),
        (EngineKind::Sglang, sglang, Some(0.5)),
        (EngineKind::Tgi, tgi, None),
        (EngineKind::LlamaCpp, llama, Some(0.5)),
    ] {
        let replica = Double::answering(Answer::ok(body)).await;
        let mut engines = engines(engine, PATIENT);
        let finding = read(&mut engines, 0, &[living("a", &replica.url)]).await;
        assert_eq!(fresh(finding.signals.engine_waiting), 2, "{engine:?}");
        assert_eq!(finding.replica_load[0].1, 3, "{engine:?}");
        match kv {
            Some(share) => assert!((fresh(finding.signals.kv_utilization).sum - share).abs() < 1e-9, "{engine:?}"),
            None => assert_eq!(finding.signals.kv_utilization, Reading::default(), "{engine:?}"),
        }
        assert_eq!(engines.covers("gold").contains(&Signal::KvUtilization), kv.is_some());
        assert_eq!(engines.covers("silver"), []);
    }
}

#[tokio::test]
async fn a_gpus_own_utilization_is_read_in_its_own_unit() {
    for (line, share) in [
        ("DCGM_FI_DEV_GPU_UTIL{gpu=\"0\"} 80\nDCGM_FI_DEV_GPU_UTIL{gpu=\"1\"} 40\n", 0.6),
        ("DCGM_FI_PROF_GR_ENGINE_ACTIVE{gpu=\"0\"} 0.25\n", 0.25),
    ] {
        let replica = Double::answering(Answer::ok(format!("vllm:num_requests_waiting 0\n{line}"))).await;
        let finding = read(&mut engines(EngineKind::Vllm, PATIENT), 0, &[living("a", &replica.url)]).await;
        assert!((fresh(finding.signals.gpu_utilization).sum - share).abs() < 1e-9, "{line}");
    }
}

#[tokio::test]
async fn the_emulated_replicas_page_gives_every_signal() {
    let page = include_str!("../../../local/tests/fixtures/emulated_replica.prom");
    let replica = Double::answering(Answer::ok(page)).await;
    let mut engines = engines(EngineKind::Vllm, PATIENT);
    read(&mut engines, 0, &[living("a", &replica.url)]).await;
    let signals = read(&mut engines, 1, &[living("a", &replica.url)]).await.signals;
    assert!((fresh(signals.gpu_utilization).sum - 0.1).abs() < 1e-9);
    assert!(fresh(signals.kv_utilization).sum > 0.0);
    assert_eq!(fresh(signals.engine_waiting), 0);
    assert_eq!(fresh(signals.prefix_cache_miss), Portion { part: 0, whole: 0 });
}

#[tokio::test]
async fn a_living_emulated_replica_is_read_while_it_works() {
    let profile = Profile {
        iteration_ms: 5.0,
        per_sequence_ms: 0.0,
        decode_steps: Vec::new(),
        per_cached_token_ms: 0.0,
        per_prefill_token_ms: 0.0,
        per_prefill_chunk_ms: 0.0,
        per_prefill_token_squared_ms: 0.0,
        max_batched_tokens: 512,
        max_sequences: 1,
        kv_tokens: 20_000,
        max_model_tokens: 10_000,
        prefix_hit_share: 0.5,
        overhead_ms: 0.0,
    };
    let options = Options {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        model: "tiny".to_owned(),
        profile,
        start_up: Duration::ZERO,
        seed: 7,
        open_output: OPEN_OUTPUT,
        fault: None,
        drain: Duration::ZERO,
    };
    let replica = Server::bind(options).await.unwrap();
    let url = format!("http://{}", replica.address());
    let serving = tokio::spawn(replica.run(std::future::pending()));
    let mut engines = engines(EngineKind::Vllm, PATIENT);
    let only = [living("a", &url)];
    assert_eq!(fresh(read(&mut engines, 0, &only).await.signals.engine_waiting), 0);

    // Two long requests for one place: one runs, one waits.
    let request = r#"{"prompt": "once upon a time", "max_tokens": 8000, "stream": true}"#;
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(client.post(format!("{url}/v1/completions")).body(request).send().await.unwrap());
    }
    answers[0].chunk().await.unwrap().unwrap();
    let finding = read(&mut engines, 1, &only).await;
    assert_eq!(fresh(finding.signals.engine_waiting), 1);
    assert_eq!(finding.replica_load[0].1, 2);
    assert_eq!(fresh(finding.signals.prefix_cache_miss), Portion { part: 2, whole: 4 });
    assert!(fresh(finding.signals.gpu_utilization).sum > 0.0);
    assert!(fresh(finding.signals.kv_utilization).sum > 0.0);
    serving.abort();
}

#[tokio::test]
async fn huge_numbers_add_up_to_no_small_ones() {
    let replicas = [Double::answering(Answer::ok("")).await, Double::answering(Answer::ok("")).await];
    let both = [living("a", &replicas[0].url), living("b", &replicas[1].url)];
    let mut engines = engines(EngineKind::Vllm, PATIENT);
    let page = |number: &str| {
        Answer::ok(format!(
            "vllm:num_requests_waiting {number}\nvllm:num_requests_running 1\n\
             vllm:prefix_cache_queries_total {number}\nvllm:prefix_cache_hits_total 0\n"
        ))
    };
    replicas.iter().for_each(|replica| replica.answer(page("0")));
    read(&mut engines, 0, &both).await;
    for huge in ["1e300", "1.8e19", "9223372036854775808"] {
        replicas.iter().for_each(|replica| replica.answer(page(huge)));
        let finding = read(&mut engines, 1, &both).await;
        assert_eq!(finding.signals.engine_waiting.blind(), Some(Cause::Malformed), "{huge}");
        assert_eq!(finding.signals.prefix_cache_miss.blind(), Some(Cause::Malformed), "{huge}");
        assert_eq!(finding.replica_load, [], "{huge}");
    }
    replicas.iter().for_each(|replica| replica.answer(page("9e15")));
    assert_eq!(fresh(read(&mut engines, 2, &both).await.signals.engine_waiting), 18_000_000_000_000_000);
}

#[tokio::test]
async fn a_page_without_end_is_cut() {
    let replica = Double::answering(Answer::ok("# x\n".repeat(2 << 20))).await;
    let mut engines = engines(EngineKind::Vllm, PATIENT);
    let finding = read(&mut engines, 0, &[living("a", &replica.url)]).await;
    assert_eq!(finding.signals.engine_waiting.blind(), Some(Cause::Malformed));
    replica.answer(Answer::ok("a 1\n".repeat(60_000) + "vllm:num_requests_waiting 1\n"));
    let finding = read(&mut engines, 1, &[living("a", &replica.url)]).await;
    assert_eq!(finding.signals.engine_waiting.blind(), Some(Cause::Malformed), "more series than any engine has");
}
