//! The flags' values, each refused in words.

use crate::failure::Failure;
use evenkeel_core::spec::TierSpec;
use evenkeel_core::units::Span;
use evenkeel_sim::compare::{Cell, Tuning, World};
use evenkeel_sim::oracle::Violation;
use evenkeel_sim::peers::Peer;
use evenkeel_workload::written;
use std::io::{IsTerminal, Write};

const OURS: &str = "evenkeel";

/// Who is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Chosen {
    pub(in crate::commands) evenkeel: bool,
    pub(in crate::commands) peers: Vec<Peer>,
}

impl Chosen {
    /// In steps longer than the time between two of its looks a peer would be another autoscaler.
    ///
    /// # Errors
    /// The peers for which `step` is too long.
    pub(in crate::commands) fn look_often_enough_for(&self, step: Span) -> Result<(), Failure> {
        let too_fast = self.peers.iter().filter_map(|peer| {
            let each = peer.looks_each().filter(|each| *each < step)?;
            Some(format!("{} ({each})", peer.name()))
        });
        let too_fast: Vec<String> = too_fast.collect();
        if too_fast.is_empty() {
            return Ok(());
        }
        Err(Failure::usage(format!(
            "`--step {step}` is longer than the time between two looks of {}: write a shorter one, or leave these out of \
             `--policies`",
            too_fast.join(", ")
        )))
    }

    /// Each of them on `world`, ours first.
    ///
    /// # Errors
    /// Policies that the model cannot run.
    pub(in crate::commands) fn compared(
        &self,
        world: &World<'_>,
        spec: &TierSpec,
        peers: Peers,
    ) -> Result<Vec<Cell>, Failure> {
        let progress = Progress::of(self.peers.len() + usize::from(self.evenkeel));
        let ours = self.evenkeel.then(|| {
            progress.begins(1, OURS);
            world.ours(spec)
        });
        let peers = self.peers.iter().zip(1 + usize::from(self.evenkeel)..).map(|(&peer, number)| {
            progress.begins(number, peer.name());
            world.peer(peer, Tuning::from(peers))
        });
        let cells = ours.into_iter().chain(peers).collect::<Result<_, _>>().map_err(Failure::usage);
        progress.ends();
        cells
    }
}

/// Which policy is under way, for whoever waits at a terminal: tuned runs take minutes.
struct Progress {
    policies: usize,
    shown: bool,
}

impl Progress {
    fn of(policies: usize) -> Self {
        Self { policies, shown: std::io::stderr().is_terminal() }
    }

    fn begins(&self, number: usize, policy: &str) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K{policy} ({number} of {})", self.policies);
        }
    }

    fn ends(&self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

/// How peers are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::commands) enum Peers {
    /// As their documentation ships them
    Default,
    /// The cheapest target that kept the attainment in the history, then frozen
    TunedOnHistory,
    /// The cheapest target that keeps the attainment while it is scored
    TunedInHindsight,
}

impl From<Peers> for Tuning {
    fn from(peers: Peers) -> Self {
        match peers {
            Peers::Default => Self::Default,
            Peers::TunedOnHistory => Self::TunedOnHistory,
            Peers::TunedInHindsight => Self::TunedInHindsight,
        }
    }
}

/// How demand is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::commands) enum ModelName {
    /// As rates, step by step: for weeks and for fleets of thousands
    Fluid,
    /// Request by request, through the gateway's queue and the engines
    Requests,
}

/// How demand above the ready replicas is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::commands) enum Violated {
    /// Only what exceeds them, as where the excess is turned away at once
    Excess,
    /// All demand of a step that is short, as where a queue makes all of it late
    Step,
}

impl From<Violated> for Violation {
    fn from(violated: Violated) -> Self {
        match violated {
            Violated::Excess => Self::Excess,
            Violated::Step => Self::Step,
        }
    }
}

pub(in crate::commands) fn span(text: &str) -> Result<Span, String> {
    written::time(text).ok_or_else(|| "expected a time of at most a year, for example `60s`, `5m` or `7d`".to_owned())
}

pub(in crate::commands) fn patience(text: &str) -> Result<Span, String> {
    let some = span(text)?;
    if some > Span::ZERO {
        Ok(some)
    } else {
        Err("expected a time above zero; without the flag nobody leaves".to_owned())
    }
}

pub(in crate::commands) fn step(text: &str) -> Result<Span, String> {
    span(text)
        .ok()
        .filter(|step| *step >= Span::from_millis(100))
        .ok_or_else(|| "expected a time of at least 100ms, for example `5s`".to_owned())
}

pub(in crate::commands) fn attainment(text: &str) -> Result<f64, String> {
    share(text)
        .filter(|share| *share > 0.0 && *share < 1.0)
        .ok_or_else(|| "expected a share above 0 and below 1, for example `0.999` or `99.9%`".to_owned())
}

pub(in crate::commands) fn noise(text: &str) -> Result<f64, String> {
    share(text)
        .filter(|noise| *noise <= 1.0)
        .ok_or_else(|| "expected a share from 0 to 1, for example `0.1`".to_owned())
}

/// `0.1` or `10%`.
fn share(text: &str) -> Option<f64> {
    match text.strip_suffix('%') {
        Some(percent) => written::plain_number(percent).map(|percent| percent / 100.0),
        None => written::plain_number(text),
    }
}

pub(in crate::commands) fn policies(text: &str) -> Result<Chosen, String> {
    if text == "all" {
        return Ok(Chosen { evenkeel: true, peers: Peer::ALL.to_vec() });
    }
    let mut chosen = Chosen { evenkeel: false, peers: Vec::new() };
    for name in text.split(',').map(str::trim) {
        match Peer::ALL.into_iter().find(|peer| peer.name() == name) {
            Some(peer) if chosen.peers.contains(&peer) => (),
            Some(peer) => chosen.peers.push(peer),
            None if name == OURS => chosen.evenkeel = true,
            None => {
                let names: Vec<&str> = Peer::ALL.iter().map(|peer| peer.name()).collect();
                return Err(format!("there is no policy `{name}`; there are {OURS}, {}", names.join(", ")));
            }
        }
    }
    Ok(chosen)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_chosen_by_their_names() {
        assert_eq!(policies("hpa, evenkeel,hpa"), Ok(Chosen { evenkeel: true, peers: vec![Peer::Hpa] }));
        assert_eq!(policies("all").unwrap().peers, Peer::ALL);
        let refused = policies("hpb").unwrap_err();
        assert!(refused.starts_with("there is no policy `hpb`; there are evenkeel, hpa, keda,"), "{refused}");
    }

    #[test]
    fn shares_and_times_are_read_with_their_units() {
        assert_eq!((attainment("0.99"), attainment("99%")), (Ok(0.99), Ok(0.99)));
        assert_eq!((noise("0.1"), noise("10%"), noise("0")), (Ok(0.1), Ok(0.1), Ok(0.0)));
        assert!(["1", "0", "100%", "-1", "x"].into_iter().all(|text| attainment(text).is_err()));
        assert_eq!(step("5s"), Ok(Span::from_secs(5)));
        assert!(step("1ms").is_err() && step("5").is_err());
    }
}
