//! `requests:`

use crate::scalar::Number;
use crate::section::{Object, Section};
use crate::unit::{PerMinute, Share};
use evenkeel_core::spec::{Lengths, RequestShape};

/// What a request looks like, as far as it could be read.
#[derive(Clone, Copy, Default)]
pub(crate) struct RequestsDraft {
    pub(crate) prompt_tokens: Option<Lengths>,
    pub(crate) output_tokens: Option<Lengths>,
    pub(crate) per_player_per_minute: Option<f64>,
    pub(crate) players_share: Option<f64>,
}

impl RequestsDraft {
    pub(crate) fn shape(&self) -> Option<RequestShape> {
        Some(RequestShape {
            prompt_tokens: self.prompt_tokens?,
            output_tokens: self.output_tokens?,
            per_player_per_minute: self.per_player_per_minute?,
        })
    }

    /// The shortest requests that agree with what could be read.
    pub(crate) fn shortest(&self) -> RequestShape {
        let single = Lengths { mean: 1.0, sigma: 0.0 };
        RequestShape {
            prompt_tokens: self.prompt_tokens.unwrap_or(single),
            output_tokens: self.output_tokens.unwrap_or(single),
            per_player_per_minute: self.per_player_per_minute.unwrap_or(1.0),
        }
    }
}

pub(crate) fn read(requests: &mut Section<'_>) -> Option<RequestsDraft> {
    let prompt_tokens = requests.required("prompt_tokens", "Prompt length, log-normal.", Object(lengths));
    let output_tokens = requests.required("output_tokens", "Output length, log-normal.", Object(lengths));
    let per_player = requests.required("per_player", "Requests that one player sends, for example 3.4/min.", PerMinute);
    let share = requests.or(
        "players_share",
        "Share of all players who use this tier; a player may use several tiers.",
        Share::SOME,
        "100%",
    );
    Some(RequestsDraft { prompt_tokens, output_tokens, per_player_per_minute: per_player, players_share: share })
}

/// Real lengths have about 1. At 3 the longest in a hundred is a thousand times the median (`exp(2.33 * 3)`); what is above
/// was meant as a number of tokens.
const LARGEST_SIGMA: f64 = 3.0;

fn lengths(lengths: &mut Section<'_>) -> Option<Lengths> {
    let mean =
        lengths.required("mean", "Mean number of tokens.", Number { what: "tokens", or_zero: false, most: None });
    let sigma = lengths.required(
        "sigma",
        "Standard deviation of the logarithm of the length; 0 makes every length the mean, 0.8 is usual for chat, 3 is the most.",
        Number { what: "sigma", or_zero: true, most: Some(LARGEST_SIGMA) },
    );
    Some(Lengths { mean: mean?, sigma: sigma? })
}
