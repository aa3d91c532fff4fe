//! How each engine calls what we need. An engine is this mapping and nothing more; a new one is a new table.

use evenkeel_core::spec::Signal;
use evenkeel_fleet::model::EngineKind;

/// An engine's names. Where there are several, the first on the page counts: the present name, then older ones.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Requests in the batch (gauge).
    pub(super) running: &'static [&'static str],
    /// Requests in the engine's own waiting line (gauge); every page must have it.
    pub(super) waiting: &'static [&'static str],
    /// Share of the KV cache in use.
    pub(super) kv: &'static [Share],
    /// Prompt tokens looked up in the prefix cache, and found there (counters).
    pub(super) prefix: &'static [Lookup],
    /// What this table can answer for.
    pub(super) signals: &'static [Signal],
}

/// A gauge that is a share.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) name: &'static str,
    /// The value that means all of it: 1, or 100 for a percentage.
    pub(super) whole: f64,
}

/// Two counters that belong together.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) queried: &'static str,
    pub(super) found: &'static str,
}

const fn share(name: &'static str) -> Share {
    Share { name, whole: 1.0 }
}

/// GPU utilization, wherever the page has it: the emulated replica's busy share, dcgm-exporter's fields where one
/// endpoint serves both, Triton's gauge.
pub(super) const GPU_UTILIZATION: &[Share] = &[
    share("evenkeel_replica_busy_share"),
    Share { name: "DCGM_FI_DEV_GPU_UTIL", whole: 100.0 },
    share("DCGM_FI_PROF_GR_ENGINE_ACTIVE"),
    share("nv_gpu_utilization"),
];

/// vLLM until 0.8 wrote `gpu_cache_usage_perc` and the prefix counters with a `gpu_` before them, for a while without
/// `_total`.
const VLLM: Mapping = Mapping {
    running: &["vllm:num_requests_running"],
    waiting: &["vllm:num_requests_waiting"],
    kv: &[share("vllm:kv_cache_usage_perc"), share("vllm:gpu_cache_usage_perc")],
    prefix: &[
        Lookup { queried: "vllm:prefix_cache_queries_total", found: "vllm:prefix_cache_hits_total" },
        Lookup { queried: "vllm:gpu_prefix_cache_queries_total", found: "vllm:gpu_prefix_cache_hits_total" },
        Lookup { queried: "vllm:gpu_prefix_cache_queries", found: "vllm:gpu_prefix_cache_hits" },
    ],
    signals: &[Signal::GpuUtilization, Signal::KvUtilization, Signal::EngineWaiting, Signal::PrefixCacheMiss],
};

/// SGLang looks every prompt token up and counts the found ones by where they were.
const SGLANG: Mapping = Mapping {
    running: &["sglang:num_running_reqs"],
    waiting: &["sglang:num_queue_reqs"],
    kv: &[share("sglang:token_usage")],
    prefix: &[Lookup { queried: "sglang:prompt_tokens_total", found: "sglang:cached_tokens_total" }],
    signals: &[Signal::GpuUtilization, Signal::KvUtilization, Signal::EngineWaiting, Signal::PrefixCacheMiss],
};

const TGI: Mapping = Mapping {
    running: &["tgi_batch_current_size"],
    waiting: &["tgi_queue_size"],
    kv: &[],
    prefix: &[],
    signals: &[Signal::GpuUtilization, Signal::EngineWaiting],
};

/// llama.cpp dropped its KV gauge when its cache was unified; older servers still have it.
const LLAMA_CPP: Mapping = Mapping {
    running: &["llamacpp:requests_processing"],
    waiting: &["llamacpp:requests_deferred"],
    kv: &[share("llamacpp:kv_cache_usage_ratio")],
    prefix: &[],
    signals: &[Signal::GpuUtilization, Signal::KvUtilization, Signal::EngineWaiting],
};

pub(super) const fn of(engine: EngineKind) -> &'static Mapping {
    match engine {
        EngineKind::Vllm => &VLLM,
        EngineKind::Sglang => &SGLANG,
        EngineKind::Tgi => &TGI,
        EngineKind::LlamaCpp => &LLAMA_CPP,
    }
}
