//! An engine that hangs behind a living health check: only time tells.

use super::at_most;
use crate::client::{Traffic, asking, exchange};
use crate::world::{World, address_of, ready, until};

#[test]
#[ignore = "more than a minute, the gateway's patience: make drill"]
fn a_replica_that_answers_no_request_holds_up_those_inside_it_once_and_is_replaced() {
    let mut world = World::new(", --fault, none");
    world.edit("start_deadline: 20s", "start_deadline: 5s");
    let controller = world.start("run");
    world.start("gateway");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.exactly(3);
    world.wait_for("three", |gold| ready(gold) == 3);
    world.wait_for_sight();
    let before = world.replicas();
    let body = asking("gold", 1, 4).replace("\"max_tokens\"", "\"stream\": true, \"max_tokens\"");
    let traffic = Traffic::begin(world.gateway(), 16, &body);
    let (status, _) = exchange(&address_of(before[0]), "PUT", "/fault/silent", "").unwrap();
    assert_eq!(status, 204);
    // The gateway gives a stream a minute to begin, those inside and then a probe.
    std::thread::sleep(std::time::Duration::from_secs(100));
    world.wait_for_log("run", controller, "\"replaced\":true");
    world.wait_for("another in its place", |gold| ready(gold) == 3);
    until("it to be gone", || !world.replicas().contains(&before[0]));
    let told = traffic.end();
    let failed = told.broken + told.statuses.iter().filter(|(status, _)| **status != 200).map(|it| it.1).sum::<usize>();
    println!("{} requests answered, the slowest after {:.1} s", told.well(), told.slowest.as_secs_f64());
    at_most("a silent replica: failed", failed as f64, "requests", 0.0);
    assert_eq!(failed, 0, "{told:?}");
}
