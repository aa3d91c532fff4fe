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
    metrics_page: 5_000;
    gateway_report: 5_000;
    player_count: 5_000;
    player_series: 5_000;
    fleet_file: 200;
    client_heads: 300;
    replica_answer: 500;
    token_stream: 2_000;
    request_body: 5_000;
    journal_file: 200;
    journal_rows: 100;
}
