//! The formats that traces are published in. The first line tells which one it is; nobody has to name it.
//!
//! | format | first line | source |
//! |---|---|---|
//! | plain | `t_s,in_tok,out_tok`, or a request | |
//! | Azure | `TIMESTAMP,ContextTokens,GeneratedTokens` | Azure/AzurePublicDataset, LLM inference 2023 and 2024 |
//! | BurstGPT | `Timestamp,Model,Request tokens,Response tokens,...` | HPMLL/BurstGPT, README, Schema |
//! | Mooncake | `{"timestamp": 0, "input_length": 6758, ...}` | kvcache-ai/Mooncake, FAST25-release/README |

use super::TraceRequest;
use super::mooncake::Mooncake;
use crate::calendar;
use crate::series_file::LATEST_UNIX_S;
use evenkeel_core::units::Span;

/// How the lines of one file are to be understood, and what has to be known of those read so far.
#[derive(Debug)]
pub(super) enum Format {
    Csv(Csv),
    Mooncake(Mooncake),
}

/// What a line says.
#[derive(Debug, PartialEq)]
pub(super) enum Row {
    /// A request, at its time since the file's own zero.
    Request(TraceRequest),
    /// A request that got no answer, which shows neither what it asked for nor what it cost.
    Failed,
}

impl Format {
    /// The format that begins with this line, and whether the line is a header rather than a request.
    pub(super) fn of(first: &str) -> Option<(Self, bool)> {
        if first.starts_with('{') {
            return Some((Self::Mooncake(Mooncake::default()), false));
        }
        if first.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) {
            return Some((Self::Csv(Csv::plain()), false));
        }
        [Dialect::Plain, Dialect::Azure, Dialect::BurstGpt]
            .into_iter()
            .find_map(|dialect| Csv::with_header(dialect, first))
            .map(|csv| (Self::Csv(csv), true))
    }

    /// `None` for a line that makes no sense.
    pub(super) fn row(&mut self, text: &str) -> Option<Row> {
        match self {
            Self::Csv(csv) => csv.row(text),
            Self::Mooncake(mooncake) => mooncake.request(text).map(Row::Request),
        }
    }

    /// Whether the lines read so far told what of a prompt came before.
    pub(super) fn tells_cached(&self) -> bool {
        matches!(self, Self::Mooncake(mooncake) if mooncake.names_blocks())
    }

    /// How a line of the format looks, with an example.
    pub(super) fn expected(&self) -> &'static str {
        match self {
            Self::Csv(csv) => csv.dialect.expected(),
            Self::Mooncake(_) => super::mooncake::EXPECTED,
        }
    }
}

/// Formats with commas differ in the names of their columns and in how they write a moment.
#[derive(Clone, Copy, Debug)]
enum Dialect {
    Plain,
    Azure,
    BurstGpt,
}

impl Dialect {
    /// The columns that are read, by name: the time, the prompt's tokens, the output's tokens.
    fn columns(self) -> [&'static str; 3] {
        match self {
            Self::Plain => ["t_s", "in_tok", "out_tok"],
            Self::Azure => ["TIMESTAMP", "ContextTokens", "GeneratedTokens"],
            // A later release has more columns (a session, the time elapsed) between these.
            Self::BurstGpt => ["Timestamp", "Request tokens", "Response tokens"],
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Plain => "`t_s,in_tok,out_tok`, for example `12.5,374,44`",
            Self::Azure => {
                "`TIMESTAMP,ContextTokens,GeneratedTokens`, for example `2023-11-16 18:15:46.6805900,374,44`"
            }
            Self::BurstGpt => "the header's columns, for example `5,ChatGPT,472,18,490,Conversation log`",
        }
    }

    /// Since the file's own zero.
    fn moment(self, text: &str) -> Option<Span> {
        match self {
            Self::Azure => calendar::since_1970(text),
            Self::Plain | Self::BurstGpt => {
                let seconds: f64 = text.parse().ok()?;
                (seconds.abs() <= LATEST_UNIX_S).then(|| Span::from_secs_f64(seconds))
            }
        }
    }

    /// BurstGPT keeps failed requests, and marks them by a response of no tokens.
    fn has_failures(self) -> bool {
        matches!(self, Self::BurstGpt)
    }
}

/// Where a line has what.
#[derive(Debug)]
pub(super) struct Csv {
    dialect: Dialect,
    /// Fields of the time, the prompt's tokens and the output's tokens.
    fields: [usize; 3],
    width: usize,
}

impl Csv {
    fn plain() -> Self {
        Self { dialect: Dialect::Plain, fields: [0, 1, 2], width: 3 }
    }

    fn with_header(dialect: Dialect, header: &str) -> Option<Self> {
        let names: Vec<&str> = header.split(',').map(str::trim).collect();
        let [time, prompt, output] = dialect.columns().map(|name| names.iter().position(|it| *it == name));
        Some(Self { dialect, fields: [time?, prompt?, output?], width: names.len() })
    }

    fn row(&self, text: &str) -> Option<Row> {
        let mut found = [None; 3];
        let mut width = 0;
        for (index, field) in text.split(',').enumerate() {
            width += 1;
            if let Some(which) = self.fields.iter().position(|it| *it == index) {
                found[which] = Some(field.trim());
            }
        }
        let [Some(time), Some(prompt), Some(output)] = found else { return None };
        let (at, prompt, output) = (self.dialect.moment(time)?, tokens(prompt)?, tokens(output)?);
        if width != self.width {
            return None;
        }
        if output == 0 && self.dialect.has_failures() {
            return Some(Row::Failed);
        }
        Some(Row::Request(TraceRequest {
            at,
            prompt_tokens: prompt.max(1),
            output_tokens: output.max(1),
            cached_tokens: 0,
        }))
    }
}

fn tokens(text: &str) -> Option<u32> {
    text.parse().ok()
}
