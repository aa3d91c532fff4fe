//! How many play now: pulled as JSON over HTTP, read from a file, or pushed into the controller's API. Each tier gets its
//! share of the total.

mod document;

#[cfg(feature = "fuzz")]
pub(crate) use document::number;

use crate::fetch::{self, Address, SetupError, Trust};
use async_trait::async_trait;
use evenkeel_controller::ports::{Finding, LivingReplica, Source, SourceError};
use evenkeel_core::observe::{Cause, Reading, Signals};
use evenkeel_core::spec::Signal;
use evenkeel_core::units::Time;
use evenkeel_fleet::model::PlayersSource;
use reqwest::Client;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;

/// More players than there are people is a slip.
pub const MOST_PLAYERS: f64 = 1e10;
/// A document with a number in it is small; a larger one is the wrong address.
const MOST_BYTES: u64 = 1024 * 1024;

/// Takes the player count that somebody pushes. Clones share one value.
#[derive(Clone, Debug, Default)]
pub struct PlayersPush {
    last: Arc<Mutex<Option<(f64, Time)>>>,
}

impl PlayersPush {
    /// Notes that `players` were online at `at`. The reading keeps that time, so a pusher that stops makes it stale.
    ///
    /// # Errors
    /// When it is no number of players: NaN, negative, or above [`MOST_PLAYERS`]. The earlier count then stays.
    pub fn push(&self, players: f64, at: Time) -> Result<(), SourceError> {
        let players = document::counted(players)?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((players, at));
        Ok(())
    }

    fn latest(&self) -> Result<(f64, Time), SourceError> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let never = "no player count was pushed yet: POST one to the controller's API";
        last.ok_or_else(|| SourceError { cause: Cause::Unreachable, detail: never.to_owned() })
    }
}

#[derive(Debug)]
enum From {
    Http { address: Address, client: Client, pointer: String },
    Push(PlayersPush),
    File { path: PathBuf, pointer: Option<String>, reading: OneRead },
}

/// The player count as a source.
#[derive(Debug)]
pub struct Players {
    from: From,
    /// Each tier's share of all players, 0 to 1.
    shares: Vec<(String, f64)>,
}

impl Players {
    /// Reads `source` for tiers by name and share of all players; an HTTP source within `timeout`. `push` is where the
    /// API puts a pushed count; other sources leave it alone.
    ///
    /// # Errors
    /// When the address is none or no HTTP client can be built.
    pub fn new(
        source: &PlayersSource,
        push: PlayersPush,
        shares: impl IntoIterator<Item = (String, f64)>,
        timeout: Duration,
    ) -> Result<Self, SetupError> {
        let from = match source {
            PlayersSource::Http { url, pointer } => {
                let address = Address::read(url)?;
                let client = fetch::client(Trust::needed_by(&address), timeout)?;
                From::Http { address, client, pointer: pointer.clone() }
            }
            PlayersSource::Push => From::Push(push),
            PlayersSource::File { path, pointer } => {
                From::File { path: path.clone(), pointer: pointer.clone(), reading: OneRead::default() }
            }
        };
        Ok(Self { from, shares: shares.into_iter().collect() })
    }

    /// The total and when it held. A file or a document says nothing of its age, so it holds when it is asked for.
    async fn total(&mut self, now: Time) -> Result<(f64, Time), SourceError> {
        match &mut self.from {
            From::Http { address, client, pointer } => {
                let body = fetch::get(client, address, MOST_BYTES as usize).await?;
                Ok((document::number(&body, Some(pointer))?, now))
            }
            From::Push(push) => push.latest(),
            From::File { path, pointer, reading } => {
                let path = path.clone();
                let (text, at) = reading.next(now, move || contents(&path)).await?;
                Ok((document::number(&text, pointer.as_deref())?, at))
            }
        }
    }
}

#[async_trait]
impl Source for Players {
    fn name(&self) -> &'static str {
        "players"
    }

    fn covers(&self, tier: &str) -> &[Signal] {
        if self.shares.iter().any(|(name, _)| name == tier) { &[Signal::Players] } else { &[] }
    }

    async fn read(&mut self, now: Time, _living: &[LivingReplica]) -> Result<Vec<Finding>, SourceError> {
        let (total, at) = self.total(now).await?;
        let finding = |(tier, share): &(String, f64)| {
            let players = Reading::Fresh { value: (total * share).round() as u64, at };
            let signals = Signals { players, ..Signals::default() };
            Finding { tier: tier.clone(), signals, replica_load: Vec::new() }
        };
        Ok(self.shares.iter().map(finding).collect())
    }
}

/// A read that may hang, as of a file on a server that is gone. While it does, the next one waits for it too, or each would
/// hold a thread more. What it reads held when it began.
#[derive(Debug, Default)]
struct OneRead(Option<Begun>);

#[derive(Debug)]
struct Begun {
    at: Time,
    read: JoinHandle<Result<Vec<u8>, SourceError>>,
}

impl OneRead {
    async fn next(
        &mut self,
        now: Time,
        read: impl FnOnce() -> Result<Vec<u8>, SourceError> + Send + 'static,
    ) -> Result<(Vec<u8>, Time), SourceError> {
        let begun = self.0.get_or_insert_with(|| Begun { at: now, read: tokio::task::spawn_blocking(read) });
        let (at, ended) = (begun.at, (&mut begun.read).await);
        self.0 = None;
        let text =
            ended.unwrap_or_else(|error| Err(SourceError { cause: Cause::Unreachable, detail: error.to_string() }))?;
        Ok((text, at))
    }
}

fn contents(path: &Path) -> Result<Vec<u8>, SourceError> {
    let failed = |error: std::io::Error| {
        let refused = error.kind() == ErrorKind::PermissionDenied;
        let cause = if refused { Cause::Refused } else { Cause::Unreachable };
        SourceError { cause, detail: format!("the player file {} cannot be read: {error}", path.display()) }
    };
    let malformed = |what: &str| {
        let detail = format!("the player file {} {what}", path.display());
        SourceError { cause: Cause::Malformed, detail }
    };
    // Looked at before it is opened, which waits for ever on a pipe without a writer.
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(malformed("is no ordinary file"));
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes)).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(malformed(&format!("is larger than {MOST_BYTES} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn a_file_that_hangs_holds_one_thread_and_is_read_anew_once_it_has_come() {
        let (release, hangs) = mpsc::channel();
        let (mut reading, mut hangs) = (OneRead::default(), Some(hangs));
        let at = |secs: i64| Time::from_micros(secs * 1_000_000);
        for second in 0..3 {
            let hangs = hangs.take();
            let read = move || {
                hangs.expect("only the first one is begun").recv().expect("the test lets it go");
                Ok(b"1".to_vec())
            };
            let given_up = tokio::time::timeout(Duration::from_millis(20), reading.next(at(second), read)).await;
            assert!(given_up.is_err());
        }
        release.send(()).expect("it waits");
        for (second, text, held) in [(30, b"1", at(0)), (31, b"2", at(31))] {
            let read = reading.next(at(second), || Ok(b"2".to_vec())).await;
            assert_eq!(read.map_err(|error| error.detail), Ok((text.to_vec(), held)));
        }
    }
}
