//! Replicas' log files. The replica owns its log: it is opened for appending and handed over, so it goes on when no
//! controller runs. Rotation copies and truncates; lines written between the two are lost, which is the price of never
//! standing between a replica and its log.

use super::state_files::replicas_dir;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// When logs are rotated and forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// A larger log is rotated, bytes.
    pub rotate_above: u64,
    /// Rotated pieces kept of each log.
    pub pieces: u32,
    /// Logs kept of replicas that have ended. Each also marks its intent as launched, so an order may be repeated
    /// without effect for at least as many launches.
    pub ended: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { rotate_above: 16 << 20, pieces: 2, ended: 200 }
    }
}

/// Makes the log of a replica that was never launched; an error of kind `AlreadyExists` means that it was.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

/// Opens a log that exists, for another try of the same replica.
pub(crate) fn reopen(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).open(path)
}

/// Rotates the log if it has grown too large. The writer appends, so after the truncation it goes on at the start.
pub(crate) fn rotate(path: &Path, limits: LogLimits) -> io::Result<()> {
    if fs::metadata(path)?.len() <= limits.rotate_above {
        return Ok(());
    }
    for piece in (1..limits.pieces).rev() {
        match fs::rename(piece_path(path, piece), piece_path(path, piece + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    if limits.pieces > 0 {
        // Copies the mode too, so the piece is as private as the log.
        fs::copy(path, piece_path(path, 1))?;
    }
    OpenOptions::new().write(true).open(path)?.set_len(0)
}

fn piece_path(path: &Path, piece: u32) -> PathBuf {
    path.with_added_extension(piece.to_string())
}

/// Removes the oldest logs of ended replicas beyond the limit. `living` are log paths to leave alone.
pub(crate) fn forget_oldest(state_dir: &Path, living: &BTreeSet<PathBuf>, limits: LogLimits) -> io::Result<()> {
    let mut ended: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in fs::read_dir(replicas_dir(state_dir))?.flatten() {
        let path = entry.path();
        if path.extension() == Some("log".as_ref()) && !living.contains(&path) {
            ended.push((entry.metadata()?.modified()?, path));
        }
    }
    ended.sort();
    let excess = ended.len().saturating_sub(limits.ended);
    for (_, log) in ended.drain(..excess) {
        fs::remove_file(&log)?;
        for piece in 1..=limits.pieces {
            match fs::remove_file(piece_path(&log, piece)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    const LIMITS: LogLimits = LogLimits { rotate_above: 4, pieces: 2, ended: 1 };

    #[test]
    fn a_writer_goes_on_in_the_same_file_after_each_rotation() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("gold-a.log");
        let mut writer = create(&log).unwrap();
        for text in ["first", "second", "third"] {
            writer.write_all(text.as_bytes()).unwrap();
            rotate(&log, LIMITS).unwrap();
        }
        writer.write_all(b"now").unwrap();
        rotate(&log, LIMITS).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "now");
        assert_eq!(fs::read_to_string(piece_path(&log, 1)).unwrap(), "third");
        assert_eq!(fs::read_to_string(piece_path(&log, 2)).unwrap(), "second");
        assert!(!piece_path(&log, 3).exists());
        for file in [log.clone(), piece_path(&log, 1)] {
            assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn an_intent_gets_its_log_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("gold-a.log");
        create(&log).unwrap();
        assert_eq!(create(&log).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn old_logs_of_ended_replicas_go_and_living_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let folder = replicas_dir(dir.path());
        fs::create_dir(&folder).unwrap();
        let logs: Vec<PathBuf> = ["a", "b", "c"].map(|name| folder.join(format!("gold-{name}.log"))).to_vec();
        for (age, log) in logs.iter().enumerate() {
            let file = create(log).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age as u64)).unwrap();
        }
        fs::write(piece_path(&logs[1], 1), "").unwrap();
        forget_oldest(dir.path(), &BTreeSet::from([logs[0].clone()]), LIMITS).unwrap();
        assert!(logs[0].exists() && !logs[1].exists() && !piece_path(&logs[1], 1).exists() && logs[2].exists());
    }
}
