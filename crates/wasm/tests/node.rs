//! The same bytes on another platform: the module is built, run under Node, and compared with this very process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../cli/tests/skipped/mod.rs"]
mod skipped;

use std::fmt::Write;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const FLEET: &str = include_str!("../../../examples/game.yaml");

/// Reads the module's path and both inputs from its standard input, as JSON, and writes the result.
const HOST: &str = r"
const { module, fleet, series } = JSON.parse(require('fs').readFileSync(0));
WebAssembly.instantiate(require('fs').readFileSync(module), {}).then(({ instance: { exports } }) => {
  for (const byte of Buffer.from(fleet)) exports.fleet_byte(byte);
  for (const byte of Buffer.from(series)) exports.series_byte(byte);
  const result = Buffer.alloc(exports.simulate());
  for (let index = 0; index < result.length; index++) result[index] = exports.result_byte(index);
  process.stdout.write(result);
});
";

#[test]
fn webassembly_gives_the_same_bytes() {
    if Command::new("node").arg("--version").output().is_err() {
        return skipped::tell("the simulator under Node: there is no `node`");
    }
    let mut series = String::new();
    for (index, players) in [900, 1_300, 2_600, 1_700, 3_100, 800, 1_200].into_iter().enumerate() {
        writeln!(series, "{},{players}", 1_700_000_000 + 1_800 * index).unwrap();
    }
    let native = evenkeel_wasm::simulated(FLEET, series.as_bytes());
    assert!(native.starts_with("[[{\"policy\":\"evenkeel\""), "{native}");
    let input = serde_json::json!({ "module": module(), "fleet": FLEET, "series": series }).to_string();
    let mut node =
        Command::new("node").args(["-e", HOST]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    node.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), native);
}

/// Builds the module, beside what is built already.
fn module() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = root.join("target/wasm");
    let arguments = ["build", "--locked", "--quiet", "--release", "--package", "evenkeel-wasm"];
    let built = Command::new(env!("CARGO"))
        .current_dir(&root)
        .args(arguments)
        .args(["--target", "wasm32-unknown-unknown", "--target-dir"])
        .arg(&target)
        .status();
    assert!(built.unwrap().success());
    target.join("wasm32-unknown-unknown/release/evenkeel_wasm.wasm").to_str().unwrap().to_owned()
}
