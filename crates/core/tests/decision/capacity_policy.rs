//! The capacity policy: staffed above the measured demand, a level kept until demand has not needed it for its hold.

use crate::specs::{capacity, gold, minutes, seconds};
use crate::timeline::{Timeline, rate_for};
use evenkeel_core::capacity::Table;
use evenkeel_core::decision::{Forecast, Reason, Why};
use evenkeel_core::observe::{Finished, Mean, Offered, Reading, Signals};
use evenkeel_core::spec::{LatencyMetric, Objective, PolicySpec, TierSpec};
use evenkeel_core::units::Span;

/// 1.063 replicas for each replica of demand at 95 % (policy.md's cold line): 2.5 of demand are three.
const GAIN: f64 = 1.063;

#[test]
fn every_kind_of_objective_limits_the_rate_and_a_longer_bound_lets_more_of_it_through() {
    let mut tier = gold();
    // A batch of four is soon full, one of 64 soon slow.
    for (metric, batch, short, long) in [
        (LatencyMetric::Ttft, 64, 200, 2_000),
        (LatencyMetric::Tpot, 64, 8, 12),
        (LatencyMetric::Itl, 64, 8, 18),
        (LatencyMetric::E2e, 64, 900, 3_000),
        (LatencyMetric::QueueTime, 4, 5, 200),
    ] {
        tier.profile.max_sequences = batch;
        let table = |bound| {
            let objective = Objective { metric, quantile: 0.95, bound: Span::from_millis(bound) };
            Table::solve(&tier.profile, &tier.requests, &[objective], 4)
        };
        let (short, long) = (table(short), table(long));
        for replicas in [1.0, 4.0] {
            let (short, long) = (short.rate(replicas), long.rate(replicas));
            assert!(short < long, "{metric:?} with {replicas} replicas: {short} and {long}");
        }
        assert!(long.rate(4.0) >= 4.0 * long.rate(1.0), "{metric:?}: four together carry four times as much at least");
    }
}

#[test]
fn a_reading_over_a_long_gap_counts_as_much_as_the_window_holds() {
    let policies = vec![PolicySpec::Capacity { window: seconds(60), hold: seconds(300) }];
    let mut tier = Timeline::of(TierSpec { policies, ..gold() });
    let mut told = |requests, over| {
        let value = Offered { requests, prompt_tokens: 0, over };
        let offered = Reading::Fresh { value, at: tier.inputs.now };
        tier.tick_with(vec![Signals { offered, ..Signals::default() }]);
        let Why::Demand { requests_per_second, .. } = tier.decision().recommendations[0].why else { panic!() };
        requests_per_second
    };
    // Ten minutes at one request a second count as the last minute of them.
    assert_eq!(told(600, minutes(10)), 1.0);
    let after = told(10, seconds(1));
    assert!((after - 70.0 / 61.0).abs() < 1e-12, "{after}");
}

#[test]
fn more_demand_is_answered_on_the_very_tick_that_measures_it() {
    let mut gold = Timeline::of(gold());
    gold.demand(0.5);
    gold.at(minutes(5)).expect(1).because(Reason::HeldSteady);
    gold.demand(15.0);
    while gold.clock() < minutes(6) {
        gold.tick();
        let Why::Demand { demand_replicas, .. } = gold.decision().recommendations[0].why else { panic!() };
        gold.expect((GAIN * demand_replicas).ceil() as u32);
    }
    gold.expect(16);
}

#[test]
fn the_first_reading_alone_may_grow_the_tier() {
    let mut gold = Timeline::of(gold());
    gold.demand(4.5);
    gold.at(Span::ZERO).expect(5).because(Reason::GrewForDemand);
}

#[test]
fn a_level_is_held_for_300_seconds_after_demand_last_needed_it() {
    let mut gold = Timeline::of(gold());
    gold.demand(4.5);
    gold.at(minutes(10)).expect(5);
    gold.demand(1.5);
    // Demand is averaged over 60 s, so the fifth replica is last needed some seconds after the drop.
    gold.at(minutes(15)).expect(5).because(Reason::HeldInWindow);
    gold.watch().at(minutes(16)).expect(2);
    gold.because(Reason::HeldSteady);
}

