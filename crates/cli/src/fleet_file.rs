//! Reading the fleet file for a command.

use crate::failure::Failure;
use crate::output;
use evenkeel_fleet::model::Fleet;
use std::fs::{self, File};
use std::io::{IsTerminal, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;

/// A fleet file that was accepted, with the very text it was read from: what is compared with the file later must be what
/// is in force, not what stood there a moment after.
pub(crate) struct Accepted {
    /// What it says.
    pub(crate) fleet: Arc<Fleet>,
    /// Its text; `None` where the file holds another one now that cannot be used.
    pub(crate) text: Option<String>,
}

/// Reads the fleet file at `path`; every mistake in it is the failure's message. Warnings go to standard error.
pub(crate) fn load(path: &Path) -> Result<Arc<Fleet>, Failure> {
    accept(path).map(|accepted| accepted.fleet)
}

/// The same, with its text.
pub(crate) fn accept(path: &Path) -> Result<Accepted, Failure> {
    let text = read(path).map_err(Failure::usage)?;
    let fleet = parse(&text, path).map_err(Failure::usage)?;
    for warning in &fleet.warnings {
        output::note(format_args!("{}: warning: {warning}", path.display()));
    }
    Ok(Accepted { fleet: Arc::new(fleet), text: Some(text) })
}

/// The text at `path`, a file or a pipe; no more is read than a fleet file can have, for a device or a pipe may never end.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    text(path).map_err(|why| format!("{}: {why}", path.display()))
}

fn text(path: &Path) -> Result<String, String> {
    let words = |error: std::io::Error| error.to_string();
    let kind = fs::metadata(path).map_err(words)?.file_type();
    if kind.is_dir() {
        return Err("this is a folder; name the fleet file in it".to_owned());
    }
    if !kind.is_file() && !kind.is_fifo() {
        return Err("this is neither a file nor a pipe; name a fleet file".to_owned());
    }
    let mut bytes = Vec::new();
    let one_too_many = evenkeel_fleet::LARGEST_FILE_BYTES as u64 + 1;
    File::open(path).and_then(|file| file.take(one_too_many).read_to_end(&mut bytes)).map_err(words)?;
    if bytes.len() > evenkeel_fleet::LARGEST_FILE_BYTES {
        let most = evenkeel_fleet::LARGEST_FILE_BYTES;
        return Err(format!("a fleet file has at most {most} bytes, and this has more; is it the right one?"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let sound = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..sound].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!(
            "line {line} holds the byte 0x{:02x}, which is no UTF-8 text; save the file as UTF-8",
            error.as_bytes()[sound]
        )
    })
}

/// Reads `text`, which was found at `path`, or tells every mistake in words.
pub(crate) fn parse(text: &str, path: &Path) -> Result<Fleet, String> {
    evenkeel_fleet::read(text, &path.display().to_string())
        .map_err(|problems| problems.render(std::io::stderr().is_terminal()))
}
