//! A server without a fleet file: what is asked of it stands on the command line.

use crate::commands::values;
use crate::failure::Failure;
use evenkeel_core::spec::{Lengths, Objective, RequestShape};
use evenkeel_fleet::model::Criterion;
use evenkeel_load::{TierPlan, longest_of};
use evenkeel_workload::TierTraffic;

#[derive(clap::Args)]
pub(super) struct Endpoint {
    /// Without a fleet file: the model to ask for
    #[arg(long, value_name = "NAME", requires = "target", conflicts_with = "fleet")]
    model: Option<String>,
    /// Without a fleet file: prompt length, the mean and perhaps the spread of its logarithm
    #[arg(long, value_name = "MEAN[,SIGMA]", default_value = "300,0.8", conflicts_with = "fleet")]
    #[arg(allow_negative_numbers = true, value_parser = values::lengths)]
    prompt_tokens: Lengths,
    /// Without a fleet file: output length
    #[arg(long, value_name = "MEAN[,SIGMA]", default_value = "40,0.4", conflicts_with = "fleet")]
    #[arg(allow_negative_numbers = true, value_parser = values::lengths)]
    output_tokens: Lengths,
    /// Without a fleet file: requests that one player sends
    #[arg(long, value_name = "RATE", default_value = "1/min", conflicts_with = "fleet")]
    #[arg(allow_negative_numbers = true, value_parser = values::rate)]
    per_player: f64,
    /// Without a fleet file: tokens that the server takes in one request, prompt and output
    #[arg(long, value_name = "TOKENS", default_value_t = 4_096, conflicts_with = "fleet")]
    #[arg(allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(8..))]
    max_model_tokens: u32,
}

impl Endpoint {
    pub(super) fn model(&self) -> Result<&str, Failure> {
        self.model.as_deref().ok_or_else(|| Failure::usage("without a fleet file `--model` says what is asked for"))
    }

    /// The one tier, called by its model. What is required of its latencies is its SLO.
    pub(super) fn tier(&self, criteria: &[Criterion]) -> Result<TierPlan, Failure> {
        let name = self.model()?;
        let shape = RequestShape {
            prompt_tokens: self.prompt_tokens,
            output_tokens: self.output_tokens,
            per_player_per_minute: self.per_player,
        };
        let longest_request_tokens = longest_of(self.max_model_tokens);
        let objectives = criteria.iter().filter_map(|criterion| match criterion {
            Criterion::Latency { metric, quantile, at_most, .. } => {
                Some(Objective { metric: *metric, quantile: *quantile, bound: *at_most })
            }
            _ => None,
        });
        Ok(TierPlan {
            name: name.to_owned(),
            model: name.to_owned(),
            named_to_gateway: false,
            asynchronous: false,
            objectives: objectives.collect(),
            traffic: TierTraffic::new(name, 1.0, shape, longest_request_tokens).map_err(Failure::usage)?,
            longest_request_tokens,
        })
    }
}