#[test]
fn several_levels_go_at_once_when_each_has_been_idle_for_the_hold() {
    let mut gold = Timeline::of(gold()).with_ready(1);
    gold.demand(14.0);
    gold.at(minutes(10)).expect(15);
    gold.demand(2.5);
    gold.watch().at(minutes(16));
    let within_a_minute = 15 - gold.lowest();
    assert_eq!(within_a_minute, 12, "from 15 to 3 in the minute after the hold, not one at a time");
}

#[test]
fn a_short_dip_costs_no_replica() {
    let mut gold = Timeline::of(gold());
    gold.demand(6.5);
    gold.at(minutes(10)).expect(7);
    gold.demand(0.1);
    gold.at(minutes(14));
    gold.demand(6.5);
    gold.watch().at(minutes(30));
    assert_eq!(gold.lowest(), 7);
}

#[test]
fn a_confirmed_zero_goes_to_the_minimum_within_window_and_hold() {
    let mut gold = Timeline::of(TierSpec { minimum: 0, ..gold() });
    gold.demand(8.0);
    gold.at(minutes(10)).expect(9);
    gold.demand(0.0);
    gold.at(minutes(10) + seconds(60 + 300)).expect(0).because(Reason::HeldSteady);
}

#[test]
fn the_minimum_is_where_a_confirmed_zero_ends() {
    let mut gold = Timeline::of(TierSpec { minimum: 2, ..gold() });
    gold.demand(8.0);
    gold.at(minutes(10)).expect(9);
    gold.demand(0.0);
    gold.at(minutes(17)).expect(2).because(Reason::HeldAtMinimum);
}

#[test]
fn a_tier_at_zero_wakes_on_the_first_request() {
    let mut gold = Timeline::of(TierSpec { minimum: 0, ..gold() });
    gold.demand(0.0);
    gold.at(minutes(10)).expect(0);
    gold.feed().requests_per_second = Some(1.0);
    gold.at(minutes(10) + seconds(1)).expect(1).because(Reason::GrewForDemand);
    // One request is enough to stay for as long as the hold.
    gold.feed().requests_per_second = Some(0.0);
    gold.at(minutes(15)).expect(1);
    gold.at(minutes(17)).expect(0);
}

#[test]
fn a_forecast_adds_replicas_and_never_removes_any() {
    let mut gold = Timeline::of(gold());
    gold.demand(2.5);
    gold.at(minutes(10)).expect(3);
    let tier = gold.spec().tiers[0].clone();
    let forecast =
        |replicas: f64| Some(Forecast { requests_per_second: rate_for(&tier, replicas), horizon: tier.start_up });
    gold.tiers[0].forecast = forecast(6.5);
    gold.at(minutes(10) + seconds(1)).expect(7);
    gold.tiers[0].forecast = forecast(0.0);
    gold.at(minutes(30)).expect(3);
    assert!(matches!(gold.decision().recommendations[0].why, Why::Demand { forecast_replicas: Some(0.0), .. }));
}

#[test]
fn a_missing_forecast_adds_nothing() {
    let mut gold = Timeline::of(gold());
    gold.demand(2.5);
    gold.at(minutes(10)).expect(3);
    assert!(matches!(gold.decision().recommendations[0].why, Why::Demand { forecast_replicas: None, .. }));
}

#[test]
fn a_forecast_that_is_not_a_number_counts_as_missing() {
    let mut gold = Timeline::of(gold());
    gold.demand(2.5);
    for wrong in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        gold.tiers[0].forecast = Some(Forecast { requests_per_second: wrong, horizon: seconds(60) });
        gold.tick();
        gold.expect(3);
        assert!(matches!(gold.decision().recommendations[0].why, Why::Demand { forecast_replicas: None, .. }));
    }
}

#[test]
fn a_higher_attainment_is_staffed_with_more() {
    let counts = [0.95, 0.99, 0.999].map(|attainment| {
        let mut gold = Timeline::of(TierSpec { attainment, ..gold() });
        gold.demand(5.0);
        gold.at(minutes(5)).decision().desired
    });
    // 5 x 1.063, 5 x 1.345 and 5 x 1.936, rounded up.
    assert_eq!(counts, [6, 7, 10]);
}

