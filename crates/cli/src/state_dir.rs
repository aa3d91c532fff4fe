//! Where a fleet's state lives on this machine: lock, epoch, token, journal, logs, the gateway's queue.

use crate::failure::Failure;
use std::io::Write;
use std::path::{Path, PathBuf};

/// In the root, beside the fleets' directories: the demo's directory, and which was used last. No fleet's name begins
/// with a dot.
const DEMO: &str = ".demo";
const LAST: &str = ".last";

/// A fleet's state directory.
#[derive(Clone, Debug)]
pub(crate) struct StateDir(PathBuf);

/// The flag that all commands share.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct StateArgument {
    /// Where the fleet's state lives [default: ~/.local/state/evenkeel/FLEET]
    #[arg(long, value_name = "DIR", env = "EVENKEEL_STATE_DIR")]
    state: Option<PathBuf>,
}

impl StateArgument {
    /// The state directory of `fleet`.
    pub(crate) fn of(&self, fleet: &str) -> Result<StateDir, Failure> {
        match &self.state {
            Some(path) => Ok(StateDir(path.clone())),
            None => Ok(StateDir(root()?.join(fleet))),
        }
    }

    /// The state directory that was named.
    pub(crate) fn named(&self) -> Option<StateDir> {
        self.state.clone().map(StateDir)
    }

    /// The state directory that was named, or of the fleet that was run last on this machine.
    pub(crate) fn last(&self) -> Result<StateDir, Failure> {
        if let Some(path) = &self.state {
            return Ok(StateDir(path.clone()));
        }
        let last = std::fs::read_to_string(root()?.join(LAST));
        let path = last.map_err(|_| Failure::usage("no fleet was run on this machine yet; name the fleet file"))?;
        Ok(StateDir(PathBuf::from(path.trim_end())))
    }
}

/// Every state directory that is where it is by default.
pub(crate) fn all() -> Result<Vec<StateDir>, Failure> {
    let entries = std::fs::read_dir(root()?).into_iter().flatten().flatten();
    Ok(entries.map(|entry| StateDir(entry.path())).collect())
}

fn root() -> Result<PathBuf, Failure> {
    let from = |name: &str| std::env::var_os(name).filter(|it| !it.is_empty()).map(PathBuf::from);
    from("XDG_STATE_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".local/state")))
        .map(|base| base.join("evenkeel"))
        .ok_or_else(|| Failure::usage("neither HOME nor XDG_STATE_HOME is set; say where state lives with --state DIR"))
}

impl StateDir {
    /// The one at `path`.
    #[cfg(test)]
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The demo's own: it is removed at each start, so no fleet may live there, also not one that is called `demo`.
    pub(crate) fn of_demo() -> Result<Self, Failure> {
        Ok(Self(root()?.join(DEMO)))
    }

    /// Makes it, for its owner alone, and remembers it as the one used last.
    pub(crate) fn create(&self) -> Result<(), Failure> {
        use std::os::unix::ffi::OsStrExt;
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let refused = |error| Failure::refused(format!("the state directory {}: {error}", self.0.display()));
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(refused)?;
        if let (Ok(root), Ok(path)) = (root(), self.0.canonicalize()) {
            // Only a convenience for `explain TIER`: without it the fleet must be named.
            let _ = std::fs::create_dir_all(&root);
            let mut note = std::fs::OpenOptions::new();
            let note = note.write(true).create(true).truncate(true).mode(0o600).open(root.join(LAST));
            let _ = note.and_then(|mut file| file.write_all(path.as_os_str().as_bytes()));
        }
        Ok(())
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The journal.
    pub(crate) fn journal(&self) -> PathBuf {
        self.0.join("journal.sqlite")
    }

    /// The journal, which there is once the fleet has run.
    pub(crate) fn existing_journal(&self) -> Result<PathBuf, Failure> {
        let path = self.journal();
        if path.exists() {
            return Ok(path);
        }
        let directory = self.0.display();
        Err(Failure::usage(format!(
            "this fleet never ran here: there is no journal in {directory}; name the directory with --state if it is another"
        )))
    }

    /// Whether a controller ever ran here.
    pub(crate) fn was_used(&self) -> bool {
        // Any of them may be lost without the others.
        let routes = self.gateway().join("gateway-routes.json");
        [self.running(), self.journal(), self.0.join("controller.lock"), routes].iter().any(|path| path.exists())
    }

    /// What the controller says about itself.
    pub(crate) fn running(&self) -> PathBuf {
        self.0.join("running.json")
    }

    /// The token's file.
    pub(crate) fn token(&self) -> PathBuf {
        self.0.join("token")
    }

    /// The gateway's part.
    pub(crate) fn gateway(&self) -> PathBuf {
        self.0.join("gateway")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_fleet_can_live_where_the_demo_does_or_where_the_last_one_is_noted() {
        let text = include_str!("../../../examples/demo.yaml");
        let called = |name: &str| text.replace("\nfleet: demo\n", &format!("\nfleet: {name}\n"));
        assert!(evenkeel_fleet::read(&called("its-own"), "f.yaml").is_ok_and(|it| it.spec.name == "its-own"));
        for name in [DEMO, LAST] {
            let refused = evenkeel_fleet::read(&called(name), "f.yaml").unwrap_err().to_string();
            assert!(refused.contains("lower-case letters"), "{name}: {refused}");
        }
    }
}
