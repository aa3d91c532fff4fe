//! What a command says to bad input: soon, in the user's words, with the exit code for usage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
#![allow(clippy::disallowed_methods, reason = "these tests have no runtime to block: they wait for processes")]

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn evenkeel(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(arguments).env("HOME", home).env_remove("XDG_STATE_HOME").env_remove("EVENKEEL_STATE_DIR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What the command said, which must have ended with the code for usage.
#[track_caller]
fn refused(home: &Path, arguments: &[&str]) -> String {
    let output = evenkeel(home, arguments).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {words}");
    words
}

fn example() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/game.yaml")).unwrap()
}

/// `check` of what comes through a pipe; the writer may be left with a broken one.
fn checked_from_a_pipe(home: &Path, write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Output {
    let mut child = evenkeel(home, &["check", "/dev/stdin"]).spawn().unwrap();
    let _ = write(&mut child.stdin.take().unwrap());
    child.wait_with_output().unwrap()
}

#[test]
fn no_command_reads_more_than_a_fleet_file_can_hold() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().to_str().unwrap();
    let (large, latin) = (home.path().join("large.yaml"), home.path().join("latin.yaml"));
    // All holes, so that it takes no room, and far more than a fleet file may have.
    File::create(&large).unwrap().set_len(1 << 40).unwrap();
    fs::write(&latin, b"fleet: game\n# caf\xe9\n").unwrap();
    let cases = [
        ("/dev/zero", "neither a file nor a pipe"),
        (folder, "this is a folder; name the fleet file in it"),
        (large.to_str().unwrap(), "a fleet file has at most 1048576 bytes, and this has more"),
        (latin.to_str().unwrap(), "line 2 holds the byte 0xe9, which is no UTF-8 text"),
    ];
    for (path, expected) in cases {
        for command in ["check", "run", "gateway", "load", "status"] {
            let words = refused(home.path(), &[command, path]);
            assert!(words.contains(expected) && words.contains(path), "{command} {path}: {words}");
        }
    }
}

#[test]
fn a_pipe_is_read_to_its_end_or_to_the_largest_that_a_file_may_be() {
    let home = tempfile::tempdir().unwrap();
    let sound = checked_from_a_pipe(home.path(), |pipe| pipe.write_all(example().as_bytes()));
    assert!(sound.status.success(), "{}", String::from_utf8_lossy(&sound.stderr));
    let endless = checked_from_a_pipe(home.path(), |pipe| {
        loop {
            // Ends with an error once nobody reads on.
            pipe.write_all(&[b'#'; 65_536])?;
        }
    });
    assert_eq!(endless.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&endless.stderr).contains("at most 1048576 bytes"));
}

#[test]
fn a_flag_that_is_a_slip_is_refused_with_what_is_taken() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("game.yaml");
    fs::write(&file, example()).unwrap();
    let file = file.to_str().unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["load", file, "--peak", "1e300"], "there are no more people"),
        (&["load", file, "--peak", "9e9"], "requests a second; no machine sends more"),
        (&["load", file, "--compress", "1e300"], "from 0.001 to 86400"),
        (&["run", file, "--allow-host", "**"], "expected a name of letters, digits, `-` and `.`"),
        (&["pause", file, "--for", "100000d"], "`100000d` is too long; at most 366 days"),
        (&["gateway", file, "--controller", "notaurl"], "--controller: `notaurl` is no controller address"),
    ];
    for (arguments, expected) in cases {
        let words = refused(home.path(), arguments);
        assert!(words.contains(expected), "{arguments:?}: {words}");
    }
}

#[test]
fn a_trace_for_a_tier_that_is_not_there_is_refused_by_its_name() {
    let home = tempfile::tempdir().unwrap();
    let (fleet, trace) = (home.path().join("game.yaml"), home.path().join("trace.csv"));
    fs::write(&fleet, example()).unwrap();
    fs::write(&trace, "0.0,10,10\n").unwrap();
    let sent = |flags: &[&str]| {
        let files = ["load", fleet.to_str().unwrap(), "--trace", trace.to_str().unwrap()];
        refused(home.path(), &[&files[..], flags].concat())
    };
    assert!(sent(&["--tier", "nope"]).contains("there is no tier `nope`"));
    assert!(sent(&[]).contains("`--tier` says whom the trace is sent to: one of gold, silver, bronze"));
}

#[test]
fn explain_without_a_tier_says_where_it_belongs_and_which_there_are() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("game.yaml");
    fs::write(&file, example()).unwrap();
    let words = refused(home.path(), &["explain", file.to_str().unwrap()]);
    let call = format!("`evenkeel explain {} gold`", file.display());
    assert!(words.contains(&call) && words.contains("its tiers: gold, silver, bronze"), "{words}");
    let words = refused(home.path(), &["explain", "gone.yaml"]);
    assert!(words.contains("`evenkeel explain gone.yaml TIER`"), "{words}");
}

