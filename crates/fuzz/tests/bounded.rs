//! Every target over its corpus and a fixed number of mutations of it, the same at each run. `make fuzz` goes on for as
//! long as one likes.
#![allow(clippy::unwrap_used, clippy::panic)]

use evenkeel_fuzz::{Campaign, Limit, TARGETS, corpus, named};

const SEED: u64 = 1;

fn sound(name: &str, inputs: u64) {
    let target = named(name).unwrap();
    let campaign = Campaign { target, seed: SEED, limit: Limit::Inputs(inputs) };
    match campaign.run().unwrap() {
        Ok(done) => assert_eq!(done, inputs),
        Err(found) => panic!(
            "{name}: input {} does harm, to be repeated with `--seed {SEED}`: {:?}",
            found.after,
            String::from_utf8_lossy(&found.input)
        ),
    }
}

macro_rules! targets {
    ($($name:ident: $inputs:expr;)*) => {
        $(#[test]
        fn $name() {
            sound(stringify!($name), $inputs);
        })*

        #[test]
        fn no_target_is_forgotten_and_each_begins_with_something() {
            let tested = [$(stringify!($name)),*];
            for target in &TARGETS {
                assert!(tested.contains(&target.name), "{}", target.name);
                assert!(!corpus(target).unwrap().is_empty(), "{} has no corpus", target.name);
            }
        }
    };
}

// A few seconds each in a build without optimization.
targets! {
    metrics_page: 10_000;
    gateway_report: 10_000;
    player_count: 10_000;
    player_series: 10_000;
    fleet_file: 1_000;
    client_heads: 1_000;
    replica_answer: 10_000;
    token_stream: 10_000;
    request_body: 10_000;
    journal_file: 300;
    journal_rows: 300;
}
