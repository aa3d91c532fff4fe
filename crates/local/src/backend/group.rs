//! A replica's process group: engines are process trees, so every signal goes to the group and the replica has ended
//! only when the group is empty.

use super::blocking::blocking;
use super::process_table::{self, Environment, Identity, Process, to_pid};
use evenkeel_wire::intent;
use rustix::process::{
    PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, pidfd_send_signal, waitid,
};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep};

/// Longest pause between two looks at a group that is ending.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Longest time between two attempts to kill a group that does not go.
const RAREST_KILL: Duration = Duration::from_secs(30);

/// The processes of one replica.
#[derive(Debug)]
pub(crate) struct Group {
    intent: String,
    id: i32,
    /// Watches the first process; `None` when that was gone already.
    leader: Option<AsyncFd<OwnedFd>>,
    /// Members at the last look, by number and start.
    known: Vec<(i32, u64)>,
}

/// What a process's environment says about where it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Belongs {
    Here,
    Elsewhere,
    Unknown,
}

impl Group {
    /// The group led by the process that `leader` names; `None` when that process is gone. Must be called inside a
    /// tokio runtime.
    pub(crate) fn led_by(leader: &Identity, intent: &str) -> io::Result<Option<Self>> {
        let watch = match pidfd_open(to_pid(leader.pid)?, PidfdFlags::NONBLOCK) {
            Ok(watch) => watch,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // Looked at after the pidfd was opened: the same start time means that the pidfd holds the same process.
        let Some(process) = process_table::read(leader.pid).filter(|process| leader.names(process)) else {
            return Ok(None);
        };
        let leader = Some(watched(watch)?);
        let known = vec![(process.pid, process.start_ticks)];
        Ok(Some(Self { intent: intent.to_owned(), id: process.pid, leader, known }))
    }

    /// What is left of group `id` after its first process has gone.
    pub(crate) fn remains(id: i32, intent: &str) -> Self {
        Self { intent: intent.to_owned(), id, leader: None, known: Vec::new() }
    }

    /// Its number.
    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    /// Returns once the first process has ended; it stays unreaped, so that its number is not given to another.
    pub(crate) async fn leader_ended(&self) {
        let Some(leader) = &self.leader else { return };
        if let Err(error) = leader.readable().await {
            // Only a closing runtime gets here; then nothing may be concluded about the replica.
            tracing::debug!(%error, "the watch on a replica's process was closed");
            std::future::pending::<()>().await;
        }
    }

    /// How the first process ended, in words; only its parent is told.
    pub(crate) fn ending(&self) -> String {
        let Some(leader) = &self.leader else { return "lost its first process".to_owned() };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::PidFd(leader.get_ref().as_fd()), options).ok().flatten();
        match status.map(|status| (status.exit_status(), status.terminating_signal())) {
            Some((Some(code), _)) => format!("exited with status {code}"),
            Some((None, Some(signal))) => format!("was ended by signal {signal}"),
            _ => "ended".to_owned(),
        }
    }

    /// The living members.
    pub(crate) async fn members(&mut self) -> io::Result<Vec<Process>> {
        let table = table().await?;
        let intent = self.intent.clone();
        Ok(living_members(&table, self.id, &mut self.known, |pid| belongs(pid, &intent)))
    }

    /// Ends every process of the group: SIGTERM, and SIGKILL after `grace`. Returns when the group is empty, which for a
    /// process that hangs in the kernel may be never.
    pub(crate) async fn end(&mut self, grace: Duration) {
        self.signal(Signal::TERM).await;
        if !self.emptied(Some(Instant::now() + grace)).await {
            tracing::warn!(intent = self.intent, group = self.id, ?grace, "killing what did not end in time");
            self.kill().await;
        }
        self.reap();
        end_strays(&self.intent).await;
    }

    /// Kills the group until it is empty, more and more rarely: what hangs in the kernel ends when the kernel lets it.
    async fn kill(&mut self) {
        let mut patience = LONGEST_PAUSE;
        loop {
            self.signal(Signal::KILL).await;
            if self.emptied(Some(Instant::now() + patience)).await {
                return;
            }
            patience = (patience * 2).min(RAREST_KILL);
        }
    }

    /// Waits, without doing anything about it, until the group is empty.
    pub(crate) async fn left_to_itself(&mut self) {
        self.emptied(None).await;
        self.reap();
    }

    /// Sends `signal` to the whole group, if a process that is known to be a member lives.
    async fn signal(&mut self, signal: Signal) {
        let sent = match self.members().await {
            Ok(members) if members.is_empty() => Ok(()),
            Ok(_) => to_pid(self.id).and_then(|group| kill_process_group(group, signal).map_err(io::Error::from)),
            Err(error) => Err(error),
        };
        if let Err(error) = sent.or_else(gone_is_fine) {
            tracing::warn!(intent = self.intent, group = self.id, ?signal, %error, "could not signal a replica");
        }
    }