#[test]
fn replicas_that_measure_slower_than_declared_are_staffed_with_more() {
    let steady = |slowdown: Option<f64>| {
        let mut gold = Timeline::of(gold());
        gold.demand(6.0);
        gold.feed().in_flight = Some(0);
        for second in 0..900 {
            if let Some(slowdown) = slowdown {
                // A pace of exactly `slowdown` times the declared one with one request inside each replica, 20 ended a tick.
                let inside = gold.tiers[0].supply().ready;
                let declared = declared_pace_ms(&gold.spec().tiers[0]);
                gold.feed().in_flight = Some(u64::from(inside));
                gold.feed().pace = Some(Mean { sum: 20.0 * slowdown * declared, count: 20 });
            }
            gold.at(seconds(second));
        }
        gold.decision().clone()
    };
    let (unmeasured, as_declared, slow) = (steady(None), steady(Some(1.0)), steady(Some(1.25)));
    assert_eq!(unmeasured.desired, as_declared.desired);
    assert!(slow.desired > as_declared.desired, "{} and {}", slow.desired, as_declared.desired);
    let Why::Demand { slowdown, .. } = slow.recommendations[0].why else { panic!("{slow:?}") };
    assert!((1.15..=1.25).contains(&slowdown), "measured 1.25, drawn a little to the declared 1: {slowdown}");
}

#[test]
fn a_slow_day_is_forgotten() {
    let mut gold = Timeline::of(gold());
    gold.demand(4.5);
    gold.feed().in_flight = Some(1);
    let declared = declared_pace_ms(&gold.spec().tiers[0]);
    let slowdown = |it: &Timeline| match it.decision().recommendations[0].why {
        Why::Demand { slowdown, .. } => slowdown,
        _ => panic!(),
    };
    gold.feed().pace = Some(Mean { sum: 20.0 * 2.0 * declared, count: 20 });
    gold.at(minutes(30));
    assert!(slowdown(&gold) > 1.5, "{}", slowdown(&gold));
    gold.feed().pace = Some(Mean { sum: 20.0 * declared, count: 20 });
    gold.at(minutes(35));
    assert!(slowdown(&gold) < 1.01, "{}", slowdown(&gold));
}

#[test]
fn requests_that_turn_out_longer_than_declared_are_staffed_with_more() {
    let staffed = |length: u64| {
        let mut gold = Timeline::of(gold());
        gold.demand(5.0);
        gold.feed().finished = Some(Finished {
            succeeded: 20,
            failed: 0,
            prompt_tokens: 20 * 300 * length / 10,
            output_tokens: 20 * 40 * length / 10,
            over: seconds(1),
        });
        gold.at(minutes(10)).decision().desired
    };
    assert_eq!(staffed(10), 6, "as declared");
    assert!(staffed(15) >= 7, "half as long again: {}", staffed(15));
    assert!(staffed(7) <= 5, "shorter: {}", staffed(7));
}

/// The demand in replicas, and that of the forecast.
fn demands(timeline: &Timeline) -> (f64, Option<f64>) {
    match timeline.decision().recommendations[0].why {
        Why::Demand { demand_replicas, forecast_replicas, .. } => (demand_replicas, forecast_replicas),
        _ => panic!(),
    }
}

#[test]
fn a_request_weighs_what_its_tokens_cost_in_a_full_batch_and_a_forecast_one_as_much() {
    let mut tier = gold();
    tier.profile.prefix_hit_share = 0.25;
    let (profile, rate) = (tier.profile.clone(), 20.0);
    let mut gold = Timeline::of(tier.clone());
    gold.feed().requests_per_second = Some(rate);
    gold.tiers[0].forecast = Some(Forecast { requests_per_second: rate, horizon: seconds(60) });
    // One request a tick, half as long again in the prompt and twice as long in the answer.
    let over = seconds(1);
    gold.feed().finished = Some(Finished { succeeded: 1, failed: 0, prompt_tokens: 450, output_tokens: 80, over });
    gold.at(minutes(60));
    let batch = 64.0;
    let each_output = profile.decode_iteration_ms(batch, batch * (300.0 + 20.0)) / batch;
    let cost = |prompt: f64, output: f64| prompt * 0.08 * 0.75 + output * each_output;
    // Each request makes the earlier ones count 0.995, so 200 of them are remembered beside 100 as declared.
    let work = (200.0 * cost(450.0, 80.0) + 100.0 * cost(300.0, 40.0)) / (300.0 * cost(300.0, 40.0));
    let table = Table::solve(&tier.profile, &tier.requests, &tier.slo.objectives, tier.maximum);
    let (demand, forecast) = demands(&gold);
    assert!((demand - table.demand(rate * work)).abs() < 1e-6 * demand, "{demand}, and work {work}");
    assert_eq!(forecast, Some(demand));
}

