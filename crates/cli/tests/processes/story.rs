//! What happened is told afterwards, in order: who ordered what, who took over, and which file was in force.

use crate::world::{World, ready, said, until};

#[test]
fn explain_tells_what_was_ordered_and_who_took_over_between_the_decisions() {
    let mut world = World::new("");
    let first = world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let fleet = world.fleet.to_str().unwrap().to_owned();
    let told = |world: &World, arguments: &[&str]| {
        let output = world.evenkeel(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    told(&world, &["pause", &fleet, "--for", "600s"]);
    told(&world, &["pause", &fleet, "--for", "0s"]);
    told(&world, &["override", &fleet, "gold", "--at-least", "2", "--until", "1h", "--because", "launch day"]);
    told(&world, &["override", &fleet, "gold", "--end"]);
    told(&world, &["mode", &fleet, "advise"]);
    world.kill(first);
    world.start("run");
    world.wait_for("the replica that was adopted", |gold| ready(gold) >= 1);
    let story = told(&world, &["explain", &fleet, "gold"]);
    let mut rest = story.as_str();
    for words in [
        "grew 0 -> 1",
        "paused until",
        "the pause ends",
        "override at least 2 until",
        "launch day",
        "the override ends",
        "from here on in mode advise",
        "took over",
    ] {
        let Some((_, after)) = rest.split_once(words) else { panic!("no `{words}` in its place in:\n{story}") };
        rest = after;
    }
    assert!(told(&world, &["status", &fleet]).contains("mode advise is in force; the fleet file says act"));
}

#[test]
fn status_tells_that_a_changed_file_is_not_in_force_until_it_is_mended() {
    let mut world = World::new("");
    world.start("run");
    world.wait_for("the first replica", |gold| ready(gold) == 1);
    let status = || String::from_utf8(world.evenkeel(&["status", world.fleet.to_str().unwrap()]).stdout).unwrap();
    let not_in_force = "the fleet file was changed and is not in force";
    assert!(status().contains("mode act") && !status().contains(not_in_force));
    world.edit("maximum: 6", "maximum: none");
    until("the refusal", || status().contains(not_in_force));
    world.edit("maximum: none", "maximum: 6");
    until("the file that is in force again", || !status().contains(not_in_force));
}
