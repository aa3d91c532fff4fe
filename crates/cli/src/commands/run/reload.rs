//! Taking over a changed fleet file: what changed is said, and an invalid file keeps the old one.

use crate::fleet_file;
use evenkeel_controller::live::Command;
use evenkeel_fleet::model::Fleet;
use evenkeel_local::backend::{LocalBackend, local_tiers};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Watches `file`, whose `text` is in force, and hands each change to the loop, the backend and whoever follows
/// `fleets`.
pub(super) fn watch(
    file: PathBuf,
    text: Option<String>,
    fleets: watch::Sender<Arc<Fleet>>,
    commands: mpsc::Sender<Command>,
    backend: Arc<LocalBackend>,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut seen = text.map(Ok);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let found = fleet_file::read(&file);
            if seen.as_ref() == Some(&found) {
                continue;
            }
            let command = match &found {
                Ok(text) => take_over(text, &file, &fleets, &backend),
                Err(why) => Command::ReloadRefused(why.clone()),
            };
            seen = Some(found);
            if commands.send(command).await.is_err() {
                return;
            }
        }
    })
}

fn take_over(text: &str, file: &Path, fleets: &watch::Sender<Arc<Fleet>>, backend: &LocalBackend) -> Command {
    let before = fleets.borrow().clone();
    let fleet = match fleet_file::parse(text, file) {
        Ok(fleet) => Arc::new(fleet),
        Err(problems) => return Command::ReloadRefused(problems),
    };
    let fixed = evenkeel_fleet::needs_restart(&before, &fleet);
    if !fixed.is_empty() {
        let why = format!("{} can change only with a restart of the controller", fixed.join(", "));
        return Command::ReloadRefused(why);
    }
    let changes: Vec<String> = evenkeel_fleet::diff(&before, &fleet).iter().map(ToString::to_string).collect();
    if changes.is_empty() {
        return Command::FileInForce;
    }
    backend.reload(local_tiers(&fleet));
    fleets.send_replace(fleet.clone());
    Command::Reload(fleet, changes)
}
