//! The cloud that a simulation runs on, as flags.

use crate::failure::Failure;
use evenkeel_core::units::Span;
use evenkeel_sim::cloud::{Cloud, Pipeline, Pricing, Spot, StartUp, Weather, price};
use evenkeel_workload::written;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(super) struct CloudFlags {
    /// From the order of a replica to its first request: a time, or `ecs`, `ecs-cached`, `warm-pool`, `sagemaker`,
    /// `sagemaker-cached`, `kubernetes-node`, `kubernetes-optimized`, `process` [default: as the fleet file has it]
    #[arg(long, value_name = "TIME|NAME", value_parser = start_up)]
    start_up: Option<StartUp>,
    /// What the cloud refuses and takes away, with commas between: `no-capacity=2h..10h`, `launches=2/min`, `failed=10%`,
    /// `crash=7d`
    #[arg(long, value_name = "LIST", default_value = "none", value_parser = weather)]
    weather: Weather,
    /// Replicas run on spot instances, of which this trace says how many were to be had
    #[arg(long, value_name = "FILE")]
    spot: Option<PathBuf>,
    /// Instances in the whole pool, of which the trace tells the share that is there [default: the tier's maximum; needed with
    /// `--mean-replicas`, which has none]
    #[arg(long, value_name = "INSTANCES", requires = "spot")]
    spot_pool: Option<u32>,
    /// Beside them so many run on demand
    #[arg(long, value_name = "REPLICAS", default_value_t = 0, requires = "spot")]
    on_demand: u32,
    /// Bill replicas as instances of this type, as `g5.xlarge`, and not by the fleet file's price
    #[arg(long, value_name = "TYPE", value_parser = pricing)]
    instance: Option<Pricing>,
    /// How old figures are when Evenkeel reads them: the period and the delay of `direct`, `gateway`,
    /// `prometheus`, `sagemaker`, `ecs` or `cloudwatch`
    #[arg(long, value_name = "NAME", default_value = "direct", value_parser = metrics)]
    metrics: Pipeline,
}

impl CloudFlags {
    /// Where the fleet file's `freshness` is too short for these metrics, what to do about it.
    pub(super) fn warning(&self, freshness: Span, step: Span) -> Option<String> {
        let (name, oldest) = (self.metrics.name(), self.metrics.oldest(step));
        (self.metrics != Pipeline::default() && freshness < oldest).then(|| {
            format!(
                "readings of `{name}` get {oldest} old, and the fleet file takes them for stale after {freshness}: run like this, it \
                 would be blind. Here they are good for {oldest}; write `freshness: {oldest}` under `controller:`"
            )
        })
    }

    /// The mean start-up that was asked for.
    pub(super) fn start_up(&self) -> Option<Span> {
        self.start_up.map(|start_up| start_up.mean())
    }

    /// What a replica costs, in words; `price` is the fleet file's.
    pub(super) fn price_in_words(&self, price: f64) -> String {
        match &self.instance {
            Some(pricing) => {
                format!("${} an hour each, as {}", pricing.per_replica_hour_usd(false), pricing.price.instance)
            }
            None => format!("${price} an hour each, as the fleet file has it"),
        }
    }

    /// The cloud; `freshness` is the fleet file's, and `endless` a fleet without a maximum. A reading is not stale before the
    /// next one can be there, or whoever decides would be blind throughout.
    ///
    /// # Errors
    /// An unreadable trace, one whose share is a share of nothing, or spot instances without a price.
    pub(super) fn cloud(&self, freshness: Span, step: Span, endless: bool, seed: u64) -> Result<Cloud, Failure> {
        if let Some(instance) = self.instance.filter(|pricing| self.spot.is_some() && pricing.price.spot.is_none()) {
            return Err(Failure::usage(format!(
                "there is no spot price of `{}`; name another `--instance`, or leave `--spot` out",
                instance.price.instance
            )));
        }
        if self.spot.is_some() && self.spot_pool.is_none() && endless {
            return Err(Failure::usage(
                "with `--mean-replicas` the fleet has no maximum; `--spot-pool` says how many instances the pool has",
            ));
        }
        let spot = match &self.spot {
            Some(file) => {
                let spot = Spot::open(file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))?;
                Some(Spot { on_demand: self.on_demand, pool: self.spot_pool, ..spot })
            }
            None => None,
        };
        // A fixed start-up is the setting's, in whole steps.
        let staged = self.start_up.filter(|start_up| matches!(start_up, StartUp::Staged(_)));
        Ok(Cloud {
            start_up: staged,
            weather: Weather { spot, ..self.weather.clone() },
            pricing: self.instance,
            pipeline: self.metrics,
            freshness: Some(freshness.max(self.metrics.oldest(step))).filter(|_| self.metrics != Pipeline::default()),
            seed,
        })
    }
}

