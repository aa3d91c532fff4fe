//! What a replica tells on `/metrics`: vLLM's names, types, labels and bucket edges (version 0.32), and beside them our
//! own of the emulation itself, all beginning with `evenkeel_replica_`.
//!
//! Left out of vLLM's page: the `_created` gauges, process and HTTP metrics, and families of features that the engine
//! model has not (multimodal cache, KV transfer, LoRA).

use super::exposition::{Histogram, Page};
use evenkeel_core::units::Span;
use evenkeel_engine::replica::{Counters, Event, Finished, IterationRun};

const TOKENS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0];
const TOKENS_PER_ITERATION: &[f64] =
    &[1.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0, 16384.0];
const PREEMPTIONS: &[f64] = &[1.0, 2.0, 3.0, 4.0, 5.0, 10.0, 20.0];
const FIRST_TOKEN: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
];
const GAPS: &[f64] =
    &[0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0];
const REQUEST: &[f64] = &[
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
];
/// Finer than a timer's own lateness of about a millisecond, up to lags that make a replica useless.
const LAG: &[f64] = &[0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0];

/// Why a request ended, as vLLM names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The model chose to end.
    Stop,
    /// `max_tokens` was reached.
    Length,
}

impl Reason {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// What holds at the moment of asking.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Levels {
    pub(super) running: usize,
    pub(super) waiting: usize,
    /// 0 to 1.
    pub(super) kv_usage: f64,
    /// Share of the last second spent in iterations, 0 to 1.
    pub(super) busy_share: f64,
}

