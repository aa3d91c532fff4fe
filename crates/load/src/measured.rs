//! What one request measured.

use std::time::{Duration, Instant};

/// A request that was answered well. Moments are the client's own.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// First token; `None` for an answer that came as a whole.
    pub(crate) first_token: Option<Instant>,
    /// Last token, or the whole answer.
    pub(crate) end: Instant,
    /// Gaps between tokens.
    pub(crate) gaps: Vec<Duration>,
    /// Prompt tokens as the engine counts them; `None` when it does not tell.
    pub(crate) prompt_tokens: Option<u64>,
    /// Output tokens.
    pub(crate) output_tokens: u64,
    /// Output tokens as the engine counts them; `None` when it does not tell: an event may hold several.
    pub(crate) told_output_tokens: Option<u64>,
    /// Time from arrival to the hand-over to a replica, where the gateway tells it.
    pub(crate) queue_time: Option<Duration>,
}

impl Measured {
    /// Mean time per output token after the first; `None` where there is no second one.
    pub(crate) fn time_per_output_token(&self) -> Option<Duration> {
        let further = u32::try_from(self.output_tokens.checked_sub(1)?).ok().filter(|&tokens| tokens > 0)?;
        Some(self.end.duration_since(self.first_token?) / further)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(first_token: Option<Instant>, end: Instant, output_tokens: u64) -> Measured {
        Measured {
            first_token,
            end,
            gaps: Vec::new(),
            prompt_tokens: None,
            output_tokens,
            told_output_tokens: None,
            queue_time: None,
        }
    }

    #[test]
    fn the_first_token_s_wait_is_no_part_of_the_time_per_output_token() {
        let first = Instant::now();
        let end = first + Duration::from_millis(90);
        assert_eq!(measured(Some(first), end, 10).time_per_output_token(), Some(Duration::from_millis(10)));
        assert_eq!(measured(Some(first), end, 1).time_per_output_token(), None);
        assert_eq!(measured(None, end, 10).time_per_output_token(), None);
    }
}
