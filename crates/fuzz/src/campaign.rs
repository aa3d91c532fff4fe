//! Many inputs for one target, until a limit or the first finding.

use crate::{Mutator, Target, corpus};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// One input takes microseconds to milliseconds; this long means that it may take for ever.
const LONGEST_RUN: Duration = Duration::from_secs(20);

/// When to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// After so many inputs, which makes runs alike.
    Inputs(u64),
    /// After this long.
    Time(Duration),
}

/// Inputs for one target by one seed.
#[derive(Clone, Copy, Debug)]
pub struct Campaign<'a> {
    /// What is run.
    pub target: &'a Target,
    /// Decides the inputs.
    pub seed: u64,
    /// When to stop.
    pub limit: Limit,
}

/// An input that did harm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The input.
    pub input: Vec<u8>,
    /// Inputs before it.
    pub after: u64,
    /// Whether it took too long; else it panicked.
    pub endless: bool,
}

impl Campaign<'_> {
    /// Runs the corpus as it is, then mutations of it. Tells how many inputs did no harm.
    ///
    /// # Errors
    /// With the first finding; the outer error when the corpus cannot be read.
    pub fn run(&self) -> io::Result<Result<u64, Box<Finding>>> {
        let corpus = corpus(self.target)?;
        let mut mutator = Mutator::new(self.seed, &corpus, self.target.words);
        let mut whole = corpus.iter();
        let (started, run, mut done) = (Instant::now(), self.target.run, 0);
        let worker = Worker::start(run);
        while whole.len() > 0 || self.goes_on(done, started) {
            let input = whole.next().cloned().unwrap_or_else(|| mutator.next_input());
            if let Err(endless) = worker.runs(input.clone()) {
                return Ok(Err(Box::new(Finding { input, after: done, endless })));
            }
            done += 1;
        }
        Ok(Ok(done))
    }

    fn goes_on(&self, done: u64, started: Instant) -> bool {
        match self.limit {
            Limit::Inputs(most) => done < most,
            Limit::Time(longest) => started.elapsed() < longest,
        }
    }
}

/// A thread that runs the target, so that one that does not return is noticed. It is left behind then.
struct Worker {
    inputs: Sender<Vec<u8>>,
    outcomes: std::sync::mpsc::Receiver<bool>,
}

impl Worker {
    fn start(run: fn(&[u8])) -> Self {
        let (inputs, received) = channel::<Vec<u8>>();
        let (told, outcomes) = channel();
        std::thread::spawn(move || {
            for input in received {
                let sound = catch_unwind(AssertUnwindSafe(|| run(&input))).is_ok();
                if told.send(sound).is_err() {
                    return;
                }
            }
        });
        Self { inputs, outcomes }
    }

    /// Runs one input; the error says whether it was endless.
    fn runs(&self, input: Vec<u8>) -> Result<(), bool> {
        if self.inputs.send(input).is_err() {
            return Err(false);
        }
        match self.outcomes.recv_timeout(LONGEST_RUN) {
            Ok(true) => Ok(()),
            Ok(false) | Err(RecvTimeoutError::Disconnected) => Err(false),
            Err(RecvTimeoutError::Timeout) => Err(true),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn fails_on_a_seven(data: &[u8]) {
        assert!(!data.contains(&b'7'), "seven");
    }

    const TARGET: Target =
        Target { name: "none", run: fails_on_a_seven, words: &["seven7"], made: || vec![b"1 2 3".to_vec()] };

    #[test]
    fn a_panic_is_found_with_its_input_and_again_by_the_same_seed() {
        let campaign = Campaign { target: &TARGET, seed: 3, limit: Limit::Inputs(10_000) };
        let found = campaign.run().unwrap().unwrap_err();
        assert!(found.input.contains(&b'7') && !found.endless);
        assert_eq!(campaign.run().unwrap().unwrap_err(), found);
    }

    #[test]
    fn without_harm_the_inputs_are_counted() {
        let campaign = Campaign { target: &Target { run: |_| {}, ..TARGET }, seed: 3, limit: Limit::Inputs(50) };
        assert_eq!(campaign.run().unwrap(), Ok(50));
    }
}