/// Everything counted since the replica began, besides the engine's own counters.
#[derive(Debug)]
pub(super) struct Metrics {
    stopped: u64,
    reached_length: u64,
    prompt_tokens: Histogram,
    generation_tokens: Histogram,
    iteration_tokens: Histogram,
    max_tokens: Histogram,
    preemptions: Histogram,
    first_token: Histogram,
    gaps: Histogram,
    per_output_token: Histogram,
    end_to_end: Histogram,
    queued: Histogram,
    inference: Histogram,
    prefill: Histogram,
    decode: Histogram,
    lag: Histogram,
    largest_lag: f64,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self {
            stopped: 0,
            reached_length: 0,
            prompt_tokens: Histogram::with(TOKENS),
            generation_tokens: Histogram::with(TOKENS),
            iteration_tokens: Histogram::with(TOKENS_PER_ITERATION),
            max_tokens: Histogram::with(TOKENS),
            preemptions: Histogram::with(PREEMPTIONS),
            first_token: Histogram::with(FIRST_TOKEN),
            gaps: Histogram::with(GAPS),
            per_output_token: Histogram::with(GAPS),
            end_to_end: Histogram::with(REQUEST),
            queued: Histogram::with(REQUEST),
            inference: Histogram::with(REQUEST),
            prefill: Histogram::with(REQUEST),
            decode: Histogram::with(REQUEST),
            lag: Histogram::with(LAG),
            largest_lag: 0.0,
        }
    }

    /// Counts what the engine tells, besides a request's end.
    pub(super) fn record(&mut self, event: &Event) {
        match event {
            Event::Iterations(run) => self.iterations(run),
            Event::Resumed { gap, .. } => self.gaps.observe(gap.as_secs_f64()),
            Event::FirstToken { .. } | Event::Finished(_) => {}
        }
    }

    /// The time to a request's first token.
    pub(super) fn first_token(&mut self, after: Span) {
        self.first_token.observe(after.as_secs_f64());
    }

    /// A request that has all its tokens.
    pub(super) fn finished(&mut self, finished: &Finished, reason: Reason) {
        match reason {
            Reason::Stop => self.stopped += 1,
            Reason::Length => self.reached_length += 1,
        }
        self.prompt_tokens.observe(f64::from(finished.prompt_tokens));
        self.generation_tokens.observe(f64::from(finished.output_tokens));
        if reason == Reason::Length {
            self.max_tokens.observe(f64::from(finished.output_tokens));
        }
        self.preemptions.observe(f64::from(finished.preemptions));
        if let Some(seconds) = finished.tpot_seconds() {
            self.per_output_token.observe(seconds);
        }
        self.end_to_end.observe(finished.end_to_end().as_secs_f64());
        self.queued.observe(finished.queue_time().as_secs_f64());
        self.inference.observe(finished.finished.since(finished.scheduled).as_secs_f64());
        self.prefill.observe(finished.first_token.since(finished.scheduled).as_secs_f64());
        self.decode.observe(finished.finished.since(finished.first_token).as_secs_f64());
    }

    /// How late something due was noticed.
    pub(super) fn lagged(&mut self, lag: Span) {
        let seconds = lag.as_secs_f64();
        self.lag.observe(seconds);
        self.largest_lag = self.largest_lag.max(seconds);
    }

    fn iterations(&mut self, run: &IterationRun) {
        self.iteration_tokens.observe_times((run.sequences + run.prefill_tokens) as f64, run.iterations);
        let (first, last) = (run.first.as_secs_f64(), run.last.as_secs_f64());
        let steps = run.iterations.saturating_sub(1).max(1) as f64;
        // A cancelled request takes its gap from the run's last iteration.
        let mut left = run.gaps;
        for index in 0..run.iterations {
            let gaps = run.sequences.min(left);
            left -= gaps;
            self.gaps.observe_times(first + (last - first) * index as f64 / steps, gaps);
        }
    }

    /// The page.
    pub(super) fn page(&self, model: &str, counters: &Counters, levels: &Levels) -> String {
        let mut page = Page::of(model);
        gauges(&mut page, levels);
        self.counters(&mut page, counters);
        self.token_histograms(&mut page);
        self.time_histograms(&mut page);
        self.emulation(&mut page, levels);
        page.into_text()
    }

    fn counters(&self, page: &mut Page, counters: &Counters) {
        for (name, help, value) in [
            (
                "vllm:prefix_cache_queries_total",
                "Prompt tokens looked up in the prefix cache.",
                counters.prefix_queried_tokens,
            ),
            ("vllm:prefix_cache_hits_total", "Prompt tokens found in the prefix cache.", counters.prefix_hit_tokens),
            ("vllm:num_preemptions_total", "Requests that lost their place in the KV cache.", counters.preemptions),
            ("vllm:prompt_tokens_total", "Prompt tokens of requests whose first token is out.", counters.prompt_tokens),
            ("vllm:generation_tokens_total", "Tokens generated.", counters.generation_tokens),
        ] {
            page.counter(name, help, value);
        }
        let ended = [
            ("stop", self.stopped as f64),
            ("length", self.reached_length as f64),
            ("abort", counters.cancelled as f64),
            ("error", 0.0),
            ("repetition", 0.0),
        ];
        page.by_label(
            "counter",
            "vllm:request_success_total",
            "Requests that ended, by reason.",
            "finished_reason",
            &ended,
        );
    }

    fn token_histograms(&self, page: &mut Page) {
        for (name, help, histogram) in [
            ("vllm:request_prompt_tokens", "Prompt length of finished requests.", &self.prompt_tokens),
            ("vllm:request_generation_tokens", "Output length of finished requests.", &self.generation_tokens),
            ("vllm:iteration_tokens_total", "Tokens in one iteration, prefill and decode.", &self.iteration_tokens),
            ("vllm:request_params_max_tokens", "The parameter max_tokens of finished requests.", &self.max_tokens),
            ("vllm:request_num_preemptions", "Preemptions of a finished request.", &self.preemptions),
        ] {
            page.histogram(name, help, histogram);
        }
    }

    fn time_histograms(&self, page: &mut Page) {
        for (name, help, histogram) in [
            ("vllm:time_to_first_token_seconds", "From arrival to the first token.", &self.first_token),
            ("vllm:inter_token_latency_seconds", "Gaps between a request's tokens.", &self.gaps),
            (
                "vllm:request_time_per_output_token_seconds",
                "A request's mean time per output token after the first.",
                &self.per_output_token,
            ),
            ("vllm:e2e_request_latency_seconds", "From arrival to the last token.", &self.end_to_end),
            ("vllm:request_queue_time_seconds", "In the waiting line.", &self.queued),
            ("vllm:request_inference_time_seconds", "From the first scheduling to the last token.", &self.inference),
            ("vllm:request_prefill_time_seconds", "From the first scheduling to the first token.", &self.prefill),
            ("vllm:request_decode_time_seconds", "From the first token to the last.", &self.decode),
        ] {
            page.histogram(name, help, histogram);
        }
    }

    fn emulation(&self, page: &mut Page, levels: &Levels) {
        page.gauge(
            "evenkeel_replica_busy_share",
            "Share of the last second spent in iterations, 0 to 1: what stands for GPU utilization here.",
            levels.busy_share,
        );
        page.histogram(
            "evenkeel_replica_lag_seconds",
            "How late a due iteration was noticed; above a timer's own millisecond the machine is overloaded.",
            &self.lag,
        );
        page.gauge("evenkeel_replica_lag_max_seconds", "The largest such lag since the start.", self.largest_lag);
    }
}

fn gauges(page: &mut Page, levels: &Levels) {
    let (running, waiting) = (levels.running as f64, levels.waiting as f64);
    page.gauge("vllm:num_requests_running", "Requests in the batch.", running);
    page.gauge("vllm:num_requests_waiting", "Requests in the waiting line.", waiting);
    page.by_label(
        "gauge",
        "vllm:num_requests_waiting_by_reason",
        "Requests in the waiting line, by what they wait for.",
        "reason",
        &[("capacity", waiting), ("deferred", 0.0)],
    );
    page.gauge("vllm:kv_cache_usage_perc", "Share of the KV cache in use, 0 to 1.", levels.kv_usage);
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
