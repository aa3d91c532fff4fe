//! What a run sends, and what it is judged by.

use evenkeel_core::spec::Objective;
use evenkeel_core::units::Span;
use evenkeel_fleet::model::{Criterion, Fleet};
use evenkeel_workload::{Arrival, Arrivals, PlayersSeries, RequestTrace, TierTraffic, TraceRequest, TrafficError};
use http::HeaderValue;
use std::time::Duration;
use thiserror::Error;

/// A tenth of what the engine takes is left for the chat template and for tokenizers that count more than we do.
const LENGTH_MARGIN: f64 = 0.9;

/// A run: who sends what, for how long, and what must hold at the end.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The tiers, in the fleet file's order.
    pub tiers: Vec<TierPlan>,
    /// Where the requests come from.
    pub traffic: Traffic,
    /// How long requests are sent.
    pub duration: Span,
    /// Windows of objective attainment: one minute, or that over the compression of windows.
    pub window: Span,
    /// What is judged.
    pub criteria: Vec<Criterion>,
    /// Seed of arrivals and lengths.
    pub seed: u64,
}

/// Where a run's requests come from. Times are already compressed.
#[derive(Clone, Debug)]
pub enum Traffic {
    /// Players over time, each of whom sends to every tier at its rate.
    Players(PlayersSeries),
    /// Requests as they were once sent, all to one tier.
    Trace {
        /// The tier's index.
        tier: usize,
        /// The requests.
        requests: RequestTrace,
    },
}

impl Traffic {
    /// Players over time; `None` where nobody counted them.
    pub fn players(&self) -> Option<&PlayersSeries> {
        match self {
            Self::Players(series) => Some(series),
            Self::Trace { .. } => None,
        }
    }

    fn duration(&self) -> Span {
        match self {
            Self::Players(series) => series.duration(),
            // The last request belongs to the run.
            Self::Trace { requests, .. } => requests.duration() + Span::from_millis(1),
        }
    }
}

/// One tier's part of a run.
#[derive(Clone, Debug)]
pub struct TierPlan {
    /// The tier's name.
    pub name: String,
    /// The model that its clients ask for.
    pub model: String,
    /// Whether requests carry the tier's name in a header. Only a gateway of a fleet knows what to do with it.
    pub named_to_gateway: bool,
    /// Whether requests are accepted first and answered later.
    pub asynchronous: bool,
    /// The tier's latency objectives.
    pub objectives: Vec<Objective>,
    /// What its players send.
    pub traffic: TierTraffic,
    /// The longest request that its engines are sent, prompt and output.
    pub longest_request_tokens: u32,
}

/// Why a run makes no sense.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum PlanError {
    /// A tier's traffic is out of range.
    #[error(transparent)]
    Traffic(#[from] TrafficError),
    /// A run of no length.
    #[error("a run of {0}; give a longer duration, or a players file with more than one point")]
    Duration(Span),
    /// A window of no length.
    #[error("windows of {0}; expected at least 100ms")]
    Window(Span),
    /// A trace for a tier that is not there.
    #[error("there is no tier number {0} to send the trace to")]
    NoTier(usize),
}

impl Plan {
    /// The traffic of a whole fleet, judged by the fleet's criteria.
    ///
    /// # Errors
    /// Numbers out of range; a run of no length; windows under 100 ms; a trace for no tier.
    pub fn new(fleet: &Fleet, traffic: Traffic, window: Span, seed: u64) -> Result<Self, PlanError> {
        let tiers = fleet.spec.tiers.iter().zip(&fleet.tiers).map(|(spec, settings)| {
            let takes = spec.profile.max_model_tokens.min(spec.profile.kv_tokens);
            let longest_request_tokens = longest_of(takes);
            Ok(TierPlan {
                name: spec.name.clone(),
                model: settings.model.clone(),
                named_to_gateway: true,
                asynchronous: settings.asynchronous.is_some(),
                objectives: spec.slo.objectives.clone(),
                traffic: TierTraffic::new(&spec.name, settings.players_share, spec.requests, longest_request_tokens)?,
                longest_request_tokens,
            })
        });
        let tiers = tiers.collect::<Result<_, TrafficError>>()?;
        Self::of_tiers(tiers, traffic, fleet.criteria.clone(), window, seed)
    }

    /// The traffic of any tiers.
    ///
    /// # Errors
    /// A run of no length; windows under 100 ms; a trace for no tier.
    pub fn of_tiers(
        tiers: Vec<TierPlan>,
        traffic: Traffic,
        criteria: Vec<Criterion>,
        window: Span,
        seed: u64,
    ) -> Result<Self, PlanError> {
        let duration = traffic.duration();
        if duration <= Span::ZERO {
            return Err(PlanError::Duration(duration));
        }
        if window < Span::from_millis(100) {
            return Err(PlanError::Window(window));
        }
        match traffic {
            Traffic::Trace { tier, .. } if tier >= tiers.len() => Err(PlanError::NoTier(tier)),
            _ => Ok(Self { tiers, traffic, duration, window, criteria, seed }),
        }
    }