#[test]
fn what_cannot_be_simulated_is_refused_by_its_name_with_the_way_out() {
    let home = tempfile::tempdir().unwrap();
    let (fleet, series) = (home.path().join("game.yaml"), home.path().join("players.csv"));
    fs::write(&fleet, example()).unwrap();
    fs::write(&series, "0,100\n86400,100\n").unwrap();
    let zero = home.path().join("zero.csv");
    fs::write(&zero, "0,0\n864000,0\n").unwrap();
    let long = home.path().join("long.csv");
    fs::write(&long, "0,1\n1700000000,1\n").unwrap();
    let (empty, longest) = (home.path().join("empty.csv"), home.path().join("longest.csv"));
    fs::write(&empty, "").unwrap();
    fs::write(&longest, "0,9000,1\n60,9000,1\n").unwrap();
    let (empty, longest) = (empty.to_str().unwrap(), longest.to_str().unwrap());
    let (fleet, series, zero) = (fleet.to_str().unwrap(), series.to_str().unwrap(), zero.to_str().unwrap());
    let long = long.to_str().unwrap();
    for (flags, expected) in [
        (&["--players", series][..], "`--tier` says which is simulated: one of gold, silver, bronze"),
        (
            &["--tier", "copper", "--players", series],
            "there is no tier `copper`; the fleet file has gold, silver, bronze",
        ),
        (&["--tier", "gold"], "--players <FILE>|--arrivals <FILE>|--requests <FILE>|--scenario <NAME>"),
        (&["--tier", "gold", "--scenario", "day", "--weather", "rain"], "`rain` is no weather; write `no-capacity="),
        (&["--tier", "gold", "--scenario", "day", "--instance", "g9"], "there is no price of `g9`; there are"),
        (&["--tier", "gold", "--scenario", "day", "--start-up", "soon"], "`soon`"),
        (&["--tier", "gold", "--scenario", "day", "--spot", "none.csv"], "none.csv: "),
        (
            &["--tier", "gold", "--scenario", "day", "--metrics", "tea-leaves"],
            "there is no metric pipeline `tea-leaves`",
        ),
        (
            &["--tier", "gold", "--scenario", "day", "--mean-replicas", "5", "--spot", series],
            "`--spot-pool` says how many instances the pool has",
        ),
        (&["--tier", "gold", "--scenario", "day", "--weather", "crash=1d,crash=7d"], "`crash` is stated twice"),
        (
            &["--tier", "gold", "--scenario", "day", "--instance", "ml.g5.xlarge", "--spot", empty],
            "there is no spot price of `ml.g5.xlarge`",
        ),
        (&["--tier", "gold", "--scenario", "day", "--spot", empty], "the trace is empty; expected `# gap_seconds=195`"),
        (
            &["--tier", "gold", "--scenario", "day", "--step", "30s", "--policies", "hpa,agones,static"],
            "`--step 30s` is longer than the time between two looks of hpa (15s): write a shorter one",
        ),
        (
            &["--tier", "gold", "--scenario", "day", "--criteria", "--policies", "hpa"],
            "name `evenkeel` among the `--policies`",
        ),
        (&["--tier", "gold", "--scenario", "day", "--criteria"], "`--criteria` is about single requests"),
        (&["--tier", "gold", "--scenario", "day", "--model", "requests", "--patience", "0s"], "a time above zero"),
        (&["--tier", "gold", "--scenario", "day", "--patience", "5s"], "`--patience` is about single requests"),
        (&["--tier", "gold", "--scenario", "day", "--peak", "1e12"], "at most 100000 are simulated: scale it down"),
        (&["--tier", "gold", "--scenario", "day", "--start-up", "1000d"], "neither a time of at most a year"),
        (&["--tier", "gold", "--requests", longest], "takes 4096 tokens in a request, and every request is longer"),
        (&["--tier", "gold", "--players", long], "at most 20000000 are simulated: write a longer `--step`"),
        (&["--tier", "gold", "--scenario", "doomsday"], "there is no scenario `doomsday`; there are day, week,"),
        (&["--tier", "gold", "--players", series, "--peak", "5"], "cannot be used with"),
        (&["--tier", "gold", "--requests", series], "line 1: `0,100`"),
        (&["--tier", "gold", "--players", series, "--from", "5h", "--to", "1h"], "leaves nothing of 86400s"),
        (
            &["--tier", "gold", "--players", series, "--history", "0s", "--peers", "tuned-on-history"],
            "needs a history to tune on",
        ),
        (&["--tier", "gold", "--players", "none.csv"], "cannot read none.csv"),
        (
            &["--tier", "gold", "--players", series, "--history", "2d"],
            "`--history` takes 172800s of it: nothing is left",
        ),
        (&["--tier", "bronze", "--players", series, "--history", "1h"], "`backlog_per_replica` goes by signals"),
        (&["--tier", "gold", "--players", zero, "--mean-replicas", "5"], "the series is zero throughout"),
        (&["--tier", "gold", "--players", series, "--attainment", "100%"], "a share above 0 and below 1"),
        (&["--tier", "gold", "--players", series, "--step", "5"], "a time of at least 100ms"),
        (&["--tier", "gold", "--players", series, "--policies", "hpa,magic"], "there is no policy `magic`"),
    ] {
        let words = refused(home.path(), &[&["simulate", fleet][..], flags].concat());
        assert!(words.contains(expected), "{flags:?}: {words}");
    }
}

#[test]
fn only_a_simulation_has_a_page_and_others_refuse_to_print_one() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&["check", "game.yaml"][..], &["load", "game.yaml"], &["demo"], &["completions", "bash"]] {
        let words = refused(home.path(), &[arguments, &["-o", "html"]].concat());
        assert!(words.contains("`-o html` is for `simulate`") && words.contains("--report FILE"), "{words}");
    }
}
