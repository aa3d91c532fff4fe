//! What arrivals promise: the rate follows the players, seeds reproduce bytes, tiers do not disturb each other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use evenkeel_core::spec::{Lengths, RequestShape};
use evenkeel_core::units::Span;
use evenkeel_workload::{Arrival, Arrivals, Day, PlayersSeries, TierTraffic};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn tier(name: &str, share: f64, per_player_per_minute: f64) -> TierTraffic {
    let prompt_tokens = Lengths { mean: 300.0, sigma: 0.8 };
    let output_tokens = Lengths { mean: 40.0, sigma: 0.5 };
    TierTraffic::new(name, share, RequestShape { prompt_tokens, output_tokens, per_player_per_minute }, 8_192).unwrap()
}

fn of_tier(arrivals: Arrivals, tier: usize) -> Vec<(Span, u32, u32)> {
    arrivals.filter(|a| a.tier == tier).map(|a| (a.at, a.prompt_tokens, a.output_tokens)).collect()
}

/// The integral of straight-line players over a stretch of the run, by small steps.
fn player_seconds(players: &PlayersSeries, from_s: f64, to_s: f64) -> f64 {
    let steps = 10_000;
    let step = (to_s - from_s) / f64::from(steps);
    (0..steps).map(|i| players.at(Span::from_secs_f64(from_s + (f64::from(i) + 0.5) * step)) * step).sum()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_count_in_any_stretch_is_poisson_about_the_players_integral(
        seed in any::<u64>(),
        counts in prop::collection::vec(0.0f64..3_000.0, 2..12),
        share in 0.1f64..1.0,
        from in 0.0f64..0.6,
        width in 0.1f64..0.4,
    ) {
        let lines: String = counts.iter().enumerate().map(|(i, n)| format!("{},{n}\n", i * 30)).collect();
        let players = PlayersSeries::from_bytes(lines.as_bytes()).unwrap();
        let total_s = players.duration().as_secs_f64();
        let (from_s, to_s) = (total_s * from, total_s * (from + width));
        let arrivals = Arrivals::new(&players, &[tier("gold", share, 6.0)], players.duration(), seed);
        let inside = |a: &Arrival| (from_s..to_s).contains(&a.at.as_secs_f64());
        let seen = arrivals.filter(inside).count() as f64;
        let expected = player_seconds(&players, from_s, to_s) * share * 6.0 / 60.0;
        // Six standard deviations of a Poisson count, and a little for the smallest.
        prop_assert!((seen - expected).abs() < 6.0 * expected.sqrt() + 6.0, "seen {seen}, expected {expected}");
    }

    #[test]
    fn arrivals_are_in_order_and_inside_the_run(seed in any::<u64>(), run_s in 1i64..120) {
        let players = Day { peak_players: 400.0, seed, ..Day::default() }.generate().unwrap();
        let players = players.compressed(1_440.0).unwrap();
        let tiers = [tier("gold", 0.5, 6.0), tier("silver", 0.5, 6.0)];
        let drawn: Vec<Arrival> = Arrivals::new(&players, &tiers, Span::from_secs(run_s), seed).collect();
        // Two requests of one tier may come in the same microsecond, in either order of their lengths.
        prop_assert!(drawn.is_sorted_by_key(|a| (a.at, a.tier)));
        prop_assert!(drawn.iter().all(|a| a.at <= Span::from_secs(run_s)));
    }

    #[test]
    fn another_tier_before_or_after_disturbs_nothing(seed in any::<u64>(), rate in 0.1f64..20.0) {
        let players = PlayersSeries::constant(120.0, Span::from_secs(60));
        let run = |tiers: &[TierTraffic]| Arrivals::new(&players, tiers, Span::from_secs(60), seed);
        let gold = tier("gold", 0.4, 6.0);
        let alone = of_tier(run(std::slice::from_ref(&gold)), 0);
        prop_assert_eq!(&of_tier(run(&[gold.clone(), tier("silver", 0.6, rate)]), 0), &alone);
        prop_assert_eq!(&of_tier(run(&[tier("bronze", 0.6, rate), gold]), 1), &alone);
    }
}