fn start_up(text: &str) -> Result<StartUp, String> {
    StartUp::parse(text).map_err(|error| error.to_string())
}

fn metrics(text: &str) -> Result<Pipeline, String> {
    Pipeline::parse(text).map_err(|error| error.to_string())
}

fn pricing(text: &str) -> Result<Pricing, String> {
    let known = || {
        let names: Vec<&str> = evenkeel_sim::cloud::PRICES.iter().map(|price| price.instance).collect();
        format!("there is no price of `{text}`; there are {}", names.join(", "))
    };
    price(text).map(|price| Pricing::of(*price)).ok_or_else(known)
}

fn weather(text: &str) -> Result<Weather, String> {
    let mut weather = Weather::default();
    let mut stated = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| *part != "none") {
        let (what, value) = part.split_once('=').unwrap_or((part, ""));
        // There may be several periods, and of all else only one.
        if stated.contains(&what) && what != "no-capacity" {
            return Err(format!("`{what}` is stated twice; which is meant?"));
        }
        stated.push(what);
        befalls(&mut weather, what, value).ok_or_else(|| {
            format!("`{part}` is no weather; write `no-capacity=2h..10h`, `launches=2/min`, `failed=10%` or `crash=7d`")
        })?;
    }
    Ok(weather)
}

fn befalls(weather: &mut Weather, what: &str, value: &str) -> Option<()> {
    match what {
        "no-capacity" => {
            let (from, to) = value.split_once("..")?;
            let period = written::time(from)?..written::time(to)?;
            weather.without_capacity.push(Some(period).filter(|period| !period.is_empty())?);
        }
        "launches" => weather.launches_per_minute = Some(value.strip_suffix("/min")?.parse().ok()?),
        "failed" => {
            let percent = written::plain_number(value.strip_suffix('%')?)?;
            weather.failed_share = Some(percent / 100.0).filter(|share| *share <= 1.0)?;
        }
        "crash" => weather.mean_time_between_crashes = Some(written::time(value).filter(|mean| *mean > Span::ZERO)?),
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn weather_is_a_list_and_what_makes_no_sense_is_told_with_the_way_to_write_it() {
        let all = weather("no-capacity=2h..10h, launches=2/min,failed=10%,crash=7d").unwrap();
        assert_eq!(all.without_capacity, [Span::from_secs(7_200)..Span::from_secs(36_000)]);
        assert_eq!((all.launches_per_minute, all.failed_share), (Some(2), 0.1));
        assert_eq!(all.mean_time_between_crashes, Some(Span::from_secs(7 * 86_400)));
        assert_eq!(weather("none"), Ok(Weather::default()));
        for text in
            ["rain", "no-capacity=2h", "no-capacity=3h..2h", "launches=2", "failed=0.1", "failed=101%", "crash=0s"]
        {
            assert!(weather(text).unwrap_err().contains("is no weather; write `no-capacity=2h..10h`"), "{text}");
        }
        assert_eq!(weather("no-capacity=1h..2h,no-capacity=5h..6h").unwrap().without_capacity.len(), 2);
        assert_eq!(weather("crash=1d, crash=7d"), Err("`crash` is stated twice; which is meant?".to_owned()));
    }

    #[test]
    fn an_unknown_instance_is_told_with_those_that_have_a_price() {
        assert!(pricing("g5.xlarge").is_ok());
        assert!(pricing("g7.xlarge").unwrap_err().starts_with("there is no price of `g7.xlarge`; there are "));
    }
}
