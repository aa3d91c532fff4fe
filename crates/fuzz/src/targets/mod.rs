//! The targets: one for each reader of something that comes from outside.

mod journal;
mod texts;

/// One reader under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name; also the name of its corpus' folder.
    pub name: &'static str,
    /// Takes any bytes. It must return, and only panics when the reader breaks its promise.
    pub run: fn(&[u8]),
    /// What the reader knows, for the mutator to put in.
    pub words: &'static [&'static str],
    /// Inputs of the corpus that are made anew each time.
    pub made: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const TARGETS: [Target; 11] = [
    target("metrics_page", evenkeel_adapters::fuzz::metrics_page, &words::METRICS),
    target("gateway_report", evenkeel_adapters::fuzz::gateway_report, &words::REPORT),
    target("player_count", evenkeel_adapters::fuzz::player_count, &words::JSON),
    target("player_series", texts::player_series, &words::SERIES),
    target("fleet_file", texts::fleet_file, &words::FLEET),
    target("client_heads", evenkeel_gateway::fuzz::client_heads, &words::HTTP),
    target("replica_answer", evenkeel_gateway::fuzz::replica_answer, &words::HTTP),
    target("token_stream", evenkeel_gateway::fuzz::token_stream, &words::STREAM),
    target("request_body", evenkeel_gateway::fuzz::request_body, &words::REQUEST),
    Target { name: "journal_file", run: journal::file, words: &words::JSON, made: journal::files },
    Target { name: "journal_rows", run: journal::rows, words: &words::JOURNAL, made: journal::texts },
];

/// The target called `name`.
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

const fn target(name: &'static str, run: fn(&[u8]), words: &'static [&'static str]) -> Target {
    Target { name, run, words, made: Vec::new }
}

/// What readers know, by format.
mod words {
    pub(super) const METRICS: [&str; 20] = [
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:kv_cache_usage_perc",
        "vllm:prefix_cache_queries_total",
        "vllm:prefix_cache_hits_total",
        "evenkeel_replica_busy_share",
        "NaN",
        "+Inf",
        "-Inf",
        "1e300",
        "{a=\"b\"}",
        "\\\"",
        "\\n",
        "\\\\",
        "# TYPE a gauge\n",
        " # {trace=\"1\"} 2",
        ",",
        "}",
        "\u{e9}",
        "\n",
    ];
    pub(super) const REPORT: [&str; 12] = [
        "null",
        "true",
        "[]",
        "{}",
        "\"counts\":[18446744073709551615,18446744073709551615]",
        "\"edges_us\":[250000]",
        "\"sum_us\":-9223372036854775808",
        "\"metric\":\"tpot\"",
        "\"instance\":\"b\"",
        "\"at\":9223372036854775807",
        ",",
        "\n\n",
    ];
    pub(super) const JSON: [&str; 14] = [
        "null", "true", "[]", "{}", "\"\"", "\\u0000", "\\ud800", "1e999", "-0", "{\"a\":", "[[[[[[[[", "/a/0", "~1",
        ",",
    ];
    pub(super) const SERIES: [&str; 8] = ["unix_s,value\n", ",ok", ",gap_interp", "NaN", "inf", "1e11", "#", "\n"];
    pub(super) const FLEET: [&str; 40] = [
        "~",
        "{}",
        "[]",
        ".nan",
        ".inf",
        "1e999",
        "no",
        "007",
        "0x1F",
        "\"\"",
        "\u{e9}\u{20ac}",
        "&a ",
        "*a",
        "!!int ",
        "<<: *a",
        "$/hour",
        "$1/hour",
        "%",
        "99.9%",
        "p95",
        "ms",
        "0s",
        "999999999999d",
        "|\n  block",
        "\n  ",
        ": ",
        "- ",
        "tiers:",
        "policies:",
        "capacity:",
        "target_tracking:",
        "schedules:",
        "objectives:",
        "local:",
        "command:",
        "{port}",
        "minimum:",
        "maximum:",
        "mon-fri 09:00-17:00",
        "Europe/Zurich",
    ];
    pub(super) const HTTP: [&str; 26] = [
        "\r\n",
        "\r\n\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        ":",
        ";",
        "Content-Length: 4\r\n",
        "content-length:",
        "Transfer-Encoding: chunked\r\n",
        "transfer-encoding:",
        "chunked",
        "gzip, chunked",
        "Connection: close\r\n",
        "Expect: 100-continue\r\n",
        "Host: a\r\n",
        "0\r\n\r\n",
        "4\r\nwide\r\n",
        "ffffffffffffffff",
        "GET / HTTP/1.1\r\n\r\n",
        "POST /v1/x HTTP/1.0\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "text/event-stream",
    ];
    pub(super) const STREAM: [&str; 12] = [
        "data: ",
        "data:",
        "\n\n",
        "\r\n\r\n",
        "[DONE]",
        ": comment\n",
        "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}",
        "\"usage\":null",
        "\"choices\":[]",
        "\"role\":\"assistant\",\"content\":\"\"",
        "{\"error\"",
        "event: x\n",
    ];
    pub(super) const REQUEST: [&str; 16] = [
        "\"model\":",
        "\"mod\\u0065l\":",
        "\"gold\"",
        "\"stream\":true",
        "\"messages\":",
        "\"prompt\":",
        "\"input\":",
        "\"content\":",
        "\"text\":",
        "null",
        "[",
        "{",
        "\\ud800",
        "\\\"",
        ",",
        "1e999",
    ];
    pub(super) const JOURNAL: [&str; 18] = [
        "null",
        "true",
        "[]",
        "{}",
        "-1",
        "4294967295",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
        "1e308",
        "1e-320",
        "0",
        "\"ready\"",
        "\"starting\"",
        "\"draining\"",
        "/tiers/0/observation",
        "\nd ",
        "\nw ",
    ];
}
