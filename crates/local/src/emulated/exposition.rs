//! A page in Prometheus' text format 0.0.4, in the form that vLLM's Python client writes it: every number as a float,
//! the labels `engine` and `model_name` on every series.

use std::fmt::Write as _;

/// A page under way.
pub(super) struct Page {
    text: String,
    /// `engine="0",model_name="..."`, escaped.
    labels: String,
}

impl Page {
    pub(super) fn of(model: &str) -> Self {
        Self {
            text: String::with_capacity(24 * 1024),
            labels: format!("engine=\"0\",model_name=\"{}\"", escaped(model)),
        }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, help, "gauge");
        self.sample(name, None, value);
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, help, "counter");
        self.sample(name, None, value as f64);
    }

    /// One family whose series differ in the label `label`.
    pub(super) fn by_label(&mut self, kind: &str, name: &str, help: &str, label: &str, series: &[(&str, f64)]) {
        self.family(name, help, kind);
        for (value, number) in series {
            self.sample(name, Some((label, value)), *number);
        }
    }

    pub(super) fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) {
        self.family(name, help, "histogram");
        let bucket = format!("{name}_bucket");
        let mut cumulated = 0;
        for (edge, count) in histogram.edges.iter().zip(&histogram.counts) {
            cumulated += count;
            self.sample(&bucket, Some(("le", &format!("{edge:?}"))), cumulated as f64);
        }
        let all = histogram.count();
        self.sample(&bucket, Some(("le", "+Inf")), all as f64);
        self.sample(&format!("{name}_count"), None, all as f64);
        self.sample(&format!("{name}_sum"), None, histogram.sum);
    }

    fn family(&mut self, name: &str, help: &str, kind: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, extra: Option<(&str, &str)>, value: f64) {
        let _ = match extra {
            Some((label, text)) => writeln!(self.text, "{name}{{{},{label}=\"{text}\"}} {value:?}", self.labels),
            None => writeln!(self.text, "{name}{{{}}} {value:?}", self.labels),
        };
    }
}

fn escaped(label_value: &str) -> String {
    label_value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Counts of values between fixed edges.
#[derive(Debug)]
pub(super) struct Histogram {
    /// Upper edges, growing; a value equal to an edge is below it.
    edges: &'static [f64],
    /// One more than `edges`: the last bucket is open.
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    pub(super) fn with(edges: &'static [f64]) -> Self {
        Self { edges, counts: vec![0; edges.len() + 1], sum: 0.0 }
    }

    pub(super) fn observe(&mut self, value: f64) {
        self.observe_times(value, 1);
    }

    pub(super) fn observe_times(&mut self, value: f64, times: u64) {
        let bucket = self.edges.partition_point(|edge| *edge < value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += times;
        }
        self.sum += value * times as f64;
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_equal_to_an_edge_is_counted_below_it_and_buckets_cumulate() {
        let mut histogram = Histogram::with(&[0.5, 1.0]);
        histogram.observe(0.5);
        histogram.observe_times(0.75, 2);
        histogram.observe(9.0);
        let mut page = Page::of("tiny");
        page.histogram("gap_seconds", "Gaps.", &histogram);
        let text = page.into_text();
        let labels = "engine=\"0\",model_name=\"tiny\"";
        for line in [
            format!("gap_seconds_bucket{{{labels},le=\"0.5\"}} 1.0"),
            format!("gap_seconds_bucket{{{labels},le=\"1.0\"}} 3.0"),
            format!("gap_seconds_bucket{{{labels},le=\"+Inf\"}} 4.0"),
            format!("gap_seconds_count{{{labels}}} 4.0"),
            format!("gap_seconds_sum{{{labels}}} 11.0"),
        ] {
            assert!(text.lines().any(|written| written == line), "no line {line} in\n{text}");
        }
    }

    #[test]
    fn a_model_name_cannot_break_out_of_its_label() {
        let mut page = Page::of("a\"}\n\\b");
        page.gauge("up", "Whether it is up.", 1.0);
        assert!(page.into_text().ends_with("up{engine=\"0\",model_name=\"a\\\"}\\n\\\\b\"} 1.0\n"));
    }
}