#[test]
fn a_pace_is_compared_with_the_declared_one_for_as_many_requests_as_are_inside_each_replica() {
    let mut gold = Timeline::of(gold()).with_ready(4);
    gold.demand(3.5);
    gold.feed().in_flight = Some(8 * 4);
    let tier = gold.spec().tiers[0].clone();
    let declared = evenkeel_core::capacity::Service::new(&tier.profile, &tier.requests).iteration_ms(8.0);
    gold.feed().pace = Some(Mean { sum: 20.0 * declared, count: 20 });
    gold.tick();
    let Why::Demand { slowdown, .. } = gold.decision().recommendations[0].why else { panic!() };
    assert!((slowdown - 1.0).abs() < 1e-12, "{slowdown}");
}

#[test]
fn the_peak_that_a_level_is_held_for_is_told() {
    let mut gold = Timeline::of(gold());
    gold.demand(4.6);
    gold.at(minutes(10)).expect(5);
    gold.demand(4.2);
    gold.at(minutes(12)).expect(5);
    let Why::Demand { demand_replicas, peak_demand_replicas, .. } = gold.decision().recommendations[0].why else {
        panic!()
    };
    assert!((demand_replicas - 4.2).abs() < 0.01 && (peak_demand_replicas - 4.6).abs() < 0.01);
}

fn declared_pace_ms(tier: &TierSpec) -> f64 {
    evenkeel_core::capacity::Service::new(&tier.profile, &tier.requests).iteration_ms(1.0)
}

#[test]
fn an_objective_that_no_number_of_replicas_meets_is_said_and_not_chased() {
    let mut tier = gold();
    tier.slo.objectives[0].bound = Span::from_millis(5);
    let mut gold = Timeline::of(tier);
    gold.feed().requests_per_second = Some(20.0);
    gold.at(minutes(10));
    let staffed = gold.decision().desired;
    assert!(staffed < gold.spec().tiers[0].maximum, "not scaled without bound: {staffed}");
    gold.because(Reason::Unachievable);
    let Why::Unachievable { metric, .. } = gold.decision().recommendations[0].why else { panic!() };
    assert_eq!(metric, LatencyMetric::Tpot);
    // Its queue still is kept finite: twice the requests need more replicas.
    gold.feed().requests_per_second = Some(60.0);
    gold.at(minutes(15));
    assert!(gold.decision().desired > staffed);
}

#[test]
fn constant_demand_settles_and_then_makes_no_change() {
    for replicas in [0.0, 0.4, 1.0, 3.3, 7.7, 12.9] {
        let mut gold = Timeline::of(gold());
        gold.demand(replicas);
        let settled = gold.at(minutes(10)).decision().desired;
        assert_eq!(settled, ((GAIN * replicas).ceil() as u32).max(1));
        for minute in 11..60 {
            gold.at(minutes(minute)).expect(settled);
        }
    }
}

#[test]
fn the_policy_says_when_its_hold_ends() {
    let mut gold = Timeline::of(gold());
    gold.demand(4.5);
    gold.at(minutes(10));
    gold.demand(1.5);
    gold.at(minutes(13)).expect(5).because(Reason::HeldInWindow);
    let ends = gold.decision().look_again;
    while gold.decision().at < ends {
        gold.expect(5).tick();
    }
    assert!(gold.decision().desired < 5, "promised for {ends:?}");
}

#[test]
fn the_hold_belongs_to_the_policy() {
    let mut tier = gold();
    tier.policies = vec![evenkeel_core::spec::PolicySpec::Capacity { window: seconds(60), hold: seconds(30) }];
    let mut gold = Timeline::of(tier);
    gold.demand(4.5);
    gold.at(minutes(10)).expect(5);
    gold.demand(1.5);
    gold.at(minutes(12)).expect(2);
    assert_ne!(capacity(), gold.spec().tiers[0].policies[0]);
}

#[test]
fn a_batch_of_none_decides_like_a_batch_of_one_and_ends_nothing() {
    // No fleet file says so, but a journal that somebody wrote may.
    let [none, one] = [0, 1].map(|max_sequences| {
        let mut spec = gold();
        spec.profile.max_sequences = max_sequences;
        let mut gold = Timeline::of(spec);
        gold.feed().requests_per_second = Some(5.0);
        gold.feed().pace = Some(Mean { sum: 700.0, count: 100 });
        gold.at(minutes(3));
        gold.decision().clone()
    });
    assert_eq!(none, one);
}