    /// How many of the first `offered` requests of a tier's trace were cut; `None` for a tier that is sent none.
    pub(crate) fn cut_requests(&self, tier: &str, offered: u64) -> Option<u64> {
        let Traffic::Trace { tier: index, requests } = &self.traffic else { return None };
        let plan = self.tiers.get(*index).filter(|plan| plan.name == tier)?;
        let offered = requests.requests().iter().take(usize::try_from(offered).unwrap_or(usize::MAX));
        let is_cut = |request: &&TraceRequest| {
            let sent = arrival(*index, **request, plan.longest_request_tokens);
            (sent.prompt_tokens, sent.output_tokens) != (request.prompt_tokens, request.output_tokens)
        };
        Some(offered.filter(is_cut).count() as u64)
    }

    /// The requests, in order of time, as they are asked for.
    pub(crate) fn arrivals(&self) -> Box<dyn Iterator<Item = Arrival> + Send> {
        match &self.traffic {
            Traffic::Players(players) => {
                let traffic: Vec<TierTraffic> = self.tiers.iter().map(|tier| tier.traffic.clone()).collect();
                Box::new(Arrivals::new(players, &traffic, self.duration, self.seed))
            }
            Traffic::Trace { tier, requests } => {
                let (tier, requests, longest) = (*tier, requests.clone(), self.tiers[*tier].longest_request_tokens);
                let count = requests.requests().len();
                Box::new((0..count).map(move |index| arrival(tier, requests.requests()[index], longest)))
            }
        }
    }
}

/// Tokens of the longest request that an engine which takes `tokens` is sent.
pub fn longest_of(tokens: u32) -> u32 {
    (f64::from(tokens) * LENGTH_MARGIN) as u32
}

/// A trace's request, cut like a player's: engines refuse longer ones.
fn arrival(tier: usize, request: TraceRequest, longest: u32) -> Arrival {
    let longest = longest.max(2);
    let output_tokens = request.output_tokens.min(longest - 1);
    let prompt_tokens = request.prompt_tokens.min(longest - output_tokens);
    Arrival { at: request.at, tier, prompt_tokens, output_tokens }
}

/// How a run is carried out.
#[derive(Clone, Debug)]
pub struct Options {
    /// A request that has no complete answer after this long has failed.
    pub timeout: Duration,
    /// The same for an asynchronous request, from its sending to its answer.
    pub asynchronous_timeout: Duration,
    /// After the last request was sent, those under way are given this long.
    pub drain: Duration,
    /// Requests under way at most. One that comes due beyond it is not sent, and counts as failed.
    pub max_in_flight: usize,
    /// Requests sent at most; the run ends with the last.
    pub max_requests: Option<u64>,
    /// Whether engines are told to generate the drawn output length even where the model would stop.
    pub ignore_eos: bool,
    /// What proves to the target that it may be asked.
    pub api_key: Option<ApiKey>,
    /// Time between two updates of the progress.
    pub progress_every: Duration,
    /// Time between two samples of the fleet.
    pub probe_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            asynchronous_timeout: Duration::from_secs(600),
            drain: Duration::from_secs(60),
            max_in_flight: 20_000,
            max_requests: None,
            ignore_eos: true,
            api_key: None,
            progress_every: Duration::from_millis(500),
            probe_every: Duration::from_secs(1),
        }
    }
}

/// So many signs of a key in a row are shown nowhere.
const TELLTALE: usize = 8;

/// A secret that goes with every request and nowhere else.
#[derive(Clone)]
pub struct ApiKey {
    header: HeaderValue,
    /// As the server sees it, and may repeat it.
    secret: String,
}

impl ApiKey {
    /// The key as `Authorization: Bearer` carries it, without the blanks around it that copying leaves; `None` where it is
    /// empty or holds anything but visible ASCII.
    pub fn new(key: &str) -> Option<Self> {
        let secret = key.trim().to_owned();
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {secret}")).ok()?;
        header.set_sensitive(true);
        Some(Self { header, secret })
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// `words` without the key: whatever has as many signs of it in a row as `TELLTALE`, in capitals or not, is hidden, so
    /// neither a beginning of it is shown nor one of which some signs are written in another way.
    pub(crate) fn hidden_in(&self, words: &str) -> String {
        let (words, secret) = (words.as_bytes(), self.secret.as_bytes());
        let shortest = TELLTALE.min(secret.len());
        let (mut shown, mut at) = (Vec::with_capacity(words.len()), 0);
        while at < words.len() {
            let run = longest_run(&words[at..], secret);
            if run >= shortest {
                shown.extend_from_slice(b"(the key)");
                at += run;
            } else {
                shown.push(words[at]);
                at += 1;
            }
        }
        // The key is ASCII, so no other character is cut apart.
        String::from_utf8_lossy(&shown).into_owned()
    }
}

/// Signs in a row that the beginning of `words` shares with any place of `secret`.
fn longest_run(words: &[u8], secret: &[u8]) -> usize {
    let shared = |place: usize| {
        words.iter().zip(&secret[place..]).take_while(|(word, sign)| word.eq_ignore_ascii_case(sign)).count()
    };
    (0..secret.len()).map(shared).max().unwrap_or(0)
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}