    /// Waits until the group is empty; false when `deadline` came first.
    async fn emptied(&mut self, deadline: Option<Instant>) -> bool {
        let mut pause = Duration::from_millis(10);
        loop {
            // A failed look is no proof that it is empty.
            if self.members().await.is_ok_and(|members| members.is_empty()) {
                return true;
            }
            let left = deadline.map_or(pause, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Takes the exit statuses of those members that are our children.
    fn reap(&self) {
        let Ok(group) = to_pid(self.id) else { return };
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        while let Ok(Some(_)) = waitid(WaitId::Pgid(Some(group)), options) {}
    }
}

/// Who of `table` is in `group` and alive. The group's number cannot be given anew while a member is left, so a known
/// member that still exists vouches for all; without one, those that say they belong elsewhere are left out.
fn living_members(
    table: &[Process],
    group: i32,
    known: &mut Vec<(i32, u64)>,
    belongs: impl Fn(i32) -> Belongs,
) -> Vec<Process> {
    let in_group: Vec<Process> = table.iter().filter(|process| process.group == group).copied().collect();
    let vouched = in_group.iter().any(|process| known.contains(&(process.pid, process.start_ticks)));
    let ours: Vec<Process> =
        in_group.into_iter().filter(|process| vouched || belongs(process.pid) != Belongs::Elsewhere).collect();
    *known = ours.iter().map(|process| (process.pid, process.start_ticks)).collect();
    ours.into_iter().filter(|process| process.alive).collect()
}

fn belongs(pid: i32, intent: &str) -> Belongs {
    let environment = Environment::of(pid);
    match environment.get(intent::INTENT) {
        Some(found) if found == intent => Belongs::Here,
        Some(_) => Belongs::Elsewhere,
        None if environment.is_intact() => Belongs::Elsewhere,
        None => Belongs::Unknown,
    }
}

/// Whether group `id`, whose first process is gone, still holds processes of `intent`.
pub(crate) fn has_remains(table: &[Process], id: i32, intent: &str) -> bool {
    !living_members(table, id, &mut Vec::new(), |pid| belongs(pid, intent)).is_empty()
}

/// Kills processes that left the group but still carry the intent: nothing of a replica outlives it.
async fn end_strays(intent: &str) {
    let Ok(table) = table().await else { return };
    for stray in table.iter().filter(|process| process.alive && belongs(process.pid, intent) == Belongs::Here) {
        tracing::warn!(intent, pid = stray.pid, "killing a process that left its replica's group");
        if let Err(error) = kill_exactly(stray).or_else(gone_is_fine) {
            tracing::warn!(intent, pid = stray.pid, %error, "could not kill it");
        }
    }
}

/// Kills the very process that was looked at, not a later one with its number.
fn kill_exactly(process: &Process) -> io::Result<()> {
    let watch = pidfd_open(to_pid(process.pid)?, PidfdFlags::empty())?;
    let same = process_table::read(process.pid).is_some_and(|now| now.start_ticks == process.start_ticks);
    if same { Ok(pidfd_send_signal(watch, Signal::KILL)?) } else { Ok(()) }
}

#[expect(deprecated, reason = "its successor is an unsafe fn for types that may swap their descriptor; OwnedFd cannot")]
fn watched(process: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(process, Interest::READABLE)
}

fn gone_is_fine(error: io::Error) -> io::Result<()> {
    if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) { Ok(()) } else { Err(error) }
}

/// Reading `/proc` takes milliseconds on a machine with many processes: not on a thread that serves requests.
async fn table() -> io::Result<Vec<Process>> {
    blocking(process_table::read_all).await.map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, group: i32, start_ticks: u64) -> Process {
        Process { pid, group, start_ticks, alive: true }
    }

    #[test]
    fn a_known_member_vouches_for_the_children_it_forked() {
        let mut known = vec![(10, 100)];
        let table = [process(10, 10, 100), process(11, 10, 200), process(50, 50, 1)];
        let members = living_members(&table, 10, &mut known, |_| Belongs::Elsewhere);
        assert_eq!(members.iter().map(|member| member.pid).collect::<Vec<_>>(), [10, 11]);
        assert_eq!(known, [(10, 100), (11, 200)]);
    }

    #[test]
    fn a_group_whose_number_was_given_anew_to_strangers_is_empty() {
        let mut known = vec![(10, 100)];
        let reused = [process(10, 10, 900), process(12, 10, 901)];
        assert!(living_members(&reused, 10, &mut known, |_| Belongs::Elsewhere).is_empty());
        assert!(known.is_empty());
    }

    #[test]
    fn an_unreaped_leader_is_not_alive_but_keeps_the_number_ours() {
        let mut known = vec![(10, 100)];
        let leader = Process { alive: false, ..process(10, 10, 100) };
        let members = living_members(&[leader, process(11, 10, 200)], 10, &mut known, |_| Belongs::Elsewhere);
        assert_eq!(members.iter().map(|member| member.pid).collect::<Vec<_>>(), [11]);
        assert!(living_members(&[leader], 10, &mut known, |_| Belongs::Elsewhere).is_empty());
    }
}
