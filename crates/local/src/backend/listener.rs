//! Who listens on a port, by the socket tables and open files in `/proc`.
//!
//! A port is free when a replica is started on it, but another process may take it first. What is listened on by the
//! replica's own processes is the replica's. A listener that carries another intent, or that was running before the
//! replica started, is a stranger. Any other (a container's port forwarder that the command started, or a process that
//! cannot be looked into) is taken as the replica's: the answer and the living process decide.

use super::process_table::{self, Environment, Process};
use evenkeel_wire::intent;
use std::collections::BTreeSet;
use std::fs;

/// Who listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The replica.
    Replica,
    /// Somebody else, described for people.
    Stranger(String),
    /// It cannot be told.
    Unknown,
}

/// Who listens on `port`, seen from the replica whose group and intent are given.
pub(crate) fn listener_of(port: u16, group: i32, intent: &str) -> Listener {
    let sockets = listening_sockets(port);
    let Ok(table) = process_table::read_all() else { return Listener::Unknown };
    let (own, others): (Vec<Process>, Vec<Process>) = table.iter().partition(|process| process.group == group);
    if own.iter().any(|process| holds(process.pid, &sockets)) {
        return Listener::Replica;
    }
    let Some(holder) = others.iter().find(|process| holds(process.pid, &sockets)) else { return Listener::Unknown };
    let started = own.iter().map(|process| process.start_ticks).min().unwrap_or(u64::MAX);
    let carried = Environment::of(holder.pid);
    match carried.get(intent::INTENT) {
        Some(found) if found == intent => Listener::Replica,
        None if holder.start_ticks >= started => Listener::Unknown,
        _ => Listener::Stranger(format!("{} (process {})", process_table::name(holder.pid), holder.pid)),
    }
}

/// Who listens on `port` of this machine, described for people; `None` where it cannot be told.
pub fn who_listens(port: u16) -> Option<String> {
    let sockets = listening_sockets(port);
    let holder = process_table::read_all().ok()?.into_iter().find(|process| holds(process.pid, &sockets))?;
    Some(format!("{} (process {})", process_table::name(holder.pid), holder.pid))
}

/// The user id of whoever listens on `port` of this machine and is neither `owner` nor root, who could read any secret
/// anyway.
pub fn foreign_listener(port: u16, owner: u32) -> Option<u32> {
    foreign_among(&listening(port), owner)
}

fn foreign_among(sockets: &[Socket], owner: u32) -> Option<u32> {
    sockets.iter().map(|socket| socket.user).find(|user| *user != owner && *user != 0)
}

/// A TCP socket that listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    user: u32,
    inode: u64,
}

/// Inodes of the TCP sockets that listen on `port`.
fn listening_sockets(port: u16) -> BTreeSet<u64> {
    listening(port).into_iter().map(|socket| socket.inode).collect()
}

fn listening(port: u16) -> Vec<Socket> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].iter().filter_map(|path| fs::read_to_string(path).ok());
    tables.flat_map(|table| table.lines().filter_map(|line| socket(line, port)).collect::<Vec<_>>()).collect()
}

/// The socket of a line of `/proc/net/tcp` (man 5 proc) if it listens on `port`.
fn socket(line: &str, port: u16) -> Option<Socket> {
    const LISTEN: &str = "0A";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let here = u16::from_str_radix(local_port, 16) == Ok(port) && *fields.get(3)? == LISTEN;
    here.then(|| Some(Socket { user: fields.get(7)?.parse().ok()?, inode: fields.get(9)?.parse().ok()? })).flatten()
}

/// Whether a process has one of `sockets` open.
fn holds(pid: i32, sockets: &BTreeSet<u64>) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().filter_map(|file| fs::read_link(file.path()).ok()).any(|target| {
        let inode = target.to_str().and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        inode.is_some_and(|inode| sockets.contains(&inode))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn only_a_listening_socket_on_the_port_counts() {
        let line = "   0: 0100007F:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 1288 1";
        assert_eq!(socket(line, 0x07E8), Some(Socket { user: 1_001, inode: 1_288 }));
        assert_eq!(socket(line, 80), None);
        assert_eq!(socket(&line.replace(" 0A ", " 01 "), 0x07E8), None);
    }

    #[test]
    fn another_user_is_one_who_is_neither_the_owner_nor_root() {
        let sockets = |users: &[u32]| users.iter().map(|&user| Socket { user, inode: 7 }).collect::<Vec<_>>();
        assert_eq!(foreign_among(&sockets(&[1_001, 0]), 1_001), None);
        assert_eq!(foreign_among(&sockets(&[]), 1_001), None);
        assert_eq!(foreign_among(&sockets(&[1_001, 1_002]), 1_001), Some(1_002));
        assert_eq!(foreign_among(&sockets(&[1_001]), 0), Some(1_001), "a token of root is for root");
    }

    #[test]
    fn a_listener_that_ran_before_the_replica_is_a_stranger() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = process_table::read(std::process::id().cast_signed()).unwrap();
        assert_eq!(listener_of(port, own.group, "a1"), Listener::Replica);
        // A group that does not exist has no start: nothing in it can be older than the listener.
        let Listener::Stranger(who) = listener_of(port, i32::MAX, "a1") else { panic!("not seen as a stranger") };
        assert!(who.contains(&own.pid.to_string()), "{who}");
        assert_eq!(who_listens(port), Some(who));
        assert_eq!(foreign_listener(port, rustix::process::geteuid().as_raw()), None, "it is our own");
        drop(listener);
        assert_eq!(who_listens(port), None);
    }
}
