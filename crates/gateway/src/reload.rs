//! Taking over a changed fleet file while requests run.

use crate::gateway::Gateway;
use crate::tier::Tier;
use evenkeel_fleet::model::Fleet;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use tokio::time::sleep;

/// How often the file is looked at, and the tiers that leave.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Keeps the tiers' time, those of a changed `file` included. Runs as long as the gateway.
pub(crate) async fn attend(gateway: Arc<Gateway>, file: Option<PathBuf>, fleet: Fleet) {
    let mut keepers = Keepers::default();
    let mut file = file.map(|path| WatchedFile { path, fleet, seen: None });
    loop {
        keepers.attend(gateway.in_force().all());
        sleep(LOOK_EVERY).await;
        gateway.drop_those_that_left();
        if let Some(file) = &mut file {
            file.look(&gateway).await;
        }
    }
}

/// One task for each tier.
#[derive(Default)]
struct Keepers {
    tasks: JoinSet<()>,
    attended: BTreeMap<String, (Arc<Tier>, AbortHandle)>,
}

impl Keepers {
    /// Begins with the tiers that are new and ends with those that are gone.
    fn attend(&mut self, tiers: Vec<Arc<Tier>>) {
        self.attended.retain(|_, (tier, task)| {
            let stays = tiers.iter().any(|known| Arc::ptr_eq(known, tier));
            if !stays {
                task.abort();
            }
            stays
        });
        while self.tasks.try_join_next().is_some() {}
        for tier in tiers {
            if !self.attended.contains_key(&tier.name) {
                let task = self.tasks.spawn(Arc::clone(&tier).keep_time());
                self.attended.insert(tier.name.clone(), (tier, task));
            }
        }
    }
}

/// The fleet file as it was seen last.
struct WatchedFile {
    path: PathBuf,
    /// What it said when it was sound.
    fleet: Fleet,
    /// Its text, or why it cannot be read.
    seen: Option<Result<String, String>>,
}

impl WatchedFile {
    async fn look(&mut self, gateway: &Gateway) {
        let text = read(&self.path).await.map_err(|error| error.to_string());
        if self.seen.as_ref() == Some(&text) {
            return;
        }
        let read = text.clone().and_then(|text| parse(&text, &self.path, &self.fleet.spec.name));
        self.seen = Some(text);
        match read {
            Ok(fleet) => self.take_over(gateway, fleet),
            Err(error) => {
                gateway.note_file_in_force(false);
                tracing::error!(path = %self.path.display(), %error, "the changed fleet file cannot be used: the old one stays");
            }
        }
    }

    fn take_over(&mut self, gateway: &Gateway, fleet: Fleet) {
        let changes: Vec<String> = evenkeel_fleet::diff(&self.fleet, &fleet).iter().map(ToString::to_string).collect();
        let waits = gateway.take_over(&fleet);
        self.fleet = fleet;
        gateway.note_file_in_force(waits.is_empty());
        if !changes.is_empty() {
            tracing::info!(?changes, "took over the changed fleet file");
        }
        if !waits.is_empty() {
            tracing::warn!(?waits, "these are in force only after a restart of the gateway");
        }
    }
}

/// The file's text: no more of it than shows that it is too long. All of it in one step: `tokio::fs` gives each call of the
/// system to a thread of the pool, and where one is not yet idle again makes another, which takes its turn from then on and
/// so never ends.
async fn read(path: &Path) -> io::Result<String> {
    let path = path.to_owned();
    let read = move || {
        let mut text = String::new();
        let one_too_many = evenkeel_fleet::LARGEST_FILE_BYTES as u64 + 1;
        File::open(path)?.take(one_too_many).read_to_string(&mut text)?;
        Ok(text)
    };
    spawn_blocking(read).await.map_err(io::Error::other)?
}

/// Reads the fleet, or tells every mistake in words.
fn parse(text: &str, path: &Path, fleet: &str) -> Result<Fleet, String> {
    let read = evenkeel_fleet::read(text, &path.display().to_string()).map_err(|problems| problems.render(false))?;
    if read.spec.name == fleet {
        return Ok(read);
    }
    Err(format!("it is the file of the fleet `{}`: another fleet needs a gateway of its own", read.spec.name))
}
