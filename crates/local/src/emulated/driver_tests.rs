#![allow(clippy::unwrap_used)]

use super::*;
use crate::emulated::OPEN_OUTPUT;
use crate::emulated::request::Form;
use evenkeel_core::units::Span;

/// An iteration takes 5 ms, whatever is in it.
fn driver() -> Driver {
    let profile = Profile {
        iteration_ms: 5.0,
        per_sequence_ms: 0.0,
        decode_steps: Vec::new(),
        per_cached_token_ms: 0.0,
        per_prefill_token_ms: 0.0,
        per_prefill_chunk_ms: 0.0,
        per_prefill_token_squared_ms: 0.0,
        max_batched_tokens: 512,
        max_sequences: 4,
        kv_tokens: 10_000,
        max_model_tokens: 5_000,
        prefix_hit_share: 0.0,
        overhead_ms: 0.0,
    };
    let lengths = OutputLengths { seed: 7, shape: OPEN_OUTPUT };
    Driver::new(Clock::anchored(), "tiny".to_owned(), &profile, lengths).unwrap()
}

fn streamed(max_tokens: u32, stream: bool) -> Job {
    Job { form: Form::Completion, prompt_tokens: 4, max_tokens: Some(max_tokens), stream, include_usage: false }
}

fn submit(driver: &mut Driver, at: Time, job: Job) -> Accepted {
    let (reply, mut accepted) = oneshot::channel();
    driver.wake(at, driver.due(), Some(Command::Submit { job, at, reply }));
    driver.deliver();
    accepted.try_recv().unwrap().unwrap()
}

fn wake(driver: &mut Driver, at: Time) {
    driver.wake(at, driver.due(), None);
    driver.deliver();
}

fn told(accepted: &mut Accepted) -> Vec<Update> {
    std::iter::from_fn(|| accepted.updates.try_recv().ok()).collect()
}

fn ms(millis: i64) -> Span {
    Span::from_millis(millis)
}

#[test]
fn a_late_wake_up_tells_all_due_tokens_at_once_and_moves_no_later_one() {
    let mut driver = driver();
    let start = driver.engine.now() + ms(1);
    let mut stream = submit(&mut driver, start, streamed(100, true));
    assert_eq!(driver.due(), Some(start + ms(5)));
    wake(&mut driver, start + ms(5));
    assert_eq!(told(&mut stream), [Update::Tokens(1)]);
    // Due at +10 ms, but the machine stalls until +123 ms.
    wake(&mut driver, start + ms(123));
    assert_eq!(told(&mut stream), [Update::Tokens(24)]);
    assert_eq!(driver.due(), Some(start + ms(125)), "the next token keeps its place");
    wake(&mut driver, start + ms(500));
    assert_eq!(told(&mut stream), [Update::Finished(100, Reason::Length)]);
    let page = driver.page();
    assert!(page.contains("evenkeel_replica_lag_max_seconds{engine=\"0\",model_name=\"tiny\"} 0.375"), "{page}");
    assert!(page.contains("evenkeel_replica_lag_seconds_count{engine=\"0\",model_name=\"tiny\"} 3.0"), "{page}");
    assert!(page.contains("vllm:e2e_request_latency_seconds_sum{engine=\"0\",model_name=\"tiny\"} 0.5"), "{page}");
}

#[test]
fn without_a_listening_stream_it_sleeps_until_something_ends() {
    let mut driver = driver();
    let start = driver.engine.now() + ms(1);
    let mut whole = submit(&mut driver, start, streamed(100, false));
    wake(&mut driver, start + ms(5));
    assert_eq!(driver.due(), Some(start + ms(500)));
    wake(&mut driver, start + ms(500));
    assert_eq!(told(&mut whole), [Update::Finished(100, Reason::Length)]);
    assert_eq!(driver.due(), None);
}

#[test]
fn a_request_joins_when_it_arrived_not_when_the_driver_got_to_it() {
    let mut driver = driver();
    let start = driver.engine.now() + ms(1);
    let (reply, mut accepted) = oneshot::channel();
    let late = Command::Submit { job: streamed(2, true), at: start, reply };
    driver.wake(start + ms(7), driver.due(), Some(late));
    driver.deliver();
    assert_eq!(told(&mut accepted.try_recv().unwrap().unwrap()), [Update::Tokens(1)]);
    assert_eq!(driver.due(), Some(start + ms(10)));
}

#[test]
fn a_client_that_left_before_its_request_was_taken_leaves_nothing_behind() {
    let mut driver = driver();
    let start = driver.engine.now() + ms(1);
    let (reply, accepted) = oneshot::channel();
    drop(accepted);
    driver.wake(start, driver.due(), Some(Command::Submit { job: streamed(100, true), at: start, reply }));
    wake(&mut driver, start + ms(20));
    assert_eq!((driver.engine.running(), driver.live.len(), driver.due()), (0, 0, None));
}