#[test]
fn a_response_cache_takes_requests_away_and_changes_none_of_the_others() {
    let players = PlayersSeries::constant(1_000.0, Span::from_secs(600));
    let behind = |share| {
        let gold = tier("gold", 1.0, 6.0).behind_response_cache(share).unwrap();
        let rate = gold.rate_per_player();
        let arrivals = of_tier(Arrivals::new(&players, &[gold], Span::from_secs(600), 9), 0);
        // Six standard deviations of a Poisson count.
        let expected = 1_000.0 * 600.0 * rate;
        assert!((arrivals.len() as f64 - expected).abs() <= 6.0 * expected.sqrt(), "{share}: {}", arrivals.len());
        arrivals
    };
    let all = of_tier(Arrivals::new(&players, &[tier("gold", 1.0, 6.0)], Span::from_secs(600), 9), 0);
    assert_eq!(behind(0.0), all);
    let (half, fifth) = (behind(0.5), behind(0.8));
    let set = |arrivals: &[_]| arrivals.iter().copied().collect::<BTreeSet<(Span, u32, u32)>>();
    assert!(set(&fifth).is_subset(&set(&half)), "the larger cache leaves what the smaller one answers");
    assert!(set(&half).is_subset(&set(&all)), "another request than without the cache");
    assert_eq!(behind(1.0), []);
}

#[test]
fn gaps_at_a_constant_rate_are_exponential() {
    let players = PlayersSeries::constant(1_000.0, Span::from_secs(600));
    let arrivals: Vec<f64> = Arrivals::new(&players, &[tier("gold", 1.0, 6.0)], Span::from_secs(600), 9)
        .map(|a| a.at.as_secs_f64())
        .collect();
    let mut gaps: Vec<f64> = arrivals.windows(2).map(|pair| pair[1] - pair[0]).collect();
    gaps.sort_by(f64::total_cmp);
    // Kolmogorov and Smirnov's distance to 1 - exp(-100 t); 1.95 / sqrt(n) is passed once in a thousand seeds.
    let n = gaps.len() as f64;
    let distance = gaps
        .iter()
        .enumerate()
        .map(|(i, gap)| ((i as f64 + 0.5) / n - (1.0 - (-100.0 * gap).exp())).abs())
        .fold(0.0, f64::max);
    assert!(distance < 1.95 / n.sqrt(), "distance {distance} over {n} gaps");
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_every_platform() {
    let players = Day { peak_players: 300.0, ..Day::default() }.generate().unwrap().compressed(360.0).unwrap();
    let tiers = [tier("gold", 0.6, 3.4), tier("silver", 0.3, 2.0), tier("bronze", 0.1, 1.0)];
    let digest = |seed| {
        Arrivals::new(&players, &tiers, players.duration(), seed).fold((0u64, 0u64), |(count, hash), a| {
            let words = [a.at.as_micros() as u64, a.tier as u64, a.prompt_tokens.into(), a.output_tokens.into()];
            (count + 1, words.iter().fold(hash, |hash, word| (hash ^ word).wrapping_mul(0x0100_0000_01b3)))
        })
    };
    assert_eq!(digest(1), (2_431, 6_089_343_024_429_383_092));
    assert!(digest(2) != digest(1));
}

#[test]
fn over_many_seeds_the_mean_rate_is_unbiased() {
    let players =
        Day { peak_players: 300.0, noise: 0.0, ..Day::default() }.generate().unwrap().compressed(360.0).unwrap();
    let tiers = [tier("gold", 0.6, 3.4), tier("silver", 0.4, 2.0)];
    let per_player_s = (0.6 * 3.4 + 0.4 * 2.0) / 60.0;
    let expected = player_seconds(&players, 0.0, 240.0) * per_player_s * 200.0;
    let seen = (0..200).map(|seed| Arrivals::new(&players, &tiers, players.duration(), seed).count()).sum::<usize>();
    // Half a million arrivals: four standard deviations are 0.6 %.
    assert!((seen as f64 - expected).abs() < 4.0 * expected.sqrt(), "seen {seen}, expected {expected}");
}
