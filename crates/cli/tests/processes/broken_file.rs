//! A fleet whose file is broken or gone must still be watched, ordered about and ended; and no other moves in.

use crate::world::{World, ready, said};
use std::fs;

#[test]
fn orders_and_questions_reach_a_running_fleet_while_its_file_is_broken_or_gone() {
    let mut world = World::new("");
    world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let fleet = world.fleet.to_str().unwrap();
    let works = |arguments: &[&str]| {
        let output = world.evenkeel(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        said(&output)
    };
    world.edit("maximum: 6", "maximum: none");
    let words = works(&["status", fleet]);
    assert!(words.contains("maximum") && words.contains("going on with the fleet small"), "{words}");
    works(&["pause", fleet, "--for", "0s"]);
    works(&["override", fleet, "gold", "--at-least", "2", "--until", "1h", "--because", "a broken file"]);
    works(&["mode", fleet, "act"]);
    works(&["explain", fleet, "gold"]);
    let misspelt = said(&world.evenkeel(&["explain", fleet, "golf"]));
    assert!(misspelt.contains("no decision for a tier `golf`; it has: gold"), "{misspelt}");
    works(&["replay", fleet]);
    world.wait_for("the override", |gold| gold["operator"]["at_least"] == 2);
    works(&["override", fleet, "gold", "--end"]);
    world.wait_for("the end of the override", |gold| gold["operator"].is_null());
    works(&["override", fleet, "gold", "--at-least", "2", "--until", "1h", "--because", "a broken file"]);
    world.wait_for("the override again", |gold| gold["operator"]["at_least"] == 2);

    fs::remove_file(&world.fleet).unwrap();
    works(&["mode", fleet, "advise"]);
    world.wait_for_mode("advise");
    works(&["stop", fleet, "--grace", "5"]);
    assert!(world.replicas().is_empty());
}

#[test]
fn without_a_named_directory_a_missing_file_is_found_by_what_its_controller_left() {
    let mut world = World::new("");
    world.keep_state_where_it_is_by_default();
    world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let other = world.directory().join("other.yaml");
    fs::remove_file(&world.fleet).unwrap();
    let output = world.evenkeel(&["mode", world.fleet.to_str().unwrap(), "advise"]);
    assert!(output.status.success(), "{}", said(&output));
    let output = world.evenkeel(&["mode", other.to_str().unwrap(), "act"]);
    assert_eq!(output.status.code(), Some(2), "no fleet of that file ran here");
    assert!(said(&output).contains("other.yaml") && said(&output).contains("--state DIR"), "{}", said(&output));
    world.wait_for_mode("advise");
}

#[test]
fn another_fleet_is_refused_in_a_state_directory_that_has_one() {
    let mut world = World::new("");
    let first = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    world.terminate(first);
    assert_eq!(world.exit_code(first), Some(0));
    let other = world.directory().join("other.yaml");
    fs::write(&other, fs::read_to_string(&world.fleet).unwrap().replace("fleet: small", "fleet: other")).unwrap();
    for command in ["run", "gateway", "stop"] {
        let output = world.evenkeel(&[command, other.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(2), "{command}");
        let words = said(&output);
        assert!(words.contains("lives the fleet small") && words.contains("--state"), "{command}: {words}");
    }
    assert_eq!(world.replicas().len(), 1, "and the one that lives there is left alone");
}

#[test]
fn a_fleet_that_never_ran_has_nothing_to_explain_or_replay() {
    let world = World::new("");
    let fleet = world.fleet.to_str().unwrap();
    for arguments in [vec!["explain", fleet, "gold"], vec!["replay", fleet]] {
        let output = world.evenkeel(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(said(&output).contains("never ran here"), "{}", said(&output));
    }
}
